"""Batches hold every row once; nothing is copied before."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skae._data.dataset import (
    BLOCK,
    BLOCKS_AT_ONCE,
    Batch,
    Dataset,
    ShuffledBatches,
    nearby_order,
)


def standardized(batch):
    return Batch(batch.x, batch.x, batch.condition)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_batches_hold_every_row_once_and_are_of_like_size(n_samples, batch_size, cache):
    rows = Dataset(np.arange(n_samples, dtype=float)[:, None])
    generator = torch.Generator().manual_seed(0)
    batches = list(ShuffledBatches(rows, standardized, batch_size, generator, cache))

    seen = torch.cat([batch.x for batch in batches]).flatten()
    lengths = [len(batch.x) for batch in batches]
    assert sorted(seen.tolist()) == list(range(n_samples))
    assert max(lengths) <= batch_size
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_uncached_batches_have_the_rows_of_cached_ones(kind):
    x = kind(np.random.RandomState(0).normal(size=(1000, 3)))
    passes = []
    for cache in (True, False):
        generator = torch.Generator().manual_seed(0)
        rows = Dataset(x).subset(np.random.RandomState(1).permutation(1000)[:900])
        batches = list(ShuffledBatches(rows, standardized, 64, generator, cache))
        assert {len(batch.x) for batch in batches} <= {60}
        passes.append(torch.cat([batch.x for batch in batches]))

    ordered = [x[x[:, 0].argsort()] for x in passes]
    torch.testing.assert_close(*ordered)
    assert not torch.equal(*passes)


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("index", [None, [8, 1, 4]])
def test_blocks_of_features_hold_the_samples_in_use(kind, index):
    x = np.random.RandomState(0).normal(size=(9, 7))
    rows = Dataset(kind(x), index=None if index is None else np.array(index))

    block = rows.features(slice(2, 5))

    expected = x[slice(None) if index is None else index][:, 2:5]
    np.testing.assert_array_equal(block.numpy(), expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3 * BLOCK * BLOCKS_AT_ONCE), st.integers(0, 2**31 - 1))
def test_nearby_order_has_every_row_once(n_samples, seed):
    order = nearby_order(n_samples, torch.Generator().manual_seed(seed))

    assert torch.equal(order.sort().values, torch.arange(n_samples))


def test_nearby_order_reads_few_pages_at_a_time():
    order = nearby_order(100 * BLOCK * BLOCKS_AT_ONCE, torch.Generator().manual_seed(0))

    runs_read = (order[: BLOCK * BLOCKS_AT_ONCE] // BLOCK).unique()

    assert len(runs_read) == BLOCKS_AT_ONCE


@pytest.mark.parametrize("cache", [True, False])
def test_every_batch_is_a_random_sample_and_another_one_at_every_pass(cache):
    samples = Dataset(np.arange(6000.0)[:, None])
    generator = torch.Generator().manual_seed(0)
    batches = ShuffledBatches(samples, standardized, 60, generator, cache)
    passes = [[batch.x.flatten() for batch in batches] for _ in range(3)]

    # Means of batches of 60 out of 0, ..., 5999, which are within 30 and 5970 in order.
    deviation = 6000 / (12 * 60) ** 0.5
    for batches in passes:
        means = torch.stack([batch.mean() for batch in batches])
        assert (means - 2999.5).abs().max() < 5 * deviation
        assert 0.7 < means.std() / deviation < 1.3
        assert means.diff().abs().mean() > 0.5 * deviation  # no trend
    compositions = [{tuple(b.sort().values.tolist()) for b in p} for p in passes]
    assert not set.intersection(*compositions)


def test_large_data_are_shuffled_by_blocks_and_within_them(monkeypatch):
    monkeypatch.setattr("skae._data.dataset.BLOCKS_AT_ONCE", 4)
    generator = torch.Generator().manual_seed(0)
    orders = [nearby_order(64 * BLOCK, generator) for _ in range(20)]
    places = torch.arange(64 * BLOCK)

    along = [torch.corrcoef(torch.stack([o, places]).float())[0, 1] for o in orders]
    assert torch.stack(along).abs().mean() < 0.3
    for order, other in zip(orders, orders[1:], strict=False):
        assert (order.diff().abs() == 1).float().mean() < 0.01
        assert (order == other).float().mean() < 0.05


@pytest.mark.parametrize("view", ["reversed", "fortran", "read-only", "list of rows"])
def test_any_layout_becomes_a_batch_and_the_caller_keeps_the_data(view):
    x = np.random.RandomState(0).normal(size=(9, 3))
    if view == "reversed":
        x = x[::-1]
    elif view == "fortran":
        x = np.asfortranarray(x)
    elif view == "read-only":
        x.flags.writeable = False
    index = slice(2, 6) if view != "list of rows" else np.array([5, 0])

    batch = Dataset(x)[index]

    np.testing.assert_array_equal(batch.x.numpy(), x[index])


def test_subsets_of_subsets_and_what_travels_with_x():
    x = np.arange(10.0)[:, None]
    rows = Dataset(x, target=-x, condition=x + 0.5).subset(np.array([8, 2, 4]))

    batch = rows.subset(np.array([2, 0]))[:]

    assert batch.x.flatten().tolist() == [4, 8]
    assert batch.target.flatten().tolist() == [-4, -8]
    assert batch.condition.flatten().tolist() == [4.5, 8.5]


def test_read_only_and_reversed_memory_is_served():
    x = np.arange(12.0).reshape(6, 2)[::-1]
    x.setflags(write=False)

    assert Dataset(x)[0:2].x.tolist() == [[10, 11], [8, 9]]
