"""The scikit-learn side of a fitted autoencoder: codes, rows and scores."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._base import code_basis
from skae._data.dataset import CHUNK, Dataset
from skae._nn.autoencoder import AutoencoderModule
from skae._utils.runtime import suitable_threads

FLOATS = (np.float64, np.float32)


class FittedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What all autoencoders can be used for, once ``fit`` has set ``net_``. Abstract."""

    # What has been fitted.

    @property
    def module_(self) -> AutoencoderModule:
        # A second reference to the module would become a second module when unpickled.
        return self.net_.module_

    @property
    def history_(self) -> pd.DataFrame:
        columns = {
            "stage": "stage",
            "epoch": "epoch",
            "train_loss": "train_loss",
            "valid_loss": "valid_loss",
            "lr": "learning_rate",
            "dur": "seconds",
        }
        dataset = list(self.net_.history)
        terms = [n for n in (dataset[0] if dataset else []) if n.startswith("train_")]
        terms = [n for n in terms if n != "train_loss" and not n.endswith("_best")]
        frame = pd.DataFrame(dataset, columns=[*columns, *terms])
        # A refit has no rows held out; what skorch's callbacks read there is a replay.
        frame["valid_loss"] = frame["valid_loss"].where(frame["stage"] != "refit")
        return frame.rename(columns=columns)

    # Using what was fitted.

    def transform(self, X):
        """Encode the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            The codes, in the dtype of X. The same rows always give the same codes.
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
            Rows in the units of the training data, in the dtype of the codes.
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
            What the code retains of X, in the dtype of X.
        """
        check_is_fitted(self)
        X = self._validate(X)
        return self._map(code_basis.reconstruct, Dataset(X))

    def score_samples(self, X):
        """Score each row by how well it is reconstructed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean squared error of each row in the units of X, whatever the
            ``loss``, so that a search compares like with like. Higher is better. They
            are float64 for any X, because squares of float32 may exceed float32.
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
        return validate_data(self, X, dtype=FLOATS, accept_sparse="csr", reset=False)

    def _validate_codes(self, X):
        X = check_array(X, dtype=FLOATS, input_name="X")
        if X.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__} decodes codes of "
                f"n_components={self._n_features_out}. Pass what transform returned."
            )
        return X

    def _map(self, function: Callable, dataset: Dataset, dtype=None) -> np.ndarray:
        """Apply a function of module and batch; what comes out has the rows' dtype."""
        chunk = self._chunk()
        with suitable_threads(self.net_.n_weights, min(chunk, len(dataset))):
            precision = torch_dtype(dataset.x.dtype)
            result = self.net_.map_batches(function, dataset, precision, chunk)
        return result.astype(dtype or dataset.x.dtype, copy=False)

    def _chunk(self) -> int:
        """How many rows fit into scikit-learn's ``working_memory``."""
        # A row passes through a handful of float64 copies of itself and wider layers.
        widest = max(self.n_features_in_, getattr(self, "n_outputs_", 0), 128)
        row_bytes = 8 * 16 * widest
        n_samples = int(get_config()["working_memory"] * 2**20 / row_bytes)
        return max(1, min(n_samples, CHUNK))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    return torch.float64 if dtype == np.float64 else torch.float32
