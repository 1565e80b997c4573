"""Functions of a trained module, applied to samples in chunks."""

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from skae._data.dataset import Batch, Dataset
from skae._utils.torch_modes import inference


def device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def to_device(module: nn.Module, values: Tensor | None) -> Tensor | None:
    """Move a tensor to the module's device."""
    return None if values is None else _move(values, device_of(module))


def _move(values: Tensor | None, device: torch.device) -> Tensor | None:
    if values is None or device.type == "cpu":
        return values
    # MPS has no float64.
    return (values.float() if device.type == "mps" else values).to(device)


def prepare(module: nn.Module, batch: Batch) -> Batch:
    """Move a batch to the module's device; standardise it, in the weights' dtype."""
    device = device_of(module)
    x, target, condition = (_move(values, device) for values in batch)
    standardized = module.standardize(x)
    if target is None and module.reconstructs_inputs:
        target = standardized
    else:
        target = module.outputs(x if target is None else target)
        target = target.to(standardized.dtype)
    if condition is not None:
        condition = condition.to(standardized.dtype)
    return Batch(standardized, target, condition)


class _Double(NamedTuple):
    """A float64 copy of a module, and what it was copied from."""

    module: nn.Module
    sources: list[tuple[dict, str, object, tuple | None]]  # owner, name, part, its state

    def is_current(self) -> bool:
        return all(
            owner.get(name) is part and _state(part) == state
            for owner, name, part, state in self.sources
        )


def _state(part: object) -> tuple | None:
    """Changes when a tensor is changed in place, or gets other memory."""
    return (part._version, part.data_ptr()) if isinstance(part, Tensor) else None


# Beside the modules instead of in them: they are pickled, copied and saved without.
_doubles: WeakKeyDictionary[nn.Module, _Double] = WeakKeyDictionary()


def module_for(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module, able to compute in ``dtype``; a float64 copy is made once.

    The copy is renewed when a tensor of the module was replaced or changed in place, and
    when a layer was replaced. Writing to a tensor's ``data`` or to its numpy array goes
    unnoticed, as it does in autograd.
    """
    if dtype != torch.float64:
        return module
    double = _doubles.get(module)
    if double is None or not double.is_current():
        if device_of(module).type == "mps":  # has no float64
            return module
        owners = [
            owner
            for part in module.modules()
            for owner in (part._parameters, part._buffers, part._modules)
        ]
        entries = [(owner, name, own) for owner in owners for name, own in owner.items()]
        # Inference tensors do not count their changes.
        tensors = [own for _, _, own in entries if isinstance(own, Tensor)]
        tracked = not any(tensor.is_inference() for tensor in tensors)
        sources = [(*entry, _state(entry[-1])) for entry in entries] if tracked else []
        double = _Double(copy.deepcopy(module).double(), sources)
        if tracked:
            _doubles[module] = double
    return double.module


def apply(
    module: nn.Module,
    function: Callable,
    dataset: Dataset,
    dtype: torch.dtype,
    chunk: int,
) -> Iterator:
    """Yield ``function(module, batch)`` for each chunk, in the units of the data."""
    for batch in dataset.chunks(chunk):
        with inference():
            result = _call(module, function, batch, dtype)
        yield result


def _call(module: nn.Module, function: Callable, batch: Batch, dtype: torch.dtype):
    device = device_of(module)
    moved = Batch(*(_move(values, device) for values in batch))
    return function(module_for(module, dtype), moved)


def map_batches(
    module: nn.Module,
    function: Callable,
    dataset: Dataset,
    dtype: torch.dtype,
    chunk: int,
    result_dtype: np.dtype | None = None,
) -> np.ndarray:
    """Concatenate what ``function(module, batch)`` returns for each chunk.

    With float32, samples that would overflow are computed in float64. Which these are
    depends on nothing but the sample.
    """
    results, start = None, 0
    for batch in dataset.chunks(chunk):
        with inference():
            if dtype == torch.float64:
                part = _call(module, function, batch, dtype).cpu().numpy()
            else:
                part = _without_overflow(module, function, batch).numpy()
        part = part.astype(result_dtype or part.dtype, copy=False)
        if len(part) == len(dataset):
            return part
        if results is None:
            results = np.empty((len(dataset), *part.shape[1:]), part.dtype)
        results[start : start + len(part)] = part
        start += len(part)
    return results


def _without_overflow(module: nn.Module, function: Callable, batch: Batch) -> Tensor:
    """Compute in float32, but in float64 where that overflows, sample by sample."""
    limit, x = module.inputs.float32_limit, batch.x.numpy()
    if np.abs(x).max() > limit:
        far = torch.from_numpy((np.abs(x) > limit).any(axis=1))
        far_results = _call(module, function, _samples(batch, far), torch.float64).cpu()
        if far.all():
            return far_results
        results = _without_overflow(module, function, _samples(batch, ~far))
        return _merge(far, far_results, results)
    results = _call(module, function, batch, torch.float32).cpu()
    if np.isfinite(results.numpy()).all():
        return results
    far = ~results.isfinite().view(len(results), -1).all(dim=1)
    far_results = _call(module, function, _samples(batch, far), torch.float64).cpu()
    return _merge(far, far_results, results[~far])


def _samples(batch: Batch, chosen: Tensor) -> Batch:
    return Batch(*(None if values is None else values[chosen] for values in batch))


def _merge(is_far: Tensor, far: Tensor, near: Tensor) -> Tensor:
    """Results of all samples, from those of the far ones and of the others."""
    merged = far.new_empty(len(is_far), *far.shape[1:])
    merged[is_far], merged[~is_far] = far, near.to(far.dtype)
    return merged
