"""Conditions of samples: labels, or continuous numbers."""

import copy

import numpy as np
import pandas as pd
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skae._data.checks import check_magnitude


class Labels:
    """One-hot encoder of labels.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels of the training data.
    """

    def __init__(self, y: np.ndarray):
        try:
            self.classes = np.unique(y)
        except TypeError as error:
            raise ValueError(
                "y has labels of types that cannot be ordered, such as text and numbers. "
                "Pass labels of one type, by y.astype(str), say."
            ) from error
        vars(self).update(vars(self.recount(y)))

    def recount(self, y: np.ndarray) -> "Labels":
        """Copy with the same classes and their frequencies in ``y``."""
        counted = copy.copy(self)
        counts = self.encode(y, len(y)).sum(axis=0)
        counted.share = counts / counts.sum()
        # A label that does not occur in y keeps a probability above 0.
        tiny = np.finfo(np.float64).tiny
        counted.log_share = np.log(np.maximum(counted.share, tiny))
        return counted

    def encode(self, y, n_samples: int) -> np.ndarray:
        """One-hot codes (n_samples, n_classes); ``y`` may be a single label."""
        y = np.asarray(y)
        y = np.full(n_samples, y) if y.size == 1 else y.ravel()
        _check_length(y, n_samples)
        known = np.isin(y, self.classes)
        if not known.all():
            raise ValueError(
                f"y has the label {y[~known].tolist()[0]!r}, which is not among those of "
                f"fit: {self.classes.tolist()}."
            )
        return np.eye(len(self.classes), dtype=np.float32)[
            np.searchsorted(self.classes, y)
        ]


class Numbers:
    """Standardiser of continuous conditions.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_conditions)
        Conditions of the training data.
    """

    def __init__(self, y: np.ndarray):
        self.mean = y.mean(axis=0)
        spread = y.std(axis=0)
        rounding = 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        self.spread = np.where(spread > rounding, spread, 1.0)

    def recount(self, y: np.ndarray) -> "Numbers":
        return self

    def encode(self, y, n_samples: int) -> np.ndarray:
        """Standardised ``y``, which may be one condition for all samples."""
        width = len(self.mean)
        try:
            y = np.asarray(y, dtype=np.float64)
        except ValueError as error:
            raise ValueError(
                f"y={y!r} must be {width} numbers per sample, as in fit."
            ) from error
        if y.size == width:  # one for all samples
            y = np.broadcast_to(y.reshape(1, width), (n_samples, width))
        elif y.ndim == 1 and width == 1:
            y = y[:, None]
        if y.ndim != 2 or y.shape[1] != width:
            raise ValueError(
                f"y has shape {y.shape}, but fit had {width} numbers per sample. Pass y "
                f"of shape ({n_samples}, {width}), or {width} numbers for all samples."
            )
        _check_length(y, n_samples)
        if not np.isfinite(y).all():
            raise ValueError("y has values that are NaN or infinite. Drop these samples.")
        check_magnitude(y, "y")
        return ((y - self.mean) / self.spread).astype(np.float32)


def _check_length(y: np.ndarray, n_samples: int) -> None:
    if len(y) != n_samples:
        raise ValueError(
            f"y has {len(y)} entries for {n_samples} samples. Pass one per sample, or "
            "a single one."
        )


def check_condition(y) -> np.ndarray:
    """Validate the y of fit: labels become one-dimensional, numbers two-dimensional."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind != "f":
        y = column_or_1d(y, warn=True)
    if y.ndim == 1 and y.dtype.kind != "f":
        if pd.isna(y).any():
            raise ValueError(
                "y has missing labels. Drop these samples, or pass a label for each."
            )
        return y
    if y.dtype.kind not in "fiub":
        raise ValueError(
            f"y has shape {y.shape} and dtype {y.dtype}. Labels must be one-dimensional; "
            "two-dimensional y must be numeric."
        )
    y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
    check_magnitude(y, "y")
    return y[:, None] if y.ndim == 1 else y


def fit_labels(X, y, name: str, known: Labels | None = None) -> Labels:
    """Return the labels of y, or those of an earlier fit with their frequencies in y.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Samples that are labelled by y.

    y : array-like of shape (n_samples,)
        Labels.

    name : str
        Name of the estimator class, for error messages.

    known : Labels, default=None
        Labels of an earlier fit that is resumed; their classes are kept.
    """
    if y is None:
        raise ValueError(
            f"{name}(conditional=True) requires y to be passed, but the target y is "
            "None. Pass a label for each sample, or use conditional=False."
        )
    y = check_condition(y)
    check_consistent_length(X, y)
    if y.ndim == 2:
        raise ValueError(
            f"conditional=True requires labels, but y has dtype {y.dtype}. Pass strings "
            "or integers, by y.astype(int), say."
        )
    return Labels(y) if known is None else known.recount(y)
