"""Where the work runs: device, threads, and the random stream. Nothing global changes.

torch's number of threads and its default generator are shared by all threads, one way or
another. Both are borrowed under a lock and given back, so that fits in several threads do
not disturb each other or the caller.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

# A step of fewer operations than this is over before a second thread has woken up; on a
# machine with busy cores waiting for it costs 5 to 25 times the step.
ONE_THREAD_BELOW = 50e6


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device: "auto" is CUDA if there is any, then MPS, then the CPU."""
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a device that torch knows. Use 'auto', 'cpu', "
            "'cuda', 'cuda:0', 'mps' or another torch.device."
        ) from error
    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if not available.get(resolved.type, lambda: True)():
        raise ValueError(
            f"device={device!r} was asked for, but torch finds no such device here. "
            "Use device='auto' to take the best one available."
        )
    return resolved


class _SingleThread(threading.local):
    """Run torch on one thread, then on as many as before.

    torch's number of threads belongs to the calling thread, but a thread that meets
    torch for the first time takes the number that any other set last. A thread that
    comes with one while others are inside is taken for such: it gets back what the
    first one saw.
    """

    _lock = threading.Lock()
    _n_inside = 0
    _saved = 1

    # Of this thread; threading.local keeps the instances apart.
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


def count_weights(module: nn.Module) -> int:
    """Number of weights, which a row meets once each: the work that it makes."""
    return sum(weights.numel() for weights in module.parameters())


def one_thread() -> AbstractContextManager:
    """Use one thread in here."""
    return _single_thread


@contextmanager
def suitable_threads(n_weights: int, n_samples: int) -> Iterator[None]:
    """Use one thread where ``n_rows`` and so many weights are too little work for two."""
    if 6 * n_weights * n_samples < ONE_THREAD_BELOW:
        with _single_thread:
            yield
    else:
        yield


_default_generator_lock = threading.RLock()


@contextmanager
def borrowed_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators, then put back what was there.

    For code that draws from them and takes no generator: the initialisation of layers,
    and dropout in a network that a user built.
    """
    cuda = [device] if device.type == "cuda" else []
    with _default_generator_lock, torch.random.fork_rng(devices=cuda):
        # torch.manual_seed would seed every device's stream, of which one is put back.
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
