"""The training loop: skorch's net with whole-batch steps and step-wise early stopping.

Callbacks, per-epoch history and device moves are skorch's. The step (no closures, no
per-batch history), the schedule and early stopping are ours; they count steps, because an
epoch may be four steps or forty thousand. The net is discarded after training.
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
from torch import Tensor, nn

from skae._data.dataset import (
    Batch,
    Dataset,
    ShuffledBatches,
    chunk_size,
    select,
)
from skae._nn.backprop import written_out
from skae._training import schedule
from skae._training.early_stopping import EarlyStopping
from skae._training.inference import prepare
from skae._training.trained import TrainedModule
from skae._utils.random import calls_with_own_draws

# Below this share of the variance, gradients are rounding errors of float32.
LEAST_UNIT = 1e-7

ROUNDING = 1e-6  # relative error of a mean loss

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class AutoencoderNet(skorch.NeuralNet):
    """Trains a module for a number of steps and keeps the weights that validate best.

    Parameters
    ----------
    module, criterion : nn.Module
        ``criterion(module(x), target)`` is one loss per sample. Instances, so that
        skorch's ``module__*`` parameters are not used.

    n_steps : int
        Length of the run, which the learning-rate schedule depends on.

    check_every : int, default=1
        Steps between two validation checks.

    patience : int, default=None
        Number of checks without a lower validation loss that end the run; None never
        does.

    margin : float, default=None
        Return to the initial weights if the training loss has risen by more, in units of
        1 plus its size: a sample that outweighs all others may have been made worse
        without being in the validation set. Losses of nothing but the reconstruction have
        no margin. None does not compare.

    repeats : Validation, default=None
        Validation of the run that this one repeats on more samples; callbacks read the
        validation loss from it.

    compares : bool, default=False
        Compute the mean training loss at the end, to compare initialisations.

    seed : int, default=0
        Seed of batches and of the module's draws.

    cache : bool, default=True
        Keep a standardised copy of the training samples.

    **kwargs : dict
        Parameters of :class:`skorch.NeuralNet`.
    """

    n_members = 1

    def __init__(
        self,
        module,
        criterion,
        *,
        n_steps,
        check_every=1,
        patience=None,
        margin=None,
        repeats=None,
        compares=False,
        seed=0,
        cache=True,
        **kwargs,
    ):
        super().__init__(module, criterion, **kwargs)
        self.n_steps = n_steps
        self.check_every = check_every
        self.patience = patience
        self.margin = margin
        self.repeats = repeats
        self.compares = compares
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
        """Move a batch to the device and standardise it."""
        return prepare(self.module_, batch)

    # The loop.

    def get_default_callbacks(self):
        return [("epoch_timer", EpochTimer())]

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train on ``X = (training set, validation set or None)``.

        As skorch's, but that ``KeyboardInterrupt`` is not swallowed.
        """
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y)
        self.notify("on_train_end", X=X, y=y)
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        train, valid = X
        self.generator_ = torch.Generator().manual_seed(self.seed)
        # The module draws on its device; the order of samples is drawn on the CPU.
        self.module_.generator = torch.Generator(self.device).manual_seed(self.seed)
        # Dropout in a user's network draws from torch's default generator.
        device = torch.device(self.device)
        self._call = calls_with_own_draws(self.module_, self.seed, device)
        self.step_ = 0
        self.stopped_ = False
        self._least: dict[str, float] = {}
        self._valid = None if valid is None else self.prepare(valid[:])
        self._states: dict[int, dict[str, Tensor]] = {}
        layers = [*self.module_.modules(), *self.criterion_.modules()]
        own = any(type(layer).train is not nn.Module.train for layer in layers)
        self._layers = None if own else layers
        self._stoppers = [
            EarlyStopping(partial(self._read, member), self.patience)
            for member in range(self.n_members)
        ]
        self._scheduled = not any(isinstance(c, LRScheduler) for _, c in self.callbacks_)
        # Some losses and modules change in the course of training.
        trained = self.module_, self.criterion_
        self._progressing = [part for part in trained if hasattr(part, "done")]
        callbacks = [callback for _, callback in self.callbacks_]
        self._observed = any(type(c) not in (EpochTimer, EpochHook) for c in callbacks)
        self._hooked = any(_overrides(c, BATCH_HOOKS) for c in callbacks)
        batches = self.get_iterator(train, training=True)
        self._check()
        sized = getattr(self.criterion_, "sizes_gradients", False)
        initial_losses = None
        if self.margin is not None or sized:
            initial_losses = self._train_losses(batches)
        if sized:
            self.optimizer_.unit = self._gradient_unit(initial_losses)
        try:
            self._run_epochs(batches, train, valid)
        except KeyboardInterrupt as interrupt:
            # skorch's callbacks end a run by raising it; the user's must get through.
            if not _raised_by_skorch(interrupt):
                raise
        finally:
            self.module_.generator = None
        if self._checked_at != self.step_:  # a callback ended the run
            self._check()
        self._end(batches, initial_losses)
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
        # A callback may have frozen or unfrozen parameters, or hooked layers.
        if self.optimizer_.gather() or self._observed:
            self._prepare_steps()
        # A running sum: a tensor kept from each step would pin down freed memory.
        first = self.step_
        total = torch.zeros((), device=self.device, dtype=torch.float32)
        terms: dict[str, Tensor] = {}
        for batch in iterator:
            if self._scheduled:
                self._set_learning_rate()
            for part in self._progressing:
                part.done = self._done()
            if self._hooked:
                self.notify("on_batch_begin", batch=batch, training=True)
            loss = self._call(step_fn, batch)
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

    def _prepare_steps(self) -> None:
        """Find what is to be trained, at first and whenever it may have changed."""
        self._gradient = written_out(self.module_, self.criterion_)
        self._states.clear()

    def train_step(self, batch: Batch, **fit_params) -> Tensor:
        if not self.module_.training:  # a validation check switched it off
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
        loss = self.sample_losses(batch).mean(dim=-1)
        if loss.requires_grad:  # callbacks may have frozen everything
            loss.sum().backward()
        return loss.detach()

    def infer(self, batch: Batch, **fit_params) -> NamedTuple:
        if batch.condition is None:
            return self.module_(batch.x)
        return self.module_(batch.x, batch.condition)

    def _gradient_unit(self, losses: np.ndarray) -> Tensor:
        """The size of a large gradient, one per member, given the initial losses."""
        losses = np.clip(np.nan_to_num(losses, nan=1.0), LEAST_UNIT, 1.0)
        return torch.tensor(losses, dtype=torch.float32, device=self.device)[:, None]

    def _done(self) -> float:
        """Share of the training that is done."""
        return self.step_ / self.n_steps

    def _learning_rate_factor(self) -> float:
        return schedule.cosine(self.step_, self.n_steps)

    def _set_learning_rate(self) -> None:
        """Follow the schedule, unless a callback is a skorch ``LRScheduler``."""
        factor = self._learning_rate_factor()
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor

    # Validation, and the weights to keep.

    def _read(self, member: int) -> dict[str, Tensor]:
        """The same, found once: training changes tensors in place."""
        if member not in self._states:
            self._states[member] = self._state(member)
        return self._states[member]

    def _set_training(self, training: bool = True) -> None:
        if self._layers is None:  # a user's ``train`` may do more
            super()._set_training(training)
            return
        for layer in self._layers:  # at a fifth of the cost of module.train()
            layer.training = training

    def _state(self, member: int) -> dict[str, Tensor]:
        """The present weights of a member."""
        return self.module_.state_dict()

    def _check(self, loss: Tensor | None = None) -> None:
        """Validate, and keep the weights if they are the best so far."""
        self._checked_at = self.step_
        finite = self.optimizer_.is_finite()
        if loss is not None:
            finite &= loss.isfinite()
        losses = [None] * self.n_members
        if self._valid is not None:
            chunks = self._valid_chunks()
            losses = np.concatenate(
                [self._call(self.validation_losses, chunk) for chunk in chunks], axis=1
            )
        for stopper, ok, of_member in zip(self._stoppers, finite, losses, strict=True):
            stopper.check(self.step_, bool(ok), of_member)
        self.stopped_ |= all(stopper.is_over for stopper in self._stoppers)

    @torch.no_grad()
    def validation_losses(self, batch: Batch) -> np.ndarray:
        """Losses of shape (n_members, n_samples), in evaluation mode."""
        self._set_training(False)
        batch = batch._replace(x=self.module_.validation_input(batch.x))
        losses = self.sample_losses(batch).reshape(self.n_members, -1)
        return losses.cpu().double().numpy()

    def _valid_chunks(self) -> list[Batch]:
        """The validation set, in chunks."""
        size = chunk_size(self._valid.x.shape[-1])
        starts = range(0, len(self._valid.x), size)
        return [select(self._valid, slice(start, start + size)) for start in starts]

    def sample_losses(self, batch: Batch) -> Tensor:
        return self.criterion_(self.infer(batch), batch.target)

    def _train_losses(self, batches: ShuffledBatches) -> np.ndarray:
        """Mean loss of all training samples, one per member."""
        return self._average(batches.in_order())

    def _average(self, batches: Iterable[Batch]) -> np.ndarray:
        # Summed as they come: kept until the end, they would pin down the memory of all
        # that was freed between them.
        total, n_samples = np.zeros(self.n_members), 0
        for batch in batches:
            losses = self._call(self.validation_losses, batch)
            total += losses.sum(axis=1)
            n_samples += losses.shape[1]
        return total / n_samples

    def _end(self, batches: ShuffledBatches, initial_losses: np.ndarray | None) -> None:
        """Load the best weights, or the initial ones."""
        for stopper in self._stoppers:
            stopper.restore()
        has_trained = any(stopper.kept_step for stopper in self._stoppers)
        if self.margin is not None and has_trained:
            losses = self._train_losses(batches)
            sized = getattr(self.criterion_, "sizes_gradients", False)
            margin = 0.0 if sized else self.margin
            for stopper, loss, initial in zip(
                self._stoppers, losses, initial_losses, strict=True
            ):
                # Not if it is equal but for rounding; but if it is not finite.
                size = abs(initial)
                if not loss <= initial + ROUNDING * size + margin * (1 + size):
                    stopper.restore_initial()
        self._losses = self._train_losses(batches) if self.compares else None
        self.calibration_ = torch.ones(())
        if self._valid is not None:
            self._set_training(False)
            chunks = self._valid_chunks()
            found = [
                self._call(self.module_.calibrate, *chunk) * len(chunk.x)
                for chunk in chunks
            ]
            self.calibration_ = sum(found) / len(self._valid.x)

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
        self.history.record(name, value)
        self.history.record(f"{name}_best", value < self._least.get(name, math.inf))
        self._least[name] = min(value, self._least.get(name, math.inf))

    # After training.

    def finish(self) -> list[TrainedModule]:
        """Return the trained module of each member, and free all else.

        Nets refer to themselves, so that their memory is freed only by and by.
        """
        self.optimizer_.release()
        self.module_.eval()
        trained = [self._trained(member) for member in range(self.n_members)]
        self._stoppers = self._valid = self._gradient = self._states = None
        return trained

    def _trained(self, member: int) -> TrainedModule:
        stopper = self._stoppers[member]
        return TrainedModule(
            self._module_of(member),
            seed=self.seed,
            n_steps=self.n_steps,
            best_step=stopper.kept_step,
            diverged_at=self.step_ if stopper.diverged else None,
            reverted=stopper.reverted,
            validation=stopper.validation,
            calibration=self.calibration_,
            train_loss=None if self._losses is None else float(self._losses[member]),
        )

    def _module_of(self, member: int) -> nn.Module:
        return self.module_

    def snapshot(self) -> nn.Module:
        """A copy of the module as it is now, in evaluation mode."""
        lent = {id(self.module_.generator): None}  # not to be copied
        return copy.deepcopy(self.module_, lent).eval()


class EpochHook(Callback):
    """Calls ``begin(net)`` and ``end(net)`` with each epoch; a true ``end`` stops."""

    def __init__(self, begin: Callable, end: Callable):
        self.begin = begin
        self.end = end

    def on_epoch_begin(self, net, **kwargs):
        self.begin(net)

    def on_epoch_end(self, net, **kwargs):
        net.stopped_ |= bool(self.end(net))


def plain_history(net: AutoencoderNet) -> list[dict]:
    """One dict of plain values per epoch, without skorch's batches."""
    epochs = map(dict.items, net.history)
    return [{k: v for k, v in epoch if k != "batches"} for epoch in epochs]


def _overrides(callback: Callback, hooks: tuple[str, ...]) -> bool:
    return any(getattr(type(callback), h) is not getattr(Callback, h) for h in hooks)


def _raised_by_skorch(interrupt: KeyboardInterrupt) -> bool:
    traceback = interrupt.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_globals["__name__"].startswith("skorch.callbacks")
