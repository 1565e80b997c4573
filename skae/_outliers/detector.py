"""Anomaly detection with denoising autoencoders, or with any autoencoder of skae.

Vincent et al., "Extracting and composing robust features with denoising autoencoders",
ICML 2008; Rousseeuw & Van Driessen, "A fast algorithm for the minimum covariance
determinant estimator", Technometrics 1999.
"""

import math
from numbers import Real

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from skae._base.all_or_nothing import all_or_nothing
from skae._base.estimator import AT_LEAST_ONE
from skae._data.checks import check_samples
from skae._data.dataset import Dataset, chunk_size
from skae._outliers.conformal import benjamini_hochberg, p_values
from skae._outliers.denoiser_ensemble import train_denoisers
from skae._outliers.distances import clusteredness
from skae._outliers.member_outputs import (
    DenoiserOutputs,
    EstimatorOutputs,
    has_likelihood,
    map_chunks,
)
from skae._outliers.scaling import fit_scaler
from skae._outliers.scoring import SCORINGS, make_anomaly_score
from skae._outliers.shapley import reference_sample, shapley_values
from skae._utils.device import resolve_device
from skae._utils.sklearn_compat import HasMethods, Interval, StrOptions, fit_context
from skae._utils.threads import OneThread, available_threads, libraries_on_one_thread
from skae._utils.torch_modes import training

CHUNK = 512  # samples to score at once, small enough for a CPU cache
MAX_REFERENCE = 10_000  # training samples that distances and thresholds are fitted to
MAX_CALIBRATION = 5_000  # calibration samples of a member
MAX_CLUSTEREDNESS = 2_000  # training samples whose clusteredness is computed
MIN_FOLDS = 4


