"""What the rows held out say of a module in training, and the weights to keep."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Validation(NamedTuple):
    """What the rows held out say of a run, step by step."""

    steps: list[int]  # at which the loss was taken, beginning with 0
    losses: list[np.ndarray]  # (n_valid,) each
    means: list[float]  # of the same

    @property
    def best(self) -> float:
        return min(self.means, default=math.inf)

    def mean_at(self, step: int) -> float:
        if not self.steps:  # not even the start had a finite loss
            return math.inf
        return float(np.interp(step, self.steps, self.means))


class EarlyStopping:
    """Keeps the weights that validate best, those of step 0 included.

    Parameters
    ----------
    read : callable
        Returns the weights as they are, a dict of tensors that share their memory.

    patience : int or None
        Number of looks without a better validation loss that end the run.
    """

    def __init__(self, read: Callable[[], dict[str, Tensor]], patience: int | None):
        self.read = read
        self.patience = patience
        self.validation = Validation([], [], [])
        self.is_over = self.diverged = False
        self.n_misses = 0
        self._keep(step=0)
        self.start = self.kept

    def check(self, step: int, finite: bool, losses: np.ndarray | None) -> None:
        """Note the losses of the rows held out, if any, and keep weights that do best."""
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
        self.kept = {name: values.clone() for name, values in self.read().items()}
        self.kept_step = step

    def restore(self) -> None:
        """Put back the weights kept."""
        with torch.no_grad():
            for name, values in self.read().items():
                values.copy_(self.kept[name])

    def restart(self) -> None:
        """Put back the weights of step 0."""
        self.kept, self.kept_step = self.start, 0
        self.restore()
