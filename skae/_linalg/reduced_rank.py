"""Reduced-rank regression of targets on samples.

Izenman, "Reduced-rank regression for the multivariate linear model", Journal of
Multivariate Analysis 5, 1975. If the samples are their own targets, it is PCA.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from skae._linalg.eigen import leading_axes

# Candidate ridge penalties, as fractions of the largest eigenvalue of X.T @ X.
PENALTIES = np.logspace(-8, 0, 17)


class Sums(NamedTuple):
    """Cross-products of samples and targets, both centred."""

    squares: np.ndarray  # X.T @ X, (n_inputs, n_inputs)
    products: np.ndarray  # X.T @ Y, (n_inputs, n_outputs)
    n_samples: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> "Sums":
        squares, products, n_samples = 0.0, 0.0, 0
        for x, y in pairs:
            squares = squares + x.T @ x
            products = products + x.T @ y
            n_samples += len(x)
        return cls(squares, products, n_samples)

    def add(self, other: "Sums") -> "Sums":
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))


class ReducedRank(NamedTuple):
    """Factors: codes are ``x @ projection``, targets ``codes @ coefficients``."""

    projection: np.ndarray  # (n_inputs, n_components)
    deviations: np.ndarray  # (n_components,), of the codes, largest first
    coefficients: np.ndarray  # (n_components, n_outputs), orthonormal


def reduced_rank(kept: Sums, held_out: Sums, n_components: int) -> ReducedRank:
    """Fit a reduced-rank regression with a ridge penalty.

    The penalty is the one of the lowest error on the held-out samples; the regression is
    then fitted to all samples.

    Parameters
    ----------
    kept, held_out : Sums
        Cross-products of two disjoint sets of samples.

    n_components : int
        Maximum rank. Components beyond the rank of the data are 0.
    """
    share = _best_share(kept, held_out)
    sums = kept.add(held_out)
    values, vectors = _eigen(sums.squares)
    n_inputs, n_outputs = sums.products.shape
    projection = np.zeros((n_inputs, n_components))
    coefficients = np.zeros((n_components, n_outputs))
    deviations = np.zeros(n_components)
    if values.size == 0:
        return ReducedRank(projection, deviations, coefficients)
    shrunk = values + share * values[-1]
    products = vectors.T @ sums.products
    fitted = products * (np.sqrt(values) / shrunk)[:, None]
    n_found = min(n_components, *fitted.shape)
    variances, axes = leading_axes(fitted, n_found)
    projection[:, :n_found] = vectors @ ((products @ axes) / shrunk[:, None])
    coefficients[:n_found] = axes.T
    deviations[:n_found] = np.sqrt(variances / sums.n_samples)
    return ReducedRank(projection, deviations, coefficients)


def _best_share(kept: Sums, held_out: Sums) -> float:
    """Penalty of the lowest held-out error, as a fraction of the largest eigenvalue."""
    values, vectors = _eigen(kept.squares)
    if values.size == 0 or held_out.n_samples == 0:
        return PENALTIES[0]
    products, targets = vectors.T @ kept.products, vectors.T @ held_out.products
    unit = np.abs(products).max() or 1.0  # so that products of them do not overflow
    products /= unit
    targets /= unit
    squares = (vectors.T @ held_out.squares @ vectors) * (products @ products.T)
    targets = np.einsum("ij,ij->i", products, targets)

    def error(share: float) -> float:  # up to a factor and a constant
        shrinkage = 1 / (values + share * values[-1])
        return shrinkage @ squares @ shrinkage - 2 * shrinkage @ targets

    return min(PENALTIES, key=error)


def _eigen(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues above rounding error, and their eigenvectors."""
    values, vectors = np.linalg.eigh(squares)
    significant = values > 1e-12 * max(values[-1], 0.0)
    return values[significant], vectors[:, significant]
