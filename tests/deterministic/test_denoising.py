"""DenoisingAE: compared with the best linear denoiser, and with PCA on digits."""

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
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAE
from skae._data import statistics as statistics_module
from skae._data.dataset import Dataset
from skae._deterministic.corruption import KINDS, SHARES, CorruptedDataset, Corruption
from skae._nn.scaling import Standardizer
from skae.metrics import reconstruction_r2

quick = partial(DenoisingAE, max_iter=3, random_state=0)
untrained = partial(
    DenoisingAE, max_iter=1, learning_rate=1e-12, early_stopping=False, random_state=0
)


def darken(x, generator):
    """A callable corruption: some of the values are halved."""
    hit = torch.empty_like(x).uniform_(generator=generator) < 0.3
    return torch.where(hit, x / 2, x)


@pytest.fixture(scope="module")
def digits():
    X = load_digits().data
    return X[:1200], X[1200:]


def error(estimator, X, clean):
    return np.square(estimator.reconstruct(X) - clean).mean()


def best_pca_error(X, corrupted, clean):
    """Error of PCA with the best number of components for the test samples."""
    pca = PCA().fit(X)
    codes = pca.transform(corrupted)
    projections = (
        codes[:, :k] @ pca.components_[:k] + pca.mean_ for k in (2, 4, 8, 16, 24, 32, 64)
    )
    return min(np.square(p - clean).mean() for p in projections)


# Known answers.


def gaussian_samples(n_samples):
    rng = np.random.RandomState(0)
    mixing = rng.normal(size=(4, 4))
    X = rng.normal(size=(n_samples, 4)) @ mixing + [5.0, -3.0, 100.0, 0.0]
    covariance = mixing.T @ mixing
    noise = np.diag(0.5**2 * np.diag(covariance))
    wiener = np.linalg.solve(covariance + noise, covariance)
    # Mean squared error of the best linear denoiser (Wiener filter).
    least = np.trace(covariance - covariance @ wiener) / 4
    corrupted = X + rng.normal(size=X.shape) * np.sqrt(np.diag(noise))
    return X, corrupted, least


def test_is_initialized_at_the_best_linear_denoiser():
    X, corrupted, least = gaussian_samples(20_000)

    denoiser = untrained(4, noise_level=0.5).fit(X)

    assert_allclose(error(denoiser, corrupted, X), least, rtol=0.03)
    assert np.square(corrupted - X).mean() > 1.2 * least


def test_a_linear_network_converges_to_it_from_random_weights():
    X, corrupted, least = gaussian_samples(4_000)
    linear = DenoisingAE(
        4, noise_level=0.5, hidden_layer_sizes=(), init="random", max_iter=60
    )

    assert_allclose(error(linear.fit(X), corrupted, X), least, rtol=0.05)


def test_paired_training_is_initialized_at_a_ridge_regression():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(500, 6)) * [3, 2, 1, 1, 1, 1]
    Y = 1e3 + X @ rng.normal(size=(6, 9)) + rng.normal(size=(500, 9))

    paired = untrained(6, corruption="paired").fit(X, Y)

    expected = Ridge(1.0).fit(X, Y).predict(X)
    assert paired.n_outputs_ == 9
    assert paired.reconstruct(X).shape == (500, 9)
    assert np.abs(paired.reconstruct(X) - expected).max() < 0.1


def test_initial_weights_do_not_fit_targets_of_pure_noise():
    rng = np.random.RandomState(0)
    X, Y = rng.normal(size=(60, 40)), rng.normal(size=(60, 5))

    paired = untrained(40, corruption="paired").fit(X, Y)

    explained = np.square(paired.reconstruct(X) - Y.mean(axis=0)).mean()
    assert explained < 0.2  # least squares: 40 / 60


# Corruption.


def make(kind, levels, X, units):
    X = torch.as_tensor(X)
    return Corruption(kind, levels, X.std(0), torch.stack(X.aminmax(dim=0)), units)


def as_given(n_features):
    return Standardizer(torch.zeros(n_features), torch.ones(n_features))


@pytest.mark.parametrize("kind", [*KINDS, darken])
def test_corruption_does_not_depend_on_units(kind):
    rng = np.random.RandomState(0)
    X = torch.tensor(rng.normal(size=(500, 3)) * [1, 100, 0.01] + [1e9, 50, 1])
    units = Standardizer(X.mean(0) + 1, X.std(0) * 2)
    in_units = make(kind, (0.1, 0.6), X, units)
    plain = make(kind, (0.1, 0.6), X, as_given(3))

    there = in_units(units(X), torch.Generator().manual_seed(1))
    here = plain(X, torch.Generator().manual_seed(1))

    assert_allclose(units.inverse(there), here, rtol=1e-9)
    assert (here != X).any(dim=0).all()


