"""Sample quality of generative models by nearest neighbours.

Data and generated samples are compared in the space of the data. The neighbourhood of a
sample is the ball that extends to its fifth nearest neighbour in the data. Naeem et al.,
"Reliable fidelity and diversity metrics for generative models", ICML 2020.
"""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import euclidean_distances

N_NEIGHBORS = 5
# Largest number of samples, and of values, whose pairwise distances are computed.
MAX_SAMPLES, MAX_VALUES = 1_000, 2**23


def n_compared(n_features: int) -> int:
    return max(1, min(MAX_SAMPLES, MAX_VALUES // n_features))


def evenly_spaced(n_samples: int, n_selected: int) -> np.ndarray:
    """Indices of at most ``n_selected`` evenly spaced samples."""
    return np.linspace(0, n_samples - 1, min(n_samples, n_selected)).astype(int)


class Neighborhoods:
    """Balls around samples, each up to the fifth nearest neighbour.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, n_features)
        Standardised samples.
    """

    def __init__(self, samples: np.ndarray):
        self.samples = samples
        distances = euclidean_distances(samples, samples)
        k = min(N_NEIGHBORS, len(samples) - 1)
        self.radii = np.partition(distances, k, axis=1)[:, k]

    def _contains(self, points: np.ndarray) -> np.ndarray:
        """Whether each ball contains each point: (n_samples, n_points)."""
        return euclidean_distances(self.samples, points) <= self.radii[:, None]

    def covered(self, points: np.ndarray) -> float:
        """Fraction of the balls that contain at least one point."""
        return float(self._contains(points).any(axis=1).mean())

    def containing(self, points: np.ndarray) -> float:
        """Fraction of the points that lie in at least one ball."""
        return float(self._contains(points).any(axis=0).mean())


def are_correlated(samples: np.ndarray) -> bool:
    """Whether the features are correlated by more than chance.

    For independent features the largest eigenvalue of the correlation matrix is close to
    a bound that depends on the shape of the data: Marchenko & Pastur, "Distribution of
    eigenvalues for some sets of random matrices", 1967.
    """
    spread = samples.std(axis=0)
    samples = (samples - samples.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    n_samples, n_features = samples.shape
    if n_features < 2 or n_samples < 2:
        return False
    wide = n_features >= n_samples
    smaller = samples @ samples.T if wide else samples.T @ samples
    largest = np.linalg.eigvalsh(smaller)[-1] / n_samples
    return bool(largest > 1.2 * (1 + np.sqrt(n_features / n_samples)) ** 2)


def continuity(
    decode: Callable[[np.ndarray], np.ndarray],
    codes: np.ndarray,
    random_state: np.random.RandomState,
    step: float = 0.1,
) -> float:
    """Root mean square change of the output per unit change of the code."""
    directions = random_state.normal(size=codes.shape)
    directions *= step / np.linalg.norm(directions, axis=1, keepdims=True)
    change = decode(codes + directions)
    change -= decode(codes)
    return float(np.sqrt(np.einsum("ij,ij->i", change, change).mean()) / step)
