"""Inference of labels by Bayes' rule.

The likelihood of a sample under each label is combined with the labels' frequencies in
the training data. Labels of codes are predicted by naive Bayes on the training codes.
"""

import numpy as np
from scipy.special import logsumexp
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import ClassifierTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae._data.conditions import Labels, Numbers
from skae._data.dataset import Dataset
from skae._variational.base import VariationalAutoencoder

# Importance samples of the log-likelihoods that labels are inferred from.
LABEL_DRAWS = 8


def _may_predict(estimator) -> bool:
    """Labels can be inferred; continuous y cannot."""
    return not isinstance(getattr(estimator, "_condition", None), Numbers)


class LabelsByEvidence(VariationalAutoencoder):
    """Abstract conditional estimator that infers labels which are not passed."""

    _private_state = (*VariationalAutoencoder._private_state, "_condition", "_labeller")

    def _store(self, trained, trainer) -> None:
        super()._store(trained, trainer)
        self._labeller = None
        if isinstance(self._condition, Labels):
            codes = self._encode(trainer.dataset)
            if codes.std(axis=0).all():  # naive Bayes needs a variance above 0
                labels = trainer.dataset.condition.argmax(axis=1)
                self._labeller = GaussianNB().fit(codes, labels)

    def _provisional(self, net) -> dict:
        known = {"_condition": self._condition, "_labeller": None}
        if isinstance(self._condition, Labels):
            known["classes_"] = self.classes_
        return {**super()._provisional(net), **known}

    # Conditions.

    def _make_query(self, X, y) -> Dataset:
        """Dataset of X with its condition, which is inferred if y is None."""
        check_is_fitted(self)
        X = self._validate(X)
        return Dataset(X, condition=self._condition_of(X, y))

    def _condition_of(self, X: np.ndarray, y) -> np.ndarray:
        if y is not None:
            return self._condition.encode(y, X.shape[0])
        most_likely = self._log_proba(X, "this method").argmax(axis=1)
        return np.eye(len(self.classes_), dtype=np.float32)[most_likely]

    def _condition_of_codes(self, codes: np.ndarray, y) -> np.ndarray:
        if y is not None:
            return self._condition.encode(y, len(codes))
        self._need_labels("this method")
        if self._labeller is None:
            places = np.full(len(codes), self._condition.share.argmax())
        else:
            # In float64, because squares of float32 may overflow.
            places = self._labeller.predict(codes.astype(np.float64))
        return np.eye(len(self.classes_), dtype=np.float32)[places]

    def _need_labels(self, what: str) -> None:
        if not isinstance(self._condition, Labels):
            raise ValueError(
                f"{what} requires y, because the y of fit is continuous and only labels "
                "are inferred. Pass y. In a Pipeline, enable metadata routing and call "
                "set_transform_request(y=True)."
            )

    def _joint(self, X: np.ndarray, n_draws: int, what: str) -> np.ndarray:
        """Joint log-density of each sample and label: (n_samples, n_classes)."""
        self._need_labels(what)
        n_draws = min(n_draws, self.n_importance_samples)
        logs = []
        for place, log_share in enumerate(self._condition.log_share):
            condition = np.zeros((X.shape[0], len(self.classes_)), dtype=np.float32)
            condition[:, place] = 1.0
            evidence = self._evidence(Dataset(X, condition=condition), n_draws)
            logs.append(evidence + log_share)
        return np.column_stack(logs)

    def _marginal(self, X: np.ndarray) -> np.ndarray:
        """Log-density of each sample, marginalised over labels."""
        return logsumexp(
            self._joint(X, self.n_importance_samples, "score_samples"), axis=1
        )

    def _log_proba(self, X: np.ndarray, what: str) -> np.ndarray:
        joint = self._joint(X, LABEL_DRAWS, what)
        # Where the density underflows for every label, label frequencies are returned.
        nowhere = np.isneginf(joint).all(axis=1)
        joint[nowhere] = self._condition.log_share
        return joint - logsumexp(joint, axis=1, keepdims=True)

    # Predicting.

    @available_if(_may_predict)
    def predict_proba(self, X):
        """Probability of each label, by Bayes' rule.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            Probabilities, in the order of ``classes_``.
        """
        check_is_fitted(self)
        return np.exp(self._log_proba(self._validate(X), "predict_proba"))

    @available_if(_may_predict)
    def predict_log_proba(self, X):
        """Logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), float64
            Logarithms, in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self._log_proba(self._validate(X), "predict_log_proba")

    @available_if(_may_predict)
    def predict(self, X):
        """Most probable label of each sample, see :meth:`predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted labels.
        """
        check_is_fitted(self)
        return self.classes_[self._log_proba(self._validate(X), "predict").argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags = ClassifierTags()  # it has predict_proba
        return tags
