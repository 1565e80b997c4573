"""Means, spreads and components, against numpy and PCA."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA

from skae._data import statistics as statistics_module
from skae._data.dataset import Dataset
from skae._data.statistics import describe, describe_given


@pytest.mark.parametrize("shape", [(50, 5), (9, 30), (20_000, 3), (9, 5_000)])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_components_are_those_of_pca(shape, offset):
    X = offset + np.random.RandomState(0).normal(size=shape) * np.linspace(1, 2, shape[1])
    statistics = describe(Dataset(X), 3)
    pca = PCA(3, svd_solver="full").fit(X)

    np.testing.assert_allclose(statistics.mean, X.mean(axis=0))
    np.testing.assert_allclose(statistics.spread, X.std(axis=0), rtol=1e-9)
    projector = statistics.components @ statistics.components.T
    np.testing.assert_allclose(projector, pca.components_.T @ pca.components_, atol=1e-7)
    np.testing.assert_allclose(
        statistics.deviations, pca.singular_values_ / np.sqrt(len(X)), rtol=1e-6
    )


@pytest.mark.parametrize("shape", [(60, 40), (30, 70)])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_iteration_finds_what_the_direct_way_finds(shape, kind, monkeypatch):
    X = np.random.RandomState(0).poisson(0.5, shape).astype(float)
    X[:, :3] *= np.random.RandomState(1).normal(size=(shape[0], 1)) * [5, 3, 2]
    rows = Dataset(kind(X)).subset(np.arange(shape[0])[::-1])
    direct = describe(rows, 2)
    monkeypatch.setattr(statistics_module, "DIRECT", 10)

    iterated = describe(rows, 2)

    np.testing.assert_allclose(iterated.deviations, direct.deviations, rtol=1e-12)
    projectors = [s.components @ s.components.T for s in (iterated, direct)]
    np.testing.assert_allclose(*projectors, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3, -1e-12])
def test_a_constant_column_has_no_spread_at_all(value):
    X = np.random.RandomState(0).normal(size=(1000, 2))
    X[:, 1] = value

    assert describe(Dataset(X), 1).spread[1] == 0


def test_beyond_the_rank_there_are_no_directions():
    X = np.outer(np.arange(10.0), [1.0, 2.0, 3.0])
    statistics = describe(Dataset(X), 5)

    assert statistics.components.shape == (3, 5)
    np.testing.assert_array_equal(np.abs(statistics.components).sum(axis=0)[1:], 0)


def test_targets_and_conditions_are_described_too():
    X = np.random.RandomState(0).normal(size=(20, 3))
    rows = Dataset(X, target=X[:, :2] + 5, condition=X[:, :1])
    statistics = describe(rows, 2)

    assert (statistics.n_features, statistics.n_outputs) == (3, 2)
    assert statistics.n_conditions == 1
    np.testing.assert_allclose(statistics.target_mean, X[:, :2].mean(axis=0) + 5)


@pytest.mark.parametrize("shape", [(200, 6), (30, 5_000)])
@pytest.mark.parametrize("standardized", [False, True])
def test_components_given_a_condition_are_those_of_the_residuals(shape, standardized):
    rng = np.random.RandomState(0)
    condition = np.eye(3)[rng.randint(3, size=shape[0])]
    X = 5 * rng.normal(size=(3, shape[1]))[condition.argmax(axis=1)]
    X += rng.normal(size=shape) * np.linspace(1, 2, shape[1])
    X[:, 0] = 3.0
    dataset = Dataset(X, condition=condition.astype(np.float32))

    found = describe_given(dataset, 2, standardized=standardized)

    offsets = np.linalg.lstsq(condition, X - X.mean(axis=0))[0]
    residuals = X - X.mean(axis=0) - condition @ offsets
    if standardized:
        residuals /= np.where(X.std(axis=0) > 0, X.std(axis=0), np.inf)
    residuals[:, 0] = 0.0
    pca = PCA(2, svd_solver="full").fit(residuals)
    np.testing.assert_allclose(
        found.components @ found.components.T,
        pca.components_.T @ pca.components_,
        atol=1e-6,
    )
    expected = X.std(axis=0) if standardized else np.ones(shape[1])
    np.testing.assert_allclose(
        found.residual_spread, residuals.std(axis=0) * expected, atol=1e-6
    )
