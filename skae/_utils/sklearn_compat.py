"""scikit-learn's private names that an estimator needs, all in one place.

It declares its parameters' constraints with them, and scikit-learn offers them under no
public name. If they move, this file follows.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = ["HasMethods", "Interval", "StrOptions", "fit_context"]
