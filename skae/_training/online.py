"""Online training: one part of the data after the other, without a validation set.

There is no end for a schedule to fall towards. The learning rate therefore falls as one
over the square root of the steps, and inference uses a running average of the weights:
Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal
on Control and Optimization 30(4), 1992.
"""

import numpy as np
from torch import Tensor

from skae._data.dataset import Batch, ShuffledBatches
from skae._training import schedule
from skae._training.net import AutoencoderNet
from skae._training.trained import TrainedModule


class OnlineNet(AutoencoderNet):
    """An :class:`AutoencoderNet` that resumes where an earlier one ended.

    Parameters
    ----------
    module, criterion : nn.Module
        The module with averaged weights, as inference uses it.

    optimizer_state : dict of Tensor, default=None
        What an earlier net returned: the weights in training, the optimiser's moments
        and its number of steps. None starts anew.

    **kwargs : dict
        Parameters of :class:`AutoencoderNet`.
    """

    decay = 0.999  # of the running average

    def __init__(self, module, criterion, *, optimizer_state=None, **kwargs):
        super().__init__(module, criterion, **kwargs)
        self.optimizer_state = optimizer_state
        self._values = self._averaged = None

    def _prepare_steps(self) -> None:
        super()._prepare_steps()
        if self.optimizer_.values is not self._values:
            self._begin()

    def _begin(self) -> None:
        optimizer = self.optimizer_
        self._values = optimizer.values
        self._averaged = optimizer.values.clone()
        earlier, self.optimizer_state = self.optimizer_state, None
        if earlier and earlier["values"].shape == optimizer.values.shape:
            optimizer.values.copy_(earlier["values"])
            optimizer.moments[0].copy_(earlier["first_moment"])
            optimizer.moments[1].copy_(earlier["second_moment"])
            optimizer.n_steps.copy_(earlier["n_steps"])
        self._n_earlier = int(optimizer.n_steps) - self.step_

    def _end(self, batches: ShuffledBatches, initial_losses: np.ndarray | None) -> None:
        optimizer = self.optimizer_
        if self._values is not None and not self._stoppers[0].diverged:
            self.optimizer_state = {
                "values": optimizer.values.cpu().clone(),
                "first_moment": optimizer.moments[0].cpu(),
                "second_moment": optimizer.moments[1].cpu(),
                "n_steps": optimizer.n_steps.cpu(),
            }
            optimizer.values.copy_(self._averaged)
            self._check()
        self._values = self._averaged = None
        super()._end(batches, initial_losses)

    def _trained(self, member: int) -> TrainedModule:
        trained = super()._trained(member)
        trained.optimizer_state = self.optimizer_state
        return trained

    def _done(self) -> float:
        return 1.0  # the number of steps to come is unknown

    def _learning_rate_factor(self) -> float:
        return schedule.inverse_square_root(self._n_earlier + self.step_)

    def train_step(self, batch: Batch, **fit_params) -> Tensor:
        loss = super().train_step(batch)
        n_steps = self._n_earlier + self.step_
        # A shorter average at first, so that the initial weights are forgotten.
        decay = min(self.decay, (n_steps + 1) / (n_steps + 10))
        self._averaged.lerp_(self.optimizer_.values, 1 - decay)
        return loss
