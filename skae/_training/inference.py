"""What a net does once it is trained: functions of its module, over rows in chunks."""

import copy
from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from skae._data.dataset import Batch, Dataset
from skae._utils.runtime import count_weights

DERIVED = ("_twin", "_counted")  # kept beside the module, made anew when missing


class InferenceMixin:
    """For a net with a ``module_`` and a ``device``."""

    def to_device(self, values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        if self.device == "cpu":
            return values
        if torch.device(self.device).type == "mps":  # has no float64
            values = values.float()
        return values.to(self.device)

    def module_for(self, dtype: torch.dtype) -> torch.nn.Module:
        """The module, able to compute in ``dtype``; a float64 twin is made once."""
        if dtype != torch.float64 or torch.device(self.device).type == "mps":
            return self.module_
        source, state, versions, twin = self.__dict__.get("_twin", (None, [], [], None))
        if source is not self.module_ or versions != [t._version for t in state]:
            state = chain(self.module_.parameters(), self.module_.buffers())
            state = [tensor for tensor in state if not tensor.is_inference()]
            twin = copy.deepcopy(self.module_).double()
            versions = [tensor._version for tensor in state]
            self.__dict__["_twin"] = self.module_, state, versions, twin
        return twin

    @property
    def n_weights(self) -> int:
        """Number of weights, a measure of the work that a row makes."""
        counted, n_weights = self.__dict__.get("_counted", (None, 0))
        if counted is not self.module_:
            n_weights = count_weights(self.module_)
            self.__dict__["_counted"] = self.module_, n_weights
        return n_weights

    def apply(
        self, function: Callable, dataset: Dataset, dtype: torch.dtype, chunk: int
    ) -> Iterator:
        """Yield ``function(module, batch)`` for each chunk, batches in data units."""
        module = self.module_for(dtype)
        for batch in dataset.chunks(chunk):
            with torch.inference_mode():
                result = function(module, Batch(*(self.to_device(v) for v in batch)))
            yield result

    def map_batches(
        self, function: Callable, dataset: Dataset, dtype: torch.dtype, chunk: int
    ) -> np.ndarray:
        """The same, put together to one array."""
        results = [r.cpu() for r in self.apply(function, dataset, dtype, chunk)]
        return (results[0] if len(results) == 1 else torch.cat(results)).numpy()
