"""AdversarialAE: codes have the distribution of a prior."""

import math
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AdversarialAE
from skae._adversarial.divergences import (
    Adversary,
    Discriminator,
    energy_distance_terms,
    prior_energy_distance,
    squared_mmd,
)
from skae._adversarial.net import AdversarialNet
from skae._adversarial.priors import Mixture, Normal, SwissRoll
from skae._nn.backprop import written_out

quick = partial(AdversarialAE, max_iter=3, random_state=0)
PRIORS = {
    "normal": Normal(3),
    "mixture": Mixture(3, 10),
    "mixture of three": Mixture(2, 3),
    "mixture of one": Mixture(2, 1),
    "mixture on a line": Mixture(1, 4),
    "swiss_roll": SwissRoll(),
    "sections": SwissRoll(5),
}


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def energy_distance(a, b):
    return 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()


def energy_ratio(codes, prior):
    """Energy distance of codes to draws, relative to that between two sets of draws."""
    generator = source()

    def draw():
        return prior.draw(len(codes), generator, dtype=torch.float64).numpy()

    own = np.mean([energy_distance(draw(), draw()) for _ in range(5)])
    return energy_distance(codes, draw()) / own


# Priors.


@pytest.mark.parametrize("name", PRIORS)
def test_priors_have_mean_0_and_variance_1(name):
    prior = PRIORS[name]

    codes = prior.draw(100_000, source(), dtype=torch.float64)

    unit = torch.eye(prior.n_components, dtype=torch.float64)
    assert_allclose(codes.mean(dim=0), 0, atol=0.02)
    # The two variances of a spiral differ.
    loose = 0.15 if isinstance(prior, SwissRoll) else 0.02
    assert_allclose(codes.T.cov().reshape(unit.shape), unit, atol=loose)


def test_mixture_components_are_elongated_radially_and_separate():
    prior = Mixture(2, 10)
    part = torch.arange(10).repeat_interleave(2_000)

    codes = prior.draw(len(part), source(), part).double().reshape(10, 2_000, 2)

    centres = codes.mean(dim=1)
    for centre, points in zip(centres, codes, strict=True):
        radial = centre / centre.norm()
        along = (points @ radial).std()
        across = (points @ radial.flip(0).mul(torch.tensor([1.0, -1.0]))).std()
        assert 4 < along / across < 6
    nearest = torch.cdist(codes.flatten(0, 1), centres).argmin(dim=1)
    assert (nearest == part).double().mean() > 0.95


def test_sections_of_a_swiss_roll_are_ordered_by_radius():
    part = torch.arange(4).repeat_interleave(500)
    codes = SwissRoll(4).draw(2_000, source(), part)
    whole = SwissRoll(1).draw(2_000, source(1))

    distances = (codes - torch.tensor([-0.05, 0.32])).norm(dim=1).reshape(4, 500)
    assert (distances.mean(dim=1).diff() > 0).all()  # from the centre to the rim
    assert energy_distance(codes, whole) < 5 * 2 / 2_000


# Divergences.


def test_discriminator_gradient_and_penalty_gradient_equal_autograd():
    discriminator = Discriminator(4, source()).double()
    codes = torch.randn(30, 4, generator=source(), dtype=torch.float64)
    codes.requires_grad_()

    output, slope = discriminator.with_slope(codes)
    (expected,) = torch.autograd.grad(
        discriminator(codes).sum(), codes, create_graph=True
    )
    weights = [layer.weight for layer in discriminator.layers]
    ours = torch.autograd.grad(slope.square().sum(), weights)
    theirs = torch.autograd.grad(expected.square().sum(), weights)

    assert_allclose(output.detach(), discriminator(codes).detach())
    assert_allclose(slope.detach(), expected.detach(), atol=1e-12)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.norm() > 0
        assert_allclose(mine, other, atol=1e-12)


