"""Statistics of the training data: means, standard deviations, principal components.

They take one pass over chunks, in float64, whatever the dtype and the storage.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from skae._data.checks import LARGEST
from skae._data.dataset import Batch, Dataset
from skae._linalg.pca import by_iteration, from_covariance, from_inner_products
from skae._linalg.reduced_rank import Sums, reduced_rank

DENSE_VALUES = 2**27  # of sparse data, that may be made dense at once
RESIDUALS = 10_000  # samples that regressions are fitted to
WIDE_REGRESSION = 1000  # features above which samples are reduced to as many components
DIRECT = 3000  # samples or features up to which an eigenvalue problem is solved directly


@dataclass(frozen=True)
class Statistics:
    """Moments of samples and targets, float64, in the units of the data.

    Attributes
    ----------
    mean, spread : ndarray of shape (n_features,)
        Mean and standard deviation; the spread of a constant feature is exactly 0.

    training_range : ndarray of shape (2, n_features)
        Minimum and maximum of each feature over the training set.

    components : ndarray of shape (n_features, n_components)
        Leading principal directions of the data, or of the standardised data; with
        targets, those that predict them best; 0 beyond the rank.

    deviations : ndarray of shape (n_components,)
        Standard deviation of the samples along each direction.

    n_components : int
        Width of the code.

    n_conditions : int
        Width of the condition, 0 where there is none.

    target_mean, target_spread : ndarray of shape (n_outputs,)
        The same of the targets; those of the samples where no target is given.

    offsets : ndarray of shape (n_conditions, n_features)
        Change of the mean sample per unit of each condition in the regression.

    condition_range : ndarray of shape (2, n_conditions)
        Minimum and maximum of each condition.

    residual_spread : ndarray of shape (n_features,)
        Standard deviation about the conditional mean; the spread where there is no
        regression on a condition.

    regression : ndarray of shape (n_components, n_outputs), default=None
        Coefficients of the targets' reduced-rank regression on the components; None
        where the samples are the targets.

    target_range : ndarray of shape (2, n_outputs), default=None
        Minimum and maximum of each target, where targets are not the samples.
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
        """Whether the targets are other than the samples."""
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
    """Compute the statistics of samples and of their targets.

    Parameters
    ----------
    dataset : Dataset
        The samples to describe.

    n_components : int
        How many principal components to find.

    trained : Dataset, default=None
        The training set, if not all samples; the training range is its.

    standardized : bool, default=False
        Whether components and deviations are those of the standardised data.
    """
    if dataset.target is not None:
        trained = dataset if trained is None else trained
        return describe_pairs([dataset], trained, describe_basis(dataset), n_components)
    smaller = min(len(dataset), dataset.n_features)
    too_wide = issparse(dataset.x) and len(dataset) * dataset.n_features > DENSE_VALUES
    iterates = (smaller > DIRECT or too_wide) and n_components < smaller // 10
    has_covariance = not iterates and dataset.n_features <= len(dataset)
    x = moments(dataset, "x", with_products=has_covariance)
    scale = np.ones_like(x.mean)
    if standardized:
        scale = np.where(x.spread > 0, 1 / np.where(x.spread > 0, x.spread, 1.0), 0.0)
    shape = len(dataset), dataset.n_features
    if iterates:
        parts = partial(_parts, dataset)
        components, deviations = by_iteration(parts, shape, x.mean, scale, n_components)
    elif has_covariance:
        products = scale[:, None] * x.squares * scale
        chunks = partial(_centred_chunks, dataset, x.mean, scale)
        components, deviations = from_covariance(
            products, chunks, len(dataset), n_components
        )
    else:

        def centred(block: slice) -> np.ndarray:
            values = dataset.features(block).double().numpy()
            return (values - x.mean[block]) * scale[block]

        components, deviations = from_inner_products(centred, shape, n_components)
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
    """Describe the samples without their targets, for :func:`describe_pairs`."""
    is_wide = dataset.n_features > WIDE_REGRESSION
    n_components = min(WIDE_REGRESSION, len(dataset)) if is_wide else 1
    return describe(
        Dataset(dataset.x, None, dataset.condition, dataset.index), n_components
    )


