"""Which samples train and which validate, and for how many steps: the promise to PCA.

Validation losses are recorded from the initial weights on, which are PCA's if the module
is initialised there.

- Fewer than 150 samples: five folds, so that every sample validates once. The number of
  steps is the one with the least mean loss, and its gain over the initial weights must
  exceed three standard errors over the samples, or nothing is trained.
- Fewer than 2,000: a validation set is held out once, and two standard errors are enough.
  It consists of five contiguous blocks, because adjacent samples (frames of a film,
  readings of a sensor) are often alike, and a validation sample whose neighbours are in
  the training set underestimates the error of new ones. For the same reason the standard
  error is that of the five blocks' means, if it is larger.
- In both cases the model is then refitted to all samples, for the share of the steps that
  was best, because a linear map of nine tenths of few samples is worse than PCA of all.
- More: statistics and linear map are those of all samples from the start, and the weights
  of least validation loss are the result.

Several initialisations are all validated in the same way, and the best one is refitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skae._training.early_stopping import Validation
from skae._training.net import TrainedModule

FOLDS_BELOW = 150
REFIT_BELOW = 2_000
N_FOLDS = N_BLOCKS = 5
FOLDS_ERRORS, BLOCKS_ERRORS = 3.0, 2.0
MIN_VALID, MAX_VALID = 50, 5_000


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes
    ----------
    stage : str
        "fold 1" to "fold 5", "validate", "refit" or "fit"; shown in the history.

    train, valid : ndarray of int or None
        Places of the samples that batches are drawn from, and of the validation set.
        ``train=None`` is all samples, ``valid=None`` is no validation set.

    describes_all : bool
        Whether statistics and linear map are those of all samples, not of ``train``.

    initializations : tuple of int
        Which of the initialisations are trained, each to a module of its own.

    share : float
        Share of the budget of steps.

    repeats : Validation or None
        Validation of the run that this one repeats on more samples.
    """

    stage: str
    train: np.ndarray | None = None
    valid: np.ndarray | None = None
    describes_all: bool = False
    initializations: tuple[int, ...] = (0,)
    share: float = 1.0
    repeats: Validation | None = None


@dataclass(frozen=True)
class Selection:
    """The best initialisation, and what follows from its validation.

    Attributes
    ----------
    trained : TrainedModule or None
        The result, if no refit is needed.

    refit : Run or None
        The run on all samples that gives the result.

    calibration : Tensor or None
        What the refitted module is to be recalibrated with; None if it is not.
    """

    trained: TrainedModule | None = None
    refit: Run | None = None
    calibration: Tensor | None = None


