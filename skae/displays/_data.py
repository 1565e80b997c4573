"""Data that displays draw: feature names, units, reconstructions."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skae._utils.reconstruction import can_decode, final_steps, to_dense


class Units(NamedTuple):
    """Units that features are drawn in: standard deviations, or the units of X."""

    mean: np.ndarray  # (n_features,)
    spread: np.ndarray  # (n_features,), not 0
    label: str

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return (X - self.mean) / self.spread

    @classmethod
    def of_samples(cls, X) -> "Units":
        """Units of any table; missing values do not count."""
        if issparse(X):
            mean, variance = mean_variance_axis(csr_array(X, dtype=np.float64), axis=0)
            return cls._of(mean, np.sqrt(variance))
        X = to_dense(X)
        observed = ~np.isnan(X)
        n_observed = np.maximum(observed.sum(axis=0), 1)
        mean = X.sum(axis=0, where=observed) / n_observed
        centred = np.where(observed, X - mean, 0.0)
        return cls._of(mean, np.sqrt(np.square(centred).sum(axis=0) / n_observed))

    @classmethod
    def of_estimator(cls, estimator, X, n_features: int) -> "Units":
        """The units of X if it is given, else the estimator's feature scaling."""
        if X is not None:
            return cls.of_samples(X)
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


def first_samples(X, n_samples: int):
    """The first samples, in the container type of X."""
    if hasattr(X, "iloc"):
        return X.iloc[:n_samples]
    X = csr_array(X) if issparse(X) else X
    return X[:n_samples] if hasattr(X, "shape") else np.asarray(X)[:n_samples]


def one_sample(X, place: int):
    """The sample at this position as a table, in the container type of X."""
    if hasattr(X, "iloc"):
        return X.iloc[[place]]
    X = csr_array(X) if issparse(X) else X
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


def check_decodes(estimator) -> None:
    if not (hasattr(estimator, "reconstruct") or can_decode(estimator)):
        raise ValueError(
            f"{type(estimator).__name__} has no inverse_transform to decode codes with. "
            "Pass an autoencoder, PCA, or a Pipeline of steps that have one and imputers."
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
    found = final_steps(estimator)[-1]
    if not any(hasattr(found, name) for name in attributes):
        raise ValueError(
            f"{type(found).__name__} has no {' or '.join(attributes)} to draw. Fit it "
            "first, or pass an estimator that has one."
        )
    return found


def pass_to_last(estimator, X):
    """Transform X by all steps of a Pipeline but the last."""
    for step in final_steps(estimator)[:-1]:
        X = step.transform(X)
    return X


def write(number: float) -> str:
    """Format with three digits, without exponent below 1e6."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"


def check_at_least_one(value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1.")
    return int(value)
