"""The scikit-learn side of a fitted autoencoder: codes, reconstructions and scores."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skae._base import code_basis
from skae._data.checks import check_samples, check_table
from skae._data.dataset import Dataset, chunk_size
from skae._training.inference import map_batches
from skae._utils.threads import OneThread, count_weights, suitable_threads


class FittedAutoencoder(
    OneThread, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Methods of all autoencoders once ``fit`` has set ``module_``. Abstract."""

    @property
    def history_(self) -> pd.DataFrame:
        names = {
            "stage": "stage",
            "epoch": "epoch",
            "train_loss": "train_loss",
            "valid_loss": "valid_loss",
            "lr": "learning_rate",
            "dur": "seconds",
        }
        epochs = self._history
        terms = [n for n in (epochs[0] if epochs else []) if n.startswith("train_")]
        terms = [n for n in terms if n != "train_loss" and not n.endswith("_best")]
        frame = pd.DataFrame(epochs, columns=[*names, *terms])
        # A refit has no validation set; callbacks see there the losses of the first fit.
        frame["valid_loss"] = frame["valid_loss"].where(frame["stage"] != "refit")
        return frame.rename(columns=names)

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            Codes, in the dtype of X. They are deterministic.
        """
        check_is_fitted(self)
        X = self._validate(X)
        return self._map(code_basis.encode, Dataset(X))

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as :meth:`transform` gives them.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructions in the units of the training data, in the dtype of X.
        """
        check_is_fitted(self)
        return self._map(code_basis.decode, Dataset(self._validate_codes(X)))

    def reconstruct(self, X):
        """Encode and decode: ``inverse_transform(transform(X))`` in one pass.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            Reconstructions, in the dtype of X.
        """
        check_is_fitted(self)
        X = self._validate(X)
        return self._map(code_basis.reconstruct, Dataset(X))

    def score_samples(self, X):
        """Minus the mean squared reconstruction error of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean squared error over the features, in the squared units of X,
            whatever the ``loss``, so that a search compares like with like. Higher is
            better. They are float64 for any X, because squares of float32 may overflow.
        """
        check_is_fitted(self)
        X = self._validate(X)
        return -self._map(code_basis.mean_squared_error, Dataset(X), dtype=np.float64)

    def score(self, X, y=None):
        """Return the mean of :meth:`score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        score : float
            Minus the mean squared error in the units of X. Higher is better.
        """
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    def _validate(self, X):
        return check_samples(self, X, reset=False)

    def _validate_codes(self, X):
        X = check_table(X, "X")
        if X.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} decodes codes "
                f"of n_components={self._n_features_out}. Pass what transform returned."
            )
        return X

    def _map(self, function: Callable, dataset: Dataset, dtype=None) -> np.ndarray:
        """Apply a function of module and batch; the result has the dtype of the data."""
        chunk = self._chunk()
        with suitable_threads(count_weights(self.module_), min(chunk, len(dataset))):
            precision = torch_dtype(dataset.x.dtype)
            dtype = dtype or dataset.x.dtype
            return map_batches(self.module_, function, dataset, precision, chunk, dtype)

    def _chunk(self) -> int:
        """Number of samples that fit into scikit-learn's ``working_memory``."""
        # A sample takes a handful of float64 copies of itself and of wider layers.
        widest = max(self.n_features_in_, getattr(self, "n_outputs_", 0), 128)
        sample_bytes = 8 * 16 * widest
        n_samples = int(get_config()["working_memory"] * 2**20 / sample_bytes)
        return max(1, min(n_samples, chunk_size(widest)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    return torch.float64 if dtype == np.float64 else torch.float32
