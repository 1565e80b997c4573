"""The scikit-learn side of fitting: parameters, validation, callbacks, hooks.

A variant is a subclass of :class:`BaseAutoencoder` that defines what module and what
criterion to train; ``docs/variants.md`` shows one from first line to last.
"""

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d
from torch import nn

from skae._base import code_basis
from skae._base.all_or_nothing import all_or_nothing
from skae._base.architecture import describe_builder
from skae._base.incremental import IncrementalMixin
from skae._base.initialization import NetworkSettings, make_components, resolve_widths
from skae._base.transformer import FittedAutoencoder, torch_dtype
from skae._data.checks import check_samples
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics, describe
from skae._nn.autoencoder import AutoencoderModule
from skae._nn.linear_path import linear_paths
from skae._training.net import AutoencoderNet, plain_history
from skae._training.replay import OnlineData
from skae._training.settings import TrainingSettings
from skae._training.trained import TrainedModule
from skae._training.trainer import ModuleBuilder, Trainer
from skae._utils.device import resolve_device
from skae._utils.progress import progress_bar
from skae._utils.sklearn_compat import Interval, StrOptions, fit_context
from skae._utils.threads import libraries_on_one_thread
from skae._utils.torch_modes import training
from skae._utils.warnings import warn_caller
from skae.networks import ACTIVATIONS

AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")


