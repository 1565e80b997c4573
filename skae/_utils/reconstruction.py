"""Decoding and reconstruction by any transformer: autoencoders, PCA, Pipelines, searches.

A Pipeline with an imputer has no ``inverse_transform``, because missing values cannot be
restored. Its reconstructions can be computed all the same: the imputer leaves the units
as they are, so its inverse is the identity.
"""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import get_tags


def to_dense(X, dtype=np.float64) -> np.ndarray:
    """Convert any table to a dense array."""
    return np.asarray(X.toarray() if issparse(X) else X, dtype=dtype)


def final_steps(estimator) -> list:
    """Steps of a Pipeline, without those that pass X on; or the estimator itself.

    Searches are replaced by their best estimator.
    """
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    if not hasattr(estimator, "steps"):
        return [estimator]
    steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    return [inner for step in steps for inner in final_steps(step)]


def is_imputer(step) -> bool:
    """Whether a step replaces missing values, and has no inverse for that reason."""
    if hasattr(step, "missing_values"):  # scikit-learn's
        return True
    if not hasattr(step, "transform") or hasattr(step, "inverse_transform"):
        return False
    return get_tags(step).input_tags.allow_nan


def can_decode(estimator) -> bool:
    steps = final_steps(estimator)
    return all(is_imputer(step) or hasattr(step, "inverse_transform") for step in steps)


def decode(estimator, codes):
    """Apply the inverses of all steps; features that an imputer dropped are NaN."""
    return _invert(final_steps(estimator), codes)


def reconstruct(estimator, X):
    """Encode and decode X, by ``reconstruct`` of the last step if it has that method."""
    *before, last = final_steps(estimator)
    for step in before:
        X = step.transform(X)
    if hasattr(last, "reconstruct"):  # which may use more than the code
        return _invert(before, last.reconstruct(X))
    return _invert([*before, last], last.transform(X))


def _invert(steps: list, X):
    for step in reversed(steps):
        X = _undo_imputation(step, X) if is_imputer(step) else step.inverse_transform(X)
    return X


def _undo_imputation(imputer, X) -> np.ndarray:
    """Move the features to their places before imputation, without indicators."""
    X = to_dense(X)
    if not hasattr(imputer, "get_feature_names_out"):
        return X
    n_features = imputer.n_features_in_
    names = getattr(imputer, "feature_names_in_", [f"x{i}" for i in range(n_features)])
    places = {name: place for place, name in enumerate(names)}
    if not places.keys() & set(imputer.get_feature_names_out()):
        raise ValueError(
            f"{type(imputer).__name__} has no inverse_transform, so that nothing can be "
            "reconstructed in the units of X. Use steps that have one and imputers."
        )
    restored = np.full((len(X), n_features), np.nan)
    for values, name in zip(X.T, imputer.get_feature_names_out(), strict=True):
        if name in places:
            restored[:, places[name]] = values
    return restored