@settings(deadline=None, max_examples=30)
@given(level=st.floats(0.0, 1.0), seed=st.integers(0, 99), kind=st.sampled_from([*KINDS]))
def test_noise_level_is_the_size_of_the_corruption(level, seed, kind):
    X = torch.tensor(np.random.RandomState(0).normal(size=(400, 5)) + 3)
    corruption = make(kind, (level, level), X, as_given(5))

    corrupted = corruption(X, torch.Generator().manual_seed(seed))

    if kind == "gaussian":
        assert_allclose(
            (corrupted - X).std(), level * X.std(0).mean(), rtol=0.1, atol=1e-9
        )
    else:
        share = (corrupted != X).double().mean()
        assert abs(share - level) < 0.05
    if kind == "masking":
        assert set(corrupted[corrupted != X].tolist()) <= {0.0}
    if kind == "salt_pepper":
        least, largest = X.aminmax(dim=0)
        assert ((corrupted == X) | (corrupted == least) | (corrupted == largest)).all()
    if kind == "swap":
        assert all(np.isin(corrupted[:, j], X[:, j]).all() for j in range(5))


def test_a_range_draws_a_noise_level_per_sample():
    X = torch.zeros(4_000, 50)
    X[::2] = 1.0
    masking = make("masking", (0.2, 0.8), X + 1, as_given(50))

    shares = (masking(X + 1, torch.Generator().manual_seed(0)) == 0).double().mean(dim=1)

    assert shares.min() < 0.25 and shares.max() > 0.75
    assert abs(shares.mean() - 0.5) < 0.01


def test_corrupted_datasets_are_reproducible():
    X = np.random.RandomState(0).normal(size=(30, 2))
    corrupted = CorruptedDataset(Dataset(X), make("gaussian", (0.5, 0.5), X, as_given(2)))

    assert_array_equal(corrupted[5:20].x, corrupted[5:20].x)
    assert_array_equal(corrupted[5:20].target, X[5:20])
    assert not (corrupted[5:20].x == corrupted[6:21].x).any()
    assert len(corrupted.subset(np.arange(4))) == 4


@pytest.mark.parametrize("kind", [*KINDS, darken])
def test_sparse_and_dense_data_give_the_same_fit(kind):
    X = np.random.RandomState(0).poisson(0.3, (200, 6)).astype(float)
    fits = [
        quick(2, corruption=kind).fit(form(X)) for form in (np.array, sparse.csr_array)
    ]

    assert_allclose(fits[0].transform(X), fits[1].transform(X), rtol=1e-6)


# Denoising.


@pytest.mark.parametrize("kind", [*KINDS, darken])
def test_denoises_better_than_any_pca(kind, digits):
    X, X_test = digits
    level = {"gaussian": 1.0}.get(kind, 0.3)
    corruption = make(kind, (level, level), X, as_given(64))
    corrupted = corruption(torch.tensor(X_test), torch.Generator().manual_seed(5)).numpy()

    denoiser = DenoisingAE(32, corruption=kind, noise_level=level, random_state=0).fit(X)

    assert error(denoiser, corrupted, X_test) < 0.8 * best_pca_error(
        X, corrupted, X_test
    )  # 1 dB


def test_an_overcomplete_code_does_not_copy_its_input(X, recwarn):
    rng = np.random.RandomState(1)
    corrupted = X + 0.5 * X.std(axis=0) * rng.normal(size=X.shape)
    wide = DenoisingAE(10, noise_level=0.5, random_state=0).fit(X[:150])
    assert not recwarn.list

    with pytest.warns(match="should be less than n_features"):
        copier = AutoencoderTransformer(10, random_state=0).fit(X[:150])

    noise = np.square(corrupted - X)[150:].mean()
    assert error(wide, corrupted[150:], X[150:]) < 0.6 * noise
    assert error(copier, corrupted[150:], X[150:]) > 0.8 * noise


def test_noise_on_constant_features_does_no_harm(digits):
    X, X_test = digits
    noise = partial(_uniform_noise, size=4.0)
    denoiser = DenoisingAE(32, corruption=noise, random_state=0).fit(X)
    assert (X.std(axis=0) == 0).any()

    corrupted = noise(torch.tensor(X_test), torch.Generator().manual_seed(5)).numpy()

    assert error(denoiser, corrupted, X_test) < 0.9 * best_pca_error(X, corrupted, X_test)


def _uniform_noise(x, generator, size):
    return x + size * torch.empty_like(x).normal_(generator=generator)


