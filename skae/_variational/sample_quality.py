"""Whether a generative model makes what the data are made of.

Rows and what is generated are compared in the data's own space, by neighbourhoods: a
row's is the ball that reaches to its fifth neighbour among the rows. Naeem et al.,
"Reliable fidelity and diversity metrics for generative models", ICML 2020.
"""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import euclidean_distances

N_NEIGHBORS = 5
# Rows that are compared with as many draws; all distances between them are taken.
MAX_ROWS, MAX_VALUES = 1_000, 2**25


def n_compared(n_features: int) -> int:
    return max(1, min(MAX_ROWS, MAX_VALUES // n_features))


def spread_out(n_samples: int, n_wanted: int) -> np.ndarray:
    """The places of at most so many rows, evenly over all."""
    return np.linspace(0, n_samples - 1, min(n_samples, n_wanted)).astype(int)


class Neighborhoods:
    """Balls around rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        In units that make the features comparable.
    """

    def __init__(self, rows: np.ndarray):
        self.rows = rows
        distances = euclidean_distances(rows, rows)
        place = min(N_NEIGHBORS, len(rows) - 1)
        self.radii = np.partition(distances, place, axis=1)[:, place]

    def _holds(self, points: np.ndarray) -> np.ndarray:
        """Whether the ball of each row holds each point: (n_rows, n_points)."""
        return euclidean_distances(self.rows, points) <= self.radii[:, None]

    def covered(self, points: np.ndarray) -> float:
        """Share of the balls that hold at least one point."""
        return float(self._holds(points).any(axis=1).mean())

    def holding(self, points: np.ndarray) -> float:
        """Share of the points that lie in at least one ball."""
        return float(self._holds(points).any(axis=0).mean())


def have_in_common(rows: np.ndarray) -> bool:
    """Whether the features are correlated by more than chance.

    Of independent features the largest eigenvalue of the correlation matrix comes close
    to a bound that depends on its shape: Marchenko & Pastur, "Distribution of eigenvalues
    for some sets of random matrices", 1967.
    """
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    n_samples, n_features = rows.shape
    if n_features < 2 or n_samples < 2:
        return False
    smaller = rows.T @ rows if n_features < n_samples else rows @ rows.T
    largest = np.linalg.eigvalsh(smaller)[-1] / n_samples
    return bool(largest > 1.2 * (1 + np.sqrt(n_features / n_samples)) ** 2)


def continuity(
    decode: Callable[[np.ndarray], np.ndarray],
    codes: np.ndarray,
    random_state: np.random.RandomState,
    step: float = 0.1,
) -> float:
    """Root mean square change of the output per change of the code, in its own units."""
    directions = random_state.normal(size=codes.shape)
    directions *= step / np.linalg.norm(directions, axis=1, keepdims=True)
    change = decode(codes + directions) - decode(codes)
    return float(np.sqrt(np.square(change).sum(axis=1).mean()) / step)
