"""Numbers of threads of torch, numpy, scipy, scikit-learn: one, then as many as before.

The threads of OpenMP and of OpenBLAS wait for each other in every operation, and spin. If
all cores are busy, a wait lasts until the scheduler runs the other thread. On two cores
with two other processes, a training step of 512-wide layers took 990 ms on two threads
and 23 ms on one; numpy's product of 1797 samples of 64 features 124 and 0.2 ms; the
leading eigenvectors of a matrix of size 784 9.7 and 0.06 s.
"""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from inspect import isfunction
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

# Operations of a training step from which on it may use several threads. On two idle
# cores two threads are 1.1 to 1.9 times as fast, whatever the size above 1e8. With two
# other busy processes a step of two threads takes about a second: 43 times that of one at
# 5e8 operations, 8 times at 4e9, as long as that of one (3.2 and 3.1 s) at 1e11.
ONE_THREAD_BELOW = 1e11


class Guard(Protocol):
    """Something to do before a call and to undo after it."""

    def enter(self) -> None: ...

    def leave(self) -> None:
        """Undo :meth:`enter`, or what was done of it; once is as good as twice."""


def call_within(guard: Guard, function: Callable, *args, **kwargs):
    """Call a function within a guard, which is left whatever happens.

    Unlike a ``with`` statement, whose ``__exit__`` Ctrl-C may end before its first line.
    """
    try:
        guard.enter()
        return function(*args, **kwargs)
    finally:
        try:
            guard.leave()
        finally:  # again, if Ctrl-C ended the first call
            guard.leave()


class _TorchThreads:
    """Run torch on a number of threads, then on as many as before.

    torch's number of threads belongs to the calling thread, but the first call of torch
    in a thread takes the number that another thread set last. If that is one, and others
    are inside, the thread gets their number on leaving.
    """

    # By the identifier of each thread that is inside: its number of threads outside.
    # Without a lock, which a fork would copy in any state: a dict's methods are atomic.
    outside: dict[int, int] = {}
    # Whether this thread has been inside before; threading.local separates the threads.
    local = threading.local()
    # A forked child has no copy of the threads that its parent has computed with, and
    # OpenMP would wait for them forever.
    is_forked = False

    def __init__(self, wanted: int):
        self.wanted = wanted
        self.before: int | None = None

    @classmethod
    def callers(cls) -> int:
        """Number of threads that this thread had outside; 1 in a forked child."""
        if cls.is_forked:
            return 1
        present = torch.get_num_threads()
        return cls.outside.get(threading.get_ident(), present)

    def enter(self) -> None:
        cls = _TorchThreads
        me = threading.get_ident()
        others = cls.outside.copy()
        before = torch.get_num_threads()
        if before == 1 and not hasattr(cls.local, "known"):
            others |= cls.outside  # some may have left and others entered meanwhile
            before = max([1, *others.values()])
        cls.local.known = True
        self.is_outermost = me not in cls.outside
        self.before = before
        if self.is_outermost:
            cls.outside[me] = before
        torch.set_num_threads(self.wanted)

    def leave(self) -> None:
        if self.before is None:
            return
        torch.set_num_threads(self.before)
        if self.is_outermost:
            _TorchThreads.outside.pop(threading.get_ident(), None)
        self.before = None

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *error) -> None:
        self.leave()

    @classmethod
    def after_fork(cls) -> None:
        """In the child, only the thread that forked is left."""
        cls.is_forked = True
        me = threading.get_ident()
        cls.outside = {me: cls.outside[me]} if me in cls.outside else {}


