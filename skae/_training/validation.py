"""Which samples train and which validate, and for how many steps: the promise to PCA.

Validation losses are recorded from the initial weights on, which are PCA's if the module
is initialised there. What counts is the number of independent units: equal samples and
those of one group are held out together, and of equal samples one validates.

- Fewer than 150 units: five folds, so that every sample validates once. The number of
  steps is the one with the least mean loss, and its gain over the initial weights must
  exceed three standard errors, or nothing is trained.
- Fewer than 2,000: a validation set is held out, and two standard errors are enough.
  While a gain is less than that, up to four further sets are held out, one at a time;
  as more tests find more by chance, three standard errors are needed then.
- In both cases the model is then refitted to all samples, for the share of the steps that
  was best, because a linear map of nine tenths of few samples is worse than PCA of all.
- More: statistics and linear map are those of all samples from the start, and the weights
  of least validation loss are the result, if they gain two standard errors.

Folds, and the five blocks that a validation set consists of, are contiguous, because
adjacent samples (frames of a film, readings of a sensor) are often alike, and one whose
neighbours are in the training set underestimates the error of new samples. For the same
reason the standard error is that of the blocks' means, if it is larger.

Where the samples drift in the course of the data, folds take the place of blocks below
2,000 units, as blocks are short. All have neighbours on both sides, and new samples may
lie beyond: a model is trained on the first four fifths, too, and if it is worse than its
initial weights on one of the last two tenths, nothing is trained.

Several initialisations are all validated in the same way, and the best one is refitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skae._data.dependence import LAST_SHARE, Units
from skae._training.early_stopping import Validation
from skae._training.trained import TrainedModule

FOLDS_BELOW = 150
REFIT_BELOW = 2_000
N_FOLDS = N_BLOCKS = 5
N_SETS = 5
LEAST_GAIN = 0.01  # that further validation sets are held out for
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

    blocks : tuple of int
        Numbers of samples in the contiguous blocks of the validation set.
    """

    stage: str
    train: np.ndarray | None = None
    valid: np.ndarray | None = None
    describes_all: bool = False
    initializations: tuple[int, ...] = (0,)
    share: float = 1.0
    repeats: Validation | None = None
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Selection:
    """The best initialisation, and what follows from its validation.

    Attributes
    ----------
    initialization : int
        Its number.

    share : float
        Share of the budget of steps that was best; 0 trains nothing.

    trained : TrainedModule or None
        The result, if no refit is needed.

    refit : Run or None
        The run on all samples that gives the result.

    calibration : Tensor or None
        What the refitted module is to be recalibrated with; None if it is not.

    is_unclear : bool
        Whether there is a gain that is not significant.
    """

    initialization: int
    share: float
    trained: TrainedModule | None = None
    refit: Run | None = None
    calibration: Tensor | None = None
    is_unclear: bool = False


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
    fraction: float,
    n_init: int,
    random_state: np.random.RandomState,
    units: Units | None = None,
    drifts: bool = False,
) -> list[Run]:
    """Return the runs to train before :func:`select`.

    Parameters
    ----------
    n_samples : int
        Number of samples.

    early_stopping : bool
        Whether some of them validate.

    fraction : float
        How many do, where it is one set.

    n_init : int
        Number of initialisations.

    random_state : RandomState
        Draws the samples that validate.

    units : Units, default=None
        What is held out as a whole; None is each sample.

    drifts : bool, default=False
        Whether the samples drift in the course of the data.
    """
    every = tuple(range(n_init))
    if not early_stopping or n_samples == 1:
        return [Run("fit", initializations=every)]
    units = Units.single(n_samples) if units is None else units
    n_units = units.numbers.max() + 1
    if n_units < (REFIT_BELOW if drifts else FOLDS_BELOW):
        folds = np.array_split(np.arange(n_units), min(N_FOLDS, n_units))
        runs = []
        for number, fold in enumerate(folds, start=1):
            train, valid, sizes = _divide(units, [fold])
            runs.append(Run(f"fold {number}", train, valid, False, every, blocks=sizes))
        return runs
    sets = draw_blocks(n_units, count_valid(n_units, fraction), random_state)
    is_large = n_units >= REFIT_BELOW
    runs = []
    for blocks in sets[: 1 if is_large else N_SETS]:
        train, valid, sizes = _divide(units, blocks)
        runs.append(Run("validate", train, valid, is_large, every, blocks=sizes))
    return runs


def may_refit(runs: list[Run]) -> bool:
    """Whether a refit may follow these runs."""
    return runs[0].valid is not None


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
        place = _place_of_least(losses)
        return Selection(place, 1.0, candidates[place])
    pooled = [pool(parts) for parts in zip(*results, strict=True)]
    place = _place_of_least([validation.best for validation in pooled])
    validation = pooled[place]
    # More tests find more by chance.
    n_errors = BLOCKS_ERRORS if len(runs) == 1 else FOLDS_ERRORS
    sizes = [size for run in runs for size in run.blocks]
    n_steps = results[0][place].n_steps  # pooled losses are at the first one's steps
    share = significant_share(validation, n_steps, n_errors, sizes)
    unclear = share == 0 and _gain(validation) > LEAST_GAIN
    if runs[0].describes_all and (share > 0 or candidates[place].best_step == 0):
        return Selection(place, share, candidates[place])
    calibrations = [result[place].calibration for result in results]
    calibration = torch.stack(calibrations).mean(dim=0) if share > 0 else None
    run = refit(place, share, validation)
    return Selection(place, share, None, run, calibration, unclear)


