"""Imports of scikit-learn's private parameter validation, all in one place.

Estimators declare the constraints of their parameters with them. They have no public
name in scikit-learn; if they move, this file must be adapted.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

__all__ = ["HasMethods", "Interval", "RealNotInt", "StrOptions", "fit_context"]
