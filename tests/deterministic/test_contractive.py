"""ContractiveAE: its penalty agrees with jacrev and makes codes less sensitive."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch.func import jacrev, vmap

from skae import AutoencoderTransformer, ContractiveAE
from skae._deterministic.jacobian import (
    SECOND_DERIVATIVES,
    ContractiveGradient,
    ContractiveLoss,
    ContractiveModule,
    probe_directions,
    whitening_matrix,
)
from skae._nn.backprop import KNOWN, written_out
from skae._training.inference import module_for
from skae.losses import LOSSES, ReconstructionLoss
from skae.networks import ACTIVATIONS, mlp
from tests.nn.test_backprop import D, autoencoder, gradients

quick = partial(ContractiveAE, max_iter=3, random_state=0)


def jacobians(module, x):
    """Jacobian of the whitened code of each sample; the covariance is that of x."""
    with torch.no_grad():
        matrix = whitening_matrix(module.to_code(x))
    return matrix @ vmap(jacrev(lambda sample: module.to_code(sample[None])[0]))(x)


# The penalty.


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(ACTIVATIONS)),
    st.sampled_from(sorted(LOSSES)),
    st.sampled_from(["network", "path", "gain"]),
    st.integers(1, 4),
    st.integers(2, 9),
    st.integers(0, 2**31 - 1),
)
def test_gradient_is_that_of_autograd(activation, loss, kind, k, n_samples, seed):
    torch.manual_seed(seed)
    module = autoencoder(activation, kind, ContractiveModule, k).double()
    criterion = ContractiveLoss(ReconstructionLoss(loss, torch.rand(D)), 0.3).double()
    x, target = torch.randn(n_samples, D).double(), torch.rand(n_samples, D).double()

    module.generator = torch.Generator().manual_seed(seed)
    gradient = written_out(module, criterion)
    assert type(gradient) is ContractiveGradient
    value = gradient(x, target)
    written, sensitivity = gradients(module), criterion.terms["sensitivity"]
    module.zero_grad()
    module.generator = torch.Generator().manual_seed(seed)
    expected = criterion(module(x), target).mean()
    expected.backward()

    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(sensitivity, criterion.terms["sensitivity"])
    for ours, theirs in zip(written, gradients(module), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("k", [1, 2])
def test_the_penalty_is_exact_for_few_components(k):
    torch.manual_seed(0)
    module = autoencoder("silu", "path", ContractiveModule, k).eval()
    module.encoder.update_range(4 * torch.ones(2, D) * torch.tensor([[1.0], [-1.0]]))
    x = torch.randn(50, D)

    squares = module(x).sensitivity

    exact = jacobians(module, x).square().sum((1, 2))
    torch.testing.assert_close(squares.detach(), exact, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", [3, 6])
def test_the_penalty_is_unbiased_for_many_components(k):
    torch.manual_seed(0)
    module = autoencoder("tanh", "network", ContractiveModule, k)
    module.generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, D)

    mean = torch.stack([module(x).sensitivity.detach() for _ in range(1000)]).mean(0)

    exact = jacobians(module, x).square().sum((1, 2))
    torch.testing.assert_close(mean.mean(), exact.mean(), rtol=0.01, atol=0)
    torch.testing.assert_close(mean, exact, rtol=0.2, atol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**31 - 1))
def test_the_penalty_is_invariant_to_linear_maps_of_the_code(k, seed):
    torch.manual_seed(seed)
    code = torch.randn(200, k).double()
    mixing = torch.eye(k) + 0.3 * torch.randn(k, k) / k
    scales = 10 ** torch.empty(k).uniform_(-2, 2)
    other = 5 + code @ (mixing * scales).double()
    slopes = torch.randn(200, k, D).double()
    moved = torch.einsum("nkd,kj->njd", slopes, (mixing * scales).double())

    before = (whitening_matrix(code) @ slopes).square().sum()
    after = (whitening_matrix(other) @ moved).square().sum()

    torch.testing.assert_close(before, after, rtol=0.05, atol=0)


def test_directions_are_unit_vectors_or_signs():
    units = probe_directions(torch.zeros(4, 2), None)
    assert_array_equal(units.sum(dim=1), 4 * np.eye(2))
    signs = probe_directions(torch.zeros(1000, 5), torch.Generator().manual_seed(0))
    assert signs.shape == (1, 1000, 5)
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert abs(signs.mean()) < 0.05


def test_every_activation_has_a_second_derivative():
    layers = [mlp(1, 1, hidden_layer_sizes=(1,), activation=a)[1] for a in ACTIVATIONS]
    assert {type(layer) for layer in layers} == set(SECOND_DERIVATIVES)
    assert KNOWN[ContractiveModule, ContractiveLoss] is ContractiveGradient


# Effect on codes and reconstructions.


def sensitivity(estimator, X):
    """RMS Jacobian norms of standardised codes, and of reconstructions."""
    module = module_for(estimator.module_, torch.float64)
    X = torch.tensor(X)
    with torch.no_grad():
        code = vmap(jacrev(lambda x: module.encode(x[None])[0]))(X)
        reconstruction = vmap(jacrev(lambda x: module.reconstruct(x[None])[0]))(X)
        spread = module.encode(X).std(dim=0)
    jacobians = code / spread[:, None], reconstruction
    return [float(j.square().sum((1, 2)).mean().sqrt()) for j in jacobians]


@pytest.mark.slow
def test_a_larger_penalty_makes_codes_and_reconstructions_less_sensitive():
    X = load_digits().data
    X = StandardScaler().fit_transform(X[:, X.std(axis=0) > 0])
    plain = AutoencoderTransformer(8, random_state=0).fit(X[:1400])
    fits = [
        ContractiveAE(8, penalty=penalty, random_state=0).fit(X[:1400])
        for penalty in (0.0, 0.01, 0.1, 1.0)
    ]

    of_codes, of_outputs = zip(*(sensitivity(f, X[1400:]) for f in fits), strict=True)

    assert (np.diff(of_codes) < 0).all() and (np.diff(of_outputs) < 0).all()
    assert of_codes[2] < 0.75 * of_codes[0] and of_outputs[2] < 0.75 * of_outputs[0]
    assert fits[2].score(X[1400:]) > 1.1 * plain.score(X[1400:])


def test_codes_are_robust_to_noise_beyond_the_training_range():
    X = load_digits().data
    X = StandardScaler().fit_transform(X[:, X.std(axis=0) > 0])
    noise = np.random.RandomState(0).normal(size=(397, X.shape[1]))
    moved = []
    for model in (PCA(8), ContractiveAE(8, random_state=0)):
        codes = model.fit(X[:1400]).transform(X[1400:])
        change = model.transform(X[1400:] + noise) - codes
        moved.append(np.square(change / codes.std(axis=0)).mean())

    assert moved[1] < 0.7 * moved[0]


def test_a_linear_code_is_pca(low_rank_X):
    # The norm of whitened linear codes is the sum of inverse eigenvalues, least for PCA.
    X = StandardScaler().fit_transform(low_rank_X)
    linear = ContractiveAE(
        3, hidden_layer_sizes=(), penalty=0.01, max_iter=30, random_state=0
    ).fit(X)

    expected = np.sqrt(np.sum(1 / PCA(3).fit(X).explained_variance_))
    assert_allclose(sensitivity(linear, X)[0], expected, rtol=0.02)


def test_an_overcomplete_code_does_not_copy_its_input(X):
    rng = np.random.RandomState(1)
    corrupted = X + 0.5 * X.std(axis=0) * rng.normal(size=X.shape)
    wide = ContractiveAE(6, penalty=0.3, random_state=0).fit(X[:150])

    denoised = np.square(wide.reconstruct(corrupted) - X)[150:].mean()
    assert denoised < 0.8 * np.square(corrupted - X)[150:].mean()


# API.


def test_without_penalty_it_is_the_plain_autoencoder(X):
    quick_plain = AutoencoderTransformer(2, max_iter=20, random_state=0).fit(X)
    contractive = ContractiveAE(2, penalty=0.0, max_iter=20, random_state=0).fit(X)

    assert_allclose(contractive.score(X), quick_plain.score(X), rtol=1e-3)


def test_history_contains_the_sensitivity(X):
    history = quick(2).fit(X).history_

    assert np.isfinite(history["train_sensitivity"]).all()


def test_a_penalty_can_change_between_fits(X):
    contractive = ContractiveAE(
        2, penalty=0.0, max_iter=20, early_stopping=False, warm_start=True, random_state=0
    ).fit(X)
    before = sensitivity(contractive, X)[0]

    contractive.set_params(penalty=1.0).fit(X)

    assert sensitivity(contractive, X)[0] < before


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (33, 4), (5, 8)])
def test_edge_case_shapes(shape, k):
    X = np.random.RandomState(0).normal(size=shape)
    X[:, 0] = 7.0  # constant
    contractive = quick(k, batch_size=32).fit(X)

    assert np.isfinite(contractive.transform(X)).all()
    assert np.isfinite(contractive.history_["train_loss"]).all()


def test_rejects_invalid_parameters(X):
    with pytest.raises(ValueError, match="penalty"):
        quick(penalty=-1.0).fit(X)
    with pytest.raises(ValueError, match="requires values in"):
        quick(loss="bernoulli").fit(X)
