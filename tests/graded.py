"""Tables whose features, or principal components, differ in scale."""

import numpy as np
from hypothesis import strategies as st

# How, as arguments of hypothesis.given.
GRADES = {
    "exponent": st.floats(0, 8),
    "unit": st.sampled_from([1e-30, 1.0, 1e30]),
    "rotated": st.booleans(),
    "seed": st.integers(0, 999),
}


def graded(shape, exponent, unit, rotated, seed):
    """Normal samples; deviations from ``unit`` to ``unit * 10**exponent``."""
    random_state = np.random.RandomState(seed)
    X = random_state.normal(size=shape) * np.logspace(0, exponent, shape[1])
    if rotated:
        X = X @ np.linalg.qr(random_state.normal(size=(shape[1], shape[1])))[0]
    return unit * (X + random_state.normal(size=shape[1]))
