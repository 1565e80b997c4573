"""From what a member says of rows to how odd they are, by each way of scoring."""

from collections.abc import Callable

import numpy as np

from skae._outliers.distances import Beyond, Length, LogRatio, Mahalanobis, Neighbours
from skae._outliers.member_outputs import View

TRIMMED = 0.25  # share of rows that a robust covariance leaves out
BEYOND = 2.0  # weight of the logarithm of how far beyond all training rows


class Oddness:
    """A weighted sum of logarithms of distances, each of one part of a view.

    Parameters
    ----------
    terms : list of (weight, distance, part)
        ``part`` takes a :class:`View` and returns the array that the distance is of.
    """

    def __init__(self, terms: list[tuple[float, object, Callable]]):
        self.terms = [(w, LogRatio(d), part) for w, d, part in terms if w > 0]

    def fit(self, view: View) -> "Oddness":
        for _, ratio, part in self.terms:
            ratio.fit(part(view))
        return self

    def __call__(self, view: View) -> np.ndarray:
        return sum(w * ratio(part(view)) for w, ratio, part in self.terms)


class Unlikelihood:
    """Minus the log-likelihood."""

    def fit(self, view: View) -> "Unlikelihood":
        return self

    def __call__(self, view: View) -> np.ndarray:
        return -view.log_likelihood


def residual(view: View) -> np.ndarray:
    return view.residual


def wider(view: View) -> np.ndarray:
    return view.wider


def code(view: View) -> np.ndarray:
    return view.code


def both(view: View) -> np.ndarray:
    return np.concatenate([view.residual, view.code], axis=1)


SCORINGS = ("reconstruction", "mahalanobis", "joint", "robust_joint", "knn", "likelihood")


def make_oddness(
    scoring: str, view: View, caution: float, random_state: np.random.RandomState
) -> Oddness | Unlikelihood:
    """Return what scores rows, not yet fitted.

    Parameters
    ----------
    scoring : str
        One of :data:`SCORINGS`, or "auto".

    view : View
        Of some rows, to see which parts there are.

    caution : float
        Weight in [0, 1] of the neighbours in "auto", against the second residual.

    random_state : RandomState
        Draws the neighbours that are kept.
    """
    if scoring == "likelihood" or (scoring == "auto" and view.log_likelihood is not None):
        return Unlikelihood()
    plain, robust = (Mahalanobis(share, by_column=True) for share in (0.0, TRIMMED))
    second = robust, both
    if view.wider is not None:
        second = Mahalanobis(TRIMMED), wider
    terms = {
        "reconstruction": [(1.0, Length(), residual)],
        "mahalanobis": [(1.0, Mahalanobis(), residual)],
        "joint": [(1.0, plain, both)],
        "robust_joint": [(1.0, robust, both)],
        "knn": [(1.0, Neighbours(random_state), code)],
        "auto": [
            (0.5, Mahalanobis(TRIMMED), residual),
            (0.5 * (1 - caution), *second),
            (0.5 * caution, Neighbours(random_state), code),
            (BEYOND, Beyond(by_column=True), both if view.wider is None else code),
        ],
    }
    return Oddness(terms[scoring])
