"""Generative models: sampling, interpolation, traversal and latent directions."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae._base import code_basis
from skae._data.dataset import Dataset


def check_count(value: int, name: str) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1.")


class SamplingMixin:
    """Sampling, conditional on labels if the estimator was fitted to labels.

    A subclass defines ``_generate(n_samples, condition, random_state, **options)``.
    """

    def _sample(self, n_samples: int, y, random_state, **options) -> np.ndarray:
        check_is_fitted(self)
        check_count(n_samples, "n_samples")
        random_state = check_random_state(random_state)
        condition = self._condition_of_samples(n_samples, y, random_state)
        return self._generate(n_samples, condition, random_state, **options)

    def _condition_of_samples(self, n_samples: int, y, random_state) -> np.ndarray | None:
        labels = getattr(self, "_labels", None)
        if labels is None:
            self._reject_labels(y)
            return None
        if y is None:
            y = random_state.choice(labels.classes, n_samples, p=labels.share)
        return labels.encode(y, n_samples)

    def _reject_labels(self, y) -> None:
        if y is not None:
            raise ValueError(
                f"y={y!r} must be None, because {type(self).__name__} was fitted with "
                "conditional=False. Fit it with conditional=True."
            )


class GenerativeMixin(SamplingMixin):
    """Interpolation, traversal and directions in a continuous latent space."""

    def _make_query(self, X) -> Dataset:
        check_is_fitted(self)
        return Dataset(self._validate(X))

    def _encode(self, dataset: Dataset) -> np.ndarray:
        return self._map(code_basis.encode, dataset)

    def _decode(self, codes: np.ndarray, condition: np.ndarray | None) -> np.ndarray:
        return self._map(code_basis.decode, Dataset(codes, condition=condition))

    def interpolate(self, X_from, X_to, n_steps=10):
        """Interpolate between samples along straight lines in the latent space.

        Parameters
        ----------
        X_from, X_to : array-like of shape (n_pairs, n_features)
            First and last samples of the paths.

        n_steps : int, default=10
            Number of samples on a path, both ends included.

        Returns
        -------
        paths : ndarray of shape (n_pairs, n_steps, n_features)
            Decoded codes on the lines; the ends are the reconstructions of ``X_from``
            and ``X_to``.
        """
        return self._interpolate(
            self._make_query(X_from), self._make_query(X_to), n_steps
        )

    def _interpolate(self, before: Dataset, after: Dataset, n_steps: int) -> np.ndarray:
        check_count(n_steps, "n_steps")
        if len(before) != len(after):
            raise ValueError(
                f"X_from has {len(before)} samples and X_to has {len(after)}, but a path "
                "connects a pair. Pass equally many of both."
            )
        codes = lines_between(self._encode(before), self._encode(after), n_steps)
        condition = before.condition
        if condition is not None:
            condition = lines_between(condition, after.condition, n_steps)
        return self._decode(codes, condition).reshape(len(before), n_steps, -1)

    def traverse(self, component, values, at=None):
        """Decode codes in which one component is varied.

        Parameters
        ----------
        component : int
            Index of the component, from 0.

        values : array-like of shape (n_values,)
            Values of that component; the prior's standard deviation is 1.

        at : array-like of shape (n_samples, n_features), default=None
            Samples whose codes have the other components. None is the prior mean, 0.

        Returns
        -------
        X : ndarray of shape (n_values, n_features) or (n_samples, n_values, n_features)
            Decoded codes; without ``at`` there is no axis of samples.
        """
        check_is_fitted(self)
        codes = self._prior_mean() if at is None else self._encode(self._make_query(at))
        swept = self._traverse(component, values, codes, None)
        return swept[0] if at is None else swept

    def _prior_mean(self) -> np.ndarray:
        return np.zeros((1, self._n_features_out))

    def _traverse(
        self, component: int, values, codes: np.ndarray, condition: np.ndarray | None
    ) -> np.ndarray:
        n_components = codes.shape[1]
        if not isinstance(component, Integral) or not 0 <= component < n_components:
            raise ValueError(
                f"component={component!r} must be an integer from 0 to "
                f"{n_components - 1}, as n_components={n_components}."
            )
        values = np.asarray(values, dtype=np.float64).ravel()
        swept = np.repeat(codes[:, None], len(values), axis=1)
        swept[:, :, component] = values
        if condition is not None:
            condition = np.repeat(condition, len(values), axis=0)
        flat = self._decode(swept.reshape(-1, n_components), condition)
        return flat.reshape(len(codes), len(values), -1)

    def direction(self, X_from, X_to):
        """Difference of two groups' mean codes, for arithmetic in the latent space.

        Parameters
        ----------
        X_from, X_to : array-like of shape (n_samples, n_features)
            Samples without and with an attribute; their numbers may differ.

        Returns
        -------
        direction : ndarray of shape (n_components,)
            Mean code of ``X_to`` minus that of ``X_from``. The attribute is added by
            ``inverse_transform(transform(X) + direction)``.
        """
        return self._direction(self._make_query(X_from), self._make_query(X_to))

    def _direction(self, before: Dataset, after: Dataset) -> np.ndarray:
        return self._encode(after).mean(axis=0) - self._encode(before).mean(axis=0)


def lines_between(starts: np.ndarray, ends: np.ndarray, n_steps: int) -> np.ndarray:
    """Points on the lines between pairs of codes, line by line."""
    share = np.linspace(0, 1, n_steps).astype(starts.dtype)[:, None]
    points = starts[:, None] * (1 - share) + ends[:, None] * share
    return points.reshape(-1, starts.shape[1])
