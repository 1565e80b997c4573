"""torch's modes while an estimator computes, whatever the caller has switched on.

Autocast would compute in bfloat16, inference mode and ``no_grad`` would leave nothing to
train, and tensors would be created on the caller's default device. torch shares its
default dtype between threads, so it is changed for the construction of modules only.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch

from skae._utils.random import seeded_default_generator

AUTOCAST_DEVICES = [
    device
    for device in ("cpu", "cuda", "mps", "xpu")
    if torch.amp.is_autocast_available(device)
]


def inference() -> AbstractContextManager:
    """Record no gradients, without autocast and the caller's default device."""
    # One context where nothing is to be switched off: a method may take only 100 us.
    return torch.inference_mode() if _is_plain() else _plain(torch.inference_mode())


@contextmanager
def training() -> Iterator[None]:
    """Record gradients, without autocast and the caller's default device."""
    with _plain(torch.inference_mode(False)), torch.enable_grad():
        yield


@contextmanager
def construction(seed: int, device: torch.device) -> Iterator[None]:
    """Construct modules from torch's seeded default generators, in float32 on the CPU.

    Threads enter one at a time.
    """
    with seeded_default_generator(seed, device), torch.device("cpu"):
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


def _is_plain() -> bool:
    return torch.empty(0).is_cpu and not any(
        torch.is_autocast_enabled(device) for device in AUTOCAST_DEVICES
    )


@contextmanager
def _plain(mode: AbstractContextManager) -> Iterator[None]:
    """The mode, without autocast and the caller's default device."""
    with ExitStack() as stack:
        for device in AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        # A device mode slows down every call of torch, so it is entered only if needed.
        if not torch.empty(0).is_cpu:
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(mode)
        yield
