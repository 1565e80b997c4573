"""torch's default random generators: seeded, and restored whatever happens.

Only for code that accepts no generator of its own: the initialisation of layers, and
layers of a user's network that draw, such as dropout. Other threads that draw meanwhile
would change the numbers of both, so the generators are borrowed for the construction of
modules and for single training steps, never for the whole training.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Real

import torch
from torch import Tensor, nn

from skae._utils.threads import call_within

_lock = threading.RLock()
_is_held = False  # by the thread that forks


class _Borrowed:
    """A state of the default generators that is in use from time to time.

    Parameters
    ----------
    seed : int
        Determines the first state.

    device : torch.device
        Where modules draw; the default generator of the CPU is borrowed in any case.
    """

    def __init__(self, seed: int, device: torch.device):
        self.device = device if device.type == "cuda" else None
        devices = [torch.device("cpu")] if self.device is None else ["cpu", device]
        seeded = [torch.Generator(each).manual_seed(seed) for each in devices]
        self.own = [generator.get_state() for generator in seeded]
        self.others: list[Tensor] | None = None

    def enter(self) -> None:
        self.others = self._states()
        self._set(self.own)

    def leave(self) -> None:
        if self.others is None:
            return
        self.own = self._states()
        self._set(self.others)
        self.others = None

    def call(self, function: Callable, *args):
        with _lock:
            return call_within(self, function, *args)

    def _states(self) -> list[Tensor]:
        states = [torch.default_generator.get_state()]
        if self.device is not None:
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _set(self, states: list[Tensor]) -> None:
        torch.default_generator.set_state(states[0])
        if self.device is not None:
            torch.cuda.set_rng_state(states[1], self.device)


@contextmanager
def seeded_default_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators, and restore their state on exit.

    For the construction of modules. Threads enter one at a time.
    """
    borrowed = _Borrowed(seed, device)
    with _lock:
        try:
            borrowed.enter()
            yield
        finally:
            borrowed.leave()


def calls_with_own_draws(module: nn.Module, seed: int, device: torch.device) -> Callable:
    """Return ``call(function, *args)``, in which the module draws from its own numbers.

    They continue from call to call, whoever draws between them. A call takes 10 us more,
    and threads enter one at a time. Where the module does not draw from them, the
    function is called as it is.
    """
    return _Borrowed(seed, device).call if may_draw(module) else _call


def _call(function: Callable, *args):
    return function(*args)


def may_draw(module: nn.Module) -> bool:
    """Whether a module may draw from torch's default generators in training.

    Those of skae do not, nor do most of ``torch.nn``. Code of others (a ``forward`` or a
    hook) cannot be known and is assumed to.
    """
    return any(_draws(part) or _is_foreign(part) for part in module.modules())


def _draws(part: nn.Module) -> bool:
    """Whether a layer of ``torch.nn`` draws: dropout in all its forms, and two others."""
    if isinstance(part, (nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)):
        return True
    if isinstance(part, nn.modules.dropout._DropoutNd):
        return part.p > 0
    # A number in recurrent and attention layers; a layer in others, which is a part, too.
    probability = getattr(part, "dropout", 0.0)
    return isinstance(probability, Real) and probability > 0


def _is_foreign(part: nn.Module) -> bool:
    """Whether code that is neither torch's nor skae's runs with the layer."""
    author = getattr(type(part).forward, "__module__", None) or ""
    is_known = author.startswith(("torch.nn.", "skae."))
    hooks = part._forward_hooks or part._forward_pre_hooks
    return not is_known or "forward" in vars(part) or bool(hooks)


# A child would copy the state of the moment: the lock of a thread that it has not, and
# numbers that another thread draws in the parent. The fork waits for the end of the
# training step, but not for ever.


def _before_fork() -> None:
    global _is_held
    _is_held = _lock.acquire(timeout=1.0)


def _after_fork_in_parent() -> None:
    if _is_held:
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
