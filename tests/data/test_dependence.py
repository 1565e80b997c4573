"""Equal samples, groups, and drift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skae._data.dataset import Dataset
from skae._data.dependence import find_units, has_drift


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seed=st.integers(0, 999), n_values=st.integers(2, 5), n_features=st.integers(1, 4))
def test_units_are_the_equal_samples(kind, dtype, seed, n_values, n_features):
    random_state = np.random.RandomState(seed)
    values = np.array([0.0, -0.0, 1.0, 2.0, -1e-30, 1e30])[: n_values + 1]
    X = random_state.choice(values, size=(30, n_features)).astype(dtype)
    expected = {}
    numbers = [expected.setdefault(tuple(x), len(expected)) for x in X + 0]
    units = find_units(Dataset(kind(X)))
    first = [numbers.index(number) for number in numbers]
    if len(expected) > 1:
        np.testing.assert_array_equal(units.numbers, numbers)
        np.testing.assert_array_equal(units.is_copy, np.array(first) < np.arange(30))


def test_a_unit_joins_groups_that_share_a_sample():
    X = np.array([[1.0], [2.0], [3.0], [2.0], [4.0], [5.0]])
    groups = ["a", "a", "b", "c", "c", "d"]
    np.testing.assert_array_equal(
        find_units(Dataset(X), np.array(groups)).numbers, [0, 0, 1, 0, 0, 2]
    )


def test_permutations_of_values_are_not_equal():
    X = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 2.0, 0.0]])
    np.testing.assert_array_equal(find_units(Dataset(X)).numbers, [0, 1, 2, 0])


@pytest.mark.parametrize("n_samples", [150, 3000])
def test_drift_is_a_difference_of_means_beyond_chance(n_samples):
    random_state = np.random.RandomState(0)
    X = np.exp(2 * random_state.normal(size=(n_samples, 50)))  # heavy tails
    X[:, 0] = 1.0
    assert not has_drift(Dataset(X))
    X[:, 7] = np.sort(X[:, 7])
    X[:, 8] = np.linspace(0, 1e-9, n_samples)
    assert has_drift(Dataset(X[:, [1, 8]]))
    assert has_drift(Dataset(X[:, [0, 1, 7]][::-1]))
    assert not has_drift(Dataset(X[:1]))