def count_valid(n_samples: int, fraction: float) -> int:
    """Size of the validation set; an error if it leaves no sample to train on."""
    n_valid = round(fraction * n_samples)
    if n_samples > 1 and n_valid >= n_samples:
        raise ValueError(
            f"validation_fraction={fraction} holds out {n_valid} of "
            f"n_samples={n_samples} and leaves none to train on. Pass more samples, a "
            "smaller fraction, or early_stopping=False."
        )
    least = min(MIN_VALID, n_samples // 3)
    return min(max(n_valid, least), MAX_VALID)


def plan(
    n_samples: int,
    early_stopping: bool,
    n_valid: int,
    n_init: int,
    random_state: np.random.RandomState,
) -> list[Run]:
    """Return the runs to train before :func:`select`.

    Parameters
    ----------
    n_samples : int
        Number of samples.

    early_stopping : bool
        Whether some of them validate.

    n_valid : int
        How many do, where it is one set.

    n_init : int
        Number of initialisations.

    random_state : RandomState
        Draws the samples that validate.
    """
    every = tuple(range(n_init))
    if not early_stopping or n_samples == 1:
        return [Run("fit", initializations=every)]
    if n_samples < FOLDS_BELOW:
        order = random_state.permutation(n_samples)
        parts = np.array_split(order, min(N_FOLDS, n_samples))
        return [
            Run(f"fold {n}", np.setdiff1d(order, part), part, initializations=every)
            for n, part in enumerate(parts, start=1)
        ]
    train, valid = hold_out(n_samples, n_valid, random_state)
    return [Run("validate", train, valid, n_samples >= REFIT_BELOW, every)]


def may_refit(runs: list[Run]) -> bool:
    """Whether a refit may follow these runs."""
    return runs[0].valid is not None and not runs[0].describes_all


def select(runs: list[Run], results: list[list[TrainedModule]]) -> Selection:
    """Choose the initialisation and the number of steps by the validation losses.

    Parameters
    ----------
    runs : list of Run
        The plan.

    results : list of list of TrainedModule
        For each run one result per initialisation.
    """
    candidates = results[-1]
    if runs[0].stage == "fit":
        losses = [trained.train_loss for trained in candidates]
        return Selection(candidates[_place_of_least(losses)])
    if runs[0].stage == "validate":
        losses = [t.validation.mean_at(t.best_step) for t in candidates]
        place = _place_of_least(losses)
        best = candidates[place]
        if runs[0].describes_all:
            return Selection(best)
        validation, calibration = best.validation, best.calibration
        share = significant_share(validation, best.n_steps, BLOCKS_ERRORS, N_BLOCKS)
    else:
        pooled = [
            pool([trained.validation for trained in folds])
            for folds in zip(*results, strict=True)
        ]
        place = _place_of_least([validation.best for validation in pooled])
        validation = pooled[place]
        calibrations = [fold[place].calibration for fold in results]
        calibration = torch.stack(calibrations).mean(dim=0)
        share = significant_share(validation, candidates[place].n_steps, FOLDS_ERRORS)
    initialization = (runs[0].initializations[place],)
    refit = Run(
        "refit",
        describes_all=True,
        initializations=initialization,
        share=share,
        repeats=validation,
    )
    return Selection(refit=refit, calibration=calibration if share > 0 else None)


def hold_out(
    n_samples: int, n_valid: int, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a validation set of contiguous blocks; return training set and it."""
    lengths = [len(part) for part in np.array_split(np.arange(n_valid), N_BLOCKS)]
    skipped = np.sort(random_state.randint(n_samples - n_valid + 1, size=N_BLOCKS))
    starts = skipped + np.cumsum([0, *lengths[:-1]])
    is_held_out = np.zeros(n_samples, dtype=bool)
    for start, length in zip(starts, lengths, strict=True):
        is_held_out[start : start + length] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _place_of_least(losses: Sequence[float | None]) -> int:
    """Place of the least loss; a single one may be unknown."""
    if len(losses) == 1:
        return 0
    return int(np.argmin(np.nan_to_num(losses, nan=np.inf)))


def pool(validations: Sequence[Validation]) -> Validation:
    """Concatenate the losses of all samples, each from the fold that held it out."""
    # A fold may end before the others; compare the steps that all have reached.
    n_checks = min(len(validation.steps) for validation in validations)
    losses = [
        np.concatenate([validation.losses[check] for validation in validations])
        for check in range(n_checks)
    ]
    means = [float(loss.mean()) for loss in losses]
    return Validation(validations[0].steps[:n_checks], losses, means)


def significant_share(
    validation: Validation, n_steps: int, n_errors: float, n_blocks: int = 1
) -> float:
    """The best share of the steps, or 0 if its gain is within so many standard errors.

    Samples may be correlated within ``n_blocks`` blocks; then the blocks count as the
    observations.
    """
    if not validation.means:  # the initial loss was not finite
        return 0.0
    best = int(np.argmin(validation.means))
    gain = validation.losses[0] - validation.losses[best]
    standard_error = gain.std() / np.sqrt(len(gain))
    if n_blocks > 1:
        blocks = [block.mean() for block in np.array_split(gain, n_blocks)]
        between = np.std(blocks, ddof=1) / np.sqrt(n_blocks)
        standard_error = max(standard_error, between)
    if gain.mean() <= n_errors * standard_error:
        return 0.0
    return validation.steps[best] / n_steps
