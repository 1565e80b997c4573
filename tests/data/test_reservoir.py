"""The reservoir is a uniform random sample, however the samples were divided."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skae._data import reservoir
from skae._data.dataset import Dataset
from skae._data.reservoir import Reservoir, concatenate


def fill(sizes, random_state):
    places = np.arange(float(sum(sizes)))[:, None]
    state = None
    for part in np.split(places, np.cumsum(sizes)[:-1]):
        seen = Reservoir(state)
        seen.add(Dataset(part, target=-part), random_state)
        state = seen.state
    return seen


@pytest.mark.parametrize("sizes", [[20], [1] * 20, [2, 15, 3], [19, 1]])
def test_every_sample_is_kept_with_the_same_probability(sizes, monkeypatch):
    monkeypatch.setattr(reservoir, "MAX_SAMPLES", 5)
    random_state = np.random.RandomState(0)
    counts = np.zeros(20)
    for _ in range(1000):
        kept = fill(sizes, random_state).dataset.x.ravel().astype(int)
        assert len(set(kept)) == 5
        counts[kept] += 1

    # Binomial with a share of 1/4.
    assert np.abs(counts - 250).max() < 4 * np.sqrt(1000 / 4 * 3 / 4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 99))
def test_all_are_kept_in_order_until_the_reservoir_is_full(sizes, seed):
    random_state, n_samples = np.random.RandomState(seed), sum(sizes)

    seen = fill(sizes, random_state)

    assert seen.n_seen == n_samples
    assert seen.is_complete
    np.testing.assert_array_equal(seen.dataset.x.ravel(), np.arange(n_samples))
    np.testing.assert_array_equal(seen.dataset.target, -seen.dataset.x)
    seen.add(Dataset(np.zeros((5000, 1)), target=np.zeros((5000, 1))), random_state)
    assert not seen.is_complete
    assert len(seen.dataset) == 5000


def test_wide_samples_are_fewer_and_the_data_are_copied():
    X = np.zeros((300, 2**15))
    seen = Reservoir()
    seen.add(Dataset(X[:3]), np.random.RandomState(0))
    X[:] = 1.0
    seen.add(Dataset(X), np.random.RandomState(0))

    assert seen.dataset.x.shape == (2**22 // 2**15, 2**15)
    assert set(seen.dataset.x[:, 0]) <= {0.0, 1.0}
    small = Reservoir()
    small.add(Dataset(X[:3]), np.random.RandomState(0))
    X[:] = 2.0
    assert (small.dataset.x == 1).all()


@pytest.mark.parametrize("first", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("last", [np.asarray, sparse.csr_array])
def test_storage_is_that_of_the_last_part(first, last):
    X = np.random.RandomState(0).normal(size=(6, 3))
    joined = concatenate([Dataset(first(X[:2])), Dataset(last(X[2:]))]).x

    assert sparse.issparse(joined) == (last is sparse.csr_array)
    np.testing.assert_array_equal(
        joined.toarray() if sparse.issparse(joined) else joined, X
    )
