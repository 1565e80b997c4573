"""Data that displays draw: feature names, units, reconstructions."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse


class Units(NamedTuple):
    """Units that features are drawn in: standard deviations, or the units of X."""

    mean: np.ndarray  # (n_features,)
    spread: np.ndarray  # (n_features,), not 0
    label: str

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return (X - self.mean) / self.spread

    @classmethod
    def of_samples(cls, X: np.ndarray) -> "Units":
        return cls._of(X.mean(axis=0), X.std(axis=0))

    @classmethod
    def of_estimator(cls, estimator, X, n_features: int) -> "Units":
        """The units of X if it is given, else the estimator's feature scaling."""
        if X is not None:
            return cls.of_samples(to_array(X))
        spread = getattr(_outputs(estimator), "spread", None)
        # A scale shared by all features does not standardise them: keep the units of X.
        if spread is None or (spread == spread[0]).all():
            return cls(np.zeros(n_features), np.ones(n_features), "units of X")
        mean = _outputs(estimator).mean
        return cls._of(mean.cpu().numpy(), spread.cpu().numpy())

    @classmethod
    def _of(cls, mean: np.ndarray, spread: np.ndarray) -> "Units":
        label = "standard deviations" if spread.any() else "difference from the mean"
        return cls(mean, np.where(spread > 0, spread, 1.0), label)


def _outputs(estimator):
    return getattr(getattr(estimator, "module_", None), "outputs", None)


def to_array(X) -> np.ndarray:
    """Convert any table to a dense float64 array."""
    return np.asarray(X.toarray() if issparse(X) else X, dtype=np.float64)


def first_samples(X, n_samples: int):
    """The first samples, in the container type of X."""
    if hasattr(X, "iloc"):
        return X.iloc[:n_samples]
    return X[:n_samples] if hasattr(X, "shape") else np.asarray(X)[:n_samples]


def one_sample(X, place: int):
    """The sample at this position as a table, in the container type of X."""
    if hasattr(X, "iloc"):
        return X.iloc[[place]]
    return X[[place]] if hasattr(X, "shape") else np.asarray(X)[[place]]


def sample_names(X) -> list[str]:
    """Names of the samples: their index in a DataFrame, or their number."""
    index = getattr(X, "index", None)
    if index is None or callable(index):
        index = range(np.shape(X)[0])
    return [str(name) for name in index]


def feature_names(n_features: int, *sources) -> list[str]:
    """Feature names of the first source that has this number of them."""
    for source in sources:
        known = getattr(source, "columns", getattr(source, "feature_names_in_", None))
        if known is not None and len(known) == n_features:
            return [str(name) for name in known]
    return [f"x{i}" for i in range(n_features)]


def reconstruct(estimator, X) -> np.ndarray:
    """Reconstruct X with ``reconstruct``, or ``inverse_transform`` of ``transform``."""
    if hasattr(estimator, "reconstruct"):
        return to_array(estimator.reconstruct(X))
    check_decodes(estimator)
    return to_array(estimator.inverse_transform(estimator.transform(X)))


def check_decodes(estimator) -> None:
    if not hasattr(estimator, "inverse_transform"):
        raise ValueError(
            f"{type(estimator).__name__} has no inverse_transform to decode codes with. "
            "Pass an autoencoder, PCA, or a Pipeline of steps that all have one."
        )


def count_components(estimator) -> int:
    """Number of components of the code."""
    found = getattr(estimator, "best_estimator_", estimator)
    try:
        return len(found.get_feature_names_out())
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"The number of components of {type(estimator).__name__} is not known. Pass "
            "at=, a sample to encode."
        ) from error


def find_fitted(estimator, *attributes: str):
    """The final estimator of a search or Pipeline, which must have an attribute."""
    found = _steps(estimator)[-1][1]
    if not any(hasattr(found, name) for name in attributes):
        raise ValueError(
            f"{type(found).__name__} has no {' or '.join(attributes)} to draw. Fit it "
            "first, or pass an estimator that has one."
        )
    return found


def pass_to_last(estimator, X):
    """Transform X by all steps of a Pipeline but the last."""
    for _, step in _steps(estimator)[:-1]:
        X = X if step in (None, "passthrough") else step.transform(X)
    return X


def _steps(estimator) -> list[tuple]:
    found = getattr(estimator, "best_estimator_", estimator)
    return getattr(found, "steps", [("", found)])


def write(number: float) -> str:
    """Format with three digits, without exponent below 1e6."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"


def check_at_least_one(value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1.")
    return int(value)
