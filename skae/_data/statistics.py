"""What is known of the rows before training: means, spreads, principal components.

One pass over chunks, in float64, whatever the dtype and wherever the rows lie. For wide
data the components come from the rows' inner products, for long data from the
covariance, whichever matrix is smaller.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, svds

from skae._data.dataset import Dataset
from skae._linalg.eigen import leading
from skae._linalg.reduced_rank import Sums, reduced_rank

COLUMNS = 4096  # at once, where data are wide
DENSE_VALUES = 2**27  # of sparse rows, that may be made dense at once
RESIDUALS = 10_000  # rows that regressions are taken from
WIDE_REGRESSION = 1000  # features above which rows are reduced to as many components
DIRECT = 3000  # rows or columns up to which an eigenvalue problem is solved directly


@dataclass(frozen=True)
class Statistics:
    """Moments of rows and targets, float64, in the units of the data.

    Attributes
    ----------
    mean, spread : ndarray of shape (n_features,)
        Mean and standard deviation; the spread of a constant feature is exactly 0.

    box : ndarray of shape (2, n_features)
        Least and largest value of the rows that are trained on.

    components : ndarray of shape (n_features, n_components)
        Leading principal directions, of the rows as given or, where a class asks for it,
        standardised; with targets, those that say most of them. Columns beyond the rank
        are 0.

    deviations : ndarray of shape (n_components,)
        Standard deviation of the rows along each direction.

    n_components : int
        Width of the code.

    n_conditions : int
        Width of the condition, 0 where there is none.

    target_mean, target_spread : ndarray of shape (n_outputs,)
        The same of the targets; the rows' own where no target is given.

    offsets : ndarray of shape (n_conditions, n_features)
        Change of the mean row per unit of each condition that was regressed on.

    condition_box : ndarray of shape (2, n_conditions)
        Least and largest value of each.

    residual_spread : ndarray of shape (n_features,)
        Standard deviation about the mean that its condition gives a row; the spread
        where nothing was regressed on.

    regression : ndarray of shape (n_components, n_outputs), default=None
        What a unit of each component adds to the targets, by reduced-rank regression;
        None where the rows are their own targets.

    target_box : ndarray of shape (2, n_outputs), default=None
        Least and largest target, where targets are other than the rows.
    """

    mean: np.ndarray
    spread: np.ndarray
    training_range: np.ndarray
    components: np.ndarray
    deviations: np.ndarray
    n_components: int
    n_conditions: int
    target_mean: np.ndarray
    target_spread: np.ndarray
    offsets: np.ndarray
    condition_range: np.ndarray
    residual_spread: np.ndarray
    regression: np.ndarray | None = None
    target_range: np.ndarray | None = None

    @property
    def is_paired(self) -> bool:
        """Whether the targets are other than the rows."""
        return self.regression is not None

    @property
    def n_features(self) -> int:
        return len(self.mean)

    @property
    def n_outputs(self) -> int:
        return len(self.target_mean)


def describe(
    dataset: Dataset,
    n_components: int,
    trained: Dataset | None = None,
    standardized: bool = False,
) -> Statistics:
    """Take the statistics of rows and of their targets.

    Parameters
    ----------
    rows : Rows
        What to describe.

    n_components : int
        How many principal components to find.

    trained : Rows, default=None
        The rows that the network will see, if not all; the box is theirs.

    standardized : bool, default=False
        Whether components and deviations are those of standardised rows.
    """
    if dataset.target is not None:
        trained = dataset if trained is None else trained
        return describe_pairs([dataset], trained, describe_basis(dataset), n_components)
    smaller = min(len(dataset), dataset.n_features)
    too_wide = issparse(dataset.x) and len(dataset) * dataset.n_features > DENSE_VALUES
    if (smaller > DIRECT or too_wide) and n_components < smaller // 10:
        find, with_products = _by_iteration, False
    elif dataset.n_features <= len(dataset):
        find, with_products = _from_covariance, True
    else:
        find, with_products = _from_rows, False
    x = moments(dataset, "x", with_products)
    scale = np.ones_like(x.mean)
    if standardized:
        scale = np.where(x.spread > 0, 1 / np.where(x.spread > 0, x.spread, 1.0), 0.0)
    components, deviations = find(dataset, x, n_components, scale)
    return Statistics(
        mean=x.mean,
        spread=x.spread,
        training_range=_value_range(dataset if trained is None else trained),
        components=components,
        deviations=deviations,
        n_components=n_components,
        n_conditions=0 if dataset.condition is None else dataset.condition.shape[1],
        target_mean=x.mean,
        target_spread=x.spread,
        offsets=np.zeros((0, dataset.n_features)),
        condition_range=np.zeros((2, 0)),
        residual_spread=x.spread,
    )


def describe_basis(dataset: Dataset) -> Statistics:
    """Describe rows without their targets, as :func:`describe_pairs` wants it."""
    n_components = WIDE_REGRESSION if dataset.n_features > WIDE_REGRESSION else 1
    return describe(
        Dataset(dataset.x, None, dataset.condition, dataset.index), n_components
    )


def describe_pairs(
    copies: Sequence[Dataset], trained: Dataset, basis: Statistics, n_components: int
) -> Statistics:
    """Take the statistics of rows that have targets, by regression on the rows.

    Parameters
    ----------
    copies : sequence of Rows
        Rows and targets; the same rows several times where they were spoilt anew.

    trained : Rows
        Those that the network will see.

    basis : Statistics
        That :func:`describe_basis` gives, of clean rows where ``copies`` are spoilt;
        wide rows are reduced to its components.

    n_components : int
        Width of the code.
    """
    dataset = copies[0]
    x, target = moments(dataset, "x"), moments(dataset, "target")
    if dataset.n_features > WIDE_REGRESSION:
        reduction = basis.components
    else:
        reduction = np.diag(1 / np.where(x.spread > 0, x.spread, np.inf))
    n_some = min(len(dataset), RESIDUALS)
    places = np.linspace(0, len(dataset) - 1, n_some).astype(int)

    def pairs(places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for copy in copies[: max(1, RESIDUALS // n_some)]:
            for batch in copy.subset(places).chunks():
                centred = batch.x.double().numpy() - x.mean
                yield centred @ reduction, batch.target.double().numpy() - target.mean

    # A fifth of the rows, in two runs: neighbours are often alike.
    held_out = np.arange(n_some) * 10 // n_some % 5 == 2
    parts = Sums.of(pairs(places[~held_out])), Sums.of(pairs(places[held_out]))
    found = reduced_rank(*parts, n_components)
    return replace(
        basis,
        mean=x.mean,
        spread=x.spread,
        training_range=_value_range(trained),
        components=reduction @ found.into,
        deviations=found.deviations,
        n_components=n_components,
        target_mean=target.mean,
        target_spread=target.spread,
        target_range=_value_range(trained, "target"),
        residual_spread=x.spread,
        regression=found.back,
    )


def describe_given(
    dataset: Dataset,
    n_components: int,
    trained: Dataset | None = None,
    standardized: bool = False,
) -> Statistics:
    """Take the statistics of rows with a condition, by regression on it.

    Components are those of what the condition leaves of the rows, in units of the whole
    rows' spread if ``standardized``. They come from 10,000 rows at most, fewer where they
    are wide.
    """
    x = moments(dataset, "x")
    squares, products, ranges = 0.0, 0.0, []
    for batch in dataset.chunks():
        condition = batch.condition.double().numpy()
        squares = squares + condition.T @ condition
        products = products + condition.T @ (batch.x.double().numpy() - x.mean)
        ranges += [condition.min(axis=0), condition.max(axis=0)]
    # A condition that never occurs has no offset.
    slight = 1e-9 * len(dataset) * np.eye(dataset.condition.shape[1])
    offsets = np.linalg.solve(squares + slight, products)
    n_some = min(len(dataset), RESIDUALS, max(1, DENSE_VALUES // dataset.n_features))
    places = np.linspace(0, len(dataset) - 1, n_some).astype(int)
    some = dataset.subset(places)[:]
    residuals = (
        some.x.double().numpy() - x.mean - some.condition.double().numpy() @ offsets
    )
    varies = x.spread > 0
    unit = np.where(varies & standardized, x.spread, 1.0)
    # Of a constant column, rounding is left.
    left = describe(Dataset(np.where(varies, residuals / unit, 0.0)), n_components)
    return replace(
        left,
        mean=x.mean,
        spread=x.spread,
        training_range=_value_range(dataset if trained is None else trained),
        n_conditions=len(offsets),
        target_mean=x.mean,
        target_spread=x.spread,
        offsets=offsets,
        condition_range=np.stack([np.min(ranges, axis=0), np.max(ranges, axis=0)]),
        residual_spread=left.spread * unit,
    )


@dataclass
class _Moments:
    """Mean and sums of squares about it, of some rows.

    Parts are put together as in Chan, Golub & LeVeque, "Updating formulae and a pairwise
    algorithm for computing sample variances", COMPSTAT 1982: one pass, and no small
    spread is lost beside a large mean.
    """

    n_samples: int
    mean: np.ndarray
    squares: np.ndarray  # (n_features,), or (n_features, n_features) with all products

    @classmethod
    def of(cls, chunk: np.ndarray, with_products: bool) -> "_Moments":
        mean = chunk.mean(axis=0)
        centred = chunk - mean
        drift = centred.mean(axis=0)  # what rounding left in the first mean
        centred -= drift
        products = centred.T @ centred if with_products else (centred**2).sum(axis=0)
        return cls(len(chunk), mean + drift, products)

    def add(self, other: "_Moments") -> None:
        n_samples = self.n_samples + other.n_samples
        step = other.mean - self.mean
        weight = self.n_samples * other.n_samples / n_samples
        square = np.outer(step, step) if self.squares.ndim == 2 else step**2
        self.squares += other.squares + weight * square
        self.mean = self.mean + step * (other.n_samples / n_samples)
        self.n_samples = n_samples

    @property
    def spread(self) -> np.ndarray:
        squares = np.diag(self.squares) if self.squares.ndim == 2 else self.squares
        spread = np.sqrt(squares / self.n_samples)
        # A constant column may be left with rounding noise, which is not to be scaled up.
        noise = 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        return np.where(spread > noise, spread, 0.0)


def moments(dataset: Dataset, field: str, with_products: bool = False) -> _Moments:
    """Mean, sums of squares and spread of a field of the rows, chunk by chunk."""
    total = None
    for batch in dataset.chunks():
        part = _Moments.of(getattr(batch, field).double().numpy(), with_products)
        if total is None:
            total = part
        else:
            total.add(part)
    return total


def _value_range(dataset: Dataset, field: str = "x") -> np.ndarray:
    values = (getattr(batch, field) for batch in dataset.chunks())
    ranges = [torch.stack(part.aminmax(dim=0)) for part in values]
    low, high = torch.cat(ranges).double().aminmax(dim=0)
    return np.stack([low, high])


def _from_covariance(
    dataset: Dataset, moments: _Moments, n_components: int, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    n_found = min(n_components, dataset.n_features)
    values, vectors = leading(scale[:, None] * moments.squares * scale, n_found)
    return _principal(values, vectors, len(dataset), n_components)


def _from_rows(
    dataset: Dataset, moments: _Moments, n_components: int, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By the rows' inner products, a block of columns at a time."""
    n_found = min(n_components, len(dataset))
    x = dataset[:].x
    blocks = [
        slice(start, start + COLUMNS) for start in range(0, dataset.n_features, COLUMNS)
    ]

    def centred(block: slice) -> np.ndarray:
        return (x[:, block].double().numpy() - moments.mean[block]) * scale[block]

    products = sum(part @ part.T for part in map(centred, blocks))
    values, vectors = leading(products, n_found)
    directions = np.concatenate([centred(block).T @ vectors for block in blocks])
    lengths = np.linalg.norm(directions, axis=0)
    directions /= np.where(lengths > 0, lengths, 1.0)
    return _principal(values, directions, len(dataset), n_components)


