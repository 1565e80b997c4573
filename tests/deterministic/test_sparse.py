"""SparseAE recovers planted directions with few active components per sample."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import ContractiveAE, DenoisingAE, SparseAE
from skae._deterministic.sparsity import (
    DEAD_AFTER,
    SPARSITIES,
    SparseLoss,
    SparseModule,
    keep_largest,
    keep_largest_per_sample,
)
from skae.losses import ReconstructionLoss
from skae.metrics import reconstruction_r2
from tests.nn.test_backprop import D, autoencoder

quick = partial(SparseAE, max_iter=3, random_state=0)
untrained = partial(
    SparseAE, max_iter=1, learning_rate=1e-12, early_stopping=False, random_state=0
)


@pytest.fixture(scope="module")
def digits():
    X = load_digits().data[np.random.RandomState(0).permutation(1797)]
    return X[:1400], X[1400:]


def planted(n_samples, n_directions=24, n_features=12, n_active=2):
    """Samples that are positive combinations of few directions."""
    rng = np.random.RandomState(0)
    directions = rng.normal(size=(n_directions, n_features))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    order = rng.rand(n_samples, n_directions).argsort(axis=1)
    codes = np.where(order < n_active, rng.uniform(1, 2, order.shape), 0.0)
    noise = 0.02 * rng.normal(size=(n_samples, n_features))
    return codes @ directions + noise, directions


# Known answers.


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_recovers_the_planted_directions(sparsity):
    X, directions = planted(6_000)

    fitted = SparseAE(24, n_active=2, sparsity=sparsity, random_state=0).fit(X[:5_000])

    cosines = directions @ fitted.components_.T
    assert cosines.max(axis=1).mean() > 0.9
    codes = fitted.transform(X[5_000:])
    assert_allclose((codes > 0).sum(axis=1).mean(), 2, rtol=0.05)
    assert fitted.dead_units_ == 0


def test_is_initialized_at_the_largest_principal_components_of_each_sample(digits):
    X, X_test = digits
    initial = untrained(128, n_active=6, sparsity="topk").fit(X)

    pca = PCA().fit(X)
    codes = pca.transform(X_test)
    small = np.abs(codes).argsort(axis=1)[:, :-6]
    np.put_along_axis(codes, small, 0.0, axis=1)
    assert_allclose(initial.reconstruct(X_test), pca.inverse_transform(codes), atol=1e-4)
    six = PCA(6).fit(X)
    error = np.square(X_test - six.inverse_transform(six.transform(X_test))).mean(axis=1)
    assert (-initial.score_samples(X_test) <= error + 1e-6).all()


def test_training_improves_on_the_initialization(digits):
    X, X_test = digits
    initial = untrained(128, n_active=6).fit(X)
    trained = SparseAE(128, n_active=6, random_state=0).fit(X)

    assert trained.score(X_test) > 0.85 * initial.score(X_test)
    assert trained.dead_units_ <= 3
    assert_allclose((trained.transform(X_test) > 0).sum(axis=1).mean(), 6, rtol=0.15)


@pytest.mark.parametrize("n_samples", [600, 2_100])
def test_the_threshold_is_calibrated_on_held_out_samples(n_samples):
    rng = np.random.RandomState(0)
    # Principal components fit the noise of the training samples.
    X = rng.normal(size=(n_samples + 600, n_samples // 2))

    initial = SparseAE(100, n_active=5, max_iter=1, learning_rate=1e-12).fit(
        X[:n_samples]
    )

    on_new = (initial.transform(X[n_samples:]) > 0).sum(axis=1).mean()
    assert_allclose(on_new, 5, rtol=0.1)
    assert initial.active_fraction_ * 100 > 6


@pytest.mark.parametrize("sparsity", ["batch_topk", "topk"])
def test_an_overcomplete_code_does_not_copy_its_input(sparsity):
    rng = np.random.RandomState(0)
    places = np.linspace(0, 31, 16)[:, None]
    bumps = np.exp(-(((np.arange(32) - places) / 1.5) ** 2) / 2)
    order = rng.rand(2_500, 16).argsort(axis=1)
    X = np.where(order < 2, rng.uniform(1, 2, order.shape), 0.0) @ bumps
    corrupted = X + 0.5 * X.std() * rng.normal(size=X.shape)

    wide = SparseAE(64, n_active=2, sparsity=sparsity, random_state=0).fit(X[:2_000])

    denoised = np.square(wide.reconstruct(corrupted) - X)[2_000:].mean()
    assert denoised < 0.7 * np.square(corrupted - X)[2_000:].mean()


# Components of the module.


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31 - 1)
)
def test_n_active_activations_are_kept(n_samples, k, n_active, seed):
    n_active = min(k, n_active)
    generator = torch.Generator().manual_seed(seed)
    activation = torch.randn(n_samples, k, generator=generator)
    positive = int((activation > 0).sum())

    code, threshold = keep_largest(activation, n_active)
    per_sample = keep_largest_per_sample(activation, n_active)

    n_kept = int((code > 0).sum())
    all_but_one = min(n_samples * n_active, n_samples * k - 1)
    assert n_kept == min(all_but_one, positive) or n_samples * k == 1
    assert (code[code > 0] > threshold).all()
    assert (activation[code == 0] <= threshold).all()
    assert (code >= 0).all() and (per_sample >= 0).all()
    assert ((per_sample > 0).sum(dim=1) <= n_active).all()
    kept = per_sample > 0
    assert_array_equal(per_sample[kept], activation[kept])


def sparse_module(sparsity, n_active=2, k=5):
    plain = autoencoder("silu", "path", k=k)
    return SparseModule(
        encoder=plain.encoder,
        decoder=nn.Linear(k, D),
        inputs=plain.inputs,
        outputs=plain.outputs,
        basis=plain.basis,
        sparsity=sparsity,
        n_active=n_active,
    )


def test_dead_components_are_trained_on_the_residual():
    torch.manual_seed(0)
    module = sparse_module("topk")
    module.encoder.weight.zero_()
    with torch.no_grad():
        module.encoder.network[-1].bias.copy_(torch.tensor([9.0, 8.0, -9.0, -8.0, -7.0]))
        module.encoder.network[-1].weight.zero_()
        module.encoder.change.zero_()
    loss = SparseLoss(ReconstructionLoss("squared_error", torch.ones(D)), "topk", 0.4)
    x = torch.randn(8, D)

    for _ in range(DEAD_AFTER):
        assert module(x).dead_reconstruction is None
    with torch.no_grad():
        module.encoder.network[-1].bias[2] = 1.0  # positive, but below the two largest
    output = module(x)
    loss(output, x).sum().backward()

    assert_array_equal(
        module.steps_inactive > DEAD_AFTER, [False, False, True, True, True]
    )
    assert output.dead_reconstruction is not None
    assert module.decoder.weight.grad[:, 2].norm() > 0
    assert module.decoder.weight.grad[:, 3].norm() == 0  # negative activations


@pytest.mark.parametrize("sparsity", ["l1", "kl"])
def test_the_weight_of_a_penalty_is_adapted_to_the_sparsity(sparsity):
    loss = SparseLoss(ReconstructionLoss("squared_error", torch.ones(D)), sparsity, 0.4)
    module = sparse_module(sparsity)
    weights = [float(module.penalty_weight)]
    for shift in (5.0, -50.0):  # all active, none active
        with torch.no_grad():
            module.encoder.network[-1].bias += shift
        loss(module(torch.randn(8, D)), torch.randn(8, D))
        weights.append(float(module.penalty_weight))

    assert weights[1] > weights[0] and weights[2] < weights[1]
    loss.eval()
    before = float(module.penalty_weight)
    loss(module.eval()(torch.randn(8, D)), torch.randn(8, D))
    assert float(module.penalty_weight) == before


def test_penalties_end_before_training_ends():
    # Unseeded, no more than 32 of 96 activations were positive once in a while.
    torch.manual_seed(0)
    module = sparse_module("l1")
    x = torch.randn(16, D)
    counts = {}
    for done in (0.1, 0.5, 1.0):
        module.done = done
        counts[done] = int((module(x).code > 0).sum())

    assert counts[0.5] <= 2 * 16
    assert counts[0.1] == counts[1.0] > counts[0.5]


# API.


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_codes_are_sparse_and_directions_of_unit_length(sparsity, X):
    X = np.column_stack([X, np.full(200, 7.0)])
    fitted = quick(14, n_active=3, sparsity=sparsity, early_stopping=False).fit(X)
    codes = fitted.transform(X)

    assert fitted.best_step_ > 0
    assert codes.shape == (200, 14) and (codes >= 0).all()
    assert (codes == 0).mean() > 0.5
    assert_allclose(np.linalg.norm(fitted.components_, axis=1), 1, rtol=1e-6)
    offset = fitted.inverse_transform(np.zeros((1, 14)))
    assert_allclose(
        codes @ fitted.components_ + offset, fitted.reconstruct(X), rtol=1e-5, atol=1e-6
    )
    assert_allclose(fitted.active_fraction_, (codes > 0).mean(), rtol=1e-6)
    assert fitted.dead_units_ == (codes == 0).all(axis=0).sum()
    assert_allclose(fitted.transform(X[:7]), codes[:7], atol=1e-9)
    assert fitted.get_feature_names_out()[-1] == "sparseae13"


def test_codes_scale_with_the_data(X):
    codes = [quick(8).fit(scale * X).transform(scale * X) for scale in (1, 1024)]

    assert_allclose(1024 * codes[0], codes[1], rtol=1e-3)


def test_auto_is_twice_the_features_and_a_sixteenth_of_it():
    X = np.random.RandomState(0).normal(size=(50, 40))
    fitted = quick().fit(X)

    assert (fitted.n_components_, fitted.n_active_) == (80, 5)
    assert fitted.transform(X).shape == (50, 80)
    with pytest.raises(ValueError, match="n_components=80"):
        fitted.inverse_transform(X)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (33, 4), (5, 8)])
@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("init", ["pca", "random"])
def test_edge_case_shapes(shape, sparsity, init):
    X = np.random.RandomState(0).normal(size=shape)
    X[:, 0] = 7.0  # constant
    fitted = quick(sparsity=sparsity, init=init, batch_size=32).fit(X)

    assert np.isfinite(fitted.reconstruct(X)).all()
    assert np.isfinite(fitted.transform(1e6 * X)).all()


def test_supports_pickle_clone_search_partial_fit_and_sparse_matrices(X):
    fitted = quick(8).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(X), fitted.transform(X))
    assert_allclose(
        quick(8).fit(sparse.csr_array(X)).transform(X), fitted.transform(X), atol=1e-6
    )
    online = clone(fitted)
    for batch in np.array_split(X, 2):
        online.partial_fit(batch)
    assert_allclose(np.linalg.norm(online.components_, axis=1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="'n_active': 'auto'"):
        online.set_params(n_active=3).partial_fit(X)

    pipeline = make_pipeline(StandardScaler(), quick())
    grid = {"sparseae__n_active": [1, 2]}
    search = GridSearchCV(pipeline, grid, scoring=reconstruction_r2, cv=2, n_jobs=2)
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("estimator", [SparseAE, DenoisingAE, ContractiveAE])
def test_the_callers_torch_defaults_do_not_matter(estimator, X):
    expected = estimator(4, max_iter=2, random_state=0).fit(X).transform(X)
    torch.set_default_device("meta")
    try:
        codes = estimator(4, max_iter=2, random_state=0).fit(X).transform(X)
        torch.set_default_dtype(torch.float64)
        estimator(4, max_iter=2, random_state=0).fit(X)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)

    assert_allclose(codes, expected)


def test_an_encoder_may_be_any_network(X):
    fitted = quick(8, encoder=_narrow).fit(X)

    assert fitted.transform(X).shape == (200, 8)


def _narrow(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 3), nn.ReLU(), nn.Linear(3, n_out))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"decoder": _narrow}, "decoder must be None"),
        ({"n_components": 3, "n_active": 4}, "n_active=4 must not exceed n_components=3"),
        ({"n_components": "many"}, "n_components"),
        ({"sparsity": "l0"}, "sparsity"),
        ({"loss": "bernoulli"}, "loss"),
    ],
)
def test_rejects_invalid_parameters(parameters, message, X):
    with pytest.raises(ValueError, match=message):
        quick(**parameters).fit(X)
