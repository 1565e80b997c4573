"""Number of threads of torch, restored on exit.

torch's number of threads is shared by all Python threads, one way or another. It is
changed under a lock and restored, so that fits in several threads affect neither each
other nor the caller.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import nn

# A training step of fewer operations ends before a second thread is awake; on a machine
# with busy cores, waiting for that thread costs 5 to 25 times the step.
ONE_THREAD_BELOW = 50e6


class _SingleThread(threading.local):
    """Run torch on one thread, then on as many as before.

    torch's number of threads belongs to the calling thread, but the first call of torch
    in a thread takes the number that another thread set last. If a thread enters with
    one thread while others are inside, this is assumed to be the case, and the number
    that the first of them had is restored.
    """

    _lock = threading.Lock()
    _n_inside = 0
    _saved = 1

    # State of this Python thread; threading.local separates the threads.
    depth = 0
    before = 1

    def __enter__(self):
        cls = _SingleThread
        with cls._lock:
            if self.depth == 0:
                self.before = torch.get_num_threads()
                if cls._n_inside == 0:
                    cls._saved = self.before
                elif self.before == 1:
                    self.before = cls._saved
                cls._n_inside += 1
                if torch.get_num_threads() != 1:
                    torch.set_num_threads(1)
            self.depth += 1

    def __exit__(self, *error):
        cls = _SingleThread
        with cls._lock:
            self.depth -= 1
            if self.depth == 0:
                cls._n_inside -= 1
                if self.before != 1:
                    torch.set_num_threads(self.before)


_single_thread = _SingleThread()


_n_weights: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def count_weights(module: nn.Module) -> int:
    """Number of parameters: the multiplications that one sample costs."""
    n_weights = _n_weights.get(module)
    if n_weights is None:
        n_weights = sum(weights.numel() for weights in module.parameters())
        _n_weights[module] = n_weights
    return n_weights


def single_thread() -> AbstractContextManager:
    """Use one thread within this context."""
    return _single_thread


@contextmanager
def suitable_threads(n_weights: int, n_samples: int) -> Iterator[None]:
    """Use one thread where a batch of ``n_samples`` is too little work for two."""
    if 6 * n_weights * n_samples < ONE_THREAD_BELOW:
        with _single_thread:
            yield
    else:
        yield
