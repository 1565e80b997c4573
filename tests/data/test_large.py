"""Sparse rows, and rows on disk: the same results, without a dense copy."""

import subprocess
import sys

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


MEASURED = """
import resource, sys
import numpy as np
import skae

name, path = sys.argv[1:]
X = np.memmap(path, dtype=np.float32, mode="r", shape=(300, 20_000))
estimator = getattr(skae, name)(max_iter=1, random_state=0, device="cpu")
rng = np.random.RandomState(0)
small = rng.normal(size=(300, 20)).astype(np.float32)
estimator.fit(small, rng.randint(2, size=300))  # imports all there is
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
estimator.fit(X, rng.randint(2, size=300)).score_samples(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss differ")
@pytest.mark.parametrize(
    ("name", "n_weights"),
    [
        ("AutoencoderTransformer", 5_200_000),
        ("VAETransformer", 5_200_000),
        ("ConditionalVAE", 5_200_000),
        ("AEOutlierDetector", 500_000),
    ],
)
def test_memory_is_bounded_by_the_weights_and_some_chunks(tmp_path, name, n_weights):
    """Six copies of the weights, the standardised samples, the file, and chunks."""
    X = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=(300, 20_000))
    factors = np.random.RandomState(0).normal(size=(2, 20_000, 3)).astype(np.float32)
    X[:] = factors[0, :300] @ factors[1].T + 0.5 * factors[:, :300].sum()
    X.flush()
    command = [sys.executable, "-c", MEASURED, name, str(tmp_path / "x")]

    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    allowed = 6 * 4 * n_weights + 2 * X.nbytes + 2**28
    assert 1024 * int(ran.stdout) < allowed
