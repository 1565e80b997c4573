"""Warnings that fits may raise, to be filtered by name."""

import sys
import warnings


class CollapseWarning(UserWarning):
    """The code says next to nothing of a row, or the prior misses most of the data."""


class OvercompleteWarning(UserWarning):
    """The code has room for a copy of the input, and nothing keeps it from being one."""


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user's that called, whatever lies between."""
    inside = {"skae", "sklearn", "contextlib"}
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].split(".")[0] in inside:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