def refit(initialization: int, share: float, repeats: Validation) -> Run:
    """The run on all samples."""
    return Run("refit", None, None, True, (initialization,), share, repeats)


def look_ahead(n_samples: int) -> Run:
    """The run on the first four fifths, validated on what follows."""
    start = n_samples - round(LAST_SHARE * n_samples)
    n_valid = min(n_samples - start, MAX_VALID)
    valid = np.linspace(start, n_samples - 1, n_valid).astype(int)
    halves = tuple(len(half) for half in np.array_split(valid, 2))
    return Run("forward", np.arange(start), valid, blocks=halves)


def untrained(selection: Selection) -> Selection:
    """The same initialisation, without training."""
    repeats = Validation([], [], [])
    run = refit(selection.initialization, 0.0, repeats)
    return Selection(selection.initialization, 0.0, refit=run)


def loses(run: Run, trained: TrainedModule) -> bool:
    """Whether the last weights are worse than the initial ones on a block of a run."""
    if not trained.validation.means or trained.diverged_at is not None:
        return True
    losses = trained.validation.losses
    gain = losses[0] - losses[-1]
    return any(block.mean() < 0 for block in _blocks(gain, run.blocks))


def draw_blocks(
    n_units: int, n_valid: int, random_state: np.random.RandomState
) -> list[list[np.ndarray]]:
    """Draw disjoint sets of five blocks of contiguous units, ``n_valid`` in each set."""
    n_sets = max(1, n_units // n_valid)
    n_blocks = min(N_BLOCKS, n_valid)
    lengths = [len(part) for part in np.array_split(np.arange(n_valid), n_blocks)]
    order = random_state.permutation(n_sets * n_blocks)
    widths = np.array(lengths)[order % n_blocks]
    # What is left over lies between blocks, at random.
    n_left = n_units - n_sets * n_valid
    gaps = np.sort(random_state.randint(n_left + 1, size=len(order)))
    starts = gaps + np.cumsum(widths) - widths
    sets: list[list[np.ndarray]] = [[] for _ in range(n_sets)]
    for number, start, width in zip(order, starts, widths, strict=True):
        sets[number // n_blocks].append(np.arange(start, start + width))
    return sets


def hold_out(
    n_samples: int, n_valid: int, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a validation set of contiguous blocks; return training set and it."""
    blocks = draw_blocks(n_samples, n_valid, random_state)[0]
    return _divide(Units.single(n_samples), blocks)[:2]


def _divide(
    units: Units, blocks: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Samples of the other units, those of the blocks, and the sizes of the blocks.

    Of equal samples one validates: the others say nothing about new samples, and would
    outweigh those that are rare.
    """
    order = np.argsort(units.numbers, kind="stable")
    ends = np.searchsorted(units.numbers[order], np.arange(units.numbers.max() + 2))
    held_out = [order[ends[b[0]] : ends[b[-1] + 1]] for b in blocks if len(b)]
    train = np.setdiff1d(order, np.concatenate(held_out))
    valid = [samples[~units.is_copy[samples]] for samples in held_out]
    return train, np.concatenate(valid), tuple(map(len, valid))


def _place_of_least(losses: Sequence[float | None]) -> int:
    """Place of the least loss; a single one may be unknown."""
    if len(losses) == 1:
        return 0
    return int(np.argmin(np.nan_to_num(losses, nan=np.inf)))


def pool(results: Sequence[TrainedModule]) -> Validation:
    """Concatenate the losses of all samples, each from the fold that held it out.

    Folds of unequal size may differ in their numbers of steps; what they have in common
    is the share of the budget.
    """
    first = results[0]
    # A fold may end before the others; compare the shares that all have reached.
    shares = [np.array(r.validation.steps) / max(r.n_steps, 1) for r in results]
    last = min(share[-1] if len(share) else -1.0 for share in shares)
    steps, losses = [], []
    for step, share in zip(first.validation.steps, shares[0], strict=True):
        if share > last:
            break
        places = [int(np.argmin(np.abs(share - other))) for other in shares]
        steps.append(step)
        parts = [r.validation.losses[i] for r, i in zip(results, places, strict=True)]
        losses.append(np.concatenate(parts))
    return Validation(steps, losses, [float(loss.mean()) for loss in losses])


def significant_share(
    validation: Validation, n_steps: int, n_errors: float, sizes: Sequence[int] = ()
) -> float:
    """The best share of the steps, or 0 if its gain is within so many standard errors.

    Samples may be correlated within blocks of these sizes; then the blocks count as the
    observations.
    """
    if not validation.means:  # the initial loss was not finite
        return 0.0
    best = int(np.argmin(validation.means))
    gain = validation.losses[0] - validation.losses[best]
    standard_error = gain.std() / np.sqrt(len(gain))
    blocks = _blocks(gain, sizes)
    if len(blocks) > 1:
        means = [block.mean() for block in blocks]
        between = np.std(means, ddof=1) / np.sqrt(len(blocks))
        standard_error = max(standard_error, between)
    if gain.mean() <= n_errors * standard_error:
        return 0.0
    return validation.steps[best] / n_steps


def _gain(validation: Validation) -> float:
    """Relative decrease of the loss."""
    initial = validation.means[0] if validation.means else 0.0
    return 0.0 if initial == 0 else (initial - validation.best) / abs(initial)


def _blocks(values: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    return np.split(values, np.cumsum(sizes)[:-1]) if len(sizes) else [values]
