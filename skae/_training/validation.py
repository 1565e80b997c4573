"""How long to train, and on which rows: the part that keeps the promise to match PCA.

A run on part of the rows is judged on the rest, step 0 included, which is PCA if the
module starts there.

- Fewer than 150 rows: every row is held out once, in five folds. The number of steps is
  the one with the least mean error, and training must beat step 0 by more than three
  standard errors over the rows, or nothing is trained.
- Fewer than 2,000: some rows are held out once, and two standard errors are enough.
  They are held out in five runs of neighbours, because rows that lie side by side
  (frames of a film, readings of a sensor) are often alike, and a row whose neighbours
  were trained on says little of new ones. For the same reason the standard error is that
  of the five runs' means, if it is larger.
- In both cases the model is then trained again on all rows, for the share of the budget
  that did best, because a linear path from nine tenths of few rows is worse than PCA on
  all of them.
- More: statistics and path come from all rows from the start, and the weights with the
  least error on the rows held out are the answer.

With several starts, all of them are judged in the same way, and the best goes on alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from skae._data.dataset import Dataset
from skae._training.early_stopping import Validation
from skae._training.net import AutoencoderNet

FOLDS_BELOW = 150
REFIT_BELOW = 2_000
N_FOLDS = N_HELD_OUT = 5
FOLDS_ERRORS, HOLD_OUT_ERRORS = 3.0, 2.0
MIN_VALID, MAX_VALID = 50, 5_000


@dataclass(frozen=True)
class Run:
    """One training: on which rows, judged by which, for how long.

    Attributes
    ----------
    stage : str
        "fold 1" to "fold 5", "validate", "refit" or "fit"; shown in the history.

    train : Rows
        What batches are drawn from.

    valid : Rows or None
        What is held out.

    described : Rows
        What statistics and linear path are taken from.

    share : float
        Share of the budget of steps.

    repeats : Validation or None
        The judgement of the run that this one repeats on more rows.

    starts : sequence of int
        The numbers of the starts that are trained, each to a net of its own.
    """

    stage: str
    train: Dataset
    valid: Dataset | None
    described: Dataset
    share: float = 1.0
    repeats: Validation | None = None
    starts: Sequence[int] = (0,)


def count_valid(n_samples: int, fraction: float) -> int:
    """How many rows to hold out; an error if that leaves none to train on."""
    n_valid = round(fraction * n_samples)
    if n_samples > 1 and n_valid >= n_samples:
        raise ValueError(
            f"validation_fraction={fraction} holds out {n_valid} of "
            f"n_samples={n_samples} and leaves none to train on. Pass more samples, a "
            "smaller fraction, or early_stopping=False."
        )
    least = min(MIN_VALID, n_samples // 3)
    return min(max(n_valid, least), MAX_VALID)


def train_sizes(n_samples: int, early_stopping: bool, n_valid: int) -> list[int]:
    """The number of training rows of each run that :func:`train` would execute."""
    if not early_stopping or n_samples == 1:
        return [n_samples]
    if n_samples < FOLDS_BELOW:
        order = np.arange(n_samples)
        return [len(kept) for kept, _ in _folds(order)] + [n_samples]
    if n_samples < REFIT_BELOW:
        return [n_samples - n_valid, n_samples]
    return [n_samples - n_valid]


def train(
    dataset: Dataset,
    early_stopping: bool,
    n_valid: int,
    random_state: np.random.RandomState,
    execute: Callable[[Run], list[AutoencoderNet]],
    starts: Sequence[int] = (0,),
) -> AutoencoderNet:
    """Execute the runs that these rows call for and return the net of the last.

    Parameters
    ----------
    rows : Rows
        All rows to learn from.

    early_stopping : bool
        Whether rows are held out at all.

    n_valid : int
        How many are, if it is one part of them.

    random_state : RandomState
        Draws which.

    execute : callable
        Carries out a run and returns a net for each of its starts.

    starts : sequence of int, default=(0,)
        The numbers of the starts to choose from.
    """
    n_samples = len(dataset)
    if not early_stopping or n_samples == 1:
        nets = execute(Run("fit", dataset, None, dataset, starts=starts))
        return _best(nets, lambda net: net.mean_loss(dataset))[1]
    if n_samples < FOLDS_BELOW:
        order = random_state.permutation(n_samples)
        return _train_by_folds(dataset, order, execute, starts)
    train, valid = map(dataset.subset, hold_out(n_samples, n_valid, random_state))
    described = dataset if n_samples >= REFIT_BELOW else train
    nets = execute(Run("validate", train, valid, described, starts=starts))
    place, validated = _best(nets, lambda net: net.validation_.mean_at(net.kept_step_))
    if n_samples >= REFIT_BELOW:
        return validated
    share = significant_share(
        validated.validation_, validated.n_steps, HOLD_OUT_ERRORS, N_HELD_OUT
    )
    net = _refit(dataset, share, validated.validation_, starts[place], execute)
    if share > 0:
        net.module_.recalibrate(validated.calibration_)
    return net


def hold_out(
    n_samples: int, n_valid: int, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to hold out, in runs of neighbours; return the others and them."""
    lengths = [len(part) for part in np.array_split(np.arange(n_valid), N_HELD_OUT)]
    skipped = np.sort(random_state.randint(n_samples - n_valid + 1, size=N_HELD_OUT))
    starts = skipped + np.cumsum([0, *lengths[:-1]])
    is_held_out = np.zeros(n_samples, dtype=bool)
    for start, length in zip(starts, lengths, strict=True):
        is_held_out[start : start + length] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _best(items: list, error: Callable) -> tuple[int, object]:
    """The item of least error and its place; the error of a single one is not asked."""
    errors = [error(item) for item in items] if len(items) > 1 else [0.0]
    place = int(np.argmin(np.nan_to_num(errors, nan=np.inf)))
    return place, items[place]