def test_paired_targets_may_have_another_number_of_features(digits):
    X, X_test = digits

    def coarse(X):
        return X.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)

    ridge = Ridge(10.0).fit(coarse(X), X)
    paired = DenoisingAE(16, corruption="paired", random_state=0).fit(coarse(X), X)

    expected = np.square(ridge.predict(coarse(X_test)) - X_test).mean()
    assert error(paired, coarse(X_test), X_test) < 0.85 * expected
    assert_allclose(
        paired.score(coarse(X_test), X_test), -error(paired, coarse(X_test), X_test)
    )
    total = np.square(X_test - X_test.mean(axis=0)).sum()
    r2 = 1 - error(paired, coarse(X_test), X_test) * X_test.size / total
    assert_allclose(reconstruction_r2(paired, coarse(X_test), X_test), r2)


# API.


def test_inference_is_deterministic(X):
    denoiser = quick(2, noise_level=2.0).fit(X)

    assert_array_equal(denoiser.reconstruct(X), denoiser.reconstruct(X))
    assert_allclose(denoiser.transform(X[:1]), denoiser.transform(X)[:1], rtol=1e-9)
    assert_allclose(
        denoiser.score_samples(X), -np.square(denoiser.reconstruct(X) - X).mean(axis=1)
    )


@pytest.mark.parametrize("kind", [*KINDS, darken])
def test_the_same_seed_gives_the_same_fit(kind, X):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    trained = quick(2, corruption=kind, early_stopping=False)
    codes = [trained.fit_transform(X) for _ in range(2)]

    assert_array_equal(*codes)
    assert_array_equal(before[0], torch.get_rng_state())
    assert_array_equal(before[1], np.random.get_state()[1])


def test_labels_are_ignored_unless_paired(X):
    assert_array_equal(
        quick().fit_transform(X), quick().fit_transform(X, np.arange(len(X)))
    )


def test_codes_scale_with_the_data(X):
    denoisers = [quick(2).fit(scale * X) for scale in (1, 1024)]
    codes = [d.transform(s * X) for d, s in zip(denoisers, (1, 1024), strict=True)]

    assert_allclose(1024 * codes[0], codes[1], rtol=1e-3)


@pytest.mark.parametrize(
    "shape", [(1, 3), (2, 1), (5, 8), (33, 4)], ids=lambda s: f"{s[0]}x{s[1]}"
)
@pytest.mark.parametrize("kind", [*KINDS, "paired"])
def test_edge_case_shapes(shape, kind):
    X = np.random.RandomState(0).normal(size=shape)
    X[:, 0] = 7.0  # constant
    denoiser = quick(6, corruption=kind, batch_size=32).fit(X, 2 * X)

    assert np.isfinite(denoiser.reconstruct(X)).all()
    assert np.isfinite(denoiser.transform(1e6 * X)).all()


def test_supports_pickle_clone_search_and_partial_fit(X):
    denoiser = quick(2, corruption=darken).fit(X)
    again = pickle.loads(pickle.dumps(denoiser))
    assert_array_equal(again.transform(X), denoiser.transform(X))
    again.partial_fit(X)
    assert clone(denoiser).corruption is darken

    pipeline = make_pipeline(StandardScaler(), quick(2))
    grid = {"denoisingae__noise_level": [0.1, (0.1, 0.5)]}
    search = GridSearchCV(pipeline, grid, scoring=reconstruction_r2, cv=2, n_jobs=2)
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()

    search = GridSearchCV(quick(2, corruption="paired"), {"n_components": [1, 3]}, cv=2)
    assert search.fit(X, X[:, :3]).best_params_ == {"n_components": 3}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"noise_level": (0.5, 0.1)},
            "noise_level=\\(0.5, 0.1\\) must be a non-negative number",
        ),
        ({"noise_level": (0.5,)}, "noise_level=\\(0.5,\\) must be a non-negative number"),
        ({"noise_level": ("a", "b")}, "must be a non-negative number"),
        ({"noise_level": -1.0}, "noise_level"),
        *(({"corruption": k, "noise_level": 1.5}, "must not exceed 1") for k in SHARES),
        ({"corruption": "rain"}, "corruption"),
        ({"corruption": "paired"}, "requires y to be passed to fit"),
        ({"loss": "bernoulli"}, "requires values in \\[0, 1\\]"),
    ],
)
def test_rejects_invalid_parameters(parameters, message, X):
    with pytest.raises(ValueError, match=message):
        quick(2, **parameters).fit(X)


