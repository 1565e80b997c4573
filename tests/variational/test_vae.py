"""VAETransformer: known results, properties and use within scikit-learn."""

import math
import os
import pickle
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch.callbacks import Freezer, Unfreezer
from torch import nn

from skae import VAETransformer
from skae._data.dataset import Batch
from skae._training.inference import module_for
from skae._variational.likelihoods import Bernoulli, Gaussian
from skae._variational.module import (
    NegativeELBO,
    VariationalOutput,
    kl_from_standard_normal,
    log_evidence,
)
from skae.exceptions import CollapseWarning

quick = partial(VAETransformer, max_iter=3, random_state=0)
# The initial model.
untrained = partial(
    VAETransformer, max_iter=1, learning_rate=1e-12, early_stopping=False, random_state=0
)
ignore_collapse = pytest.mark.filterwarnings("ignore::skae.exceptions.CollapseWarning")
REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKAE_DATA", REPOSITORY / ".." / "shared" / "data"))
DATA = {"wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}


def standardized(name):
    X = DATA[name]().data
    return StandardScaler().fit_transform(X[:, X.std(axis=0) > 0])


def marginal(vae):
    """Exact normal density of a linear decoder."""
    k = vae.n_components
    mean, *ends = vae.inverse_transform(np.vstack([np.zeros(k), np.eye(k)]))
    loadings = np.array(ends) - mean
    covariance = loadings.T @ loadings + np.diag(vae.noise_variance_)
    return multivariate_normal(mean, covariance)


# Known results.


@pytest.mark.parametrize("k", [1, 3, 8])
def test_initial_model_is_probabilistic_pca(k):
    X = standardized("wine")

    vae = untrained(k, noise="shared", n_importance_samples=1).fit(X)

    # scikit-learn divides the covariance by n - 1; maximum likelihood divides by n.
    covariance = PCA(k).fit(X).get_covariance() * (len(X) - 1) / len(X)
    exact = multivariate_normal(X.mean(axis=0), covariance)
    assert_allclose(vae.score_samples(X), exact.logpdf(X), rtol=1e-5)


def test_initial_noise_is_the_residual_variance_of_pca():
    """Factor analysis with the loadings of PCA; the bound is tight with one draw."""
    X = standardized("breast_cancer")

    vae = untrained(5, n_importance_samples=1).fit(X)

    assert_allclose(vae.score_samples(X), marginal(vae).logpdf(X), rtol=1e-3, atol=1e-3)
    assert vae.score(X) > PCA(5).fit(X).score(X)


EXACT = {"shared": PCA, "feature": partial(FactorAnalysis, tol=1e-6, max_iter=5000)}


def check_linear(name, k, noise, max_iter):
    X = standardized(name)
    exact = EXACT[noise](k).fit(X).score(X)
    linear = VAETransformer(
        k,
        hidden_layer_sizes=(),
        init="random",
        noise=noise,
        early_stopping=False,
        max_iter=max_iter,
        n_importance_samples=200,
        random_state=0,
    ).fit(X)

    assert exact - linear.score(X) < 0.02 * X.shape[1]


@pytest.mark.parametrize("noise", EXACT)
@pytest.mark.parametrize("name, k", [("wine", 3), ("breast_cancer", 3)])
def test_linear_networks_with_random_init_converge_to_the_linear_model(name, k, noise):
    check_linear(name, k, noise, max_iter=300)


@pytest.mark.slow
# FactorAnalysis does not converge in 5,000 iterations here.
@pytest.mark.filterwarnings("ignore:FactorAnalysis did not converge")
@pytest.mark.parametrize("noise", EXACT)
@pytest.mark.parametrize("k", [3, 5, 8])
@pytest.mark.parametrize("name", DATA)
def test_linear_networks_with_random_init_converge_on_all_data(name, k, noise):
    # One feature of breast_cancer is a function of five others to a precision of 1e-6.
    check_linear(name, k, noise, max_iter=800 if name == "breast_cancer" else 300)


def test_importance_weighted_bounds_converge_to_the_exact_likelihood(low_rank_X):
    """ELBO <= IWAE_2 <= IWAE_20 <= exact, where the exact value is known."""
    X = low_rank_X
    # With beta other than 1 the posterior is not exact.
    vae = VAETransformer(
        2, hidden_layer_sizes=(), init="random", beta=4.0, max_iter=40, random_state=0
    ).fit(X)
    exact = marginal(vae).logpdf(X).mean()
    module = module_for(vae.module_, torch.float64)
    batch = Batch(torch.as_tensor(X), None, None)
    generator = torch.Generator().manual_seed(0)

    def bound(n_draws, n_repeats=400):
        shape = n_repeats, n_draws, 2
        draws = torch.empty(shape, dtype=torch.float64).normal_(generator=generator)
        with torch.no_grad():
            values = [log_evidence(module, batch, noise).mean() for noise in draws]
        return float(np.mean(values))

    elbo, two, twenty = bound(1), bound(2), bound(20)

    assert elbo < two - 0.05 < twenty - 0.1
    assert twenty < exact + 0.02
    assert_allclose(bound(2000, 5), exact, atol=0.05)


@given(st.floats(-3, 3), st.floats(-4, 2))
@settings(max_examples=20)
def test_closed_form_kl_divergence_is_its_expectation(mean, log_variance):
    deviation = math.exp(log_variance / 2)
    # Quantiles of the posterior: deterministic integration instead of Monte Carlo.
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    normal = torch.distributions.Normal(0.0, 1.0)
    draws = mean + deviation * normal.icdf(levels)
    posterior = torch.distributions.Normal(mean, deviation)
    expected = (posterior.log_prob(draws) - normal.log_prob(draws)).mean()

    value = kl_from_standard_normal(torch.tensor(mean), torch.tensor(log_variance))

    assert_allclose(value, expected, rtol=1e-3, atol=1e-3)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20)
