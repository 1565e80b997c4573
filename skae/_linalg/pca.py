"""Leading principal components, by whichever matrix is smallest.

Long data use the covariance matrix, wide data the inner products of the samples, and data
that are both use products with vectors alone.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from skae._linalg.eigen import leading

COLUMNS = 4096  # at once, where data are wide


def from_covariance(
    products: np.ndarray, n_samples: int, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Components and deviations of data with this matrix of centred products.

    Parameters
    ----------
    products : ndarray of shape (n_features, n_features)
        ``Xc.T @ Xc`` of the centred data.

    n_samples, n_components : int
        Number of samples, and of components wanted.

    Returns
    -------
    components : ndarray of shape (n_features, n_components)
        Principal directions; 0 beyond the rank.

    deviations : ndarray of shape (n_components,)
        Standard deviation along each.
    """
    values, vectors = leading(products, min(n_components, len(products)))
    return _principal(values, vectors, n_samples, n_components)


def from_inner_products(
    centred: Callable[[slice], np.ndarray],
    shape: tuple[int, int],
    n_components: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The same by the samples' inner products, a block of features at a time.

    Parameters
    ----------
    centred : callable
        Returns some columns of the centred data, given as a slice.

    shape : (int, int)
        Number of samples and of features.

    n_components : int
        Number of components wanted.
    """
    n_samples, n_features = shape
    starts = range(0, n_features, COLUMNS)
    blocks = [slice(start, start + COLUMNS) for start in starts]
    products = sum(part @ part.T for part in map(centred, blocks))
    values, vectors = leading(products, min(n_components, n_samples))
    directions = np.concatenate([centred(block).T @ vectors for block in blocks])
    lengths = np.linalg.norm(directions, axis=0)
    directions /= np.where(lengths > 0, lengths, 1.0)
    return _principal(values, directions, n_samples, n_components)


def by_iteration(
    parts: Callable[[], Iterator],
    shape: tuple[int, int],
    mean: np.ndarray,
    scale: np.ndarray,
    n_components: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The same by products of the data with vectors (ARPACK), to machine precision.

    No square matrix of the samples or of the features is made; sparse data stay sparse.

    Parameters
    ----------
    parts : callable
        Returns an iterator over the data, as arrays or sparse matrices.

    shape : (int, int)
        Number of samples and of features.

    mean, scale : ndarray of shape (n_features,)
        Subtracted from the data, and then multiplied.

    n_components : int
        Number of components wanted, less than either number.
    """

    def times(vector: np.ndarray) -> np.ndarray:
        vector = scale * vector.ravel()
        return np.concatenate([part @ vector for part in parts()]) - mean @ vector

    def transposed_times(vector: np.ndarray) -> np.ndarray:
        vector = vector.ravel()
        total, start = -mean * vector.sum(), 0
        for part in parts():
            total = total + part.T @ vector[start : start + part.shape[0]]
            start += part.shape[0]
        return scale * total

    centred = LinearOperator(shape, times, transposed_times, dtype=np.float64)
    first = np.random.RandomState(0).normal(size=min(shape))
    _, values, directions = svds(centred, n_components, v0=first)
    values, directions = values[::-1] ** 2, directions[::-1].T
    return _principal(values, directions, shape[0], n_components)


def _principal(
    values: np.ndarray, vectors: np.ndarray, n_samples: int, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Directions and deviations; 0 where there are fewer than asked for."""
    components = np.zeros((len(vectors), n_components))
    deviations = np.zeros(n_components)
    # Beyond the numerical rank, by numpy's tolerance, a direction is noise.
    rounding = np.finfo(np.float64).eps * max(n_samples, len(vectors)) * values[0]
    known = values > rounding
    components[:, : len(values)] = vectors * known
    deviations[: len(values)] = np.sqrt(np.where(known, values, 0.0) / n_samples)
    return components, deviations
