"""Leading eigenvalues of symmetric matrices, and singular values of others."""

import numpy as np
from scipy.linalg import eigh


def leading(matrix: np.ndarray, n_wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues and their vectors, largest first."""
    last = len(matrix) - 1
    values, vectors = eigh(matrix, subset_by_index=(last - n_wanted + 1, last))
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def leading_axes(matrix: np.ndarray, n_wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest squared singular values and the right vectors, largest first."""
    n_samples, n_columns = matrix.shape
    if n_columns <= n_samples:
        return leading(matrix.T @ matrix, n_wanted)
    values, vectors = leading(matrix @ matrix.T, n_wanted)
    axes = matrix.T @ vectors
    return values, axes / np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)
