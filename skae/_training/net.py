"""The skorch side: an epoch loop over whole batches, and nothing else re-invented.

Callbacks, per-epoch history, device moves and pickling across devices are skorch's. Ours
are the step (no closures, no per-batch history), the schedule, and the watch over the
validation loss, which counts steps because an epoch may be four steps or forty thousand.
"""

import copy
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
import skorch
import torch
from skorch.callbacks import Callback, EpochTimer, LRScheduler
from torch import Tensor

from skae._data.dataset import Batch, Dataset, ShuffledBatches
from skae._nn.backprop import written_out
from skae._training.early_stopping import EarlyStopping
from skae._training.inference import DERIVED, InferenceMixin

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class AutoencoderNet(InferenceMixin, skorch.NeuralNet):
    """Trains a module for a number of steps and keeps the weights that validate best.

    Parameters
    ----------
    module, criterion : nn.Module
        ``criterion(module(x), target)`` is one loss per row. Instances, so that skorch's
        ``module__*`` parameters stay out of the way.

    n_steps : int
        Length of the run, from which the schedule of the learning rate follows.

    check_every : int, default=1
        Steps between two looks at the validation loss.

    patience : int, default=None
        Number of looks without a better validation loss after which the run ends; None
        never ends it.

    guarded : bool, default=False
        Return to the weights of step 0 if they do better on the training rows, too: a
        row that outweighs all others may have been spoilt without being held out.

    repeats : Validation, default=None
        The judgement of the run that this one repeats on more rows; callbacks read the
        validation loss from it.

    seed : int, default=0
        Seed of batches and of the module's draws.

    cache : bool, default=True
        Keep a standardised copy of the training rows.

    **kwargs : dict
        Parameters of :class:`skorch.NeuralNet`.
    """

    n_members = 1
    calibration_ = torch.ones(())  # what the rows held out said of the module
    warm_up = 0.05  # share of the steps
    last_rate = 0.01  # of the learning rate, at the end of the cosine

    def __init__(
        self,
        module,
        criterion,
        *,
        n_steps,
        check_every=1,
        patience=None,
        guarded=False,
        repeats=None,
        seed=0,
        cache=True,
        **kwargs,
    ):
        super().__init__(module, criterion, **kwargs)
        self.n_steps = n_steps
        self.check_every = check_every
        self.patience = patience
        self.guarded = guarded
        self.repeats = repeats
        self.seed = seed
        self.cache = cache

    # Batches.

    def get_dataset(self, X, y=None):
        return X

    def get_iterator(self, dataset, training=False):
        return ShuffledBatches(
            dataset, self.prepare, self.batch_size, self.generator_, self.cache
        )

    def prepare(self, batch: Batch) -> Batch:
        """To the device, and to the units and the dtype that the module trains in."""
        module = self.module_
        x, target, condition = (self.to_device(values) for values in batch)
        standardized = module.standardize(x)
        if target is None and module.outputs is module.inputs:
            target = standardized
        else:
            target = module.outputs(x if target is None else target)
            target = target.to(standardized.dtype)
        if condition is not None:
            condition = condition.to(standardized.dtype)
        return Batch(standardized, target, condition)

    # The loop.

    def get_default_callbacks(self):
        return [("epoch_timer", EpochTimer())]

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train on ``X = (rows, rows held out or None)``; skorch's, but for Ctrl-C."""
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y)
        self.notify("on_train_end", X=X, y=y)
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        train, valid = X
        self.generator_ = torch.Generator().manual_seed(self.seed)
        # Draws of the module happen on its device; the order of rows is drawn on the CPU.
        self.module_.generator = torch.Generator(self.device).manual_seed(self.seed)
        self.step_ = 0
        self.stopped_ = False
        self._valid = None if valid is None else self.prepare(valid[:])
        self._stoppers = [
            EarlyStopping(partial(self._state, member), self.patience)
            for member in range(self.n_members)
        ]
        self._scheduled = not any(isinstance(c, LRScheduler) for _, c in self.callbacks_)
        parts = self.module_, self.criterion_  # some change in the course of training
        self._told = [part for part in parts if hasattr(part, "done")]
        self._hooked = any(_overrides(c, BATCH_HOOKS) for _, c in self.callbacks_)
        batches = self.get_iterator(train, training=True)
        self._check()
        start_losses = self._mean_losses(batches)
        try:
            self._run_epochs(batches, train, valid)
        except KeyboardInterrupt as interrupt:
            # skorch's callbacks end a run by raising it; a person's must get through.
            if not _raised_by_skorch(interrupt):
                raise
        finally:
            self.module_.generator = None
        if self._checked_at != self.step_:  # a callback ended it
            self._check()
        self._end(batches, start_losses)
        return self

    def _run_epochs(
        self, batches: ShuffledBatches, train: Dataset, valid: Dataset
    ) -> None:
        while not self._finished():
            self.notify("on_epoch_begin", dataset_train=train, dataset_valid=valid)
            self.run_single_epoch(batches, True, "train", self.train_step)
            self.notify("on_epoch_end", dataset_train=train, dataset_valid=valid)

    def _finished(self) -> bool:
        return self.stopped_ or self.step_ >= self.n_steps

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        self.optimizer_.gather()  # a callback may have frozen or thawed parameters
        self._gradient = written_out(self.module_, self.criterion_)
        # A running sum: a tensor kept from each step would pin down freed memory.
        total, first = torch.zeros((), device=self.device), self.step_
        terms: dict[str, Tensor] = {}
        for batch in iterator:
            if self._scheduled:
                self._set_learning_rate()
            for part in self._told:
                part.done = self._done()
            if self._hooked:
                self.notify("on_batch_begin", batch=batch, training=True)
            loss = step_fn(batch)
            total += loss.mean()
            for name, value in getattr(self.criterion_, "terms", {}).items():
                terms[name] = terms.get(name, 0.0) + value
            self.step_ += 1
            if self._hooked:
                self.notify("on_batch_end", batch=batch, training=True, loss=loss)
            if self.step_ % self.check_every == 0 or self._finished():
                self._check(loss)
            if self._finished():
                break
        n_steps = self.step_ - first
        for name, value in terms.items():
            self.history.record(f"train_{name}", float(value) / n_steps)
        self._record(float(total) / n_steps)

    def train_step(self, batch: Batch, **fit_params) -> Tensor:
        if not self.module_.training:  # a look at the rows held out switched it off
            self._set_training(True)
        if self._gradient is None:
            loss = self._differentiate(batch)
        else:
            loss = self._gradient(batch.x, batch.target)
        if self._hooked:
            self.notify(
                "on_grad_computed",
                named_parameters=list(self.module_.named_parameters()),
                batch=batch,
                training=True,
            )
        self.optimizer_.step()
        self.module_.after_step()
        return loss

    def _differentiate(self, batch: Batch) -> Tensor:
        self.optimizer_.zero_grad()
        loss = self.row_losses(batch).mean(dim=-1)
        if loss.requires_grad:  # callbacks may have frozen everything
            loss.sum().backward()
        return loss.detach()

    def infer(self, batch: Batch, **fit_params) -> NamedTuple:
        if batch.condition is None:
            return self.module_(batch.x)
        return self.module_(batch.x, batch.condition)

    def _done(self) -> float:
        """How much of the training is done; criteria may change with it."""
        return self.step_ / self.n_steps

    def _set_learning_rate(self) -> None:
        """Warm up, then fall along a cosine; a skorch ``LRScheduler`` replaces this."""
        warm_up = max(1, int(self.warm_up * self.n_steps))
        if self.step_ < warm_up:
            factor = (self.step_ + 1) / warm_up
        else:
            done = (self.step_ - warm_up) / max(1, self.n_steps - warm_up)
            wave = (1 + math.cos(math.pi * done)) / 2
            factor = self.last_rate + (1 - self.last_rate) * wave
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor

    # Validation, and the weights to keep.

    def _state(self, member: int) -> dict[str, Tensor]:
        """The weights of a member as they are now."""
        return self.module_.state_dict()

    def _check(self, loss: Tensor | None = None) -> None:
        """Note how the run is doing, and keep its weights if they are the best so far."""
        self._checked_at = self.step_
        finite = self.optimizer_.is_finite()
        if loss is not None:
            finite &= loss.isfinite()
        held_out = [None] * self.n_members
        if self._valid is not None:
            held_out = self.validation_losses(self._valid)
        for stopper, ok, losses in zip(self._stoppers, finite, held_out, strict=True):
            stopper.check(self.step_, bool(ok), losses)
        self.stopped_ |= all(stopper.is_over for stopper in self._stoppers)

    @torch.no_grad()
    def validation_losses(self, batch: Batch) -> np.ndarray:
        """One loss per member and row, as the module is to be judged."""
        self._set_training(False)
        batch = batch._replace(x=self.module_.held_out(batch.x))
        losses = self.row_losses(batch).reshape(self.n_members, -1)
        return losses.cpu().double().numpy()

    def row_losses(self, batch: Batch) -> Tensor:
        return self.criterion_(self.infer(batch), batch.target)

    def _mean_losses(self, batches: ShuffledBatches) -> np.ndarray | None:
        """Of all training rows, one per member."""
        return self._average(batches.in_order()) if self.guarded else None

    def mean_loss(self, dataset: Dataset) -> float:
        """Of rows in the units of the data."""
        return float(self._average(map(self.prepare, dataset.chunks()))[0])

    def _average(self, batches: Iterable[Batch]) -> np.ndarray:
        # Summed as they come: kept until the end, they would pin down the memory of all
        # that was freed between them.
        total, n_samples = np.zeros(self.n_members), 0
        for batch in batches:
            losses = self.validation_losses(batch)
            total += losses.sum(axis=1)
            n_samples += losses.shape[1]
        return total / n_samples

    def _end(self, batches: ShuffledBatches, start_losses: np.ndarray | None) -> None:
        """Return to the weights kept, or to the first ones."""
        for stopper in self._stoppers:
            stopper.restore()
        if self.guarded and any(stopper.kept_step for stopper in self._stoppers):
            losses = self._mean_losses(batches)
            for stopper, loss, before in zip(
                self._stoppers, losses, start_losses, strict=True
            ):
                if loss > before:
                    stopper.restart()
        self._conclude(self._best_stopper())
        if self._valid is not None:
            self._set_training(False)
            self.calibration_ = self.module_.calibrate(*self._valid)

    def _conclude(self, stopper: EarlyStopping) -> None:
        """Say what became of the run."""
        self.validation_ = stopper.validation
        self.kept_step_ = stopper.kept_step
        self.diverged_ = stopper.diverged

    # History.

    def _record(self, train_loss: float) -> None:
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
        self.history.record("step", self.step_)
        self._record_loss("train_loss", train_loss)
        validation = self.repeats or self._best_stopper().validation
        if validation.losses:
            self._record_loss("valid_loss", validation.mean_at(self.step_))

    def _best_stopper(self) -> EarlyStopping:
        return min(self._stoppers, key=lambda stopper: stopper.validation.best)

    def _record_loss(self, name: str, value: float) -> None:
        """With the flag for a new best, which skorch's own callbacks look for."""
        earlier = [row[name] for row in self.history[:-1]]
        self.history.record(name, value)
        self.history.record(f"{name}_best", value < min(earlier, default=math.inf))

    # After training.

    def finish(self, history: list[dict]) -> None:
        """Forget what only training needs, and take over the history of the whole fit."""
        self.optimizer_.release()
        self.module_.eval()
        self.criterion_.eval()
        self.history[:] = history
        self.validation_ = self.repeats = None
        self.callbacks = [c for c in self.callbacks if not _is_hook(c)]
        self.callbacks_ = [c for c in self.callbacks_ if not _is_hook(c)]
        for name in (
            "optimizer_",
            "generator_",
            "_valid",
            "_watches",
            "_gradient",
            "_told",
        ):
            if hasattr(self, name):
                delattr(self, name)

    def snapshot(self) -> "AutoencoderNet":
        """A copy whose module stays as it is now, ready for inference."""
        lent = {id(self.module_.generator): None}  # not to be copied
        return self._with_module(copy.deepcopy(self.module_, lent).eval(), type(self))

    def _with_module(self, module: torch.nn.Module, kind: type) -> "AutoencoderNet":
        """The same net, as far as inference goes, around another module."""
        twin = object.__new__(kind)
        vars(twin).update(vars(self))
        for name in DERIVED:
            vars(twin).pop(name, None)
        vars(twin)["module_"] = module
        twin.callbacks_ = [c for c in self.callbacks_ if not _is_hook(c)]
        twin.callbacks = [c for c in self.callbacks if not _is_hook(c)]
        return twin

    def __getstate__(self):
        state = self.__dict__.copy()
        try:
            # skorch would pickle the module twice: as given and as initialised.
            self.module = self.criterion = None
            for name in DERIVED:
                self.__dict__.pop(name, None)
            return super().__getstate__()
        finally:
            self.__dict__.update(state)


class EpochHook(Callback):
    """Calls ``begin(net)`` and ``end(net)`` with each epoch; a true ``end`` stops."""

    def __init__(self, begin: Callable, end: Callable):
        self.begin = begin
        self.end = end

    def on_epoch_begin(self, net, **kwargs):
        self.begin(net)

    def on_epoch_end(self, net, **kwargs):
        net.stopped_ |= bool(self.end(net))


def _overrides(callback: Callback, hooks: tuple[str, ...]) -> bool:
    return any(getattr(type(callback), h) is not getattr(Callback, h) for h in hooks)


def _raised_by_skorch(interrupt: KeyboardInterrupt) -> bool:
    traceback = interrupt.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_globals["__name__"].startswith("skorch.callbacks")


def _is_hook(callback) -> bool:
    return isinstance(callback, tuple) and isinstance(callback[1], EpochHook)