def test_adversarial_gradient_moves_codes_towards_the_prior():
    adversary = Adversary(Normal(2), 0, source())
    shifted = torch.randn(256, 2, generator=source(1)) + 3.0
    shifted.requires_grad_()

    losses = [adversary(shifted, None, 0.0).detach() for _ in range(60)]
    (slope,) = torch.autograd.grad(adversary(shifted, None, 0.0), shifted)

    assert losses[-1] > losses[0]  # the trained discriminator separates codes better
    assert adversary.terms["accuracy"] > 0.9
    assert (slope > 0).all(dim=1).float().mean() > 0.9  # descent moves codes towards 0


def test_discriminator_is_at_chance_level_for_equal_distributions():
    adversary = Adversary(Normal(2), 0, source())
    generator = source(1)
    for _ in range(100):
        adversary(torch.randn(256, 2, generator=generator), None, 0.5)

    assert_allclose(adversary.terms["discriminator"], 2 * math.log(2), rtol=0.03)
    assert 0.4 < adversary.terms["accuracy"] < 0.6


def test_squared_mmd_is_unbiased_and_positive_for_different_distributions():
    generator = source()

    def draw():
        return torch.randn(100, 3, generator=generator)

    equal = torch.stack([squared_mmd(draw(), draw(), 3) for _ in range(200)])
    standard_error = equal.std() / math.sqrt(200)
    assert abs(equal.mean()) < 3 * standard_error
    assert equal.min() < 0 < equal.max()
    for other in (draw() + 1, draw() * 2, draw().abs() - draw().abs().mean()):
        assert squared_mmd(other, draw(), 3) > 5 * equal.std()


def test_mean_of_energy_distance_terms_is_the_energy_distance():
    codes = torch.rand(40, 2, generator=source(), dtype=torch.float64)
    draws = torch.randn(60, 2, generator=source(), dtype=torch.float64)

    terms = energy_distance_terms(codes, draws)
    assert_allclose(terms.mean(), energy_distance(codes, draws))


def test_energy_distance_is_larger_for_swapped_classes():
    prior = Mixture(2, 2)
    part = torch.arange(2).repeat(200)
    condition = nn.functional.one_hot(part).float()
    codes = prior.draw(400, source(3), part)

    right, wrong = (
        prior_energy_distance(prior, c, condition).mean() for c in (codes, codes.flip(0))
    )

    assert right < 0.02 < 0.2 < wrong


# Known results.


@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
def test_linear_networks_on_normal_data_are_pca_with_normal_codes(divergence):
    rng = np.random.RandomState(0)
    factors = rng.normal(size=(2_000, 2)) @ rng.normal(size=(2, 6))
    X = factors + 0.1 * rng.normal(size=factors.shape)
    X, new = X[:1_400], X[1_400:]
    linear = AdversarialAE(
        2,
        hidden_layer_sizes=(),
        init="random",
        divergence=divergence,
        early_stopping=False,
        random_state=0,
    ).fit(X)

    pca = PCA(2).fit(X)
    error = np.square(pca.inverse_transform(pca.transform(new)) - new).mean()
    assert -linear.score(new) < 1.1 * error
    codes = linear.transform(new)
    assert_allclose(codes.mean(axis=0), 0, atol=0.2)
    assert_allclose(np.cov(codes.T), np.eye(2), atol=0.25)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    names = np.array(["zero", "one", "two", "three", "four", "five"])
    kept = order[y[order] < 6]
    X, y = X[kept], names[y[kept]]
    return X[:800], y[:800], X[800:], y[800:]


@pytest.fixture(scope="module")
def classes(digits):
    X, y, _, _ = digits
    return AdversarialAE(prior="mixture", conditional=True, random_state=0).fit(X, y)


def two_clusters(n_samples):
    """Curved surface with two clusters with long tails."""
    rng = np.random.RandomState(0)
    u = rng.choice([-2.0, 2.0], n_samples) + 0.5 * rng.normal(size=n_samples)
    v = rng.exponential(size=n_samples)
    noise = 0.05 * rng.normal(size=(n_samples, 6))
    return np.column_stack([u, v, u**2 / 3, u * v / 3, np.sin(u), np.sqrt(v)]) + noise


