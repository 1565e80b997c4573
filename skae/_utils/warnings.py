"""Warnings with the location of the user's own code."""

import sys
import warnings


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line outside skae, scikit-learn and contextlib."""
    inside = {"skae", "sklearn", "contextlib"}
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].split(".")[0] in inside:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
