"""Anomaly scores of a member's outputs, one for each value of ``scoring``."""

from collections.abc import Callable

import numpy as np

from skae._outliers.distances import (
    LogRatio,
    Mahalanobis,
    NeighborDistance,
    OutOfRangeDistance,
    RootMeanSquare,
)
from skae._outliers.member_outputs import MemberOutput

TRIMMED = 0.25  # share of samples that a robust covariance leaves out
OUT_OF_RANGE_WEIGHT = 2.0  # of the logarithm of the distance outside the training range


class AnomalyScore:
    """Weighted sum of logarithms of distances.

    Parameters
    ----------
    terms : list of (weight, distance, select)
        ``select`` takes a :class:`MemberOutput` and returns the array whose distance is
        computed.
    """

    def __init__(self, terms: list[tuple[float, object, Callable]]):
        self.terms = [(w, LogRatio(d), select) for w, d, select in terms if w > 0]

    def fit(self, output: MemberOutput) -> "AnomalyScore":
        for _, ratio, select in self.terms:
            ratio.fit(select(output))
        return self

    def __call__(self, output: MemberOutput) -> np.ndarray:
        return sum(w * ratio(select(output)) for w, ratio, select in self.terms)


class NegativeLogLikelihood:
    """Negative log-likelihood of a variational class."""

    def fit(self, output: MemberOutput) -> "NegativeLogLikelihood":
        return self

    def __call__(self, output: MemberOutput) -> np.ndarray:
        return -output.log_likelihood


def residual(output: MemberOutput) -> np.ndarray:
    return output.residual


def high_noise_residual(output: MemberOutput) -> np.ndarray:
    return output.high_noise_residual


def code(output: MemberOutput) -> np.ndarray:
    return output.code


def residual_and_code(output: MemberOutput) -> np.ndarray:
    return np.concatenate([output.residual, output.code], axis=1)


SCORINGS = ("reconstruction", "mahalanobis", "joint", "robust_joint", "knn", "likelihood")


def make_anomaly_score(
    scoring: str,
    output: MemberOutput,
    neighbor_weight: float,
    random_state: np.random.RandomState,
) -> AnomalyScore | NegativeLogLikelihood:
    """Return the anomaly score, not yet fitted.

    Parameters
    ----------
    scoring : str
        One of :data:`SCORINGS`, or "auto".

    output : MemberOutput
        Of any samples; fields that are None are not used by "auto".

    neighbor_weight : float
        Weight in [0, 1] of the neighbour distance in "auto", relative to that of the
        residual at the higher noise level.

    random_state : RandomState
        Draws the reference samples of the neighbour distance.
    """
    is_variational = output.log_likelihood is not None
    if scoring == "likelihood" or (scoring == "auto" and is_variational):
        return NegativeLogLikelihood()
    plain, robust = (Mahalanobis(share, standardize=True) for share in (0.0, TRIMMED))
    second, in_range = (robust, residual_and_code), residual_and_code
    if output.high_noise_residual is not None:
        second, in_range = (Mahalanobis(TRIMMED), high_noise_residual), code
    terms = {
        "reconstruction": [(1.0, RootMeanSquare(), residual)],
        "mahalanobis": [(1.0, Mahalanobis(), residual)],
        "joint": [(1.0, plain, residual_and_code)],
        "robust_joint": [(1.0, robust, residual_and_code)],
        "knn": [(1.0, NeighborDistance(random_state), code)],
        "auto": [
            (0.5, Mahalanobis(TRIMMED), residual),
            (0.5 * (1 - neighbor_weight), *second),
            (0.5 * neighbor_weight, NeighborDistance(random_state), code),
            (OUT_OF_RANGE_WEIGHT, OutOfRangeDistance(standardize=True), in_range),
        ],
    }
    return AnomalyScore(terms[scoring])
