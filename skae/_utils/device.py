"""Resolution of ``device="auto"``."""

import torch


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device: "auto" is CUDA if available, else MPS, else the CPU."""
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
            f"device={device!r} is not a device of torch. Use 'auto', 'cpu', 'cuda', "
            "'cuda:0', 'mps' or another torch.device."
        ) from error
    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if not available.get(resolved.type, lambda: True)():
        raise ValueError(
            f"device={device!r} is not available to torch on this machine. Use "
            "device='auto' for the best device available."
        )
    return resolved
