"""Distances from the bulk of the training samples, robust to a few outliers in them.

A distance is fitted to training samples and then called with samples; it is larger for
anomalies. Anomaly scores add the logarithms of distances, each relative to the median
of the training samples.
"""

import numpy as np

N_REWEIGHTS = 5
N_REFERENCES, NEIGHBOR_FRACTION = 128, 0.05
FLOOR = 1e-6


class Mahalanobis:
    """Mahalanobis distance, with a shrunken and optionally trimmed covariance.

    Parameters
    ----------
    trimmed : float, default=0.0
        Share of the samples, the farthest, that mean and covariance leave out. They are
        found in five rounds.

    standardize : bool, default=False
        Divide features by their standard deviations before shrinkage, for features
        without a common unit.
    """

    shrinkage = 0.05  # of the covariance, towards a multiple of the identity

    def __init__(self, trimmed: float = 0.0, standardize: bool = False):
        self.trimmed = trimmed
        self.standardize = standardize

    def fit(self, values: np.ndarray) -> "Mahalanobis":
        self.scale = np.ones(values.shape[1])
        if self.standardize:
            spread = values.std(axis=0)
            self.scale = np.where(spread > 0, spread, 1.0)
        kept = np.ones(len(values), dtype=bool)
        for _ in range(N_REWEIGHTS if self.trimmed else 1):
            self._fit(values[kept])
            distances = self(values)
            kept = distances <= np.quantile(distances, 1 - self.trimmed)
        return self

    def _fit(self, values: np.ndarray) -> None:
        self.mean = values.mean(axis=0)
        centred = (values - self.mean) / self.scale
        covariance = centred.T @ centred / len(values)
        # The floor is relative, because codes have the units of X.
        size = np.trace(covariance) / len(covariance) or 1.0
        covariance[np.diag_indices_from(covariance)] += (self.shrinkage + FLOOR**2) * size
        variances, directions = np.linalg.eigh(covariance)
        self.whitener = directions / np.sqrt(np.maximum(variances, FLOOR**2 * size))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return _norms(((values - self.mean) / self.scale) @ self.whitener)


class OutOfRangeDistance(Mahalanobis):
    """Mahalanobis distance, clipped from below at the largest of the training samples.

    It is constant within the training range. Outside, it raises the score even where a
    network extrapolates and reconstructs the sample well.
    """

    shrinkage = 0.001  # keeps directions of little variance, for large distances

    def fit(self, values: np.ndarray) -> "OutOfRangeDistance":
        self.largest = 0.0
        super().fit(values)
        self.largest = float(self(values).max())
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.maximum(super().__call__(values), self.largest)


class RootMeanSquare:
    """Euclidean norm, divided by the square root of the number of features."""

    def fit(self, values: np.ndarray) -> "RootMeanSquare":
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return _norms(values) / np.sqrt(values.shape[1])


class NeighborDistance:
    """Distance to the k-th nearest of at most 128 training samples; k is 5 % of them.

    Clusters of similar outliers have fewer than k samples among these, so that their
    samples are not close to their k-th neighbour.
    """

    def __init__(self, random_state: np.random.RandomState):
        self.random_state = random_state

    def fit(self, values: np.ndarray) -> "NeighborDistance":
        kept = self.random_state.permutation(len(values))[:N_REFERENCES]
        self.references = values[kept]
        self.squares = np.einsum("ij,ij->i", self.references, self.references)
        # A training sample may be a reference, and is its own nearest neighbour.
        rank = max(2, round(NEIGHBOR_FRACTION * len(kept))) - 1
        self.rank = min(rank, len(kept) - 1)
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        squares = values @ (-2.0 * self.references.T)
        squares += self.squares
        nearest = np.argpartition(squares, self.rank, axis=1)[:, self.rank]
        # Not by the squares, which lose the digits of small distances.
        return _norms(values - self.references[nearest])


class LogRatio:
    """Logarithm of a distance relative to the median of the training samples."""

    def __init__(self, distance):
        self.distance = distance

    def fit(self, values: np.ndarray) -> "LogRatio":
        self.distance.fit(values)
        self.median = float(np.median(self.distance(values))) or 1.0
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.log(self.distance(values) / self.median + FLOOR)


def _norms(values: np.ndarray) -> np.ndarray:
    """Euclidean norm of each sample, also where the squares overflow."""
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->i", values, values)
    if np.isfinite(squares).all():
        return np.sqrt(squares)
    largest = np.maximum(np.abs(values).max(axis=1), 1.0)
    scaled = values / largest[:, None]
    return largest * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))


def clusteredness(values: np.ndarray) -> float:
    """Clusteredness of far samples, relative to that of all samples.

    Far samples are the 5 % with the largest distance to the 100th neighbour. The result
    is their mean logarithm of that distance over the distance to the fifth neighbour,
    both relative to their medians. It is positive if outliers form clusters, as faults
    of one kind do, and negative for tails of falling density.
    """
    squares = np.einsum("ij,ij->i", values, values)
    distances = squares[:, None] + squares - 2 * values @ values.T
    np.fill_diagonal(distances, np.inf)
    last = len(values) - 2
    near, far = min(4, last), min(99, last)
    if far <= near:
        return 0.0
    distances = np.partition(distances, (near, far), axis=1)[:, [near, far]]
    logs = 0.5 * np.log(np.maximum(distances, 0) + FLOOR**2)
    logs -= np.median(logs, axis=0)
    farthest = logs[:, 1] >= np.quantile(logs[:, 1], 0.95)
    return float(np.mean(logs[farthest, 1] - logs[farthest, 0]))
