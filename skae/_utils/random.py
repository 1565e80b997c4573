"""torch's default random generators, seeded and restored on exit."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.RLock()


@contextmanager
def seeded_default_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators, and restore their state on exit.

    For code that uses them and accepts no generator: the initialisation of layers, and
    dropout in a user's network. Threads enter one at a time.
    """
    cuda = [device] if device.type == "cuda" else []
    with _lock, torch.random.fork_rng(devices=cuda):
        # torch.manual_seed would seed every device, of which only one is restored.
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
