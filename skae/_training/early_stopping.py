"""Early stopping on a validation set; keeps the best weights."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Validation(NamedTuple):
    """Validation losses in the course of a run."""

    steps: list[int]  # of each check, beginning with 0
    losses: list[np.ndarray]  # (n_valid,) each
    means: list[float]  # of the same

    @property
    def best(self) -> float:
        return min(self.means, default=math.inf)

    def mean_at(self, step: int) -> float:
        if not self.steps:  # even the initial loss was not finite
            return math.inf
        return float(np.interp(step, self.steps, self.means))


class EarlyStopping:
    """Keeps the weights of least validation loss, the initial ones included.

    Parameters
    ----------
    read : callable
        Returns the present weights, a dict of tensors that share their memory.

    patience : int or None
        Number of checks without a lower validation loss that end the run.
    """

    def __init__(self, read: Callable[[], dict[str, Tensor]], patience: int | None):
        self.read = read
        self.patience = patience
        self.validation = Validation([], [], [])
        self.is_over = self.diverged = self.reverted = False
        self.n_misses = 0
        self.kept: dict[str, Tensor] = {}
        self._keep(step=0)
        # Last layers and changes of weights are initialised at zero, and need no memory.
        for name, values in self.kept.items():
            if not values.any():
                self.kept[name] = values.new_zeros(()).expand_as(values)
        self.initial = self.kept

    def check(self, step: int, finite: bool, losses: np.ndarray | None) -> None:
        """Record validation losses, if any, and keep the weights that are best so far."""
        if self.is_over:
            return
        if not finite or (losses is not None and not np.isfinite(losses).all()):
            self.is_over = self.diverged = True
            return
        if losses is None:
            self._keep(step)
            return
        mean, best = float(losses.mean()), self.validation.best
        self.validation.steps.append(step)
        self.validation.losses.append(losses)
        self.validation.means.append(mean)
        if mean < best:
            self._keep(step)
            self.n_misses = 0
        else:
            self.n_misses += 1
            self.is_over = self.n_misses == self.patience

    def _keep(self, step: int) -> None:
        if self.kept and step == 0:  # the initial weights have been kept
            return
        self.kept = {name: values.clone() for name, values in self.read().items()}
        self.kept_step = step

    def restore(self) -> None:
        """Load the best weights."""
        with torch.no_grad():
            for name, values in self.read().items():
                values.copy_(self.kept[name])

    def restore_initial(self) -> None:
        """Load the initial weights."""
        self.kept, self.kept_step, self.reverted = self.initial, 0, True
        self.restore()
