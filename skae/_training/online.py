"""Trains on one chunk of rows after the other.

There is no end in sight for a schedule to aim at, and no rows to judge by, so the rate
falls slowly, as one over the square root of the steps, and the weights that are used are
a running average of those that are trained: Polyak & Juditsky, "Acceleration of
stochastic approximation by averaging", SIAM Journal on Control and Optimization 30(4),
1992.
"""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from skae._data.dataset import Batch, ShuffledBatches
from skae._training.net import AutoencoderNet


class OptimizerState(NamedTuple):
    """Where training on the chunks so far has ended, on the CPU."""

    values: Tensor  # the weights that are trained, not their average
    moments: tuple[Tensor, Tensor]
    n_steps: Tensor


class OnlineNet(AutoencoderNet):
    """An :class:`AutoencoderNet` that goes on where it ended.

    Parameters
    ----------
    module, criterion : nn.Module
        The module as inference uses it, with averaged weights.

    progress : Progress, default=None
        What an earlier call left; None starts anew.

    **kwargs : dict
        Parameters of :class:`AutoencoderNet`.
    """

    rate = 0.7  # of the learning rate, which is the height of fit's schedule
    warm_up_steps, level_steps = 100, 500
    decay = 0.999

    def __init__(self, module, criterion, *, progress=None, **kwargs):
        super().__init__(module, criterion, **kwargs)
        self.progress = progress
        self._values = self._averaged = None

    def run_single_epoch(self, *arguments, **fit_params) -> None:
        optimizer = self.optimizer_
        optimizer.gather()
        if optimizer.values is not self._values:  # the first epoch, or parts were frozen
            self._begin()
        super().run_single_epoch(*arguments, **fit_params)

    def _begin(self) -> None:
        optimizer = self.optimizer_
        self._values = optimizer.values
        self._averaged = optimizer.values.clone()
        earlier, self.progress = self.progress, None
        if earlier and earlier.values.shape == optimizer.values.shape:
            optimizer.values.copy_(earlier.values)
            optimizer.moments[0].copy_(earlier.moments[0])
            optimizer.moments[1].copy_(earlier.moments[1])
            optimizer.n_steps.copy_(earlier.n_steps)
        self._n_earlier = int(optimizer.n_steps) - self.step_

    def _end(self, batches: ShuffledBatches, start_losses: np.ndarray | None) -> None:
        optimizer = self.optimizer_
        if self._values is not None and not self._stoppers[0].diverged:
            moments = tuple(moment.cpu() for moment in optimizer.moments)
            values = optimizer.values.cpu().clone()
            self.progress = OptimizerState(values, moments, optimizer.n_steps.cpu())
            optimizer.values.copy_(self._averaged)
            self._check()
        self._values = self._averaged = None
        super()._end(batches, start_losses)

    def _done(self) -> float:
        return 1.0  # as far as anybody knows

    def _set_learning_rate(self) -> None:
        n_steps = self._n_earlier + self.step_ + 1
        rise = min(1.0, n_steps / self.warm_up_steps)
        fall = min(1.0, math.sqrt(self.level_steps / n_steps))
        rate = self.lr * self.rate * rise * fall
        for group in self.optimizer_.param_groups:
            group["lr"] = rate

    def train_step(self, batch: Batch, **fit_params) -> Tensor:
        loss = super().train_step(batch)
        n_steps = self._n_earlier + self.step_
        # At first the average forgets faster, so that the start does not linger.
        decay = min(self.decay, (n_steps + 1) / (n_steps + 10))
        self._averaged.lerp_(self.optimizer_.values, 1 - decay)
        return loss
