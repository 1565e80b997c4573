"""How much of the data a transformer retains."""

import warnings

import numpy as np
from sklearn.utils import check_array


def reconstruction_r2(estimator, X, y=None):
    """Share of the variance of X that a transformer reconstructs.

    One minus the squared error of ``inverse_transform(transform(X))``, or of
    ``reconstruct(X)`` where there is such a method, over the squared
    deviations of X from its column means, both summed over columns, in the units of the
    X given. It is a scorer: pass the function itself as ``scoring=`` to a grid search
    whose candidates are PCA, KernelPCA, autoencoders or Pipelines of them.

    Parameters
    ----------
    estimator : object
        A fitted transformer with ``inverse_transform``, or a Pipeline of such.

    X : array-like of shape (n_samples, n_features)
        The rows to reconstruct.

    y : array-like of shape (n_samples, n_outputs), default=None
        What the rows should have become, for a :class:`skae.DenoisingAE` with
        ``corruption="paired"``: they take the place of X. Ignored by all others.

    Returns
    -------
    r2 : float
        At most 1; 0 is what the column means would reach. NaN, with a warning, where X
        has a single row or no variance.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import reconstruction_r2
    >>> X, _ = load_iris(return_X_y=True)
    >>> print(f"{reconstruction_r2(PCA(2).fit(X), X):.3f}")
    0.978
    """
    paired = _find_paired(estimator)
    if paired is not None:
        before, denoiser = paired
        reconstruction = denoiser.reconstruct(
            X if before is None else before.transform(X)
        )
    elif hasattr(estimator, "reconstruct"):  # which may know more of a row than its code
        reconstruction = estimator.reconstruct(X)
    else:
        reconstruction = estimator.inverse_transform(estimator.transform(X))
    original = check_array(X if paired is None else y, dtype=np.float64)
    reconstruction = check_array(reconstruction, dtype=np.float64)
    error = np.square(original - reconstruction).sum()
    total = np.square(original - original.mean(axis=0)).sum()
    if (original == original[0]).all():
        warnings.warn(
            f"R2 is not defined on n_samples={len(original)} rows without variance; "
            "returning NaN. Pass at least two rows that differ.",
            stacklevel=2,
        )
        return float("nan")
    return float(1 - error / total)


def _find_paired(estimator):
    """Return what comes before a denoiser that was fitted to pairs, and the denoiser."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    steps = getattr(estimator, "steps", [("", estimator)])
    denoiser = steps[-1][1]
    if not getattr(denoiser, "_is_paired", False):
        return None
    return (estimator[:-1] if len(steps) > 1 else None), denoiser
