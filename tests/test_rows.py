"""Batches hold every row once; nothing is copied before."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._rows import Batch, Rows, ShuffledBatches


def standardized(batch):
    return Batch(batch.x, batch.x, batch.condition)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_batches_hold_every_row_once_and_are_of_like_size(n_rows, batch_size, cache):
    rows = Rows(np.arange(n_rows, dtype=float)[:, None])
    generator = torch.Generator().manual_seed(0)
    batches = list(ShuffledBatches(rows, standardized, batch_size, generator, cache))

    seen = torch.cat([batch.x for batch in batches]).flatten()
    lengths = [len(batch.x) for batch in batches]
    assert sorted(seen.tolist()) == list(range(n_rows))
    assert max(lengths) <= batch_size
    assert max(lengths) - min(lengths) <= 1


def test_cached_and_uncached_batches_are_the_same():
    rows = Rows(np.random.RandomState(0).normal(size=(20, 3)))
    drawn = [
        list(
            ShuffledBatches(
                rows, standardized, 6, torch.Generator().manual_seed(0), cache
            )
        )
        for cache in (True, False)
    ]

    for cached, uncached in zip(*drawn, strict=True):
        torch.testing.assert_close(cached.x, uncached.x)
        torch.testing.assert_close(cached.target, uncached.target)


def test_subsets_of_subsets_and_what_travels_with_x():
    x = np.arange(10.0)[:, None]
    rows = Rows(x, target=-x, condition=x + 0.5).subset(np.array([8, 2, 4]))

    batch = rows.subset(np.array([2, 0]))[:]

    assert batch.x.flatten().tolist() == [4, 8]
    assert batch.target.flatten().tolist() == [-4, -8]
    assert batch.condition.flatten().tolist() == [4.5, 8.5]


def test_read_only_and_reversed_memory_is_served():
    x = np.arange(12.0).reshape(6, 2)[::-1]
    x.setflags(write=False)

    assert Rows(x)[0:2].x.tolist() == [[10, 11], [8, 9]]
