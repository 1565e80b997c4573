"""The scikit-learn side of ``partial_fit``."""

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if

from skae._base.all_or_nothing import all_or_nothing
from skae._data.checks import check_samples
from skae._data.dataset import Dataset
from skae._training.net import AutoencoderNet
from skae._training.replay import FAR, OnlineData, misscaled
from skae._utils.progress import progress_bar
from skae._utils.sklearn_compat import fit_context
from skae._utils.threads import OneThread, libraries_on_one_thread
from skae._utils.torch_modes import training
from skae._utils.warnings import warn_caller


class IncrementalMixin(OneThread):
    """``partial_fit``, for classes whose training can resume."""

    # Whether there is a partial_fit.
    _supports_partial_fit = True

    @available_if(
        lambda self: self._supports_partial_fit and self._net_class is AutoencoderNet
    )
    @fit_context(prefer_skip_nested_validation=True)
    @libraries_on_one_thread
    def partial_fit(self, X, y=None):
        """Fit incrementally, to one part of the data.

        The parts may be small, sorted, or unlike each other: a random sample of all
        samples seen, of 5,000 at most and fewer where they have more than 800 features,
        is kept in the estimator and trained on again with each part (experience replay).
        Whatever the data determine besides weights (ranges of the codes,
        ``explained_variance_ratio_``, a ``prior``) is computed on this sample.

        Scaling, linear skip connection and basis of the codes are initialised at the
        first part, and anew, with all weights, when the number of samples has doubled,
        until 500 or more were used. Later they are kept, so that codes of earlier calls
        stay comparable, unless they turn out to be wrong: where a feature was constant,
        or more than 1/16 of its values is beyond four standard deviations.

        After ``fit``, training resumes from the fitted weights, and a warning is given
        where their scaling is wrong. Early stopping and ``n_init`` do not apply, as there
        is no validation set; the weights before the call are kept if their loss on the
        samples trained on is lower. The learning rate is 0.7 ``learning_rate`` for 500
        steps and then falls as one over the square root of the steps; the weights in use
        are a running average of those in training. With an integer ``random_state``
        the sequence of calls is deterministic, and the draws differ from call to call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            One part of the training data, best of some hundred samples or more, because
            a call takes tens of milliseconds. ``max_iter`` epochs are spent on it and on
            as many earlier samples (256 at least); "auto" is a quarter of the steps of a
            ``fit``, but at most one step per sample of the part.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As in :meth:`fit`, or if a parameter that determines the module was changed
            since the first part.
        """
        with all_or_nothing(self), training():
            resumes = hasattr(self, "module_")
            X = check_samples(self, X, reset=not resumes)
            self._check_parameters(X)
            part = self._make_dataset(X, y)
            self._check_probabilities(part)
            if resumes:
                self._check_architecture(part, "partial_fit", "Clone the estimator")
            else:
                self._resolve_architecture(part)
            earlier = self.module_ if resumes else None
            state = self._online_state if resumes else None
            online = OnlineData(state, self.random_state)
            dataset, earlier = online.add(part, earlier)
            if online.n_initial is None:
                self._warn_if_misscaled(online.seen.dataset)
            trainer = self._make_trainer(dataset, earlier, online)
            name = type(self).__name__
            with progress_bar(name, trainer.max_epochs, self.verbose) as advance:
                trained = trainer.fit(
                    lambda net: None, lambda net: advance(net.history[-1])
                )
            self._store(trained, trainer)
            self._online_state = online.state
        return self

    def _warn_if_misscaled(self, seen: Dataset) -> None:
        """Warn if the scaling of an earlier ``fit`` does not suit what came after it."""
        features = misscaled(self.module_, seen)
        if len(features):
            some = ", ".join(map(str, features[:9])) + ", ..." * (len(features) > 9)
            warn_caller(
                "partial_fit keeps the scaling of the earlier fit, which does not suit "
                f"these data: in features [{some}] many values are more than {FAR:.0f} "
                "standard deviations from the mean, and features that were constant are "
                "ignored. Fit a clone of the estimator to earlier and new data, or "
                "incrementally from the beginning.",
                ConvergenceWarning,
            )
