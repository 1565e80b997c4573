"""Principal components against scikit-learn's, on scales from 1 to 1e8 and ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from skae._data import statistics
from skae._data.dataset import Dataset
from skae._linalg.eigen import leading, leading_axes
from tests.graded import GRADES, graded

# One per way to compute them: by the covariance, inner products, or iteration.
SHAPES = {"tall": (300, 12), "wide": (25, 90), "iterated": (200, 120)}


def squared_error(X, mean, components):
    centred = X - mean
    return np.square(centred - (centred @ components) @ components.T).sum()


@pytest.mark.parametrize("kind", SHAPES)
@given(**GRADES, n_components=st.integers(1, 9))
def test_error_is_pcas_whatever_the_scales(kind, n_components, **grades):
    X = graded(SHAPES[kind], **grades)
    with pytest.MonkeyPatch.context() as patch:
        if kind == "iterated":
            patch.setattr(statistics, "DIRECT", 50)
        found = statistics.describe(Dataset(X), n_components)
    pca = PCA(n_components, svd_solver="full").fit(X)
    ours = squared_error(X, found.mean, found.components)
    assert ours <= squared_error(X, pca.mean_, pca.components_.T) * (1 + 1e-6)
    deviations = pca.singular_values_ / np.sqrt(len(X))
    np.testing.assert_allclose(found.deviations, deviations, rtol=1e-6)
    products = found.components.T @ found.components
    np.testing.assert_allclose(products, np.eye(n_components), atol=1e-7)


def test_small_components_of_many_samples_are_kept():
    scale = [5e4, 0.3, 0.003]
    X = np.random.RandomState(0).normal(size=(200_000, 3)) * scale
    found = statistics.describe(Dataset(X), 3)
    np.testing.assert_allclose(found.deviations, X.std(axis=0), rtol=1e-4)


@pytest.mark.parametrize("shape", [(300, 4), (4, 300)])
@pytest.mark.parametrize("smallest", [1e-6, 1e-12])
def test_components_above_rounding_error_are_kept(shape, smallest):
    """Singular values of columns, or rows, that are orthogonal and centred exactly."""
    signs = np.ones((4, 4))
    signs[:, 0] = [1, -1, 1, -1]
    signs[:, 1] = [1, 1, -1, -1]
    signs[:, 2] = [1, -1, -1, 1]
    X = signs[:, :3] * [1.0, 1e-3, smallest]
    X = np.tile(X, (75, 1)) if shape[0] == 300 else np.tile(X, (1, 100))
    found = statistics.describe(Dataset(X), 3)
    width = 1 if shape[0] == 300 else 10  # each feature a hundred times
    expected = width * np.array([1.0, 1e-3, smallest])
    np.testing.assert_allclose(found.deviations, expected, rtol=1e-3)


@pytest.mark.parametrize("shape", SHAPES.values())
def test_directions_beyond_the_rank_are_zero(shape):
    random_state = np.random.RandomState(0)
    # Products of small integers are exact, so that the rank is, too.
    left = random_state.randint(-9, 10, (shape[0], 4))
    right = random_state.randint(-9, 10, (4, shape[1]))
    found = statistics.describe(Dataset((left @ right).astype(float)), 9)
    assert np.count_nonzero(found.deviations) == 4
    assert not found.components[:, 4:].any()
    assert squared_error(left @ right, found.mean, found.components) < 1e-18


@pytest.mark.parametrize("n", [8, 43, 120])
@pytest.mark.parametrize("n_components", [1, 3, 7])
def test_tied_eigenvalues(n, n_components):
    for matrix in (np.eye(n), np.eye(n) - 1 / n, np.kron(np.eye(n), np.ones((2, 2)))):
        values, vectors = leading(matrix, n_components)
        expected = np.linalg.eigvalsh(matrix)[::-1][:n_components]
        np.testing.assert_allclose(values, expected)
        np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-12)
        gram = vectors.T @ vectors
        np.testing.assert_allclose(gram, np.eye(n_components), atol=1e-10)


def test_leading_axes_keeps_small_singular_values():
    random_state = np.random.RandomState(0)
    left = np.linalg.qr(random_state.normal(size=(9, 4)))[0]
    right = np.linalg.qr(random_state.normal(size=(7, 4)))[0]
    singular_values = np.array([1e10, 1.0, 1e-2, 1e-4])
    squares, axes = leading_axes((left * singular_values) @ right.T, 3)
    np.testing.assert_allclose(np.sqrt(squares), singular_values[:3], rtol=1e-3)
    np.testing.assert_allclose(np.abs(axes[:, 1] @ right[:, 1]), 1.0, rtol=1e-6)
