"""Checks of the arrays that users pass, at one place for all classes."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

FLOATS = (np.float64, np.float32)

# Sums of ten million squares of differences are below the largest float64, 1.8e308.
LARGEST = 1e150


def check_samples(
    estimator, X, *, reset: bool, dtype=FLOATS, accept_sparse: str | bool = "csr"
):
    """Validate X against the estimator: an array or sparse matrix of finite floats.

    Parameters
    ----------
    estimator : BaseEstimator
        The estimator, whose ``n_features_in_`` is set or compared.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        What the user passed.

    reset : bool
        Whether ``n_features_in_`` is set, by a fit, or compared.

    dtype : type or sequence of type, default=FLOATS
        Dtypes to keep; others are converted to the first.

    accept_sparse : str or bool, default="csr"
        Format of sparse matrices, or False to refuse them.
    """
    X = validate_data(
        estimator,
        _with_native_bytes(X),
        dtype=dtype,
        accept_sparse=accept_sparse,
        reset=reset,
    )
    check_magnitude(X, "X")
    return X


def check_table(X, name: str, dtype=FLOATS) -> np.ndarray:
    """Validate an array that is not X of a fitted estimator: codes, or targets."""
    X = check_array(_with_native_bytes(X), dtype=dtype, input_name=name)
    check_magnitude(X, name)
    return X


def check_magnitude(X, name: str) -> None:
    """Raise if squares of the values, and sums of them, would overflow."""
    values = X.data if issparse(X) else X
    if values.dtype != np.float64 or values.size == 0:  # float32 ends at 3.4e38
        return
    largest = max(values.max(), -values.min())  # np.abs would copy X
    if largest > LARGEST:
        raise ValueError(
            f"{name} has the magnitude {largest:.3g}, but must not exceed {LARGEST:g}: "
            f"sums of squares would overflow. Rescale {name}, for example to {name} / "
            f"{largest:.0e}."
        )


def _with_native_bytes(X):
    """Convert to the machine's byte order, and keep the precision."""
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        return X.astype(dtype.newbyteorder("="))
    return X
