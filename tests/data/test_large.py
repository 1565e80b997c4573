"""Sparse rows, and rows on disk: the same results, without a dense copy."""

import numpy as np
import pytest
from scipy import sparse

from skae import AutoencoderTransformer
from skae._training import trainer

FAST = dict(n_components=2, max_iter=5, random_state=0)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [60, 200])
def test_sparse_rows_give_what_dense_ones_give(X, kind, dtype, n_samples):
    X = np.where(X > 0, X, 0).astype(dtype)[:n_samples]
    dense = AutoencoderTransformer(**FAST).fit(X)
    scattered = AutoencoderTransformer(**FAST).fit(kind(X))

    codes = scattered.transform(kind(X))

    assert codes.dtype == dtype
    np.testing.assert_array_equal(codes, dense.transform(X))
    np.testing.assert_array_equal(scattered.reconstruct(kind(X)), dense.reconstruct(X))
    np.testing.assert_array_equal(
        scattered.score_samples(kind(X)), dense.score_samples(X)
    )


def test_no_dense_copy_of_sparse_rows_is_made(monkeypatch):
    monkeypatch.setattr(trainer, "CACHE_BELOW", 0)
    X = sparse.random_array((20_000, 400), density=0.01, rng=0, format="csr")
    made = []
    to_dense = sparse.csr_array.toarray

    def toarray(self, *args, **kwargs):
        made.append(self.shape[0])
        return to_dense(self, *args, **kwargs)

    monkeypatch.setattr(sparse.csr_array, "toarray", toarray)
    AutoencoderTransformer(**FAST).fit(X)

    assert max(made) <= 8192


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["r", "c"])
def test_rows_on_disk_are_trained_on_where_they_are(
    tmp_path, X, dtype, mode, monkeypatch
):
    stored = np.memmap(tmp_path / "x", dtype=dtype, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flush()
    on_disk = np.memmap(tmp_path / "x", dtype=dtype, mode=mode, shape=X.shape)
    in_memory = AutoencoderTransformer(**FAST).fit(X.astype(dtype))

    estimator = AutoencoderTransformer(**FAST).fit(on_disk)

    codes = estimator.transform(on_disk)
    np.testing.assert_array_equal(codes, in_memory.transform(X.astype(dtype)))
    np.testing.assert_array_equal(on_disk, X.astype(dtype))


def test_what_is_too_large_to_cache_is_learned_as_well(X, monkeypatch):
    X = np.tile(X, (20, 1))
    cached = AutoencoderTransformer(2, random_state=0).fit(X)
    monkeypatch.setattr(trainer, "CACHE_BELOW", 0)

    streamed = AutoencoderTransformer(2, random_state=0).fit(X)

    assert streamed.score(X) == pytest.approx(cached.score(X), rel=0.2)
