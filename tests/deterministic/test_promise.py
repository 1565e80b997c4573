"""The promise: on new data the squared error is at most PCA's, whatever the table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer


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
@given(
    exponent=st.floats(0, 8),
    unit=st.sampled_from([1e-30, 1.0, 1e30]),
    n_components=st.integers(1, 5),
    rotated=st.booleans(),
    seed=st.integers(0, 999),
)
def test_features_of_any_scale(exponent, unit, n_components, rotated, seed):
    random_state = np.random.RandomState(seed)
    X = random_state.normal(size=(900, 6)) * np.logspace(0, exponent, 6)
    if rotated:
        X = X @ np.linalg.qr(random_state.normal(size=(6, 6)))[0]
    X = unit * X
    assert error_over_pcas(X[:600], X[600:], n_components, max_iter=2) < 1.01


@pytest.mark.parametrize("deviation", [1.0, 300.0, 3e4])
def test_a_dominant_feature_does_not_hide_the_others(deviation):
    """A curved surface beside a linear feature of whatever standard deviation."""
    random_state = np.random.RandomState(0)
    u, v = random_state.uniform(-1, 1, size=(2, 1200))
    curved = np.stack([u, v, u**2, np.sin(3 * v), u * v], axis=1)
    X = np.column_stack([curved, deviation * random_state.normal(size=len(u))])
    assert error_over_pcas(X[:900], X[900:], 3) < 0.35


@pytest.mark.parametrize("n", [8, 43])
@pytest.mark.parametrize("n_repeats", [1, 5])
@pytest.mark.parametrize("n_components", [1, 3])
def test_balanced_one_hot_features(n, n_repeats, n_components):
    X = np.tile(np.eye(n), (n_repeats, 1))
    assert error_over_pcas(X, X, n_components, max_iter=1) < 1 + 1e-9