def _by_iteration(
    dataset: Dataset, moments: _Moments, n_components: int, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By products of the centred rows with vectors (ARPACK), to machine precision.

    Where rows and columns are many, no square matrix of either is made; sparse rows are
    never made dense.
    """
    mean = moments.mean
    if not moments.spread.any():
        nothing = np.zeros((dataset.n_features, 1))
        return _principal(np.zeros(1), nothing, len(dataset), n_components)

    def parts() -> Iterator:
        if issparse(dataset.x):
            yield dataset.x if dataset.index is None else dataset.x[dataset.index]
        else:
            yield from (batch.x.double().numpy() for batch in dataset.chunks())

    def times(vector: np.ndarray) -> np.ndarray:
        vector = scale * vector.ravel()
        return np.concatenate([part @ vector for part in parts()]) - mean @ vector

    def back(vector: np.ndarray) -> np.ndarray:
        vector = vector.ravel()
        total, start = -mean * vector.sum(), 0
        for part in parts():
            total = total + part.T @ vector[start : start + part.shape[0]]
            start += part.shape[0]
        return scale * total

    shape = len(dataset), dataset.n_features
    centred = LinearOperator(shape, times, back, dtype=np.float64)
    first = np.random.RandomState(0).normal(size=min(shape))
    _, values, directions = svds(centred, n_components, v0=first)
    return _principal(values[::-1] ** 2, directions[::-1].T, len(dataset), n_components)


def _principal(
    values: np.ndarray, vectors: np.ndarray, n_samples: int, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Directions and deviations; 0 where there are fewer than asked for."""
    components = np.zeros((len(vectors), n_components))
    deviations = np.zeros(n_components)
    # Beyond the rank, numpy's way to tell it, a direction is noise.
    rounding = np.finfo(np.float64).eps * max(n_samples, len(vectors)) * values[0]
    known = values > rounding
    components[:, : len(values)] = vectors * known
    deviations[: len(values)] = np.sqrt(np.where(known, values, 0.0) / n_samples)
    return components, deviations