class _LibraryThreads:
    """Run numpy, scipy and scikit-learn on one thread, then on as many as before.

    OpenMP's number of threads, in scikit-learn, belongs to the calling thread, as does
    torch's. That of OpenBLAS, in numpy and scipy, belongs to the process: the first
    thread inside sets it to one, the last one restores it, and others compute on one
    thread meanwhile.
    """

    lock = threading.Lock()
    inside: "dict[_LibraryThreads, int]" = {}  # and the thread of each
    blas_outside: list[int] = []  # number of threads of each OpenBLAS

    def __init__(self):
        self.openmp_before: list[int] | None = None

    def enter(self) -> None:
        cls, openmp, blas = _LibraryThreads, _libraries("openmp"), _libraries("openblas")
        self.openmp_before = [library.num_threads for library in openmp]
        for library in openmp:
            library.set_num_threads(1)
        with cls.lock:
            if not cls.inside:
                cls.blas_outside = [library.num_threads for library in blas]
            cls.inside[self] = threading.get_ident()
            for library in blas:
                _set_number(library, 1)

    def leave(self) -> None:
        cls, openmp, blas = _LibraryThreads, _libraries("openmp"), _libraries("openblas")
        with cls.lock:
            if list(cls.inside) == [self]:
                for library, number in zip(blas, cls.blas_outside, strict=True):
                    _set_number(library, number)
            cls.inside.pop(self, None)
        if self.openmp_before is not None:
            for library, number in zip(openmp, self.openmp_before, strict=True):
                library.set_num_threads(number)
            self.openmp_before = None

    @classmethod
    def after_fork(cls) -> None:
        """In the child, only the thread that forked is left."""
        cls.lock = threading.Lock()
        me = threading.get_ident()
        cls.inside = {guard: of for guard, of in cls.inside.items() if of == me}


@cache
def _libraries(kind: str) -> list:
    """Copies of "openmp", or of "openblas" with threads of its own, in this process."""
    found = ThreadpoolController()
    if kind == "openmp":
        return found.select(user_api=kind).lib_controllers
    blas = found.select(internal_api=kind).lib_controllers
    return [library for library in blas if library.threading_layer == "pthreads"]


def _set_number(library, n_threads: int) -> None:
    # threadpoolctl 3.8 ignores all Python threads but the first that sets a number, so
    # that no other one could restore it.
    set_always = getattr(library, "_real_set_num_threads", library.set_num_threads)
    set_always(n_threads)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_TorchThreads.after_fork)
    os.register_at_fork(after_in_child=_LibraryThreads.after_fork)


def one_thread(function: Callable) -> Callable:
    """Decorate a function: torch computes on one thread, unless it asks for more."""

    @wraps(function)
    def on_one_thread(*args, **kwargs):
        return call_within(_TorchThreads(1), function, *args, **kwargs)

    return on_one_thread


def libraries_on_one_thread(function: Callable) -> Callable:
    """Decorate a function: numpy, scipy and scikit-learn compute on one thread."""

    @wraps(function)
    def on_one_thread(*args, **kwargs):
        return call_within(_LibraryThreads(), function, *args, **kwargs)

    return on_one_thread


class OneThread:
    """Base class: public methods and properties run torch on one thread.

    As it wraps what a subclass defines, no method can be forgotten.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            if name.startswith("_"):
                continue
            if isfunction(member):
                setattr(cls, name, one_thread(member))
            elif isinstance(member, property):
                setattr(cls, name, member.getter(one_thread(member.fget)))
            elif hasattr(member, "fn"):  # scikit-learn's available_if
                member.fn = one_thread(member.fn)


_n_weights: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def count_weights(module: nn.Module) -> int:
    """Number of parameters: the multiplications that one sample costs."""
    n_weights = _n_weights.get(module)
    if n_weights is None:
        n_weights = sum(weights.numel() for weights in module.parameters())
        _n_weights[module] = n_weights
    return n_weights


def available_threads() -> int:
    """Number of threads that the caller of a :class:`OneThread` has; 1 after a fork."""
    return _TorchThreads.callers()


def suitable_threads(n_weights: int, n_samples: int) -> AbstractContextManager[None]:
    """Use the caller's threads for a batch of ``n_samples`` if it gains much, or one."""
    is_little = 6 * n_weights * n_samples < ONE_THREAD_BELOW
    return _TorchThreads(1 if is_little else available_threads())
