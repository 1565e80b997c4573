"""Principal component analysis, by the smallest matrix.

Large n_samples use the covariance matrix, large n_features the inner products of the
samples, and data with both use only products with vectors.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from skae._linalg.eigen import leading

BLOCK = 4096  # features at a time, for large n_features


def from_covariance(
    products: np.ndarray, n_samples: int, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute components and standard deviations from the centred cross-product matrix.

    Parameters
    ----------
    products : ndarray of shape (n_features, n_features)
        ``Xc.T @ Xc`` of the centred data.

    n_samples, n_components : int
        Number of samples, and of components to compute.

    Returns
    -------
    components : ndarray of shape (n_features, n_components)
        Principal directions; zeros beyond the rank.

    deviations : ndarray of shape (n_components,)
        Standard deviation along each direction.
    """
    values, vectors = leading(products, min(n_components, len(products)))
    return _principal(values, vectors, n_samples, n_components)


def from_inner_products(
    centred: Callable[[slice], np.ndarray],
    shape: tuple[int, int],
    n_components: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the same from the samples' inner products, in blocks of features.

    Parameters
    ----------
    centred : callable
        Returns the centred data of a slice of features.

    shape : (int, int)
        Number of samples and of features.

    n_components : int
        Number of components to compute.
    """
    n_samples, n_features = shape
    starts = range(0, n_features, BLOCK)
    blocks = [slice(start, start + BLOCK) for start in starts]
    products = sum(block @ block.T for block in map(centred, blocks))
    values, vectors = leading(products, min(n_components, n_samples))
    directions = np.concatenate([centred(block).T @ vectors for block in blocks])
    lengths = np.linalg.norm(directions, axis=0)
    directions /= np.where(lengths > 0, lengths, 1.0)
    return _principal(values, directions, n_samples, n_components)


def by_iteration(
    chunks: Callable[[], Iterator],
    shape: tuple[int, int],
    mean: np.ndarray,
    scale: np.ndarray,
    n_components: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the same from products with vectors (ARPACK), to machine precision.

    No square matrix of samples or features is computed; sparse data stay sparse.

    Parameters
    ----------
    chunks : callable
        Returns an iterator over chunks of the data, arrays or sparse matrices.

    shape : (int, int)
        Number of samples and of features.

    mean, scale : ndarray of shape (n_features,)
        Mean to subtract, and factor to multiply the result by.

    n_components : int
        Number of components, less than the numbers of samples and of features.
    """

    def times(vector: np.ndarray) -> np.ndarray:
        vector = scale * vector.ravel()
        return np.concatenate([chunk @ vector for chunk in chunks()]) - mean @ vector

    def transposed_times(vector: np.ndarray) -> np.ndarray:
        vector = vector.ravel()
        total, start = -mean * vector.sum(), 0
        for chunk in chunks():
            total = total + chunk.T @ vector[start : start + chunk.shape[0]]
            start += chunk.shape[0]
        return scale * total

    centred = LinearOperator(shape, times, transposed_times, dtype=np.float64)
    first = np.random.RandomState(0).normal(size=min(shape))
    _, values, directions = svds(centred, n_components, v0=first)
    values, directions = values[::-1] ** 2, directions[::-1].T
    return _principal(values, directions, shape[0], n_components)


def _principal(
    values: np.ndarray, vectors: np.ndarray, n_samples: int, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Directions and standard deviations, padded with zeros to ``n_components``."""
    components = np.zeros((len(vectors), n_components))
    deviations = np.zeros(n_components)
    # Directions beyond the numerical rank, by numpy's tolerance, are rounding error.
    rounding = np.finfo(np.float64).eps * max(n_samples, len(vectors)) * values[0]
    significant = values > rounding
    components[:, : len(values)] = vectors * significant
    deviations[: len(values)] = np.sqrt(np.where(significant, values, 0.0) / n_samples)
    return components, deviations
