"""What all classes that generate rows have in common: counts, and lines between codes."""

from numbers import Integral

import numpy as np


def check_count(value: int, name: str) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1.")


def check_pairs(n_from: int, n_to: int) -> None:
    if n_from != n_to:
        raise ValueError(
            f"X_from has {n_from} rows and X_to has {n_to}. Paths lead from row to row, "
            "so pass as many of both."
        )


def mix(starts: np.ndarray, ends: np.ndarray, n_steps: int) -> np.ndarray:
    """Points on the lines between rows, one line after the other."""
    share = np.linspace(0, 1, n_steps).astype(starts.dtype)[:, None]
    points = starts[:, None] * (1 - share) + ends[:, None] * share
    return points.reshape(-1, starts.shape[1])
