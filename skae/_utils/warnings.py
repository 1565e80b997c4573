"""Warnings that point at the user's own line."""

import sys
import warnings


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user's that called, whatever lies between."""
    inside = {"skae", "sklearn", "contextlib"}
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].split(".")[0] in inside:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