def describe_pairs(
    copies: Sequence[Dataset], trained: Dataset, basis: Statistics, n_components: int
) -> Statistics:
    """Compute the statistics of samples with targets, by regression on the samples.

    Parameters
    ----------
    copies : sequence of Dataset
        Samples and targets; several independent corruptions of the same samples.

    trained : Dataset
        The training set.

    basis : Statistics
        Result of :func:`describe_basis`, of clean samples where ``copies`` are corrupted;
        wide data are reduced to its components.

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

    # A fifth of the samples, in two contiguous blocks: adjacent ones are often alike.
    held_out = np.arange(n_some) * 10 // n_some % 5 == 2
    parts = Sums.of(pairs(places[~held_out])), Sums.of(pairs(places[held_out]))
    found = reduced_rank(*parts, n_components)
    return replace(
        basis,
        mean=x.mean,
        spread=x.spread,
        training_range=_value_range(trained),
        components=reduction @ found.projection,
        deviations=found.deviations,
        n_components=n_components,
        target_mean=target.mean,
        target_spread=target.spread,
        target_range=_value_range(trained, "target"),
        residual_spread=x.spread,
        regression=found.coefficients,
    )


def describe_given(
    dataset: Dataset,
    n_components: int,
    trained: Dataset | None = None,
    standardized: bool = False,
) -> Statistics:
    """Compute the statistics of samples with a condition, by regression on it.

    Components are those of the regression's residuals, divided by the standard deviation
    of the samples if ``standardized``. They use 10,000 samples at most, fewer where these
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
    varies = x.spread > 0
    unit = np.where(varies & standardized, x.spread, 1.0)
    # The residual of a constant feature is rounding error.
    divisor = np.where(varies, unit, np.inf)
    some = Residuals(dataset.subset(places), x.mean, offsets, divisor)
    left = describe(some, n_components)
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


class Residuals(Dataset):
    """Residuals of a regression of the samples on their condition, in float64.

    Parameters
    ----------
    dataset : Dataset
        The samples and their condition.

    mean : ndarray of shape (n_features,)
        Mean of the samples.

    offsets : ndarray of shape (n_conditions, n_features)
        Coefficients of the regression.

    divisor : ndarray of shape (n_features,)
        What the residuals are divided by.
    """

    def __init__(self, dataset: Dataset, mean, offsets, divisor):
        super().__init__(dataset.x, None, dataset.condition, dataset.index)
        self.mean = mean
        self.offsets = offsets
        self.divisor = divisor

    def __getitem__(self, index) -> Batch:
        x, _, condition = super().__getitem__(index)
        return Batch(self._residuals(x, condition, slice(None)), None, None)

    def features(self, block: slice) -> Tensor:
        condition = super().__getitem__(slice(None)).condition
        return self._residuals(super().features(block), condition, block)

    def _residuals(self, x: Tensor, condition: Tensor, block: slice) -> Tensor:
        x = x.double().numpy() - self.mean[block]
        x -= condition.double().numpy() @ self.offsets[:, block]
        x /= self.divisor[block]
        return torch.from_numpy(x)


@dataclass
class _Moments:
    """Mean and sums of squares about it, of some samples.

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
        if with_products:
            products = centred.T @ centred
        else:
            products = np.einsum("ij,ij->j", centred, centred)
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
        # Rounding noise of a constant feature must not be scaled up, and smaller squares
        # underflow.
        noise = 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        return np.where(spread > np.maximum(noise, 1 / LARGEST), spread, 0.0)


def moments(dataset: Dataset, field: str, with_products: bool = False) -> _Moments:
    """Mean, sums of squares and spread of a field of the data, chunk by chunk."""
    total = None
    for batch in dataset.chunks():
        part = _Moments.of(getattr(batch, field).double().numpy(), with_products)
        if total is None:
            total = part
        else:
            total.add(part)
    return total


def _value_range(dataset: Dataset, field: str = "x") -> np.ndarray:
    extremes = None
    for batch in dataset.chunks():
        values = getattr(batch, field)
        seen = values if extremes is None else torch.cat([extremes, values])
        extremes = torch.stack(seen.aminmax(dim=0))
    return extremes.double().numpy()


def _parts(dataset: Dataset) -> Iterator:
    """The data chunk by chunk; sparse data are one chunk."""
    if issparse(dataset.x):
        yield dataset.x if dataset.index is None else dataset.x[dataset.index]
    else:
        yield from (batch.x.double().numpy() for batch in dataset.chunks())


def _centred_chunks(
    dataset: Dataset, mean: np.ndarray, scale: np.ndarray
) -> Iterator[np.ndarray]:
    for batch in dataset.chunks():
        yield (batch.x.double().numpy() - mean) * scale
