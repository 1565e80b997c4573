"""Trains, selects and refits: one call of ``fit`` from its settings to a module."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from skae._data.dataset import Dataset
from skae._data.dependence import find_units, has_drift
from skae._data.statistics import Statistics
from skae._nn.linear_path import LinearPath
from skae._nn.scaling import FLOAT32_DEVIATIONS
from skae._training import validation
from skae._training.adamw import FlatAdamW
from skae._training.ensemble import EnsembleNet, can_train_together
from skae._training.inference import prepare
from skae._training.net import AutoencoderNet, EpochHook, plain_history
from skae._training.online import OnlineNet
from skae._training.settings import N_CHECKS, TrainingSettings
from skae._training.trained import TrainedModule
from skae._training.validation import Run, Selection
from skae._utils.threads import count_weights, suitable_threads
from skae._utils.torch_modes import construction

CACHE_BELOW = 256 * 2**20  # bytes of a standardised copy of the samples


@dataclass(frozen=True)
class ModuleBuilder:
    """How to make what is trained.

    Attributes
    ----------
    describe : callable
        ``describe(dataset, train) -> Statistics`` of the samples to describe, and of
        those that the network trains on.

    module : callable
        ``module(statistics) -> nn.Module``, untrained.

    criterion : callable
        ``criterion(module) -> nn.Module``, one loss per sample.

    update : callable
        ``update(module)`` sets the hyperparameters that may differ from those of an
        earlier fit.

    net_class : type
        The training loop.
    """

    describe: Callable[[Dataset, Dataset], Statistics]
    module: Callable[[Statistics], nn.Module]
    criterion: Callable[[nn.Module], nn.Module]
    update: Callable[[nn.Module], None]
    net_class: type[AutoencoderNet] = AutoencoderNet


class Trainer:
    """Trains a module on a data set.

    Parameters
    ----------
    settings : TrainingSettings
        How to train.

    build : ModuleBuilder
        What to train.

    dataset : Dataset
        All samples.

    random_state : RandomState
        Draws the validation set.

    earlier : nn.Module, default=None
        Module of an earlier fit, to resume from; it is not changed.

    optimizer_state : dict of Tensor, default=None
        Where its online training ended.

    seen : Dataset, default=None
        Sample of all that the module has been trained on in the end, earlier fits
        included; None is ``dataset``.

    groups : ndarray of shape (n_samples,), default=None
        Group of each sample; groups are held out as a whole.

    looks_ahead : bool, default=False
        Whether samples that drift must not be worse than at the beginning on those that
        follow, see :mod:`skae._training.validation`.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        build: ModuleBuilder,
        dataset: Dataset,
        random_state: np.random.RandomState,
        earlier: nn.Module | None = None,
        optimizer_state: dict | None = None,
        *,
        seen: Dataset | None = None,
        groups: np.ndarray | None = None,
        looks_ahead: bool = False,
    ):
        self.settings = settings
        self.build = build
        self.dataset = dataset
        self.seen = dataset if seen is None else seen
        self.earlier = earlier
        self.optimizer_state = optimizer_state
        validates = settings.early_stopping
        self.looks_ahead = validates and looks_ahead and has_drift(dataset)
        self.plan = validation.plan(
            len(dataset),
            validates,
            settings.validation_fraction,
            len(settings.seeds),
            random_state,
            find_units(dataset, groups) if validates else None,
            self.looks_ahead,
        )
        self.history: list[dict] = []
        self.divergence: str | None = None  # the warning, if a loss was not finite

    @property
    def max_epochs(self) -> int:
        """Upper bound on the number of epochs of all runs together."""
        settings, n_samples = self.settings, len(self.dataset)
        sizes = [n_samples if r.train is None else len(r.train) for r in self.plan]
        epochs = [settings.count_epochs(n, settings.count_steps(n)) for n in sizes]
        own = self.build.net_class is AutoencoderNet and not settings.user_networks
        if not own:  # initialisations may have to be trained one after the other
            epochs = [n * len(settings.seeds) for n in epochs]
        if validation.may_refit(self.plan):
            sizes = [n_samples]
            if self.looks_ahead:
                sizes.append(len(validation.look_ahead(n_samples).train))
            for size in sizes:
                steps = settings.count_steps(size)
                epochs.append(settings.count_epochs(size, steps))
        return sum(epochs)

    def fit(self, begin_epoch: Callable, end_epoch: Callable) -> TrainedModule:
        """Train, select, refit; the two functions are called with the net each epoch."""
        self.hook = EpochHook(begin_epoch, end_epoch)
        selection = self._select()
        if selection.refit is None:
            return selection.trained
        (trained,) = self.train(selection.refit)
        if selection.calibration is not None:
            trained.module.recalibrate(selection.calibration)
        return trained

    def _select(self) -> Selection:
        """Validate; the results, with a module each, are not kept during a refit."""
        results: list[list[TrainedModule]] = []
        for run in self.plan:
            results.append(self.train(run))
            if run.stage == "validate" or run is self.plan[-1]:
                selection = validation.select(self.plan[: len(results)], results)
                if not selection.is_unclear:
                    break
        if self.looks_ahead and selection.share > 0:
            run = replace(
                validation.look_ahead(len(self.dataset)),
                initializations=(selection.initialization,),
                share=selection.share,
            )
            (trained,) = self.train(run)
            if validation.loses(run, trained):
                selection = validation.untrained(selection)
        return selection

    def train(self, run: Run) -> list[TrainedModule]:
        """Execute a run; return a result for each of its initialisations."""
        train, valid = self._subset(run.train), None
        if run.valid is not None:
            valid = self._subset(run.valid)
        seeds = [self.settings.seeds[i] for i in run.initializations]
        described = self.dataset if run.describes_all else train
        modules = self._make_modules(described, train, seeds)
        options = self._net_options(run, train)
        net_class = self.build.net_class
        if len(modules) > 1 and can_train_together(modules[0], net_class):
            criterion = self._make_criterion(modules[0], seeds[0])
            nets = [EnsembleNet(modules, criterion, seeds=seeds, **options)]
        elif self.settings.online:
            options["optimizer_state"] = self.optimizer_state
            nets = [self._make_net(OnlineNet, modules[0], seeds[0], options)]
        else:
            nets = [
                self._make_net(net_class, module, seed, options)
                for module, seed in zip(modules, seeds, strict=True)
            ]
        return [trained for net in nets for trained in self._fit(net, run, train, valid)]

    def _make_net(
        self, net_class: type[AutoencoderNet], module: nn.Module, seed: int, options: dict
    ) -> AutoencoderNet:
        criterion = self._make_criterion(module, seed)
        return net_class(module, criterion, seed=seed, **options)

    def _subset(self, places: np.ndarray | None) -> Dataset:
        return self.dataset if places is None else self.dataset.subset(places)

    def _fit(
        self, net: AutoencoderNet, run: Run, train: Dataset, valid: Dataset | None
    ) -> list[TrainedModule]:
        settings = self.settings
        with suitable_threads(count_weights(net.module), settings.batch_size):
            net.fit((train, valid))
        history = plain_history(net)
        for epoch in history:
            epoch["stage"] = "partial_fit" if settings.online else run.stage
        self.history += history
        results = net.finish()
        best = min(results, key=lambda trained: trained.validation.best)
        problem = None
        if best.diverged_at is not None:
            problem = f"The loss was no longer finite after step {best.diverged_at}"
        elif best.reverted and not (settings.early_stopping or settings.online):
            problem = "The loss was higher after training than before"
        if problem is not None:
            self.divergence = (
                f"{problem}; the weights of step {best.best_step} were kept. Lower "
                f"learning_rate={settings.learning_rate}, or check X for extreme values."
            )
        return results

    def _make_modules(
        self, described: Dataset, train: Dataset, seeds: list[int]
    ) -> list[nn.Module]:
        """Return a module for each seed."""
        if self.earlier is not None:
            return [self._copy_earlier(train) for _ in seeds]
        statistics = self.build.describe(described, train)
        return [self._make_module(statistics, seed) for seed in seeds]

    def _copy_earlier(self, train: Dataset) -> nn.Module:
        module = copy.deepcopy(self.earlier)
        module.unfreeze()  # an earlier fit's callbacks may have frozen parts
        for batch in (prepare(module, chunk) for chunk in train.chunks()):
            if batch.x.abs().amax() > FLOAT32_DEVIATIONS:
                raise ValueError(
                    "X has values that are more than "
                    f"{FLOAT32_DEVIATIONS:g} standard deviations of the earlier training "
                    "data from their mean. Check X for extreme values and its units, or "
                    "fit a new estimator."
                )
            if isinstance(module.encoder, LinearPath):
                x = module.encoder_input(batch.x, batch.condition)
                module.encoder.update_range(x)
        self.build.update(module)
        return module

    def _make_module(self, statistics: Statistics, seed: int) -> nn.Module:
        device = self.settings.device
        with construction(seed, device):
            module = self.build.module(statistics)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise ValueError(
                "encoder and decoder have no parameters to train. Use builders of "
                "networks that have some, or init='pca', which adds a linear path."
            )
        # MPS has no float64, so statistics lose digits there.
        return module.float() if device.type == "mps" else module

    def _make_criterion(self, module: nn.Module, seed: int) -> nn.Module:
        device = self.settings.device
        with construction(seed, device):
            return self.build.criterion(module)

    def _net_options(self, run: Run, train: Dataset) -> dict:
        """The arguments of a net that all initialisations share."""
        settings = self.settings
        n_steps = round(run.share * settings.count_steps(len(train)))
        # A run without steps has nothing to report to callbacks.
        callbacks = copy.deepcopy(list(settings.callbacks)) if n_steps else []
        return dict(
            n_steps=n_steps,
            check_every=max(1, n_steps // N_CHECKS),
            patience=None if run.stage == "forward" else settings.patience,
            # Without validation, codebooks and priors may cost some reconstruction.
            margin=0.0 if settings.early_stopping or settings.online else 10.0,
            repeats=run.repeats,
            compares=run.valid is None and len(run.initializations) > 1,
            cache=4 * train.n_values * len(train) <= CACHE_BELOW,
            optimizer=FlatAdamW,
            lr=settings.learning_rate,
            batch_size=settings.batch_size,
            callbacks=[*callbacks, ("epoch_hook", self.hook)],
            device=str(settings.device),
            train_split=None,
            verbose=0,
        )