@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
def test_codes_of_new_samples_match_the_prior_with_a_low_error(divergence):
    X = two_clusters(1_800)
    X, new = X[:1_300], X[1_300:]
    fitted = AdversarialAE(2, divergence=divergence, random_state=0).fit(X)
    pca = PCA(2, whiten=True).fit(X)

    initial = energy_ratio(pca.transform(new), Normal(2))
    trained = energy_ratio(fitted.transform(new), Normal(2))

    error = np.square(pca.inverse_transform(pca.transform(new)) - new).mean()
    assert fitted.best_step_ > 0
    assert trained < 4 < 8 < initial
    assert -fitted.score(new) < 0.1 * error


def test_codes_of_a_class_are_near_its_component(digits, classes):
    _, _, new, labels = digits
    prior = Mixture(2, 6)
    centres = np.stack(
        [prior.draw(500, source(), torch.full((500,), i)).mean(dim=0) for i in range(6)]
    )

    nearest = cdist(classes.transform(new), centres).argmin(axis=1)

    # Classes are in sorted order, as in classifiers.
    assert np.mean(np.unique(labels)[nearest] == labels) > 0.85


def test_samples_of_a_class_are_classified_as_that_class(digits, classes):
    X, y, _, _ = digits
    recognise = KNeighborsClassifier(3).fit(X, y)

    for label in np.unique(y):
        drawn = classes.sample(50, y=label, random_state=0)
        assert np.mean(recognise.predict(drawn) == label) > 0.8
    requested = np.resize(np.unique(y), 120)
    each = classes.sample(120, y=requested, random_state=0)
    assert np.mean(recognise.predict(each) == requested) > 0.8


def test_samples_without_y_have_the_label_frequencies_of_training(digits):
    X, y, _, _ = digits
    rare = np.concatenate([np.flatnonzero(y == "one"), np.flatnonzero(y == "two")[:20]])
    # Of sorted labels, the rare ones may all be held out, and nothing is trained.
    rare = np.random.RandomState(0).permutation(rare)
    two = AdversarialAE(prior="mixture", conditional=True, random_state=0)
    two.fit(X[rare], y[rare])
    recognise = KNeighborsClassifier(3).fit(X, y)

    drawn = recognise.predict(two.sample(1_000, random_state=0))

    share = np.mean(y[rare] == "two")
    assert abs(np.mean(drawn == "two") - share) < 0.07


# Use.


@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
def test_history_contains_the_divergence(X, divergence):
    history = quick(2, divergence=divergence, early_stopping=False).fit(X).history_

    names = {"adversarial": ["adversarial", "discriminator", "accuracy"], "mmd": ["mmd"]}
    for name in names[divergence]:
        assert np.isfinite(history[f"train_{name}"]).all()
    assert ("train_accuracy" in history) == (divergence == "adversarial")


def test_written_out_gradient_equals_autograd(X, monkeypatch):
    options = dict(max_iter=8, early_stopping=False, random_state=0)
    by_hand = AdversarialAE(2, **options).fit(X)
    found = []

    def unknown(module, criterion):
        found.append(written_out(module, criterion))
        return None

    monkeypatch.setattr("skae._adversarial.net.written_out", unknown)
    by_autograd = AdversarialAE(2, **options).fit(X)

    assert found and all(gradient is not None for gradient in found)
    assert_allclose(by_hand.transform(X), by_autograd.transform(X), atol=2e-3)


def test_discriminator_has_its_own_optimiser_and_is_not_stored(X):
    seen = {}

    class Spy(AdversarialNet):
        def _differentiate(self, batch):
            loss = super()._differentiate(batch)
            own = {id(p) for p in self._divergence.discriminator.parameters()}
            trained = {id(p) for p in self.optimizer_.param_groups[0]["params"]}
            seen["apart"] = own and not own & trained
            return loss

    class Spied(AdversarialAE):
        _net_class = Spy

    fitted = Spied(2, max_iter=1, early_stopping=False, random_state=0).fit(X)

    assert seen["apart"]
    assert not any(isinstance(v, Adversary) for v in vars(fitted).values())


