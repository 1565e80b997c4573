"""Metrics of reconstruction quality."""

import warnings

import numpy as np
from sklearn.utils import check_array


def reconstruction_r2(estimator, X, y=None):
    """R2 of the reconstruction: the share of the variance of X that is retained.

    One minus the squared error of ``inverse_transform(transform(X))``, or of
    ``reconstruct(X)`` if there is such a method, over the squared deviations of X from
    its feature means, both summed over features, in the units of X. It is a scorer: pass
    the function itself as ``scoring=`` to a grid search over PCA, KernelPCA, autoencoders
    or Pipelines of them.

    Parameters
    ----------
    estimator : object
        A fitted transformer with ``inverse_transform``, or a Pipeline of such steps.

    X : array-like of shape (n_samples, n_features)
        The samples to reconstruct.

    y : array-like of shape (n_samples, n_outputs), default=None
        Targets of the reconstruction, instead of X, for a :class:`skae.DenoisingAE` with
        ``corruption="paired"``. Ignored for all others.

    Returns
    -------
    r2 : float
        At most 1; the feature means have 0. NaN, with a warning, if X has a single
        sample or no variance.

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
    elif hasattr(estimator, "reconstruct"):  # which may use more than the code
        reconstruction = estimator.reconstruct(X)
    else:
        reconstruction = estimator.inverse_transform(estimator.transform(X))
    original = check_array(X if paired is None else y, dtype=np.float64)
    reconstruction = check_array(reconstruction, dtype=np.float64)
    error = np.square(original - reconstruction).sum()
    total = np.square(original - original.mean(axis=0)).sum()
    if (original == original[0]).all():
        warnings.warn(
            f"R2 is not defined for n_samples={len(original)} without variance; "
            "returning NaN. Pass at least two samples that differ.",
            stacklevel=2,
        )
        return float("nan")
    return float(1 - error / total)


def _find_paired(estimator):
    """Return the preprocessing and the denoiser, if it was fitted to pairs."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    steps = getattr(estimator, "steps", [("", estimator)])
    denoiser = steps[-1][1]
    if not getattr(denoiser, "_is_paired", False):
        return None
    return (estimator[:-1] if len(steps) > 1 else None), denoiser
