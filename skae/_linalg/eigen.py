"""Leading eigenvalues of symmetric matrices, and singular values of others."""

import numpy as np
from scipy.linalg import eigh


def leading(matrix: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues and their eigenvectors, largest first."""
    last = len(matrix) - 1
    values, vectors = eigh(matrix, subset_by_index=(last - n_components + 1, last))
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def leading_axes(matrix: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest squared singular values and right singular vectors."""
    n_samples, n_features = matrix.shape
    if n_features <= n_samples:
        return leading(matrix.T @ matrix, n_components)
    values, vectors = leading(matrix @ matrix.T, n_components)
    axes = matrix.T @ vectors
    return values, axes / np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)
