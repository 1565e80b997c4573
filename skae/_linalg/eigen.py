"""Leading eigenvalues of symmetric matrices, and singular values of others."""

import numpy as np
from scipy.linalg import eigh


def leading(matrix: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues and their eigenvectors, largest first."""
    last = len(matrix) - 1
    values, vectors = eigh(matrix, subset_by_index=(last - n_components + 1, last))
    if not _is_orthonormal(vectors, n_components):
        # Where eigenvalues are tied, LAPACK's method for a subset finds fewer of them.
        values, vectors = np.linalg.eigh(matrix)
        values, vectors = values[-n_components:], vectors[:, -n_components:]
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def leading_axes(matrix: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest squared singular values and right singular vectors.

    Not by the products of the matrix with itself, which have half its digits.
    """
    _, values, axes = np.linalg.svd(matrix, full_matrices=False)
    return values[:n_components] ** 2, axes[:n_components].T


def _is_orthonormal(vectors: np.ndarray, n_vectors: int) -> bool:
    return vectors.shape[1] == n_vectors and np.allclose(
        vectors.T @ vectors, np.eye(n_vectors), rtol=0.0, atol=1e-10
    )
