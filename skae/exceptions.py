"""Warnings that fits may raise, to be filtered by name."""


class CollapseWarning(UserWarning):
    """The code says next to nothing of a row, or the prior misses most of the data."""


class OvercompleteWarning(UserWarning):
    """The code has room for a copy of the input, and nothing keeps it from being one."""
