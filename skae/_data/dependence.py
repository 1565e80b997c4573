"""Samples that depend on each other: duplicates, groups, and their order."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, issparse
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata

from skae._data.dataset import Dataset

LAST_SHARE = 0.2  # of the samples: the part that drift is looked for in
DRIFT_SAMPLES, DRIFT_FEATURES = 1_000, 256  # at most, of each part
DRIFT_ERRORS = 6.0  # standard errors of a difference of mean ranks, in any feature


class Units(NamedTuple):
    """What must not be divided between training and validation.

    A unit consists of samples that are equal or in the same group.

    Attributes
    ----------
    numbers : ndarray of int of shape (n_samples,)
        Unit of each sample, numbered from 0 in the order of the first samples.

    is_copy : ndarray of bool of shape (n_samples,)
        Whether an equal sample comes before.
    """

    numbers: np.ndarray
    is_copy: np.ndarray

    @classmethod
    def single(cls, n_samples: int) -> "Units":
        """Each sample is a unit."""
        return cls(np.arange(n_samples), np.zeros(n_samples, dtype=bool))


def find_units(dataset: Dataset, groups: np.ndarray | None = None) -> Units:
    """Find the units; if all samples are in one, each sample is a unit.

    Parameters
    ----------
    dataset : Dataset
        The samples.

    groups : ndarray of shape (n_samples,), default=None
        Group of each sample.
    """
    _, first, units = np.unique(_hashes(dataset), return_index=True, return_inverse=True)
    n_samples = len(dataset)
    is_copy = np.ones(n_samples, dtype=bool)
    is_copy[first] = False
    if groups is not None:
        grouped = np.unique(groups, return_inverse=True)[1]
        # Groups that have a sample in common are one unit: components of a graph.
        n_nodes = grouped.max() + 1 + len(first)
        ends = grouped, grouped.max() + 1 + units
        links = coo_array((np.ones(n_samples, dtype=bool), ends), (n_nodes, n_nodes))
        units = connected_components(links, directed=False)[1][grouped]
    _, first, units = np.unique(units, return_index=True, return_inverse=True)
    if len(first) == 1:
        return Units.single(n_samples)
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(len(first))
    return Units(rank[units], is_copy)


def _hashes(dataset: Dataset) -> np.ndarray:
    """One integer per sample, equal for equal samples: sums of products modulo 2**64."""
    random_state = np.random.RandomState(0)
    factors = random_state.randint(2**63, size=dataset.n_features, dtype=np.uint64)
    factors = 2 * factors + 1
    parts = []
    if issparse(dataset.x):
        x = dataset.x if dataset.index is None else dataset.x[dataset.index]
        products = _bits(x.data) * factors[x.indices]
        ends = np.zeros(len(products) + 1, dtype=np.uint64)
        np.cumsum(products, out=ends[1:])
        return ends[x.indptr[1:]] - ends[x.indptr[:-1]]
    for batch in dataset.chunks():
        parts.append((_bits(batch.x.numpy()) * factors).sum(axis=1, dtype=np.uint64))
    return np.concatenate(parts)


def _bits(values: np.ndarray) -> np.ndarray:
    """The bits of each number, mixed; those of 0 are 0, whatever its sign."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    # Low bits of round numbers are 0, and so would those of the products be.
    return bits ^ (bits >> np.uint64(32))


def has_drift(dataset: Dataset) -> bool:
    """Whether values of a feature in the last fifth of the samples are higher, or lower.

    Mean ranks are compared: heavy tails would hide a difference of means.
    """
    n_samples, n_features = len(dataset), dataset.n_features
    start = n_samples - round(LAST_SHARE * n_samples)
    before, after = _places(0, start), _places(start, n_samples)
    if min(len(before), len(after)) < 2:
        return False
    places = np.concatenate([before, after])
    if dataset.index is not None:
        places = dataset.index[places]
    features = np.unique(np.linspace(0, n_features - 1, DRIFT_FEATURES).astype(int))
    if issparse(dataset.x):
        values = dataset.x[places][:, features].toarray()
    else:  # both at once, as a sample may have many features
        values = dataset.x[np.ix_(places, features)]
    ranks = rankdata(values, axis=0)
    sides = ranks[: len(before)], ranks[len(before) :]
    errors = sum(side.var(axis=0, ddof=1) / len(side) for side in sides)
    difference = np.abs(sides[1].mean(axis=0) - sides[0].mean(axis=0))
    return bool((difference > DRIFT_ERRORS * np.sqrt(errors)).any())


def _places(start: int, end: int) -> np.ndarray:
    n_some = min(end - start, DRIFT_SAMPLES)
    return np.linspace(start, end - 1, n_some).astype(int)
