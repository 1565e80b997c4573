"""Conformal p-values, and which of many to call discoveries.

Vovk, "Cross-conformal predictors", 2015; Bates et al., "Testing for outliers with
conformal p-values", Annals of Statistics 2023; Benjamini & Hochberg, "Controlling the
false discovery rate", 1995.
"""

from collections.abc import Sequence

import numpy as np


def p_values(oddness: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> np.ndarray:
    """Share of the rows held out, and of the row itself, that are as odd as each row.

    Parameters
    ----------
    oddness : sequence of ndarray of shape (n_rows,)
        Of the rows in question, by each member.

    known : sequence of ndarray, sorted
        Of the rows that the member was not fitted to.
    """
    as_odd = 0
    for ours, theirs in zip(oddness, known, strict=True):
        as_odd = as_odd + len(theirs) - np.searchsorted(theirs, ours, side="left")
    return (1.0 + as_odd) / (1.0 + sum(map(len, known)))


def discoveries(p: np.ndarray, alpha: float) -> np.ndarray:
    """Return which hypotheses Benjamini and Hochberg reject at the rate ``alpha``."""
    n = len(p)
    below = np.sort(p) <= alpha * np.arange(1, n + 1) / n
    if not below.any():
        return np.zeros(n, dtype=bool)
    return p <= np.sort(p)[np.flatnonzero(below)[-1]]
