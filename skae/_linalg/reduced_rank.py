"""Linear maps from rows to targets, through a code of few components.

Izenman, "Reduced-rank regression for the multivariate linear model", Journal of
Multivariate Analysis 5, 1975. Where rows are their own targets it is PCA.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from skae._linalg.eigen import leading_axes

# Ridge penalties tried, as shares of the largest eigenvalue of the rows' products.
PENALTIES = np.logspace(-8, 0, 17)


class Sums(NamedTuple):
    """What a regression needs to know of rows and targets, both centred."""

    squares: np.ndarray  # (n_inputs, n_inputs), of rows
    products: np.ndarray  # (n_inputs, n_outputs), of rows and targets
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
        return Sums(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


class ReducedRank(NamedTuple):
    """Codes are ``x @ into``, with these deviations, and targets ``codes @ back``."""

    into: np.ndarray  # (n_inputs, n_components)
    deviations: np.ndarray  # (n_components,), largest first
    back: np.ndarray  # (n_components, n_outputs), rows of length 1


def reduced_rank(kept: Sums, held_out: Sums, n_components: int) -> ReducedRank:
    """Regress targets on rows, by a matrix of that rank at most.

    The ridge penalty is the one with the least error on rows held out; the regression is
    then one of all rows.

    Parameters
    ----------
    kept, held_out : Sums
        Of two parts of the rows.

    n_components : int
        The rank. Components beyond what there is are 0.
    """
    share = _best_share(kept, held_out)
    sums = kept.add(held_out)
    values, vectors = _eigen(sums.squares)
    n_inputs, n_outputs = sums.products.shape
    into, back = np.zeros((n_inputs, n_components)), np.zeros((n_components, n_outputs))
    deviations = np.zeros(n_components)
    if values.size == 0:
        return ReducedRank(into, deviations, back)
    shrunk = values + share * values[-1]
    products = vectors.T @ sums.products
    fitted = products * (np.sqrt(values) / shrunk)[:, None]
    n_found = min(n_components, *fitted.shape)
    variances, axes = leading_axes(fitted, n_found)
    into[:, :n_found] = vectors @ ((products @ axes) / shrunk[:, None])
    back[:n_found] = axes.T
    deviations[:n_found] = np.sqrt(variances / sums.n_samples)
    return ReducedRank(into, deviations, back)


def _best_share(kept: Sums, held_out: Sums) -> float:
    """The penalty to take, as a share of the largest eigenvalue."""
    values, vectors = _eigen(kept.squares)
    if values.size == 0 or held_out.n_samples == 0:
        return PENALTIES[0]
    products = vectors.T @ kept.products
    squares = vectors.T @ held_out.squares @ vectors
    wanted = vectors.T @ held_out.products

    def error(share: float) -> float:  # but for what no map changes
        regression = products / (values + share * values[-1])[:, None]
        return np.sum(regression * (squares @ regression - 2 * wanted))

    return min(PENALTIES, key=error)


def _eigen(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues that are not rounding, and their vectors."""
    values, vectors = np.linalg.eigh(squares)
    known = values > 1e-12 * max(values[-1], 0.0)
    return values[known], vectors[:, known]