class AEOutlierDetector(OneThread, OutlierMixin, BaseEstimator):
    """Anomaly detection (outlier and novelty detection) with denoising autoencoders.

    By default, an ensemble of four small networks is trained. The anomaly score of a
    sample is based on the Mahalanobis distance of its reconstruction residual, relative
    to the residuals of the training data. Features may have any units, and the training
    data may contain outliers or not. Prefer it when anomalies break dependencies between
    features. Where all anomalies are far from the training data, nearest neighbours
    separate them better.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        An unfitted autoencoder of this package that is used instead of the default
        networks; ``autoencoder__n_components`` can then be tuned. It is cloned for each
        member and fitted to X as it is, so scale features first if it depends on their
        units. Its ``fit`` must not need y. With None, X needs no scaling.

    n_estimators : int, default=4
        Number of members of the ensemble, whose scores are averaged. Each is trained
        without its calibration set for :meth:`p_values`: a quarter of the samples, or
        one n-th for n > 4 members. The default networks are trained side by side.

    scoring : {"auto", "reconstruction", "mahalanobis", "joint", "robust_joint", "knn", \
            "likelihood"}, default="auto"
        Anomaly score. "reconstruction" is the root mean square of the residual;
        "mahalanobis" its Mahalanobis distance; "joint" that of residual and code
        together, which detects shifts in any direction; "robust_joint" the same with the
        covariance of the most central three quarters of the samples; "knn" the distance
        of the code to training codes, of which each member keeps 128; "likelihood" the
        negative log-likelihood of a variational class. "auto" is "likelihood" for a
        variational class. Otherwise it combines a robust Mahalanobis distance of the
        residual with the distance to neighbours or the residual at a higher noise level
        ("robust_joint" for an ``autoencoder``), and adds the distance outside the
        training range.

    contamination : "auto" or float, default="auto"
        Share of outliers in the training data, in (0, 0.5], that the threshold of
        :meth:`predict` flags. With "auto", the threshold is below the median training
        score by three times the difference between median and lower quartile, or flags
        one training sample in 200 if that is more.

    max_iter : "auto" or int, default="auto"
        Number of epochs of the default networks. "auto" is 400 steps for up to 1,000
        samples, and grows with the square root of ``n_samples`` to at most 2,000.

    device : str or torch.device, default="auto"
        Device of the default networks. "auto" is CUDA if available, then MPS, then the
        CPU. An ``autoencoder`` has its own parameter.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, noise and the choice of the calibration sets.

    Attributes
    ----------
    offset_ : float
        Threshold: samples that score lower are labelled as outliers.

    expected_value_ : float
        Score of the reference sample of :meth:`explain`.

    neighbor_weight_ : float
        Weight in [0, 1] of the distance to neighbours with ``scoring="auto"``. It is
        near 1 if far training samples form clusters.

    module_ : torch.nn.Module or None
        The trained default networks; None if ``autoencoder`` was passed.

    estimators_ : list of estimators or None
        The fitted clones of ``autoencoder``.

    n_iter_ : int
        Number of epochs of the default networks, or the largest ``n_iter_`` of
        ``estimators_``.

    n_features_in_ : int
        Number of features seen during ``fit``.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features; only if X had string column names.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Faster; lower mean AUROC on ADBench.
    sklearn.neighbors.LocalOutlierFactor : Based on neighbours alone.

    Notes
    -----
    Scores are the negative mean logarithm of distances, each relative to its median over
    training samples: 0 is typical of an inlier, -1 is e times as far. A log-likelihood is
    in nats.

    References
    ----------
    Vincent et al., "Extracting and composing robust features with denoising
    autoencoders", ICML 2008, https://doi.org/10.1145/1390156.1390294

    Rousseeuw & Van Driessen, "A fast algorithm for the minimum covariance determinant
    estimator", Technometrics 1999, https://doi.org/10.1080/00401706.1999.10485670

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.metrics import roc_auc_score
    >>> from skae import AEOutlierDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test = X[y < 5][:600], X[600:]
    >>> detector = AEOutlierDetector(random_state=0).fit(X_train)
    >>> roc_auc_score(y[600:] < 5, detector.score_samples(X_test)) > 0.9
    True
    """

    # Fitted attributes besides those that end with an underscore.
    _private_state = (
        "_history",
        "_scaler",
        "_anomaly_scores",
        "_calibration_scores",
        "_reference",
    )

    _parameter_constraints: dict = {
        "autoencoder": [HasMethods(["fit", "transform", "reconstruct"]), None],
        "n_estimators": [AT_LEAST_ONE],
        "scoring": [StrOptions({"auto", *SCORINGS})],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "max_iter": [StrOptions({"auto"}), AT_LEAST_ONE],
        "device": [str, torch.device],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        autoencoder=None,
        *,
        n_estimators=4,
        scoring="auto",
        contamination="auto",
        max_iter="auto",
        device="auto",
        random_state=None,
    ):
        self.autoencoder = autoencoder
        self.n_estimators = n_estimators
        self.scoring = scoring
        self.contamination = contamination
        self.max_iter = max_iter
        self.device = device
        self.random_state = random_state

    # Fitting.

    @fit_context(prefer_skip_nested_validation=False)
    @libraries_on_one_thread
    def fit(self, X, y=None):
        """Fit the detector to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, in any units, with or without outliers.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not a finite numeric array, or parameters are not valid together. The
            result of an earlier ``fit`` is kept.
        """
        with all_or_nothing(self), training():
            X = check_samples(self, X, reset=True, accept_sparse=False)
            self._check_parameters()
            self._fit(X, check_random_state(self.random_state))
            self._set_thresholds(X)
        return self

    def _check_parameters(self) -> None:
        estimator = self.autoencoder
        if estimator is not None and get_tags(estimator).target_tags.required:
            raise ValueError(
                f"autoencoder={estimator!r} must not need y: a detector is fitted to X "
                "alone. Use a class or a corruption that does not need y, such as "
                "VAETransformer or DenoisingAE(corruption='gaussian')."
            )
        if self.scoring == "likelihood" and not (estimator and has_likelihood(estimator)):
            raise ValueError(
                "scoring='likelihood' requires an autoencoder with a likelihood, and "
                f"autoencoder={estimator!r} has none. Pass VAETransformer(), or use "
                "another scoring."
            )

    def _fit(self, X: np.ndarray, random_state: np.random.RandomState) -> None:
        device = resolve_device(self.device)
        order = random_state.permutation(len(X))
        n_held_out = len(X) // max(self.n_estimators, MIN_FOLDS)
        held_out = order[: n_held_out * self.n_estimators]
        held_out = held_out.reshape(self.n_estimators, n_held_out)
        train = np.stack([np.setdiff1d(order, indices) for indices in held_out])
        scaler = self._scaler = fit_scaler(Dataset(X), random_state)
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        self.module_ = self._history = self.estimators_ = None
        if self.autoencoder is None:
            self.module_, self._history = train_denoisers(
                Dataset(X), scaler, train, self.max_iter, seed, device
            )
            self.n_iter_ = len(self._history)
        else:
            self.estimators_ = self._fit_clones(X, train, seed)
            self.n_iter_ = max(estimator.n_iter_ for estimator in self.estimators_)
        sampled = Dataset(X).subset(np.sort(order[:MAX_CLUSTEREDNESS]))
        scaled = torch.cat([scaler(batch.x) for batch in sampled.chunks()])
        far = clusteredness(scaled.numpy())
        # At a clusteredness of 0, far samples are as clustered as others.
        self.neighbor_weight_ = 1 / (1 + math.exp(-(far + 0.05) / 0.05))
        self._fit_scores(X, train, held_out, random_state)
        self._reference = reference_sample(X, np.sort(order[:MAX_REFERENCE]))

    def _fit_clones(self, X: np.ndarray, train: np.ndarray, seed: int) -> list:
        estimators = []
        for member, indices in enumerate(train):
            estimator = clone(self.autoencoder)
            if "random_state" in estimator.get_params(deep=False):
                estimator.set_params(random_state=(seed + member) % 2**31)
            estimators.append(estimator.fit(X[indices]))
        return estimators

    def _fit_scores(
        self,
        X: np.ndarray,
        train: np.ndarray,
        held_out: np.ndarray,
        random_state: np.random.RandomState,
    ) -> None:
        """Fit each member's anomaly score, and apply it to its calibration set."""
        outputs = self._member_outputs()
        self._anomaly_scores, self._calibration_scores = [], []
        for member, indices in enumerate(train):
            indices = np.sort(random_state.permutation(indices)[:MAX_REFERENCE])
            output = outputs.of_member(member, X[indices])
            score = make_anomaly_score(
                self.scoring, output, self.neighbor_weight_, random_state
            ).fit(output)
            self._anomaly_scores.append(score)
            calibration = X[held_out[member][:MAX_CALIBRATION]]
            scores = np.empty(0)
            if len(calibration):
                scores = np.sort(score(outputs.of_member(member, calibration)))
            self._calibration_scores.append(scores)

    def _set_thresholds(self, X: np.ndarray) -> None:
        self.expected_value_ = float(self._score(self._reference[None])[0])
        if self.contamination != "auto":
            scores = self._score(X)
            self.offset_ = float(np.percentile(scores, 100 * self.contamination))
            return
        scores = self._score(X[:: max(1, len(X) // MAX_REFERENCE)])
        lowest, quartile, median = np.percentile(scores, [0.5, 25, 50])
        self.offset_ = float(max(median - 3 * (median - quartile), lowest))

    # Inference.

    def _member_outputs(self) -> DenoiserOutputs | EstimatorOutputs:
        if self.module_ is not None:
            return DenoiserOutputs(self.module_)
        return EstimatorOutputs(self.estimators_, self._scaler)

    @libraries_on_one_thread
    def _member_scores(self, X: np.ndarray) -> np.ndarray:
        """Anomaly scores of shape (n_members, n_samples)."""
        outputs = self._member_outputs()

        def scores(chunk):
            chunk = chunk.astype(np.float64, copy=False)
            pairs = zip(self._anomaly_scores, outputs(chunk), strict=True)
            return np.stack([score(output) for score, output in pairs], axis=1)

        n_workers = 1 if self.module_ is None else available_threads()
        size = min(CHUNK, chunk_size(X.shape[1]))
        return map_chunks(scores, X, size, n_workers).T

    def _score(self, X: np.ndarray) -> np.ndarray:
        return -self._member_scores(X).mean(axis=0)

    def _validate(self, X):
        check_is_fitted(self)
        return check_samples(self, X, reset=False, accept_sparse=False)

    def score_samples(self, X):
        """Return the score of each sample; the anomaly score is its negative.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Lower is more anomalous. A score does not depend on the other samples in X.
        """
        return self._score(self._validate(X))

    def decision_function(self, X):
        """Return the score of each sample relative to the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
            ``score_samples(X) - offset_``: negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Label samples as inliers or outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for inliers.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X):
        """Return cross-conformal p-values of the null hypothesis "inlier".

        The p-value is the share of the members' calibration samples, and the sample
        itself, with at least its anomaly score. If training data are free of outliers,
        small p-values are hardly ever more frequent among inliers than their value (the
        theory guarantees at most twice as often); as averages over members they lie
        closer to 1/2 than uniform ones. Outliers in the training data raise p-values, so
        that fewer samples are detected.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples that the detector was not fitted to.

        Returns
        -------
        p : ndarray of shape (n_samples,)
            From 1 / (1 + n) to 1, where n is the number of calibration samples, at most
            5,000 per member.
        """
        X = self._validate(X)
        return p_values(self._member_scores(X), self._calibration_scores)

    def predict_fdr(self, X, alpha=0.1):
        """Label samples as outliers, with control of the false discovery rate.

        The Benjamini-Hochberg procedure on :meth:`p_values`. Unlike in :meth:`predict`,
        the label of a sample depends on the other samples in X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples that the detector was not fitted to.

        alpha : float, default=0.1
            Expected share of inliers among the samples that are labelled as outliers.
            Larger values label more.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for inliers.
        """
        if not (isinstance(alpha, Real) and 0 < alpha < 1):
            raise ValueError(
                f"alpha={alpha!r}, the false discovery rate, must be a number between 0 "
                "and 1. Pass alpha=0.1, for example."
            )
        return np.where(benjamini_hochberg(self.p_values(X), alpha), -1, 1)

    def explain(self, X):
        """Return the contribution of each feature to the score, by Shapley values.

        Contributions are relative to one reference sample: the medians of the training
        data (of binary features such as dummy variables, the most frequent combination).
        A contribution is the change of the score when a feature moves from its reference
        value to its own, averaged over eight orders of the features. Each sample costs
        8 (n_features + 1) evaluations of the score, so pass only samples of interest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples to explain.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            They sum over features to ``score_samples(X) - expected_value_``. The most
            negative feature is the most anomalous.
        """
        index = getattr(X, "index", None)
        values = self._validate(X)
        contributions = shapley_values(self._score, values, self._reference)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(values.shape[1])]
        index = index if isinstance(index, pd.Index) else None
        return pd.DataFrame(contributions, index=index, columns=names)
