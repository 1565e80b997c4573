"""Conformal p-values, and control of the false discovery rate.

Vovk, "Cross-conformal predictors", 2015; Bates et al., "Testing for outliers with
conformal p-values", Annals of Statistics 2023; Benjamini & Hochberg, "Controlling the
false discovery rate", 1995.
"""

from collections.abc import Sequence

import numpy as np


def p_values(
    scores: Sequence[np.ndarray], calibration_scores: Sequence[np.ndarray]
) -> np.ndarray:
    """Share of calibration samples, and the sample itself, with at least its score.

    Parameters
    ----------
    scores : sequence of ndarray of shape (n_samples,)
        Anomaly scores of the samples, one array per member.

    calibration_scores : sequence of ndarray, sorted
        Anomaly scores of each member's calibration set, which it was not fitted to.
    """
    n_as_anomalous = 0
    for of_member, calibration in zip(scores, calibration_scores, strict=True):
        n_below = np.searchsorted(calibration, of_member, side="left")
        n_as_anomalous = n_as_anomalous + len(calibration) - n_below
    return (1.0 + n_as_anomalous) / (1.0 + sum(map(len, calibration_scores)))


def benjamini_hochberg(p: np.ndarray, alpha: float) -> np.ndarray:
    """Return which null hypotheses are rejected at false discovery rate ``alpha``."""
    n = len(p)
    below = np.sort(p) <= alpha * np.arange(1, n + 1) / n
    if not below.any():
        return np.zeros(n, dtype=bool)
    return p <= np.sort(p)[np.flatnonzero(below)[-1]]