def test_fits_are_deterministic_and_do_not_use_global_random_states(X):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()

    first, second = (quick(2).fit(X) for _ in range(2))

    assert_array_equal(first.transform(X), second.transform(X))
    assert_array_equal(first.sample(5, random_state=1), second.sample(5, random_state=1))
    assert (first.sample(5, random_state=1) != first.sample(5, random_state=2)).any()
    assert (quick(2, random_state=1).fit(X).transform(X) != first.transform(X)).any()
    assert_array_equal(torch.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_codes_do_not_depend_on_the_scale_of_X(X, factor):
    options = dict(early_stopping=False, random_state=0, max_iter=20)
    plain = AdversarialAE(2, **options).fit(X)
    scaled = AdversarialAE(2, **options).fit(factor * X + 3 * factor)

    codes = scaled.transform(factor * X + 3 * factor)

    assert_allclose(codes, plain.transform(X), atol=5e-2)
    assert_allclose(scaled.sample(4, random_state=0) / factor - 3,
                    plain.sample(4, random_state=0), atol=5e-2)  # fmt: skip


def test_initial_codes_are_whitened_pca_scores(low_rank_X):
    initial = AdversarialAE(
        3, max_iter=1, learning_rate=1e-12, early_stopping=False, random_state=0
    ).fit(low_rank_X)

    whitened = PCA(3, svd_solver="full").fit_transform(low_rank_X)
    whitened /= whitened.std(axis=0)
    assert_allclose(np.abs(initial.transform(low_rank_X)), np.abs(whitened), atol=1e-4)


def test_clone_pickle_and_grid_search(X):
    fitted = quick(2, prior="mixture", n_modes=3).fit(X)
    again = pickle.loads(pickle.dumps(fitted))

    assert_array_equal(again.transform(X), fitted.transform(X))
    assert_array_equal(again.sample(3, random_state=0), fitted.sample(3, random_state=0))
    assert clone(fitted).get_params() == fitted.get_params()
    assert len(pickle.dumps(fitted)) < 1.3 * len(pickle.dumps(quick(2).fit(X)))
    pipeline = make_pipeline(StandardScaler(), quick(1))
    search = GridSearchCV(pipeline, {"adversarialae__n_components": [1, 3]}, n_jobs=2)
    search.fit(X)
    assert search.best_params_["adversarialae__n_components"] == 3


def test_bernoulli_loss_decodes_to_probabilities(X):
    X = (X > X.mean(axis=0)).astype(float)
    fitted = quick(2, loss="bernoulli", early_stopping=False).fit(X)

    drawn = fitted.sample(200, random_state=0)

    assert ((drawn > 0) & (drawn < 1)).all()
    with pytest.raises(ValueError, match="'bernoulli' requires values in"):
        fitted.fit(X + 1)


def test_user_defined_encoder(X):
    def encoder(n_in, n_out):
        return nn.Sequential(nn.Linear(n_in, 16), nn.Softplus(), nn.Linear(16, n_out))

    fitted = AdversarialAE(
        2, encoder=encoder, max_iter=30, early_stopping=False, random_state=0
    ).fit(X)

    pca = PCA(2).fit(X)
    error = np.square(pca.inverse_transform(pca.transform(X)) - X).mean()
    assert -fitted.score(X) < error


def test_scoring_monitor_can_sample_after_each_epoch(X):
    def mean_of_first_feature(fitted, X, y=None):
        return float(fitted.sample(100, y=True, random_state=0)[:, 0].mean())

    fitted = quick(2, prior="mixture", conditional=True, max_iter=4, early_stopping=False)
    monitor = ScoringMonitor(scoring={"mean": mean_of_first_feature})
    fitted.set_callbacks(monitor).fit(X, X[:, 0] > 0)

    curve = monitor.get_logs().data_as_pandas
    curve = curve[curve["task_name"] == "epoch"]["mean"]
    assert len(curve) == 4
    assert curve.iloc[-1] == pytest.approx(mean_of_first_feature(fitted, X), abs=1e-2)


def test_grid_search_passes_labels_to_a_conditional_model(X):
    y = X[:, 0] > 0
    search = GridSearchCV(
        quick(1, prior="mixture", conditional=True), {"n_components": [1, 2]}, cv=2
    ).fit(X, y)

    assert search.best_estimator_.sample(3, y=True, random_state=0).shape == (3, 5)


def test_y_is_ignored_unless_conditional(X):
    plain, with_y = quick(2).fit(X), quick(2).fit(X, X[:, 0] > 0)

    assert_array_equal(plain.transform(X), with_y.transform(X))
    assert not quick().__sklearn_tags__().target_tags.required
    conditional = quick(prior="mixture", conditional=True)
    assert conditional.__sklearn_tags__().target_tags.required


def test_interpolation_ends_at_the_reconstructions(X):
    fitted = quick(2).fit(X)

    paths = fitted.interpolate(X[:4], X[4:8], n_steps=7)

    assert paths.shape == (4, 7, 5)
    assert_allclose(paths[:, 0], fitted.reconstruct(X[:4]), atol=1e-6)
    assert_allclose(paths[:, -1], fitted.reconstruct(X[4:8]), atol=1e-6)
    framed = clone(fitted).set_output(transform="pandas").fit(X)
    assert isinstance(framed.transform(X), pd.DataFrame)
    assert_array_equal(framed.interpolate(X[:4], X[4:8], n_steps=7), paths)
    with pytest.raises(ValueError, match="X_from has 4 samples and X_to has 3"):
        fitted.interpolate(X[:4], X[:3])


def test_error_messages(X):
    labels = X[:, 0] > 0
    with pytest.raises(ValueError, match="n_components=3 must be 2 with prior='"):
        quick(3, prior="swiss_roll").fit(X)
    with pytest.raises(ValueError, match="prior='normal' has none"):
        quick(conditional=True).fit(X, labels)
    conditional = quick(prior="mixture", conditional=True)
    with pytest.raises(ValueError, match="requires y to be passed"):
        conditional.fit(X)
    with pytest.raises(ValueError, match="requires labels, but y has dtype"):
        conditional.fit(X, X[:, 0])
    with pytest.raises(ValueError, match="which is not among those"):
        conditional.fit(X, labels.astype(int)).sample(2, y=7)
    with pytest.raises(ValueError, match="was fitted with conditional=False"):
        quick().fit(X).sample(2, y=1)
    with pytest.raises(ValueError, match="n_samples=0 must be"):
        quick().fit(X).sample(0)
    assert not hasattr(quick(), "partial_fit")


def test_a_warm_start_uses_the_current_prior(X):
    fitted = quick(2, warm_start=True).fit(X)
    fitted.set_params(prior="mixture", n_modes=4).fit(X)

    assert isinstance(fitted.module_.prior, Mixture)
    drawn = fitted.module_.prior.draw(5, source())
    assert drawn.shape == (5, 2)


@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (5, 30), (33, 3)])
def test_any_shape(shape, divergence):
    X = np.random.RandomState(0).normal(size=shape)
    fitted = quick(2, batch_size=16, divergence=divergence).fit(X)

    assert fitted.transform(X).shape == (shape[0], 2)
    assert np.isfinite(fitted.score_samples(X)).all()
    assert np.isfinite(fitted.sample(3, random_state=0)).all()


@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
def test_constant_features_are_reproduced(X, divergence):
    padded = np.column_stack([X, np.full(len(X), 7.0)])
    fitted = quick(2, divergence=divergence).fit(padded)

    assert_array_equal(fitted.sample(5, random_state=0)[:, -1], 7.0)
    constant = quick(1, divergence=divergence, early_stopping=False).fit(np.ones((20, 3)))
    assert_array_equal(constant.sample(2, random_state=0), np.ones((2, 3)))


def test_training_on_heavy_tailed_data_does_not_diverge():
    rng = np.random.RandomState(0)
    X = rng.standard_cauchy(size=(400, 6))
    fitted = AdversarialAE(8, max_iter=15, early_stopping=False, random_state=0).fit(X)

    # A warning of divergence would be an error.
    assert np.isfinite(fitted.transform(X)).all()
    assert np.isfinite(fitted.sample(100, random_state=0)).all()
