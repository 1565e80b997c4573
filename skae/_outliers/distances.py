"""How far rows are from what is usual, in ways that a few odd training rows cannot bend.

Every distance is fitted to training rows and is then a function of rows, larger for odder
ones. What detectors add up are logarithms of them, relative to the median training row.
"""

import numpy as np

N_REWEIGHTS = 5
N_REFERENCES, NEIGHBOUR_SHARE = 128, 0.05
FLOOR = 1e-6


class Mahalanobis:
    """Distance in units of the covariance, of all rows or of the most usual ones.

    Parameters
    ----------
    trimmed : float, default=0.0
        Share of the rows, the farthest, that mean and covariance leave out. They are
        found in five rounds.

    by_column : bool, default=False
        Divide columns by their deviations first, where they have no unit in common.
    """

    shrinkage = 0.05  # of the covariance, towards a multiple of the identity

    def __init__(self, trimmed: float = 0.0, by_column: bool = False):
        self.trimmed = trimmed
        self.by_column = by_column

    def fit(self, values: np.ndarray) -> "Mahalanobis":
        self.unit = np.ones(values.shape[1])
        if self.by_column:
            spread = values.std(axis=0)
            self.unit = np.where(spread > 0, spread, 1.0)
        counted = np.ones(len(values), dtype=bool)
        for _ in range(N_REWEIGHTS if self.trimmed else 1):
            self._fit(values[counted])
            distances = self(values)
            counted = distances <= np.quantile(distances, 1 - self.trimmed)
        return self

    def _fit(self, values: np.ndarray) -> None:
        self.mean = values.mean(axis=0)
        centred = (values - self.mean) / self.unit
        covariance = centred.T @ centred / len(values)
        size = np.trace(covariance) / len(covariance)
        covariance[np.diag_indices_from(covariance)] += self.shrinkage * size + 1e-12
        variances, directions = np.linalg.eigh(covariance)
        self.whitener = directions / np.sqrt(np.maximum(variances, 1e-12))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        white = ((values - self.mean) / self.unit) @ self.whitener
        return np.sqrt(np.einsum("ij,ij->i", white, white))


class Beyond(Mahalanobis):
    """The same, but that of the farthest training row for all that are nearer.

    It says nothing of rows among the training rows, and keeps the others from being
    mended: networks may follow a row to where they have seen none.
    """

    shrinkage = 0.001  # directions of little variance count: what it takes to be far

    def fit(self, values: np.ndarray) -> "Beyond":
        self.farthest = 0.0
        super().fit(values)
        self.farthest = float(self(values).max())
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.maximum(super().__call__(values), self.farthest)


class Length:
    """Root mean square."""

    def fit(self, values: np.ndarray) -> "Length":
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.sqrt(np.einsum("ij,ij->i", values, values) / values.shape[1])


class Neighbours:
    """Distance to the nearest of a few training rows, but for a twentieth of them.

    Rows that are odd in the same way are few among the few, and do not vouch for each
    other. At most 128 rows are kept.
    """

    def __init__(self, random_state: np.random.RandomState):
        self.random_state = random_state

    def fit(self, values: np.ndarray) -> "Neighbours":
        kept = self.random_state.permutation(len(values))[:N_REFERENCES]
        self.references = values[kept]
        self.squares = np.einsum("ij,ij->i", self.references, self.references)
        # Training rows may be among the kept, and are nearest to themselves.
        rank = max(2, round(NEIGHBOUR_SHARE * len(kept))) - 1
        self.rank = min(rank, len(kept) - 1)
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        squares = values @ (-2.0 * self.references.T)
        squares += self.squares
        nearest = np.argpartition(squares, self.rank, axis=1)[:, self.rank]
        # Not by the squares, which lose the digits of small distances.
        return np.linalg.norm(values - self.references[nearest], axis=1)


class LogRatio:
    """Logarithm of a distance over that of the median training row."""

    def __init__(self, distance):
        self.distance = distance

    def fit(self, values: np.ndarray) -> "LogRatio":
        self.distance.fit(values)
        self.typical = max(float(np.median(self.distance(values))), 1e-12)
        return self

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.log(self.distance(values) / self.typical + FLOOR)


def crowding(values: np.ndarray) -> float:
    """Say how much nearer to their own kind far rows are than others.

    Of the twentieth of the rows whose hundredth neighbour is farthest: the mean logarithm
    of that distance over the one to the fifth neighbour, both relative to their medians.
    Odd rows that lie in groups, as faults of one kind do, make it positive; tails that
    thin out make it negative.
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