def _refit(dataset: Dataset, share: float, validation: Validation, start: int, execute):
    run = Run("refit", dataset, None, dataset, share, validation, (start,))
    return execute(run)[0]


def _train_by_folds(
    dataset: Dataset, order: np.ndarray, execute: Callable, starts: Sequence[int]
) -> AutoencoderNet:
    validations, found = [], []
    for number, (kept, held_out) in enumerate(_folds(order), start=1):
        train, valid = dataset.subset(kept), dataset.subset(held_out)
        nets = execute(Run(f"fold {number}", train, valid, train, starts=starts))
        validations.append([net.validation_ for net in nets])
        found.append([net.calibration_ for net in nets])
    pooled = [pool(folds) for folds in zip(*validations, strict=True)]
    place, validation = _best(pooled, lambda validation: validation.best)
    share = significant_share(validation, nets[place].n_steps, FOLDS_ERRORS)
    net = _refit(dataset, share, validation, starts[place], execute)
    if share > 0:
        of_folds = [fold[place] for fold in found]
        net.module_.recalibrate(torch.stack(of_folds).mean(dim=0))
    return net


def _folds(order: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    parts = np.array_split(order, min(N_FOLDS, len(order)))
    return [(np.setdiff1d(order, part), part) for part in parts]


def pool(validations: Sequence[Validation]) -> Validation:
    """Losses of all rows, each from the fold that held it out."""
    # A fold may end before the others; compare what all have reached.
    n_checks = min(len(validation.steps) for validation in validations)
    losses = [
        np.concatenate([validation.losses[check] for validation in validations])
        for check in range(n_checks)
    ]
    means = [float(loss.mean()) for loss in losses]
    return Validation(validations[0].steps[:n_checks], losses, means)


def significant_share(
    validation: Validation, n_steps: int, n_errors: float, n_parts: int = 1
) -> float:
    """The best share of the steps, or 0 if its gain is within so many standard errors.

    Rows may be alike within ``n_parts`` parts; then these count as the observations.
    """
    if not validation.means:  # a loss was not finite from the start
        return 0.0
    best = int(np.argmin(validation.means))
    gain = validation.losses[0] - validation.losses[best]
    standard_error = gain.std() / np.sqrt(len(gain))
    if n_parts > 1:
        parts = [part.mean() for part in np.array_split(gain, n_parts)]
        between = np.std(parts, ddof=1) / np.sqrt(n_parts)
        standard_error = max(standard_error, between)
    if gain.mean() <= n_errors * standard_error:
        return 0.0
    return validation.steps[best] / n_steps