class BaseAutoencoder(
    CallbackSupportMixin, IncrementalMixin, FittedAutoencoder, metaclass=ABCMeta
):
    """What all autoencoders share. Abstract; variants are final subclasses."""

    _net_class = AutoencoderNet
    # Whether training is not to lose against its beginning where samples drift.
    _looks_ahead = False
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

    # Fitted attributes besides those that end with an underscore.
    _private_state: tuple[str, ...] = (
        "_n_features_out",
        "_history",
        "_architecture",
        "_optimizer_state",
        "_online_state",
    )
    # The parameter that, set to "bernoulli", makes targets probabilities.
    _likelihood_parameter: str | None = None

    # Hooks: what a variant defines.

    @abstractmethod
    def _make_criterion(self, module: nn.Module) -> nn.Module:
        """Return ``criterion(output, target)``, one loss per sample."""

    def _make_module(self, statistics: Statistics) -> AutoencoderModule:
        """Return the untrained module."""
        return AutoencoderModule(**self._make_components(statistics))

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        """Return what the class trains on: X, and y if the class uses it."""
        return Dataset(X)

    def _describe(self, dataset: Dataset, train: Dataset) -> Statistics:
        """Return what the module is initialised by, given the training set, too."""
        return describe(dataset, self.n_components, train)

    def _resolve_architecture(self, dataset: Dataset) -> None:
        """Set what a new module's architecture takes from the data."""

    def _update_hyperparameters(self, module: nn.Module) -> None:
        """Set parameters that may differ from those of an earlier fit to resume."""

    @property
    def _n_initializations(self) -> int:
        """Number of initialisations that fit chooses from."""
        return 1

    def _describe_architecture(self, dataset: Dataset) -> dict:
        """Return the parameters that a resumed fit may not change, as plain data."""
        target = dataset.target
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": list(
                resolve_widths(self.hidden_layer_sizes, dataset.n_features)
            ),
            "activation": self.activation,
            "init": self.init,
            "encoder": describe_builder(self.encoder),
            "decoder": describe_builder(self.decoder),
            "n_features": dataset.n_features,
            "n_outputs": None if target is None else target.shape[1],
        }

    # Fitting.

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @libraries_on_one_thread
    def fit(self, X, y=None, *, groups=None):
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units. Sparse data are made dense a batch at a time.

        y : Ignored
            Present for API consistency.

        groups : array-like of shape (n_samples,), default=None
            Group of each sample, such as the subject or the machine that it was measured
            on. Whole groups are held out to validate, so that training keeps only what
            holds for new groups. Equal samples are always held out together.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not a finite numeric array, or a parameter is not valid for it. The
            result of an earlier ``fit`` is kept.
        """
        with all_or_nothing(self), training():
            X = check_samples(self, X, reset=True)
            self._check_parameters(X)
            dataset = self._make_dataset(X, y)
            self._check_probabilities(dataset)
            groups = self._check_groups(groups, len(dataset))
            self._resolve_architecture(dataset)
            earlier = None
            if self.warm_start and hasattr(self, "module_"):
                self._check_architecture(
                    dataset, "warm_start=True", "Use warm_start=False"
                )
                earlier = self.module_
            trainer = self._make_trainer(dataset, earlier, groups=groups)
            context = self._init_callback_context(max_subtasks=trainer.max_epochs)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            trained = self._train(trainer, context, X, X if y is None else y)
            self._store(trained, trainer)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=dict
        )
        return self

    def _check_parameters(self, X: np.ndarray) -> None:
        """Raise on parameters that are not valid together, or not for X."""
        for side in ("encoder", "decoder"):
            if isinstance(getattr(self, side), nn.Module):
                raise ValueError(
                    f"{side} must be a function (n_in, n_out) -> module, not a torch "
                    "module: fit would train the module in place, so that a clone or a "
                    "second fit would start from its weights."
                )
        resolve_widths(self.hidden_layer_sizes, X.shape[1])
        resolve_device(self.device)

    def _check_groups(self, groups, n_samples: int) -> np.ndarray | None:
        if groups is None:
            return None
        groups = column_or_1d(groups)
        if len(groups) != n_samples:
            raise ValueError(
                f"groups has {len(groups)} entries, and X has {n_samples} samples. Pass "
                "the group of each sample."
            )
        return groups

    @property
    def _is_bernoulli(self) -> bool:
        """Whether targets are probabilities."""
        name = self._likelihood_parameter
        return name is not None and getattr(self, name) == "bernoulli"

    def _check_probabilities(self, dataset: Dataset) -> None:
        """Raise if the likelihood is Bernoulli and targets are not in [0, 1]."""
        if not self._is_bernoulli:
            return
        values = dataset.x if dataset.target is None else dataset.target
        name = "X" if dataset.target is None else "y"
        low, high = values.min(), values.max()
        if low < 0 or high > 1:
            hint = f" Divide {name} by 255 if these are grey values." if high > 2 else ""
            raise ValueError(
                f"{self._likelihood_parameter}='bernoulli' requires values in [0, 1], "
                f"and {name} has values from {low:.6g} to {high:.6g}.{hint}"
            )

    def _check_architecture(self, dataset: Dataset, doing: str, way_out: str) -> None:
        """Raise if the parameters describe another module than the fitted one."""
        fitted, now = self._architecture, self._describe_architecture(dataset)
        changed = {name: now[name] for name in now if now[name] != fitted[name]}
        if changed:
            earlier = {name: fitted[name] for name in changed}
            raise ValueError(
                f"{doing} resumes the training of a module with {earlier}, and the "
                f"parameters now are {changed}. {way_out} to train a new module."
            )

    def _make_components(self, statistics: Statistics, code_unit=None) -> dict:
        """Return encoder, decoder, scaling and basis of codes by the parameters."""
        return make_components(
            self._networks,
            statistics,
            bernoulli=self._is_bernoulli,
            code_unit=code_unit,
        )

    @property
    def _networks(self) -> NetworkSettings:
        return NetworkSettings(
            self.hidden_layer_sizes,
            self.activation,
            self.encoder,
            self.decoder,
            self.init,
        )

    def _make_trainer(
        self,
        dataset: Dataset,
        earlier: nn.Module | None,
        online: OnlineData | None = None,
        groups: np.ndarray | None = None,
    ) -> Trainer:
        """Return the trainer of one call, with the samples of earlier ones if online."""
        random_state = check_random_state(self.random_state)
        if online is not None:
            random_state = online.random_state
        settings = TrainingSettings.resolve(
            self.get_params(deep=False),
            len(dataset),
            self._n_initializations,
            random_state,
            None if online is None else online.n_new,
        )
        build = ModuleBuilder(
            describe=self._describe,
            module=self._make_module,
            criterion=self._make_criterion,
            update=self._update_hyperparameters,
            net_class=self._net_class,
        )
        state = self._optimizer_state if earlier is not None else None
        seen = None if online is None or earlier is None else online.seen.dataset
        return Trainer(
            settings,
            build,
            dataset,
            random_state,
            earlier,
            state,
            seen=seen,
            groups=groups,
            looks_ahead=self._looks_ahead,
        )

    def _train(self, trainer: Trainer, context, X: np.ndarray, y) -> TrainedModule:
        """Train, with a task of scikit-learn's callbacks for each epoch."""
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
                reconstruction_attributes=lambda: self._provisional(net),
            )

        name = type(self).__name__
        with progress_bar(name, trainer.max_epochs, self.verbose) as advance:
            return trainer.fit(begin_epoch, end_epoch)

    def _provisional(self, net: AutoencoderNet) -> dict:
        """Fitted attributes of an estimator that is used between two epochs."""
        module = net.snapshot()
        return {
            "module_": module,
            "_history": plain_history(net),
            "_n_features_out": len(module.basis.unit),
        }

    def _store(self, trained: TrainedModule, trainer: Trainer) -> None:
        """Set the fitted attributes."""
        if trainer.divergence:
            warn_caller(trainer.divergence, ConvergenceWarning)
        settings, dataset, module = trainer.settings, trainer.seen, trained.module
        last = trainer.plan[-1]
        is_refit = last.train is None or not trained.validation.steps
        n_trained = len(trainer.dataset) if is_refit else len(last.train)
        n_epochs = max(1, settings.count_epochs(n_trained, trained.best_step))
        history = trainer.history
        if settings.online and hasattr(self, "module_"):
            n_epochs += self.n_iter_
            history = [*self._history, *history]
        self.module_ = module
        self.n_iter_ = n_epochs
        self.best_step_ = trained.best_step
        self._history = history
        self._architecture = self._describe_architecture(dataset)
        self._optimizer_state = trained.optimizer_state
        self._online_state = None
        self._n_features_out = len(module.basis.unit)
        resumes = settings.online and trainer.earlier is not None
        self._finalize_codes(dataset, resumes)

    def _finalize_codes(self, dataset: Dataset, resumes: bool) -> None:
        """Set the range and the basis of the codes by those of the training samples."""
        arguments = self.module_, dataset, torch_dtype(dataset.x.dtype), self._chunk()
        if resumes:
            code_basis.extend_code_range(*arguments)
        else:
            code_basis.set_code_basis(*arguments, order=self._orders_codes)
        for path in linear_paths(self.module_):
            path.freeze_range()
        if self._orders_codes:
            ratio = code_basis.explained_variance_ratio(*arguments)
            self._set_variances(ratio, dataset)

    def _set_variances(self, ratio: np.ndarray, dataset: Dataset) -> None:
        """Set the attributes of PCA that are about variances."""
        n_samples, n_components = len(dataset), len(ratio)
        total = float(self.module_.target_spread.square().sum())
        total *= n_samples / max(n_samples - 1, 1)  # unbiased, as PCA's
        n_left = min(n_samples, dataset.n_features) - n_components
        left = total * (1 - ratio.sum())
        self.n_components_ = n_components
        self.mean_ = self.module_.inputs.mean.cpu().numpy().copy()
        self.explained_variance_ratio_ = ratio
        self.explained_variance_ = total * ratio
        self.noise_variance_ = left / n_left if n_left > 0 else 0.0
