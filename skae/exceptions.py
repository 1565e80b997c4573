"""Warnings of ``fit``, as categories for ``warnings.filterwarnings``."""


class CollapseWarning(UserWarning):
    """Posterior collapse, or a prior that does not cover most of the data."""


class OvercompleteWarning(UserWarning):
    """Overcomplete code without regularisation, which can copy its input."""