def test_rejects_invalid_targets(X):
    paired = quick(2, corruption="paired")
    with pytest.raises(ValueError, match="2D array"):
        paired.fit(X, X[:, 0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        paired.fit(X, X[1:])
    paired.fit(X, X[:, :3])
    with pytest.raises(ValueError, match="requires y to be passed to score_samples"):
        paired.score(X)
    with pytest.raises(ValueError, match="y has 2 features, .* n_outputs_=3"):
        paired.score(X, X[:, :2])
    with pytest.raises(ValueError, match="'n_outputs': 3"):
        paired.partial_fit(X, X[:, :2])
    assert paired.n_outputs_ == 3


@pytest.mark.parametrize("size", [0.0, 50.0])
def test_the_noise_may_change_between_fits(size, X):
    denoiser = quick(2, corruption=partial(_uniform_noise, size=1.0)).fit(X)
    denoiser.set_params(corruption=partial(_uniform_noise, size=size))
    denoiser.partial_fit(X)

    (noise,) = denoiser.module_.corruption.kind
    assert noise.keywords == {"size": size}


def test_a_callable_must_keep_the_shape(X):
    for function, message in (
        (_narrow, "corruption returned shape"),
        (_nothing, "corruption returned NoneType"),
        (_infinite, "must return finite values"),
    ):
        with pytest.raises(ValueError, match=message):
            quick(2, corruption=function).fit(X)


def _narrow(x, generator):
    return x[:, :2]


def _nothing(x, generator):
    return None


def _infinite(x, generator):
    return x / 0


def test_a_network_that_corrupts_is_not_trained(X):
    layer = torch.nn.Linear(5, 5).double()
    before = layer.weight.detach().clone()

    fitted = quick(2, corruption=_Layer(layer), early_stopping=False).fit(X)

    assert_array_equal(layer.weight.detach(), before)
    assert "corruption" not in {
        n.split(".")[0] for n, _ in fitted.module_.named_parameters()
    }


class _Layer(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, generator):
        return self.layer(x.double()).to(x.dtype)


@pytest.mark.parametrize("scale", [1e-100, 1e-40, 1e40, 1e100])
def test_codes_scale_with_extreme_units(scale, X):
    codes = quick(2).fit(X).transform(X)

    assert_allclose(
        quick(2).fit(scale * X).transform(scale * X) / scale, codes, rtol=1e-3
    )


def test_reconstruction_r2_supports_paired_denoisers_in_pipelines(X):
    Y = X[:, :3] + 1
    paired = DenoisingAE(3, corruption="paired", max_iter=5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), paired).fit(X, Y)
    search = GridSearchCV(pipeline, {}, cv=2).fit(X, Y)
    denoised = pipeline[-1].reconstruct(pipeline[0].transform(X))
    r2 = 1 - np.square(denoised - Y).sum() / np.square(Y - Y.mean(axis=0)).sum()

    assert_allclose(reconstruction_r2(pipeline, X, Y), r2)
    assert_allclose(reconstruction_r2(search, X, Y), r2)


def test_bernoulli_gives_probabilities(digits):
    X = digits[0][:300] / 16
    fits = [
        quick(8, loss="bernoulli", corruption=kind).fit(X, X[:, ::-1])
        for kind in ("masking", "paired")
    ]
    for fitted in fits:
        denoised = fitted.reconstruct(X)
        assert denoised.min() >= 0 and denoised.max() <= 1
    with pytest.raises(ValueError, match="and y has values"):
        quick(8, loss="bernoulli", corruption="paired").fit(X, 2 * X)
    initial = untrained(8, loss="bernoulli", corruption="masking").fit(X)
    assert error(initial, X, X) < X.var()


def test_without_noise_it_is_initialized_at_pca():
    X, _, _ = gaussian_samples(500)
    initial = untrained(2, noise_level=0.0).fit(X)
    pca = PCA(2).fit(X)

    projected = pca.inverse_transform(pca.transform(X))
    assert_allclose(initial.reconstruct(X), projected, rtol=1e-4)
    assert_allclose(initial.transform(X), pca.transform(X), rtol=1e-4, atol=1e-4)


def test_an_undercomplete_code_is_initialized_at_the_best_map_of_its_rank():
    X, corrupted, _ = gaussian_samples(20_000)
    covariance, noise = np.cov(X.T), np.diag(0.25 * X.var(axis=0))
    wiener = np.linalg.solve(covariance + noise, covariance)
    axes = np.linalg.eigh(wiener.T @ (covariance + noise) @ wiener)[1][:, -2:]
    centre = X.mean(axis=0)
    least = np.square((corrupted - centre) @ wiener @ axes @ axes.T + centre - X).mean()

    denoiser = untrained(2, noise_level=0.5).fit(X)

    assert_allclose(error(denoiser, corrupted, X), least, rtol=0.005)


def test_many_features_are_reduced_before_the_regression(monkeypatch):
    X, corrupted, least = gaussian_samples(20_000)
    monkeypatch.setattr(statistics_module, "WIDE_REGRESSION", 3)

    denoiser = untrained(3, noise_level=0.5).fit(X)

    assert least < error(denoiser, corrupted, X) < np.square(corrupted - X).mean()
    assert denoiser.transform(X).shape == (20_000, 3)