def test_sum_of_squares_plus_kl_is_the_elbo_with_fixed_noise(seed):
    """Sum of squares plus KL is the negative ELBO at a noise of sqrt(1/2), in any units,
    up to a constant."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.empty(shape, dtype=torch.float64).normal_(generator=generator)

    spread = draw(4).exp()
    x, decoded, mean, log_variance = draw(6, 4), draw(6, 4), draw(6, 2), draw(6, 2)
    noise = (0.5**0.5 / spread).log()
    output = VariationalOutput(decoded, mean, mean, log_variance, noise)
    loss = NegativeELBO(Gaussian(spread).double(), 1.0, 0.0, 0.0)(output, x)

    squares = ((x - decoded) * spread).square().sum(dim=1)
    divergence = kl_from_standard_normal(mean, log_variance).sum(dim=1)
    constant = loss - (squares + divergence)

    assert_allclose(constant, 2 * math.log(math.pi), atol=1e-5)


def test_a_fixed_noise_is_in_the_units_of_X(X):
    vae = quick(2, noise=0.3).fit(X)

    assert_allclose(vae.noise_variance_, 0.09, rtol=1e-5)


def test_the_density_integrates_to_one():
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.normal(-3, 0.5, 150), rng.normal(2, 1, 150)])[:, None]
    vae = VAETransformer(1, n_importance_samples=500, random_state=0).fit(X)
    grid = np.linspace(-15, 15, 3001)[:, None]

    mass = np.exp(vae.score_samples(grid)).sum() * (grid[1, 0] - grid[0, 0])

    assert_allclose(mass, 1.0, atol=0.02)


# Units.


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_codes_do_not_depend_on_units(X, factor):
    vae, scaled = (VAETransformer(2, random_state=0).fit(Z) for Z in (X, factor * X))

    assert_allclose(scaled.transform(factor * X), vae.transform(X), atol=1e-3)
    assert_allclose(
        scaled.score(factor * X), vae.score(X) - 5 * math.log(factor), atol=1e-2
    )


def test_codes_do_not_depend_on_the_unit_of_each_feature(X):
    units = np.array([1e-3, 1.0, 50.0, 1e4, 0.1])
    vae, scaled = (VAETransformer(2, random_state=0).fit(Z) for Z in (X, units * X))

    assert_allclose(scaled.transform(units * X), vae.transform(X), atol=1e-3)


def test_codes_do_not_depend_on_an_offset(X):
    shifted = X / 1000 + 1e6
    vae = VAETransformer(2, random_state=0).fit(X)
    other = VAETransformer(2, random_state=0).fit(shifted)

    assert_allclose(other.transform(shifted), vae.transform(X), atol=1e-2)
    assert other.active_units_ == vae.active_units_


# The loss and its parameters.


@ignore_collapse  # the largest beta collapses the posterior
def test_a_larger_beta_reduces_the_kl_divergence(X):
    kl = [
        VAETransformer(2, beta=beta, max_iter=60, random_state=0).fit(X).kl_per_component_
        for beta in (0.5, 1.0, 4.0, 16.0)
    ]

    totals = np.sum(kl, axis=1)
    assert (np.diff(totals) < 0).all()


def test_history_contains_reconstruction_and_kl(X):
    history = VAETransformer(
        2, max_iter=20, kl_warm_up=0.5, early_stopping=False, random_state=0
    ).fit(X)
    history = history.history_

    weight = (history.train_loss - history.train_reconstruction) / history.train_kl
    assert (np.diff(weight[:10]) > 0).all()
    assert_allclose(weight[10:], 1.0, rtol=1e-4)


def test_free_bits_have_no_gradient():
    mean = torch.tensor([[0.1, 2.0], [0.2, 1.0]], requires_grad=True)
    log_variance = torch.zeros(2, 2)
    output = VariationalOutput(torch.zeros(2, 3), mean, mean, log_variance, None)
    criterion = NegativeELBO(Bernoulli(), beta=1.0, kl_warm_up=0.0, free_bits=0.5)

    criterion(output, torch.zeros(2, 3)).sum().backward()

    assert_array_equal(mean.grad[:, 0], 0.0)
    assert (mean.grad[:, 1] != 0).all()


def test_hidden_layer_sizes_are_the_widths_of_the_layers():
    X = np.random.RandomState(0).uniform(size=(40, 784))
    vae = quick(32, hidden_layer_sizes=(256, 128), activation="relu", init="random")

    module = vae.fit(X).module_

    def widths(network):
        return [tuple(layer.weight.shape[::-1]) for layer in network[::2]]

    assert widths(module.encoder) == [(784, 256), (256, 128), (128, 2 * 32)]
    assert widths(module.decoder) == [(32, 128), (128, 256), (256, 784)]
    assert {type(layer) for layer in module.encoder[1::2]} == {nn.ReLU}


def test_a_frozen_encoder_keeps_the_initial_weights(X):
    frozen = VAETransformer(
        2, callbacks=[Freezer("encoder*")], max_iter=5, random_state=0
    )

    codes = frozen.fit(X).transform(X)

    # The basis permutes components.
    initial = untrained(2).fit(X).transform(X)
    assert_allclose(
        np.sort(np.abs(codes).sum(0)), np.sort(np.abs(initial).sum(0)), rtol=1e-4
    )


def test_the_encoder_can_be_frozen_for_some_epochs(X):
    callbacks = [Freezer("encoder*"), Unfreezer("encoder*", at=3)]
    five = partial(VAETransformer, max_iter=5, early_stopping=False, random_state=0)
    late, never = five(callbacks=callbacks).fit(X), five(callbacks=callbacks[:1]).fit(X)

    assert np.abs(late.transform(X) - never.transform(X)).max() > 1e-3


# Collapse.


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_posterior_collapse_warns(load):
    X = StandardScaler().fit_transform(load().data)
    collapse = r"Posterior collapse: no component.*Lower beta=10000"
    with pytest.warns(CollapseWarning, match=collapse):
        vae = VAETransformer(2, beta=1e4, random_state=0).fit(X)

    assert vae.active_units_ == 0


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_a_fit_without_collapse_does_not_warn(load):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vae = VAETransformer(2, random_state=0).fit(load().data)

    assert vae.active_units_ == 2


TABLES = ("cpu_act", "wine_quality", "letter", "htru2", "masscyt_thymus", "pol")


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason="SKAE_DATA is not a folder")
@pytest.mark.parametrize("name", TABLES)
def test_collapse_warnings_on_real_data(name):
    X = np.load(FOLDER / f"{name}.npz")["X"][:2500].astype(np.float32)
    X = StandardScaler().fit_transform(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VAETransformer(4, random_state=0).fit(X)
    with pytest.warns(CollapseWarning):
        VAETransformer(4, beta=1e4, random_state=0).fit(X)


def test_collapse_on_independent_features_does_not_warn():
    X = np.random.RandomState(0).normal(size=(300, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VAETransformer(2, beta=10.0, random_state=0).fit(X)


class Constant(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, code):
        return self.bias.expand(len(code), -1)


def large_codes(n_in, n_out):
    network = nn.Linear(n_in, n_out)
    nn.init.normal_(network.weight)
    return network


def test_a_decoder_that_ignores_the_code_warns():
    X = load_iris().data
    ignoring = VAETransformer(
        2, encoder=large_codes, decoder=Constant, init="random", beta=0.0, random_state=0
    )

    with pytest.warns(CollapseWarning, match="codes explain 0.00%"):
        ignoring.fit(X)


class CentreDensity(BaseEstimator):
    """Density estimator that samples only the centre."""

    def fit(self, X):
        self.n_components_ = X.shape[1]
        return self

    def sample(self, n_samples):
        return np.zeros((n_samples, self.n_components_))

    def score_samples(self, X):
        return np.zeros(len(X))


def test_mode_collapse_warns():
    with pytest.warns(CollapseWarning, match="Mode collapse: generated samples cover"):
        VAETransformer(2, prior=CentreDensity(), random_state=0).fit(load_digits().data)


def test_diagnostics_of_a_collapsed_model_are_lower(X):
    good = VAETransformer(2, random_state=0).fit(X).diagnose(X)
    with pytest.warns(CollapseWarning):
        bad = VAETransformer(2, beta=1e4, random_state=0).fit(X).diagnose(X)

    for figure in ("log_likelihood", "active_units", "code_use", "coverage"):
        assert good[figure] > bad[figure]
    shares = good[["code_use", "coverage", "completeness", "interpolability"]]
    assert shares.between(0, 1.1).all()
    assert good.continuity > bad.continuity


# Codes, samples, interpolation.


def test_components_are_ordered_by_kl_divergence(X):
    vae = VAETransformer(4, random_state=0).fit(X)

    mean, deviation = vae.posterior(X)
    kl = kl_from_standard_normal(torch.tensor(mean), torch.tensor(deviation**2).log())

    assert (np.diff(vae.kl_per_component_) <= 0).all()
    assert_allclose(kl.mean(dim=0), vae.kl_per_component_, rtol=1e-3, atol=1e-5)
    assert_array_equal(mean, vae.transform(X))


def test_samples_have_the_moments_of_the_linear_model(low_rank_X):
    vae = untrained(3, hidden_layer_sizes=()).fit(low_rank_X)

    drawn = vae.sample(20_000, random_state=0)

    exact = marginal(vae)
    assert_allclose(drawn.mean(axis=0), exact.mean, atol=0.2)
    assert_allclose(np.cov(drawn.T), exact.cov, atol=0.05 * exact.cov.max())


def test_samples_depend_on_random_state_and_not_on_the_global_one(X):
    vae = quick(2).fit(X)
    state = torch.get_rng_state()

    assert_array_equal(vae.sample(5, random_state=1), vae.sample(5, random_state=1))
    assert (vae.sample(5, random_state=1) != vae.sample(5, random_state=2)).all()
    assert_array_equal(torch.get_rng_state(), state)


def test_samples_do_not_depend_on_working_memory(X):
    vae = quick(2).fit(X)
    drawn = vae.sample(300, random_state=0)

    with config_context(working_memory=0.05):  # chunks of three samples
        assert_allclose(vae.sample(300, random_state=0), drawn)


def test_samples_without_noise_are_decoded_codes(X):
    vae = quick(2).fit(X)
    codes = np.random.RandomState(3).normal(size=(5, 2))

    drawn = vae.sample(5, random_state=3, noise=False)

    assert_allclose(drawn, vae.inverse_transform(codes))


def test_bernoulli_likelihood(X):
    X = MinMaxScaler().fit_transform(X)
    vae = quick(2, likelihood="bernoulli").fit(X)

    assert set(np.unique(vae.sample(20, random_state=0))) == {0.0, 1.0}
    assert ((vae.reconstruct(X) > 0) & (vae.reconstruct(X) < 1)).all()
    assert (vae.score_samples(X) < 0).all()
    assert not hasattr(vae, "noise_variance_")
    for method in (vae.fit, vae.score):
        with pytest.raises(ValueError, match=r"'bernoulli' requires values in"):
            method(X + 1)


@pytest.mark.parametrize("prior", [GaussianMixture(3), KernelDensity(bandwidth=0.3)])
def test_a_density_estimator_replaces_the_normal_prior(prior):
    X = load_iris().data
    normal = VAETransformer(2, random_state=0).fit(X)
    vae = VAETransformer(2, prior=prior, random_state=0).fit(X)

    assert vae.score(X) > normal.score(X)
    assert_array_equal(vae.transform(X), normal.transform(X))
    assert_array_equal(vae.sample(7, random_state=0), vae.sample(7, random_state=0))
    assert (vae.sample(7, random_state=0) != vae.sample(7, random_state=1)).any()
    again = VAETransformer(2, prior=prior, random_state=0).fit(X)
    assert_array_equal(vae.score_samples(X), again.score_samples(X))


def test_interpolation_ends_at_the_reconstructions(X):
    vae = quick(2).fit(X)

    paths = vae.interpolate(X[:4], X[4:8], n_steps=7)

    assert paths.shape == (4, 7, 5)
    assert_allclose(paths[:, 0], vae.reconstruct(X[:4]), atol=1e-6)
    assert_allclose(paths[:, -1], vae.reconstruct(X[4:8]), atol=1e-6)
    with pytest.raises(ValueError, match="X_from has 4 samples and X_to has 3"):
        vae.interpolate(X[:4], X[:3])
    with pytest.raises(ValueError, match="n_steps=0 must be"):
        vae.interpolate(X[:4], X[:4], n_steps=0)


def test_traversal_varies_one_component(X):
    vae = quick(2).fit(X)
    codes = np.array([[0.0, -1.0], [0.0, 0.0], [0.0, 2.0]])

    assert_allclose(vae.traverse(1, [-1, 0, 2]), vae.inverse_transform(codes))

    at = vae.traverse(0, [0.5], at=X[:3])
    moved = vae.transform(X[:3])
    moved[:, 0] = 0.5
    assert_allclose(at[:, 0], vae.inverse_transform(moved))
    with pytest.raises(ValueError, match="component=2 must be an integer from 0 to 1"):
        vae.traverse(2, [0])


def test_adding_a_direction_moves_samples_between_groups(X):
    vae = quick(2).fit(X)
    low, high = X[X[:, 0] < 0], X[X[:, 0] > 0]

    direction = vae.direction(low, high)

    moved = vae.inverse_transform(vae.transform(low) + direction)
    gap = high[:, 0].mean() - low[:, 0].mean()
    assert moved[:, 0].mean() - low[:, 0].mean() > 0.5 * gap
    assert_allclose(direction, -vae.direction(high, low))


# Use.


def test_scores_depend_on_neither_batches_nor_calls(X):
    vae = quick(2).fit(X)
    scores = vae.score_samples(X)

    assert_array_equal(vae.score_samples(X), scores)
    assert_allclose(vae.score_samples(X[::-1])[::-1], scores)
    with config_context(working_memory=1e-3):  # chunks of one sample
        assert_allclose(vae.score_samples(X), scores)


def test_grid_search_compares_it_with_pca(X):
    pipeline = Pipeline([("scale", StandardScaler()), ("model", PCA())])
    grid = {"model": [PCA(1), PCA(2), quick(1, max_iter=30), quick(2, max_iter=30)]}

    search = GridSearchCV(pipeline, grid, n_jobs=2).fit(X)

    assert isinstance(search.best_params_["model"], VAETransformer)


@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (5, 30), (33, 3)])
@ignore_collapse
def test_any_shape(shape):
    X = np.random.RandomState(0).normal(size=shape)
    vae = quick(2, batch_size=16).fit(X)

    assert vae.transform(X).shape == (shape[0], 2)
    assert np.isfinite(vae.score_samples(X)).all()
    assert np.isfinite(vae.sample(3, random_state=0)).all()


@ignore_collapse
def test_constant_features_are_ignored(X):
    padded = np.column_stack([X, np.full(len(X), 7.0)])
    plain, vae = quick(2).fit(X), quick(2).fit(padded)

    assert_allclose(vae.score_samples(padded), plain.score_samples(X), atol=0.5)
    assert_array_equal(vae.sample(5, random_state=0)[:, -1], 7.0)
    assert vae.noise_variance_[-1] == 0
    constant = quick(1).fit(np.ones((20, 3)))
    assert_array_equal(constant.score_samples(np.ones((2, 3))), 0.0)


def test_float32_and_pickling(X):
    vae = quick(2).fit(X)
    again = pickle.loads(pickle.dumps(vae))

    assert_array_equal(again.score_samples(X), vae.score_samples(X))
    assert vae.transform(X.astype(np.float32)).dtype == np.float32
    assert_allclose(
        vae.score_samples(X.astype(np.float32)), vae.score_samples(X), rtol=1e-3
    )


def test_set_output_affects_only_transform(X):
    vae = quick(2).fit(X)
    other = quick(2).fit(X).set_output(transform="pandas")

    assert isinstance(other.transform(X), pd.DataFrame)
    assert_array_equal(other.interpolate(X[:2], X[2:4]), vae.interpolate(X[:2], X[2:4]))
    assert_array_equal(other.traverse(0, [1], at=X[:2]), vae.traverse(0, [1], at=X[:2]))
    assert_array_equal(other.direction(X[:2], X[2:4]), vae.direction(X[:2], X[2:4]))


def test_scoring_monitor_scores_every_epoch(X):
    def log_likelihood(vae, X, y=None):
        return vae.score(X)

    vae = quick(2, max_iter=4, early_stopping=False)
    monitor = ScoringMonitor(scoring={"nats": log_likelihood})
    vae.set_callbacks(monitor).fit(X)

    curve = monitor.get_logs().data_as_pandas
    curve = curve[curve["task_name"] == "epoch"]["nats"]
    assert len(curve) == 4
    assert curve.iloc[-1] == pytest.approx(vae.score(X))


@ignore_collapse
def test_a_warm_start_uses_the_current_beta(X):
    vae = VAETransformer(2, warm_start=True, early_stopping=False, random_state=0).fit(X)
    before = vae.kl_per_component_.sum()

    after = vae.set_params(beta=20.0).fit(X).kl_per_component_.sum()

    assert after < 0.5 * before


def test_a_refit_removes_attributes_of_another_likelihood(X):
    vae = quick(2).fit(X)
    vae.set_params(likelihood="bernoulli").fit(X > 0)

    assert not hasattr(vae, "noise_variance_")


def test_set_params_takes_effect_at_fit(X):
    vae = quick(2).fit(X)
    score, drawn = vae.score(X), vae.sample(3, random_state=0)
    vae.set_params(n_components=3)

    assert vae.score(X) == score
    assert_array_equal(vae.sample(3, random_state=0), drawn)


def test_warnings_have_the_line_of_the_caller(X):
    with pytest.warns(CollapseWarning) as caught:
        quick(2, prior=CentreDensity()).fit(X)

    assert caught[0].filename == __file__


def test_partial_fit_improves_incrementally(X):
    batches = np.array_split(np.random.RandomState(0).permutation(X), 4)
    vae = VAETransformer(2, random_state=0)
    scores = [vae.partial_fit(batch).score(X) for batch in batches * 4]

    assert scores[-1] > scores[0]
    assert scores[-1] > PCA(2).fit(X).score(X)


def test_noise_variance_matches_errors_on_new_samples():
    """With few samples, residuals are smaller in training than on new samples."""
    rng = np.random.RandomState(0)
    X = np.tanh(rng.normal(size=(900, 4)) @ rng.normal(size=(4, 60)))
    X += 0.3 * rng.normal(size=X.shape)
    train, new = X[:300], X[300:]
    vae = VAETransformer(4, random_state=0).fit(train)

    error = np.square(new - vae.reconstruct(new)).mean(axis=0)

    assert 0.8 < np.mean(error / vae.noise_variance_) < 1.4
    assert vae.score(new) > PCA(4).fit(train).score(new)
