"""The promise: on new data the squared error is at most PCA's, whatever the table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from tests.graded import GRADES, graded


def error_over_pcas(train, test, n_components, groups=None, **parameters):
    """Held-out squared error over that of PCA."""
    model = AutoencoderTransformer(n_components, random_state=0, **parameters)
    routed = {} if groups is None else {"groups": groups}
    model.fit(train, **routed)
    pca = PCA(n_components, svd_solver="full").fit(train)
    ours, pcas = (
        np.square(m.inverse_transform(m.transform(test)) - test).sum()
        for m in (model, pca)
    )
    # Where PCA is exact, what is left is rounding error.
    rounding = np.square(1e-7 * test.std(axis=0)).sum() * len(test)
    return ours / max(pcas, rounding)


@settings(max_examples=15)
@given(**GRADES, n_components=st.integers(1, 5))
def test_features_of_any_scale(n_components, **grades):
    X = graded((900, 6), **grades)
    assert error_over_pcas(X[:600], X[600:], n_components, max_iter=2) < 1.01


@pytest.mark.parametrize("deviation", [1.0, 300.0, 3e4])
def test_a_dominant_feature_does_not_hide_the_others(deviation):
    """A curved surface beside a linear feature of whatever standard deviation."""
    random_state = np.random.RandomState(0)
    u, v = random_state.uniform(-1, 1, size=(2, 1200))
    curved = np.stack([u, v, u**2, np.sin(3 * v), u * v], axis=1)
    X = np.column_stack([curved, deviation * random_state.normal(size=len(u))])
    assert error_over_pcas(X[:900], X[900:], 3) < 0.35


def autoregression(n_samples, n_features, coefficient, random_state):
    series = np.zeros((n_samples, n_features))
    for time in range(1, n_samples):
        noise = np.sqrt(1 - coefficient**2) * random_state.normal(size=n_features)
        series[time] = coefficient * series[time - 1] + noise
    return series


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("n_train", [100, 140, 300])
def test_samples_that_follow_a_series(n_train, seed):
    random_state = np.random.RandomState(seed)
    sensors = autoregression(2 * n_train, 3, 0.98, random_state)
    X = sensors @ random_state.normal(size=(3, 8))
    X += 0.1 * autoregression(len(X), 8, 0.98, random_state)
    assert error_over_pcas(X[:n_train], X[n_train:], 2) < 1.01


@pytest.mark.parametrize("n_copies", [2, 10])
def test_equal_samples(n_copies):
    random_state = np.random.RandomState(0)
    X = random_state.normal(size=(300, 10)) * np.linspace(1, 3, 10)
    copies = random_state.permutation(np.repeat(X[:150], n_copies, axis=0))
    assert error_over_pcas(copies, X[150:], 3) < 1.01


@pytest.mark.parametrize("n_groups", [40, 200])
def test_new_groups(n_groups):
    random_state = np.random.RandomState(0)
    means = random_state.normal(size=(2 * n_groups, 10))
    groups = np.repeat(np.arange(2 * n_groups), 10)
    X = means[groups] + 0.1 * random_state.normal(size=(len(groups), 10))
    train = random_state.permutation(len(X) // 2)
    test = X[len(X) // 2 :]
    assert error_over_pcas(X[train], test, 3, groups[train]) < 1.01
    # Without them, samples of a group are on both sides, and that is what they are for.
    assert error_over_pcas(X[train], test, 3) > 1.2


@pytest.mark.parametrize("n", [1000, 4000])
def test_samples_that_drift(n):
    """A curve that goes on as a line from where the training samples end."""
    random_state = np.random.RandomState(0)
    t = np.linspace(0, 3, n)
    curve = np.where(t < 1.3, np.sin(4 * t), np.sin(4 * 1.3) + 3 * (t - 1.3))
    X = np.stack([t, curve, random_state.normal(size=n), t * curve], axis=1)
    X += 0.05 * random_state.normal(size=X.shape)
    train = int(0.65 * n)
    assert error_over_pcas(X[:train], X[train:], 2) < 1.05
    shuffled = X[random_state.permutation(n)]
    assert error_over_pcas(shuffled[:train], shuffled[train:], 2) < 0.8


@pytest.mark.parametrize("n", [8, 43])
@pytest.mark.parametrize("n_repeats", [1, 5])
@pytest.mark.parametrize("n_components", [1, 3])
def test_balanced_one_hot_features(n, n_repeats, n_components):
    X = np.tile(np.eye(n), (n_repeats, 1))
    assert error_over_pcas(X, X, n_components, max_iter=1) < 1 + 1e-9
