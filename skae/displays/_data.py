"""From estimators and tables to what displays draw: names, units, reconstructions."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse


class Units(NamedTuple):
    """What features are drawn in: their standard deviations, or as they are."""

    mean: np.ndarray  # (n_features,)
    spread: np.ndarray  # (n_features,), not 0
    label: str

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return (X - self.mean) / self.spread

    @classmethod
    def of_rows(cls, X: np.ndarray) -> "Units":
        return cls._of(X.mean(axis=0), X.std(axis=0))

    @classmethod
    def of_estimator(cls, estimator, X, n_features: int) -> "Units":
        """Those of X if it is given, else what the estimator was trained in."""
        if X is not None:
            return cls.of_rows(to_array(X))
        spread = getattr(_outputs(estimator), "spread", None)
        # One unit for all columns tells no two of them apart.
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
    """Any table as a dense matrix of float64."""
    return np.asarray(X.toarray() if issparse(X) else X, dtype=np.float64)


def first_rows(X, n_rows: int):
    """The first rows of a table, which stays what it is."""
    if hasattr(X, "iloc"):
        return X.iloc[:n_rows]
    return X[:n_rows] if hasattr(X, "shape") else np.asarray(X)[:n_rows]


def one_row(X, row: int):
    """The row at this position, as a table of what it was."""
    if hasattr(X, "iloc"):
        return X.iloc[[row]]
    return X[[row]] if hasattr(X, "shape") else np.asarray(X)[[row]]


def row_names(X) -> list[str]:
    """What rows are called: their index, or their number."""
    index = getattr(X, "index", None)
    if index is None or callable(index):
        index = range(np.shape(X)[0])
    return [str(name) for name in index]


def feature_names(n_features: int, *sources) -> list[str]:
    """Names from the first table or estimator that knows as many."""
    for source in sources:
        known = getattr(source, "columns", getattr(source, "feature_names_in_", None))
        if known is not None and len(known) == n_features:
            return [str(name) for name in known]
    return [f"x{i}" for i in range(n_features)]


def reconstruct(estimator, X) -> np.ndarray:
    """Rows as the estimator gives them back, by the method that it has."""
    if hasattr(estimator, "reconstruct"):
        return to_array(estimator.reconstruct(X))
    check_decodes(estimator)
    return to_array(estimator.inverse_transform(estimator.transform(X)))


def check_decodes(estimator) -> None:
    if not hasattr(estimator, "inverse_transform"):
        raise ValueError(
            f"{type(estimator).__name__} has no inverse_transform, so nothing can be "
            "decoded. Pass an autoencoder, PCA, or a Pipeline of steps that all have one."
        )


def count_components(estimator) -> int:
    """Length of a code."""
    found = getattr(estimator, "best_estimator_", estimator)
    try:
        return len(found.get_feature_names_out())
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"{type(estimator).__name__} does not say how long its codes are. Pass at=, "
            "a row whose code shows it."
        ) from error


def find_fitted(estimator, *attributes: str):
    """The estimator, or the step within a search or Pipeline, that has one of these."""
    found = _steps(estimator)[-1][1]
    if not any(hasattr(found, name) for name in attributes):
        raise ValueError(
            f"{type(found).__name__} has no {' or '.join(attributes)}, which this "
            "display draws. Fit it first, or pass an estimator that has one."
        )
    return found


def pass_to_last(estimator, X):
    """X as the last step of a Pipeline sees it."""
    for _, step in _steps(estimator)[:-1]:
        X = X if step in (None, "passthrough") else step.transform(X)
    return X


def _steps(estimator) -> list[tuple]:
    found = getattr(estimator, "best_estimator_", estimator)
    return getattr(found, "steps", [("", found)])


def write(number: float) -> str:
    """Three digits, and no exponent where there is room."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"


def check_at_least_one(value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1.")
    return int(value)
