"""Metrics of reconstruction quality."""

import warnings
from collections.abc import Iterator
from numbers import Real

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_array, gen_batches

from skae._utils import reconstruction

CHUNK_VALUES = 2**22  # of sparse data, that are made dense at once


def reconstruction_r2(estimator, X, y=None):
    """R2 of the reconstruction: the share of the variance of X that is retained.

    One minus the squared error of ``inverse_transform(transform(X))``, or of
    ``reconstruct(X)`` if there is such a method, over the squared deviations of X from
    its feature means, both summed over features, in the units of X. It is a scorer: pass
    the function itself as ``scoring=`` to a grid search over PCA, KernelPCA, autoencoders
    or Pipelines of them.

    Missing values, of a Pipeline with an imputer, are left out of both sums.

    Parameters
    ----------
    estimator : object
        A fitted transformer with ``inverse_transform``, or a Pipeline of such steps and
        imputers.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples to reconstruct.

    y : {array-like, sparse matrix} of shape (n_samples, n_outputs), default=None
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
    *before, last = steps = reconstruction.final_steps(estimator)
    is_paired = getattr(last, "_is_paired", False)
    sums, n_observed, low, high = 0.0, 0, np.inf, -np.inf
    for _, target in _chunks(X, y if is_paired else X):
        observed = _observed(target, steps)
        sums = sums + target.sum(axis=0, where=observed)
        n_observed = n_observed + observed.sum(axis=0)
        low = np.minimum(low, target.min(axis=0, where=observed, initial=np.inf))
        high = np.maximum(high, target.max(axis=0, where=observed, initial=-np.inf))
    if not (low < high).any():
        warnings.warn(
            f"R2 is not defined for n_samples={np.shape(X)[0]} without variance; "
            "returning NaN. Pass at least two samples that differ.",
            stacklevel=2,
        )
        return float("nan")
    mean = sums / np.maximum(n_observed, 1)
    error = total = 0.0
    for samples, target in _chunks(X, y if is_paired else X):
        if is_paired:  # in the units of the targets, which earlier steps do not change
            for step in before:
                samples = step.transform(samples)
            found = last.reconstruct(samples)
        else:
            found = reconstruction.reconstruct(estimator, samples)
        found = reconstruction.to_dense(found)
        dropped = _dropped(found, steps)
        check_array(found[:, ~dropped], input_name="the reconstruction")
        counted = _observed(target, steps) & ~dropped
        error += np.square(np.where(counted, target - found, 0.0)).sum()
        total += np.square(np.where(counted, target - mean, 0.0)).sum()
    return float(1 - error / total)


def _chunks(X, targets) -> Iterator[tuple]:
    """Samples, and their targets as a dense array; all at once unless they are sparse."""
    options = dict(dtype=np.float64, ensure_all_finite="allow-nan", input_name="X")
    if not issparse(targets):
        yield X, check_array(targets, **options)
        return
    pair = [csr_array(values) if issparse(values) else values for values in (X, targets)]
    n_samples, n_features = targets.shape
    for chunk in gen_batches(n_samples, max(1, CHUNK_VALUES // n_features)):
        samples, some = (values[chunk] for values in pair)
        yield samples, check_array(some.toarray(), **options)


def _observed(target: np.ndarray, steps: list) -> np.ndarray:
    """Which values are not missing: not NaN, nor what a first imputer replaces."""
    missing = getattr(steps[0], "missing_values", np.nan)
    observed = ~np.isnan(target)
    return observed & (target != missing) if isinstance(missing, Real) else observed


def _dropped(found: np.ndarray, steps: list) -> np.ndarray:
    """Features without any value in training, which an imputer leaves out."""
    dropped = np.isnan(found).all(axis=0)
    return dropped & any(map(reconstruction.is_imputer, steps))
