"""The result of one run of training."""

from dataclasses import dataclass

from torch import Tensor, nn

from skae._training.early_stopping import Validation


@dataclass
class TrainedModule:
    """A module at its best weights, and the course of its training.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode; its tensors share no memory.

    seed : int
        Seed of its batches and draws.

    n_steps, best_step : int
        Budget of the run, and the step whose weights were kept (0 for the initial ones).

    diverged_at : int or None
        The step after which the loss was no longer finite.

    reverted : bool
        Whether the initial weights were kept because the others were worse.

    validation : Validation
        Validation losses; empty without a validation set.

    calibration : Tensor
        What ``module.calibrate`` returned for the validation set.

    train_loss : float or None
        Mean loss of the training samples, if it was asked for.

    optimizer_state : dict of Tensor or None
        For training to resume, see :class:`skae._training.online.OnlineNet`.
    """

    module: nn.Module
    seed: int
    n_steps: int
    best_step: int
    diverged_at: int | None
    reverted: bool
    validation: Validation
    calibration: Tensor
    train_loss: float | None = None
    optimizer_state: dict[str, Tensor] | None = None
