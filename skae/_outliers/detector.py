"""The outlier detector: rows that autoencoders cannot mend, or that lie apart.

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
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._base.estimator import AT_LEAST_ONE, all_or_nothing
from skae._base.transformer import FLOATS
from skae._data.dataset import Dataset
from skae._outliers.conformal import discoveries, p_values
from skae._outliers.denoiser_ensemble import train_denoisers
from skae._outliers.distances import crowding
from skae._outliers.member_outputs import (
    DenoiserViews,
    EstimatorViews,
    has_likelihood,
    in_chunks,
)
from skae._outliers.scaling import fit_units
from skae._outliers.scoring import SCORINGS, make_oddness
from skae._outliers.shapley import contributions, typical_row
from skae._utils.runtime import resolve_device
from skae._utils.sklearn_compat import HasMethods, Interval, StrOptions, fit_context

CHUNK = 512  # rows to score at once, few enough for a cache
MAX_DESCRIBED = 10_000  # rows that distances are fitted to
MAX_KNOWN = 5_000  # rows held out that p-values compare with, for each member
MAX_CROWD = 2_000
MIN_FOLDS = 4


class AEOutlierDetector(OutlierMixin, BaseEstimator):
    """Outlier detector of denoising autoencoders, or of any autoencoder here.

    By default four small networks learn to mend spoilt rows. A row is odd if they change
    it in a way in which they do not change training rows. The columns may have any
    units, and the training data may hold outliers or not: if far training rows lie in
    groups, as faults of one kind do, distances to the bulk of the rows count more.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        An unfitted autoencoder of this package to score rows with, so that
        ``autoencoder__n_components`` can be searched. It is cloned for each member, and
        sees X as it is, so scale columns first if it is sensitive to units. Not one that
        needs y. None is the default networks, for which X needs no scaling.

    n_estimators : int, default=4
        Number of members, whose scores are averaged. Each leaves out a quarter of the
        rows (or one n-th, with n members, if there are more than four), by which
        :meth:`p_values` are calibrated. The default networks are trained side by side.

    scoring : {"auto", "reconstruction", "mahalanobis", "joint", "robust_joint", "knn", \
            "likelihood"}, default="auto"
        What makes a row odd. "reconstruction" is the length of the residual;
        "mahalanobis" its length by its own covariance; "joint" the same of residual and
        code together, which no direction can hide from; "robust_joint" with a covariance
        of the most usual three quarters of the rows; "knn" the distance of the code to
        training codes, of which each member keeps 128; "likelihood" that of a variational
        class. "auto" is the likelihood of a variational class. Otherwise it joins a
        robust covariance of the residual with neighbours, or with what wider noise
        leaves, and adds how far a row lies beyond all training rows.

    contamination : "auto" or float, default="auto"
        Share of outliers in the training data, in (0, 0.5], which sets the threshold of
        :meth:`predict`. "auto" puts it below the median training score by three times
        what the lower quartile lies below it, but where it names one training row in 200
        at least.

    max_iter : "auto" or int, default="auto"
        Number of epochs of the default networks. "auto" is 400 steps for 1,000 rows or
        fewer, and grows with the square root of their number, to 2,000.

    device : str or torch.device, default="auto"
        Where the default networks compute. "auto" takes CUDA, then MPS, then the CPU. An
        autoencoder that is passed has its own.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, noise and which rows each member leaves out.

    Attributes
    ----------
    offset_ : float
        Rows that score below it are outliers.

    base_score_ : float
        Score of the reference row from which :meth:`explain` departs.

    caution_ : float
        Weight in [0, 1] that the distance to other rows has with ``scoring="auto"``:
        near 1 if far training rows lie in groups.

    net_ : skorch.NeuralNet or None
        The trained default networks.

    estimators_ : list of estimators or None
        The fitted clones of ``autoencoder``.

    n_iter_ : int
        Number of epochs that the default networks were trained for, or the most that one
        of ``estimators_`` was.

    n_features_in_ : int
        Number of features seen during ``fit``.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features; only if X had string column names.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Faster, and coarser.
    sklearn.neighbors.LocalOutlierFactor : By neighbours alone.

    Notes
    -----
    Scores are minus the mean logarithm of distances, each relative to that of the median
    training row: 0 is usual, -1 is e times as far. Those of a likelihood are in nats.

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
    >>> known, rest = X[y < 5][:600], X[600:]
    >>> detector = AEOutlierDetector(random_state=0).fit(known)
    >>> roc_auc_score(y[600:] < 5, detector.score_samples(rest)) > 0.9
    True
    """

    # What fit sets besides names that end with an underscore.
    _private_state = ("_units", "_scores", "_known", "_reference")

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
    def fit(self, X, y=None):
        """Learn what usual rows look like.

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
            If X is not a finite numeric table, or if parameters do not suit each other.
            What an earlier ``fit`` left is kept.
        """
        with all_or_nothing(self), torch.inference_mode(False), torch.enable_grad():
            X = validate_data(self, X, dtype=FLOATS)
            self._check_parameters()
            self._fit(X, check_random_state(self.random_state))
            self._set_thresholds(X)
        return self

    def _fit(self, X: np.ndarray, random_state: np.random.RandomState) -> None:
        device = resolve_device(self.device)
        order = random_state.permutation(len(X))
        n_left_out = len(X) // max(self.n_estimators, MIN_FOLDS)
        left_out = order[: n_left_out * self.n_estimators]
        left_out = left_out.reshape(self.n_estimators, n_left_out)
        used = np.stack([np.setdiff1d(order, part) for part in left_out])
        units = fit_units(Dataset(X), random_state)
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        net = estimators = None
        if self.autoencoder is None:
            net = train_denoisers(Dataset(X), units, used, self.max_iter, seed, device)
            views = DenoiserViews(net)
        else:
            estimators = self._fit_clones(X, used, seed)
            views = EstimatorViews(estimators, units)
        crowd = units(torch.as_tensor(X[np.sort(order[:MAX_CROWD])])).numpy()
        # Zero is where far rows are as near to their own kind as others are.
        caution = 1 / (1 + math.exp(-(crowding(crowd) + 0.05) / 0.05))
        scores, known = [], []
        for member, (rows, others) in enumerate(zip(used, left_out, strict=True)):
            rows = np.sort(random_state.permutation(rows)[:MAX_DESCRIBED])
            view = views.of_member(member, X[rows])
            score = make_oddness(self.scoring, view, caution, random_state).fit(view)
            scores.append(score)
            others = others[:MAX_KNOWN]
            odd = score(views.of_member(member, X[others])) if len(others) else []
            known.append(np.sort(odd))
        self.net_, self.estimators_, self.caution_ = net, estimators, caution
        trained = [len(net.history)] if net else [e.n_iter_ for e in estimators]
        self.n_iter_ = max(trained)
        self._units, self._scores, self._known = units, scores, known
        self._reference = typical_row(X[np.sort(order[:MAX_DESCRIBED])])

    def _check_parameters(self) -> None:
        estimator = self.autoencoder
        if estimator is not None and get_tags(estimator).target_tags.required:
            raise ValueError(
                f"autoencoder={estimator!r} learns from X and y, and a detector is "
                "fitted to X alone. Use a class or a corruption that does without y, "
                "such as VAETransformer or DenoisingAE(corruption='gaussian')."
            )
        if self.scoring == "likelihood" and not (estimator and has_likelihood(estimator)):
            raise ValueError(
                f"scoring='likelihood' needs an autoencoder that has one, and "
                f"autoencoder={estimator!r} does not. Pass VAETransformer(), or use "
                "another scoring."
            )

    def _fit_clones(self, X: np.ndarray, used: np.ndarray, seed: int) -> list:
        estimators = []
        for member, rows in enumerate(used):
            estimator = clone(self.autoencoder)
            if "random_state" in estimator.get_params(deep=False):
                estimator.set_params(random_state=(seed + member) % 2**31)
            estimators.append(estimator.fit(X[rows]))
        return estimators

    def _set_thresholds(self, X: np.ndarray) -> None:
        self.base_score_ = float(self._score(self._reference[None])[0])
        if self.contamination != "auto":
            scores = self._score(X)
            self.offset_ = float(np.percentile(scores, 100 * self.contamination))
            return
        few = X[:: max(1, len(X) // MAX_DESCRIBED)]
        least, low, median = np.percentile(self._score(few), [0.5, 25, 50])
        self.offset_ = float(max(median - 3 * (median - low), least))

    # Using what was fitted.

    @property
    def _views(self):
        if self.net_ is not None:
            return DenoiserViews(self.net_)
        return EstimatorViews(self.estimators_, self._units)

    def _oddness(self, X: np.ndarray) -> np.ndarray:
        """By each member, (n_members, n_rows)."""

        def score(rows):
            views = self._views(rows)
            return np.stack([s(v) for s, v in zip(self._scores, views, strict=True)], 1)

        if self.net_ is None:  # which has threads of its own
            return in_chunks(score, X, CHUNK).T
        self.net_.module_for(torch.float64)  # made once, not by each worker
        return in_chunks(score, X, CHUNK, torch.get_num_threads()).T

    def _score(self, X: np.ndarray) -> np.ndarray:
        return -self._oddness(np.asarray(X, dtype=np.float64)).mean(axis=0)

    def _validate(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False)

    def score_samples(self, X):
        """Score each row by how usual it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Higher is more usual. They do not depend on which rows come together.
        """
        return self._score(self._validate(X))

    def decision_function(self, X):
        """Score each row against the threshold.

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
        """Say which rows are outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for the others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X):
        """Return how likely rows as odd as these are among usual ones.

        Each member compares the row with training rows that it has left out
        (cross-conformal): the share that is as odd or odder, the row itself included.
        With training data free of outliers, small p-values are hardly ever more frequent
        among usual rows than they say (the theory promises twice as often at most); as
        averages over members they lie nearer to 1/2 than uniform ones. Outliers among
        the training data make them larger, so that fewer rows stand out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that the detector has not been fitted to.

        Returns
        -------
        p : ndarray of shape (n_samples,)
            In (0, 1]. None is below one over the number of rows compared with, at most
            5,000 for each member.
        """
        X = self._validate(X)
        return p_values(self._oddness(X), self._known)

    def predict_fdr(self, X, alpha=0.1):
        """Say which rows are outliers, so that few of those named are not.

        Benjamini and Hochberg's procedure on :meth:`p_values`: unlike :meth:`predict`,
        what is said of a row depends on the others in X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that the detector has not been fitted to.

        alpha : float, default=0.1
            Share of usual rows, on average, among those called outliers.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for the others.
        """
        if not (isinstance(alpha, Real) and 0 < alpha < 1):
            raise ValueError(
                f"alpha={alpha!r} is the share of false discoveries that is accepted; "
                "pass a number between 0 and 1, such as 0.1."
            )
        return np.where(discoveries(self.p_values(X), alpha), -1, 1)

    def explain(self, X):
        """Say which features make rows odd.

        Shapley values of the score against one reference row, the medians of the
        training data (of two-valued features, dummy variables say, the commonest
        combination): what the score changes when a feature moves from there to its
        value, on average over eight orders of the features. Rows are scored
        8 (n_features + 1) times, so pass those of interest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to explain.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            They sum over features to ``score_samples(X) - base_score_``. The most
            negative feature is the oddest.
        """
        index = getattr(X, "index", None)
        values = self._validate(X)
        shares = contributions(self._score, values, self._reference)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(values.shape[1])]
        index = index if isinstance(index, pd.Index) else None
        return pd.DataFrame(shares, index=index, columns=names)
