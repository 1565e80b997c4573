"""Fixtures: small data with a known structure."""

import os

# Read by scipy when it is imported; without it scikit-learn skips its array-API check.
os.environ["SCIPY_ARRAY_API"] = "1"
# Figures of tests and doctests open no windows.
os.environ["MPLBACKEND"] = "agg"

import numpy as np
import pytest
import torch
from hypothesis import settings

# A busy machine may take any time, and that is no error.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Tests are many small fits; threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture
def X():
    """A curved surface of two dimensions in five, float64."""
    rng = np.random.RandomState(0)
    u, v = rng.uniform(-1, 1, (2, 200))
    noise = 0.01 * rng.normal(size=(200, 5))
    return np.column_stack([u, v, u**2, u * v, np.sin(2 * v)]) + noise


@pytest.fixture
def low_rank_X():
    """Three strong directions in eight columns, and noise: PCA's own ground."""
    rng = np.random.RandomState(0)
    factors = rng.normal(size=(300, 3)) * [5.0, 3.0, 2.0]
    return factors @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(300, 8)) + 10.0
