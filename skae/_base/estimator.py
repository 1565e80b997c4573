"""The scikit-learn side of fitting: parameters, validation, callbacks, hooks.

A variant is a leaf of :class:`BaseAutoencoder` that says what module and what criterion
to train; ``docs/variants.md`` shows one from first line to last.
"""

from abc import ABCMeta, abstractmethod
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data
from torch import nn

from skae._base import code_basis
from skae._base.initialization import describe_module, make_components, resolve_widths
from skae._base.transformer import FLOATS, FittedAutoencoder, torch_dtype
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics, describe
from skae._nn.autoencoder import AutoencoderModule, paths
from skae._training.net import AutoencoderNet
from skae._training.trainer import Trainer
from skae._utils.progress import progress_bar
from skae._utils.runtime import resolve_device, suitable_threads
from skae._utils.sklearn_compat import Interval, StrOptions, fit_context
from skae._utils.warnings import warn_caller
from skae.networks import ACTIVATIONS

AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")


class BaseAutoencoder(CallbackSupportMixin, FittedAutoencoder, metaclass=ABCMeta):
    """What all autoencoders share. Abstract; every variant is a final leaf."""

    _net_class = AutoencoderNet
    # Whether codes are rotated after training, to be uncorrelated and ordered.
    _orders_codes = False

    _parameter_constraints: dict = {
        "n_components": [AT_LEAST_ONE],
        "hidden_layer_sizes": [StrOptions({"auto"}), AT_LEAST_ONE, "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "encoder": [callable, None],
        "decoder": [callable, None],
        "init": [StrOptions({"pca", "random"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [StrOptions({"auto"}), AT_LEAST_ONE],
        "max_iter": [StrOptions({"auto"}), AT_LEAST_ONE],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [StrOptions({"auto"}), AT_LEAST_ONE],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # How many differently initialised networks fit chooses from.
    _n_initializations = 1
    # What fit sets besides names that end with an underscore.
    _private_state: tuple[str, ...] = ("_n_features_out",)
    # Whether there is a partial_fit.
    _supports_partial_fit = True

    # What a variant defines.

    @abstractmethod
    def _make_criterion(self, statistics: Statistics) -> nn.Module:
        """Return ``criterion(output, target)``, which gives one loss per row."""

    def _make_module(self, statistics: Statistics) -> AutoencoderModule:
        """Return the untrained module."""
        return AutoencoderModule(**make_components(self, statistics))

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        """Return X and what else the class trains on. y is ignored unless asked for."""
        return Dataset(X)

    def _describe(self, dataset: Dataset, trained: Dataset) -> Statistics:
        """Return what the module starts from; ``trained`` are the rows it will see."""
        return describe(dataset, self.n_components, trained)

    # Fitting.

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn to encode and decode the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units. Sparse rows are made dense a batch at a time.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not a finite numeric table, or if a parameter does not suit it. What
            an earlier ``fit`` left is kept.
        """
        # The caller may be in inference mode or without gradients; training is not.
        with all_or_nothing(self), torch.inference_mode(False), torch.enable_grad():
            X = validate_data(self, X, dtype=FLOATS, accept_sparse="csr")
            self._check_parameters(X)
            dataset = self._make_dataset(X, y)
            self._check_probabilities(dataset)
            if self.warm_start and hasattr(self, "net_"):
                self._check_module(dataset, "warm_start=True", "Use warm_start=False")
            fitting = Trainer(self, dataset, check_random_state(self.random_state))
            context = self._init_callback_context(max_subtasks=fitting.max_epochs)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            net = self._train(fitting, context, X, X if y is None else y)
            self._store(net, fitting)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=dict
        )
        return self

    @available_if(
        lambda self: self._supports_partial_fit and self._net_class is AutoencoderNet
    )
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Learn from one part of the data, and keep what earlier parts taught.

        Units and the linear path come from the first part and stay, so it should be
        typical of all: shuffle rows that are sorted. After ``fit`` it goes on from the
        fitted weights. Early stopping and ``n_init`` do not apply, as there are no rows
        to judge by. The learning rate is 0.7 ``learning_rate`` for 500 steps and falls
        from then on as one over the square root of the steps; the weights in use are a
        running average of those in training.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            One part of the training data, some hundred rows or more. ``max_iter`` epochs
            are spent on it; "auto" is a quarter of the steps of a ``fit`` to as many.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As in :meth:`fit`, or if parameters ask for another module than the earlier
            parts have trained.
        """
        with all_or_nothing(self), torch.inference_mode(False), torch.enable_grad():
            resumes = hasattr(self, "net_")
            X = validate_data(
                self, X, dtype=FLOATS, accept_sparse="csr", reset=not resumes
            )
            self._check_parameters(X)
            dataset = self._make_dataset(X, y)
            self._check_probabilities(dataset)
            if resumes:
                self._check_module(dataset, "partial_fit", "Clone the estimator")
            random_state = check_random_state(self.random_state)
            fitting = Trainer(self, dataset, random_state, online=True)
            name = type(self).__name__
            with progress_bar(name, fitting.max_epochs, self.verbose) as advance:
                net = fitting.run(lambda net: None, lambda net: advance(net.history[-1]))
            self._store(net, fitting)
        return self

    def _check_parameters(self, X: np.ndarray) -> None:
        """Raise on parameters that are wrong together, or wrong for X."""
        for side in ("encoder", "decoder"):
            if isinstance(getattr(self, side), nn.Module):
                raise ValueError(
                    f"{side} is a built torch module. Pass a builder instead, a function "
                    "(n_in, n_out) -> module: fit would train the module in place, so "
                    "that a clone or a second fit would start from its weights."
                )
        resolve_widths(self.hidden_layer_sizes, X.shape[1])
        resolve_device(self.device)

    def _check_probabilities(self, dataset: Dataset) -> None:
        """Raise if a Bernoulli likelihood is asked for and targets are not in [0, 1]."""
        asked = [n for n in ("loss", "likelihood") if getattr(self, n, "") == "bernoulli"]
        if not asked:
            return
        name, values = (
            ("X", dataset.x) if dataset.target is None else ("y", dataset.target)
        )
        low, high = values.min(), values.max()
        if low < 0 or high > 1:
            hint = f" Divide {name} by 255 if these are grey values." if high > 2 else ""
            raise ValueError(
                f"{asked[0]}='bernoulli' needs values in [0, 1], and {name} has values "
                f"from {low:.6g} to {high:.6g}.{hint}"
            )

    def _check_module(self, dataset: Dataset, doing: str, way_out: str) -> None:
        """Raise if the parameters ask for another module than the fitted one."""
        made_with = self.net_.made_with
        now = describe_module(self, dataset)
        changed = {name: now[name] for name in now if now[name] != made_with[name]}
        if changed:
            earlier = {name: made_with[name] for name in changed}
            raise ValueError(
                f"{doing} goes on from a module made with {earlier}, and now asked for "
                f"is {changed}. {way_out} to start anew."
            )

    def _train(self, fitting: Trainer, context, X: np.ndarray, y) -> AutoencoderNet:
        """Run the fit, a task of scikit-learn's callbacks for each epoch."""
        epoch = None

        def begin_epoch(net):
            nonlocal epoch
            epoch = context.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self, X=X, y=y)

        def end_epoch(net):
            advance(net.history[-1])
            return epoch.call_on_fit_task_end(
                estimator=self,
                X=X,
                y=y,
                reconstruction_attributes=lambda: self._provisional(net.snapshot()),
            )

        name = type(self).__name__
        with progress_bar(name, fitting.max_epochs, self.verbose) as advance:
            return fitting.run(begin_epoch, end_epoch)

    def _provisional(self, net: AutoencoderNet) -> dict:
        """What an estimator needs to be used as it is between two epochs."""
        return {"net_": net, "_n_features_out": len(net.module_.basis.unit)}

    def _update_hyperparameters(
        self, module: AutoencoderModule, criterion: nn.Module
    ) -> None:
        """Set what parameters may have changed since an earlier fit that goes on."""

    def _store(self, net: AutoencoderNet, fitting: Trainer) -> None:
        """Set what ``fit`` leaves."""
        if fitting.divergence:
            warn_caller(fitting.divergence, ConvergenceWarning)
        n_trained = len(fitting.dataset) - (
            fitting.n_valid if net.validation_.steps else 0
        )
        n_epochs = max(1, fitting.count_epochs(n_trained, net.kept_step_))
        resumes = fitting.online and fitting.earlier is not None
        history = fitting.history
        if resumes:
            n_epochs += self.n_iter_
            history = [*self.net_.history, *history]
        self.n_iter_ = n_epochs
        net.finish(history)
        net.made_with = describe_module(self, fitting.dataset)
        self.net_ = net
        self._n_features_out = len(net.module_.basis.unit)
        with suitable_threads(net.n_weights, fitting.batch_size):
            self._finalize_codes(fitting.dataset, resumes)

    def _finalize_codes(self, dataset: Dataset, resumes: bool) -> None:
        arguments = self.net_, dataset, torch_dtype(dataset.x.dtype), self._chunk()
        if resumes:
            code_basis.widen_code_range(*arguments)
        else:
            code_basis.finalize_codes(*arguments, order=self._orders_codes)
        for path in paths(self.module_):
            path.freeze_range()
        if self._orders_codes:
            self.explained_variance_ratio_ = code_basis.explained_variance_ratio(
                *arguments
            )


@contextmanager
def all_or_nothing(estimator):
    """Give back what an earlier fit left if this one does not end well."""

    def fitted() -> dict:
        return {
            name: value
            for name, value in vars(estimator).items()
            if (name.endswith("_") and not name.startswith("_"))
            or name in estimator._private_state
        }

    before = fitted()
    try:
        yield
    except BaseException:
        for name in fitted():
            delattr(estimator, name)
        vars(estimator).update(before)
        raise
