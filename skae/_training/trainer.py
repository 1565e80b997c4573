"""One call of ``fit``: "auto" resolved, runs executed, callbacks told."""

import copy
import math
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from skae._data.dataset import Dataset
from skae._data.statistics import Statistics
from skae._nn.autoencoder import LinearPath
from skae._training.adamw import FlatAdamW
from skae._training.ensemble import EnsembleNet, can_train_together
from skae._training.net import AutoencoderNet, EpochHook
from skae._training.online import OnlineNet
from skae._training.validation import Run, count_valid, train, train_sizes
from skae._utils.runtime import (
    borrowed_generator,
    count_weights,
    resolve_device,
    suitable_threads,
)

N_CHECKS = 50  # at the rows held out, over a run
CACHE_BELOW = 256 * 2**20  # bytes of a standardised copy of the rows


class Trainer:
    """The settings of one fit, and its course.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Whose parameters and hooks are used. It is not changed.

    rows : Rows
        All rows to learn from.

    random_state : RandomState
        Draws the seed and the rows to hold out.

    in_parts : bool, default=False
        Whether these rows are one part of many, and the earlier ones are not forgotten.
    """

    def __init__(
        self,
        estimator,
        dataset: Dataset,
        random_state: np.random.RandomState,
        online: bool = False,
    ):
        self.estimator = estimator
        self.online = online
        resumes = online or estimator.warm_start
        self.earlier = getattr(estimator, "net_", None) if resumes else None
        self.dataset = dataset
        self.random_state = random_state
        self.starts = range(1 if online else estimator._n_initializations)
        # One draw, so that more starts change neither the first nor the rows held out.
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        self.seeds = [(seed + start) % 2**31 for start in self.starts]
        self.device = resolve_device(estimator.device)
        self.batch_size = _batch_size(estimator.batch_size, len(dataset), online)
        self.n_valid = 0
        if self._stops_early:
            self.n_valid = count_valid(len(dataset), estimator.validation_fraction)
        self.history: list[dict] = []
        self.divergence: str | None = None  # what to warn of

    @property
    def _stops_early(self) -> bool:
        return self.estimator.early_stopping and not self.online

    @property
    def max_epochs(self) -> int:
        """The most epochs that the runs of this fit can take, all together."""
        sizes = train_sizes(len(self.dataset), self._stops_early, self.n_valid)
        epochs = [self.count_epochs(size, self._n_steps(size)) for size in sizes]
        if self._may_loop:  # every run but a refit repeats for each start
            epochs = [n * len(self.starts) for n in epochs]
        return sum(epochs)

    @property
    def _may_loop(self) -> bool:
        """Whether several starts may have to be trained one after the other."""
        estimator = self.estimator
        own = estimator.encoder is None and estimator.decoder is None
        return not own or estimator._net_class is not AutoencoderNet

    def count_epochs(self, n_samples: int, n_steps: int) -> int:
        return math.ceil(n_steps / math.ceil(n_samples / self.batch_size))

    def _n_steps(self, n_samples: int) -> int:
        """The budget of a run on so many rows."""
        if self.estimator.max_iter != "auto":
            return self.estimator.max_iter * math.ceil(n_samples / self.batch_size)
        n_steps = np.clip(600 * math.sqrt(len(self.dataset) / 1000), 150, 6000)
        # Longer on one part, and what the others taught is forgotten.
        return int(n_steps / 4) if self.online else int(n_steps)

    def run(self, begin_epoch, end_epoch) -> AutoencoderNet:
        """Train; the hooks are called with the net around each epoch."""
        self.hook = EpochHook(begin_epoch, end_epoch)
        return train(
            self.dataset,
            self._stops_early,
            self.n_valid,
            self.random_state,
            self._execute,
            self.starts,
        )

    def _execute(self, run: Run) -> list[AutoencoderNet]:
        seeds = [self.seeds[start] for start in run.starts]
        modules, criterion = self._make_parts(run, seeds)
        net_class = self.estimator._net_class
        if len(modules) > 1 and can_train_together(modules[0], net_class):
            settings = self._settings(run)
            net = EnsembleNet(modules, criterion, seeds=seeds, **settings)
            self._fit(net, run)
            return net.split()
        progress = {}
        if self.online:
            net_class = OnlineNet
            progress = {"progress": getattr(self.earlier, "progress", None)}
        nets = []
        for module, seed in zip(modules, seeds, strict=True):
            settings = self._settings(run) | progress
            net = net_class(module, criterion, seed=seed, **settings)
            self._fit(net, run)
            nets.append(net)
        return nets

    def _fit(self, net: AutoencoderNet, run: Run) -> None:
        estimator = self.estimator
        user_built = estimator.encoder is not None or estimator.decoder is not None
        # Our networks draw from the net's generator; a user's dropout knows only torch's.
        draws = borrowed_generator(net.seed, self.device) if user_built else nullcontext()
        n_weights = count_weights(net.module)
        with suitable_threads(n_weights, self.batch_size), draws:
            net.fit((run.train, run.valid))
        for row in net.history:
            row["stage"] = "partial_fit" if self.online else run.stage
        self.history += list(net.history)
        if net.diverged_:
            self.divergence = (
                f"The loss was no longer finite after step {net.step_}; the weights of "
                f"step {net.kept_step_} were kept. Lower learning_rate="
                f"{estimator.learning_rate}, or look for extreme values in X."
            )

    def _make_parts(
        self, run: Run, seeds: list[int]
    ) -> tuple[list[nn.Module], nn.Module]:
        """Return a module for each seed, and the criterion of all of them."""
        estimator = self.estimator
        if self.earlier is not None:
            modules = [self._copy_earlier(run.train) for _ in seeds]
            criterion = copy.deepcopy(self.earlier.criterion_)
            for module in modules:
                estimator._update_hyperparameters(module, criterion)
            return modules, criterion
        # Built on the CPU, whatever the caller's default device; the net moves it.
        with borrowed_generator(seeds[0], self.device), torch.device("cpu"):
            statistics = estimator._describe(run.described, run.train)
            criterion = estimator._make_criterion(statistics)
        return [self._make_module(statistics, seed) for seed in seeds], criterion

    def _copy_earlier(self, dataset: Dataset) -> nn.Module:
        module = copy.deepcopy(self.earlier.module_)
        module.thaw()  # an earlier fit's callbacks may have frozen parts
        if isinstance(module.encoder, LinearPath):  # it is going to know these rows
            for batch in map(self.earlier.prepare, dataset.chunks()):
                module.encoder.update_range(
                    module.encoder_input(batch.x, batch.condition)
                )
        return module

    def _make_module(self, statistics: Statistics, seed: int) -> nn.Module:
        with borrowed_generator(seed, self.device), torch.device("cpu"):
            module = self.estimator._make_module(statistics)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise ValueError(
                "encoder and decoder have no parameters to train. Use builders of "
                "networks that have some, or init='pca', which adds a linear path."
            )
        # mps has no float64, so statistics lose digits there.
        return module.float() if self.device.type == "mps" else module

    def _settings(self, run: Run) -> dict:
        """The arguments of a net that all starts have in common."""
        estimator = self.estimator
        n_steps = round(run.share * self._n_steps(len(run.train)))
        patience = estimator.n_iter_no_change
        if patience == "auto":  # the cosine brings most of the gain in its second half
            patience = N_CHECKS // 2
        # A run without a step has nothing to show to callbacks.
        callbacks = copy.deepcopy(list(estimator.callbacks or [])) if n_steps else []
        return dict(
            n_steps=n_steps,
            check_every=max(1, n_steps // N_CHECKS),
            patience=patience,
            guarded=self._stops_early,
            repeats=run.repeats,
            cache=4 * run.train.n_values * len(run.train) <= CACHE_BELOW,
            optimizer=FlatAdamW,
            lr=estimator.learning_rate,
            batch_size=self.batch_size,
            callbacks=[*callbacks, ("epoch_hook", self.hook)],
            device=str(self.device),
            train_split=None,
            verbose=0,
        )


def _batch_size(batch_size: str | int, n_samples: int, online: bool) -> int:
    if batch_size != "auto":
        return min(batch_size, n_samples)
    # Without a schedule that falls, larger batches have to quiet the end.
    wanted = n_samples / (8 if online else 16)
    return min(2 ** round(math.log2(np.clip(wanted, 32, 512))), n_samples)
