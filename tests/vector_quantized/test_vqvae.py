"""VQVAE agrees with k-means and product quantisation, and its prior with a chain."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import VQVAE
from skae._data.dataset import Dataset
from skae._data.statistics import describe
from skae._training.inference import prepare
from skae._vector_quantized.codebook import VectorQuantizer
from skae._vector_quantized.initialization import (
    allocate_components,
    kmeans_codebook,
    random_codebook,
)
from skae._vector_quantized.prior_training import fit_prior
from skae._vector_quantized.transformer_prior import (
    TransformerPrior,
    smoothed_log_frequency,
)
from skae.networks import grid_decoder, grid_encoder

quick = partial(VQVAE, max_iter=3, random_state=0)
autoencoder = partial(VQVAE, prior=None, random_state=0)
as_k_means = partial(
    autoencoder, 1, n_codes=64, hidden_layer_sizes=(), early_stopping=False
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    return X[order][:1400], X[order][1400:], y[order][:1400]


def count(indices, n_codes):
    return np.bincount(indices.ravel(), minlength=n_codes)


def errors(estimator, X):
    return -estimator.score_samples(X) * X.shape[1]


# Known answers.


@pytest.mark.parametrize(
    ("codebook_init", "init", "bound"),
    [("kmeans", "pca", 1.02), ("random", "pca", 1.05), ("random", "random", 1.1)],
)
def test_linear_with_one_position_is_k_means(digits, codebook_init, init, bound):
    X, X_test, _ = digits
    means = KMeans(64, n_init=10, random_state=0).fit(X)

    fitted = as_k_means(code_dim=63, codebook_init=codebook_init, init=init).fit(X)

    assert errors(fitted, X).sum() <= bound * means.inertia_
    distances = means.transform(X_test).min(axis=1)
    assert errors(fitted, X_test).sum() <= 1.05 * np.square(distances).sum()
    used = count(fitted.code_indices(X), 64)
    assert used.all()
    assert fitted.perplexity_ >= 0.6 * 64
    assert_allclose(fitted.usage_[0], used / len(X))


def test_samples_are_assigned_to_the_nearest_code_vector(digits):
    X, X_test, _ = digits
    fitted = as_k_means(code_dim=64, max_iter=1, learning_rate=1e-12).fit(X)
    code_vectors = fitted.inverse_transform(np.arange(64)[:, None])

    # With code_dim = n_features, distances of codes are distances of samples.
    distances = np.square(X_test[:, None] - code_vectors).sum(axis=2)
    found = distances[np.arange(len(X_test)), fitted.code_indices(X_test)[:, 0]]
    assert_allclose(found, distances.min(axis=1), rtol=1e-4)


def test_is_initialized_at_product_quantization_and_improves(digits):
    X, X_test, _ = digits
    untrained = autoencoder(
        4, n_codes=32, max_iter=1, learning_rate=1e-12, early_stopping=False
    )

    start = untrained.fit(X)
    trained = autoencoder(4, n_codes=32).fit(X)

    blocks = np.array_split(np.arange(64), 4)
    errors_of_blocks = [
        -KMeans(32, n_init=3, random_state=0).fit(X[:, b]).score(X_test[:, b])
        for b in blocks
    ]
    assert errors(start, X_test).sum() < 1.03 * sum(errors_of_blocks)
    assert errors(trained, X_test).sum() < 0.9 * sum(errors_of_blocks)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_all_components_are_allocated_evenly(n_positions, width, n_features, seed):
    X = np.random.RandomState(seed).normal(size=(40, n_features)) * np.logspace(
        0, -2, n_features
    )
    statistics = describe(Dataset(X), n_positions * width)

    allocated = allocate_components(statistics, n_positions)

    assert_allclose(np.sort(allocated.deviations), np.sort(statistics.deviations))
    assert_allclose(
        allocated.components @ allocated.components.T,
        statistics.components @ statistics.components.T,
        atol=1e-9,
    )
    leading = allocated.deviations.reshape(n_positions, width).max(axis=1)
    n_found = min(n_positions, n_features)
    assert_allclose(
        np.sort(leading)[::-1][:n_found], statistics.deviations[:n_found], rtol=1e-9
    )


# The loss.


def loss_in_training(fitted, X, batch_size):
    module = fitted.module_.train()
    criterion = fitted._make_criterion(module)
    with torch.no_grad():
        parts = [prepare(module, b) for b in Dataset(X).chunks(batch_size)]
        losses = [criterion(module(b.x), b.target) for b in parts]
    module.eval()
    return float(torch.cat(losses).mean())


def test_the_loss_does_not_depend_on_the_batch(digits):
    X, X_test, _ = digits
    fitted = autoencoder(4, max_iter=2).fit(X)

    small, large = (loss_in_training(fitted, X[:1024], size) for size in (32, 1024))

    assert_allclose(small, large, rtol=1e-6)


def test_the_loss_does_not_depend_on_units_or_on_repeated_features(digits):
    X, *_ = digits
    untrained = partial(
        autoencoder, 2, code_dim=8, n_codes=16, max_iter=1, learning_rate=1e-12
    )
    fitted = untrained().fit(X)
    loss = loss_in_training(fitted, X, 200)

    for other in (1000 * X, np.hstack([X, X, X])):
        assert_allclose(
            loss_in_training(untrained().fit(other), other, 200), loss, rtol=0.02
        )
    terms = fitted.history_[["train_reconstruction", "train_commitment"]].iloc[0]
    assert_allclose(terms.sum(), fitted.history_["train_loss"].iloc[0], rtol=1e-5)


def test_gradients_pass_straight_through_and_cancel_at_k_means(digits):
    """With a weight of 1 the commitment gradient cancels the reconstruction gradient."""
    X, *_ = digits
    fitted = as_k_means(code_dim=63, max_iter=1, learning_rate=1e-12).fit(X)
    module = fitted.module_.train()
    criterion = fitted._make_criterion(module)
    batch = prepare(module, Dataset(X)[:])

    def gradient(commitment):
        criterion.commitment = commitment
        module.zero_grad()
        criterion(module(batch.x), batch.target).mean().backward()
        return module.encoder.change.grad.norm()

    assert gradient(1.0) < 1e-3 * gradient(0.0)


# Codebooks.


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.booleans(), st.integers(1, 5), st.integers(0, 99))
def test_nearest_is_nearest(n_positions, shared, n_codes, seed):
    generator = torch.Generator().manual_seed(seed)
    codebooks = torch.randn(1 if shared else n_positions, n_codes, 2, generator=generator)
    code = torch.randn(7, n_positions, 2, generator=generator)
    quantizer = VectorQuantizer(codebooks)

    code_vectors, indices = quantizer(code)

    each = codebooks.expand(n_positions, -1, -1)
    distances = (code[:, :, None] - each[None]).square().sum(dim=-1)
    torch.testing.assert_close(
        (code - code_vectors).square().sum(dim=-1), distances.min(dim=-1).values
    )
    assert_array_equal(indices, distances.argmin(dim=-1))
    torch.testing.assert_close(quantizer.look_up(indices), code_vectors)


@pytest.mark.parametrize("shared", [True, False])
def test_code_vectors_converge_to_cluster_centres_and_none_is_dead(shared):
    """Random code vectors converge to the centres, one code vector each."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(2, 8, 3, generator=generator) * 5
    if shared:
        centres[1] = centres[0]
    torch.manual_seed(0)
    codebooks = [random_codebook(centre, 8) for centre in centres]
    quantizer = VectorQuantizer(torch.stack(codebooks[:1] if shared else codebooks))

    for step in range(400):
        which = torch.randint(8, (64, 2), generator=generator)
        code = centres[torch.arange(2), which]
        code = code + 0.01 * torch.randn(code.shape, generator=generator)
        quantizer.update(code, quantizer.nearest(code), step / 400, generator)

    for codebook, found in zip(quantizer.codebooks, centres, strict=False):
        assert torch.cdist(found, codebook).min(dim=1).values.max() < 0.05
    assert_allclose(quantizer.perplexity, 8, rtol=0.05)


def test_kmeans_codebook_has_n_codes_code_vectors():
    code = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).repeat(20, 1)

    code_vectors = kmeans_codebook(code, 5, seed=0)

    assert code_vectors.shape == (5, 2)
    assert torch.cdist(code, code_vectors).min(dim=1).values.max() < 1e-6
    assert random_codebook(code, 3).shape == (3, 2)


def test_code_vectors_and_code_indices_are_equivalent(digits):
    X, X_test, _ = digits
    for shared in (False, True):
        fitted = quick(3, n_codes=20, code_dim=5, shared_codebook=shared).fit(X)
        codes, indices = fitted.transform(X_test), fitted.code_indices(X_test)

        codebooks = np.broadcast_to(fitted.codebook_, (3, 20, 5))
        code_vectors = codebooks[np.arange(3), indices].reshape(len(X_test), -1)
        assert_allclose(codes, code_vectors, rtol=1e-6)
        expected = fitted.reconstruct(X_test)
        assert_allclose(fitted.inverse_transform(codes), expected, rtol=1e-5, atol=1e-5)
        assert_allclose(fitted.inverse_transform(indices), expected, rtol=1e-6)
        assert_allclose(fitted.inverse_transform(indices.astype(float)), expected)
        assert codes.shape[1] == len(fitted.get_feature_names_out()) == 15
        assert indices.dtype == np.int64


def test_code_vectors_of_one_dimension_are_distinguished_by_dtype(digits):
    X, X_test, _ = digits
    fitted = quick(3, code_dim=1, n_codes=4).fit(X)

    expected = fitted.reconstruct(X_test)
    codes, indices = fitted.transform(X_test), fitted.code_indices(X_test)
    assert_allclose(fitted.inverse_transform(codes), expected, rtol=1e-5, atol=1e-5)
    assert_allclose(fitted.inverse_transform(indices), expected, rtol=1e-6)


@pytest.mark.parametrize("indices", [[[0, 8]], [[-1, 0]], [[0.5, 0]]])
def test_invalid_code_indices_are_rejected(digits, indices):
    fitted = quick(2, n_codes=8).fit(digits[0])

    with pytest.raises(ValueError, match="code indices range from 0 to 7"):
        fitted.inverse_transform(np.array(indices))
    with pytest.raises(ValueError, match="code indices range from 0 to 7"):
        fitted.score_codes(np.array(indices))
    with pytest.raises(ValueError, match=r"3 features.*n_components=2"):
        fitted.score_codes([[0, 1, 2]])


def test_convolutions_give_a_grid_of_code_indices(digits):
    X, X_test, _ = digits
    shape = (1, 8, 8)
    fitted = autoencoder(
        16,
        n_codes=16,
        code_dim=4,
        shared_codebook=True,
        encoder=partial(grid_encoder, image_shape=shape, channels=(16,)),
        decoder=partial(grid_decoder, image_shape=shape, channels=(16,)),
        init="random",
        max_iter=15,
    ).fit(X)

    assert fitted.code_indices(X_test).shape == (len(X_test), 16)
    one_position = errors(autoencoder(1, n_codes=64).fit(X), X_test).sum()
    assert errors(fitted, X_test).sum() < one_position
    # The receptive field of a position is local.
    changed = X_test.copy()
    changed[:, 2] += 100  # in the first row of pixels
    moved = fitted.code_indices(changed) != fitted.code_indices(X_test)
    assert moved[:, :4].any()
    assert not moved[:, 8:].any()


# The prior.


def chain(n_samples, n_positions=5, n_codes=4, stay=0.8, seed=0):
    """A Markov chain: each index equals the previous one, or is drawn uniformly."""
    rng = np.random.RandomState(seed)
    indices = rng.randint(n_codes, size=(n_samples, n_positions))
    for place in range(1, n_positions):
        stays = rng.rand(n_samples) < stay
        indices[stays, place] = indices[stays, place - 1]
    return indices


def entropy_of_chain(n_positions=5, n_codes=4, stay=0.8):
    other = (1 - stay) / n_codes
    step = np.array([stay + other] + [other] * (n_codes - 1))
    return np.log(n_codes) - (n_positions - 1) * np.sum(step * np.log(step))


def fit_to(indices, condition=None, n_codes=4, **settings):
    defaults = dict(
        n_codes=n_codes,
        shared=False,
        n_epochs=None,
        validation_fraction=0.1,
        seed=0,
        device=torch.device("cpu"),
    )
    return fit_prior(indices, condition, **defaults | settings)


def nats(prior, indices, condition=None):
    with torch.no_grad():
        return prior.nats(torch.as_tensor(indices), condition).double().numpy()


@pytest.mark.parametrize("shared", [False, True])
def test_the_prior_learns_transition_probabilities(shared):
    prior = fit_to(chain(1_500), shared=shared)

    test = chain(1_500, seed=1)
    found, exact = nats(prior, test).mean(), entropy_of_chain()
    assert exact - 0.1 < found < exact + 0.1
    assert found < 5 * np.log(4) - 1


def test_probabilities_of_all_sequences_sum_to_one():
    prior = fit_to(chain(300, n_positions=3), n_epochs=5)

    all_sequences = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3)
    assert_allclose(np.exp(-nats(prior, all_sequences)).sum(), 1, rtol=1e-5)


def test_without_training_code_indices_are_independent():
    indices = chain(50, n_positions=2)
    counts = torch.stack(
        [torch.bincount(c, minlength=4) for c in torch.tensor(indices).T]
    )
    share = smoothed_log_frequency(counts)
    prior = TransformerPrior(share, 2, 0).eval()

    expected = -(share[0][indices[:, 0]] + share[1][indices[:, 1]])
    assert_allclose(nats(prior, indices), expected, rtol=1e-5)


def test_no_code_index_depends_on_later_ones():
    prior = fit_to(chain(300), n_epochs=3)
    indices = torch.tensor(chain(10))
    later = indices.clone()
    later[:, 3:] = (later[:, 3:] + 1) % 4

    with torch.no_grad():
        torch.testing.assert_close(prior(indices)[:, :4], prior(later)[:, :4])
        torch.testing.assert_close(prior(indices)[:, :3], prior(indices[:, :2]))


def test_draws_are_distributed_as_scored():
    prior = fit_to(chain(1_000, n_positions=2))
    generator = torch.Generator().manual_seed(0)

    drawn = prior.sample(20_000, None, 1.0, None, generator).numpy()
    pairs = np.stack(np.meshgrid(np.arange(4), np.arange(4)), axis=-1).reshape(-1, 2)
    expected = np.exp(-nats(prior, pairs))
    share = [(drawn == pair).all(axis=1).mean() for pair in pairs]
    assert_allclose(share, expected, atol=0.015)
    likeliest = prior.sample(50, None, 1.0, 1, generator).numpy()
    first = np.bincount(pairs[:, 0], weights=expected)
    assert (likeliest == likeliest[0]).all()
    assert first[likeliest[0, 0]] == first.max()
    cold = prior.sample(2_000, None, 0.5, None, generator).numpy()
    assert nats(prior, cold).mean() < nats(prior, drawn).mean() - 0.1


def test_the_prior_is_conditioned_on_labels():
    indices = chain(600, stay=1.0)
    labels = indices[:, 0] % 2
    condition = np.eye(2, dtype=np.float32)[labels]

    prior = fit_to(indices, condition)

    found = nats(prior, indices, torch.as_tensor(condition)).mean()
    assert_allclose(found, np.log(2), atol=0.1)  # one of two indices, five times


def test_conditional_samples_are_classified_as_their_label(digits):
    X, X_test, y = digits
    fitted = VQVAE(6, n_codes=32, conditional=True, random_state=0).fit(X, y)
    classifier = LogisticRegression(max_iter=2_000).fit(X / 16, y)

    labels = np.repeat(np.arange(10), 30)
    drawn = fitted.sample(300, y=labels, random_state=0)
    assert classifier.score(drawn / 16, labels) > 0.75
    assert_array_equal(fitted.classes_, np.arange(10))
    indices = fitted.code_indices(X)
    given, not_given = fitted.score_codes(indices, y), fitted.score_codes(indices)
    assert given.mean() > not_given.mean() + 1
    every = [fitted.score_codes(indices, label) for label in range(10)]
    share = np.bincount(y) / len(y)
    assert_allclose(np.exp(not_given), share @ np.exp(every), rtol=1e-6)
    assert fitted.sample(3, random_state=0).shape == (3, 64)


def test_the_prior_is_optional(digits):
    fitted = quick(prior=None).fit(digits[0])

    assert fitted.prior_module_ is None
    for method in (fitted.sample, lambda: fitted.score_codes([[0, 0]])):
        with pytest.raises(ValueError, match="prior=None. Fit it with prior='transfor"):
            method()


def test_scores_and_draws_do_not_depend_on_chunks_or_global_random_state(digits):
    X, X_test, _ = digits
    before = torch.get_rng_state()
    fitted = quick(3).fit(X)
    indices = fitted.code_indices(X_test)

    scores = fitted.score_codes(indices)
    assert_allclose(fitted.score_codes(indices[:5]), scores[:5], rtol=1e-10)
    drawn = fitted.sample(5, random_state=1)
    assert_array_equal(drawn, fitted.sample(5, random_state=1))
    assert not np.array_equal(drawn, fitted.sample(5, random_state=2))
    assert_array_equal(before, torch.get_rng_state())
    again = clone(fitted).fit(X)
    assert_array_equal(again.code_indices(X_test), indices)
    assert_array_equal(again.sample(5, random_state=1), drawn)


# Parameters and edge cases.


def test_errors_contain_the_remedy(digits):
    X, _, y = digits
    with pytest.raises(
        ValueError, match="n_codes=50 must not exceed n_samples=20. Lower n_codes"
    ):
        quick(n_codes=50).fit(X[:20])
    with pytest.raises(ValueError, match=r"\(conditional=True\) requires y"):
        quick(conditional=True).fit(X)
    with pytest.raises(ValueError, match="requires labels"):
        quick(conditional=True).fit(X, X[:, 0] / 3)
    with pytest.raises(ValueError, match="requires a prior, but prior=None"):
        quick(conditional=True, prior=None).fit(X, y)
    fitted = quick().fit(X)
    with pytest.raises(ValueError, match="temperature=0"):
        fitted.sample(temperature=0)
    with pytest.raises(ValueError, match="top_k=0"):
        fitted.sample(top_k=0)
    with pytest.raises(ValueError, match="was fitted with conditional=False"):
        fitted.sample(2, y=1)
    with pytest.raises(ValueError, match="was fitted with conditional=False"):
        fitted.score_codes([[0, 0]], y=1)


@pytest.mark.parametrize(
    "X",
    [
        np.full((30, 3), 7.0),  # constant
        np.array([[1.0, 2.0]]),  # one sample
        np.array([[1.0, 2.0], [2.0, 1.0]]),  # two
        np.random.RandomState(0).normal(size=(40, 1)),  # one feature
        np.repeat([[0.0, 1.0], [1.0, 0.0]], 30, axis=0),  # two distinct samples
        1e12 + np.random.RandomState(0).normal(size=(60, 3)),
        np.random.RandomState(0).normal(size=(60, 3)) * 1e-12,
    ],
    ids=["constant", "one", "two", "one feature", "two distinct", "offset", "tiny"],
)
def test_edge_cases_are_fitted(X):
    fitted = VQVAE(2, random_state=0, max_iter=5).fit(X)

    indices = fitted.code_indices(X)
    assert indices.min() >= 0
    assert indices.max() < fitted.n_codes_
    # Never worse than the mean, which one code vector can represent.
    assert np.isfinite(fitted.sample(4, random_state=0)).all()
    least = np.square(X - X.mean(axis=0)).sum() * (1 + 1e-6)
    assert errors(fitted, X).sum() <= least + 1e-9 * np.square(X).sum() * 1e-6
    assert 1 <= fitted.perplexity_ <= fitted.n_codes_


def test_n_codes_may_equal_n_samples_with_one_label():
    X = np.random.RandomState(0).normal(size=(20, 3))
    fitted = VQVAE(1, n_codes=20, conditional=True, random_state=0, max_iter=3)
    fitted.fit(X, ["only"] * 20)

    assert fitted.n_codes_ == 20
    assert fitted.sample(2, y="only", random_state=0).shape == (2, 3)


def test_warm_start_resumes_training(digits):
    X, _, y = digits
    fitted = quick(3, warm_start=True).fit(X)
    before = fitted.codebook_

    fitted.set_params(learning_rate=1e-9).fit(X)
    assert_allclose(fitted.codebook_, before, rtol=0.2, atol=2)
    with pytest.raises(ValueError, match="n_codes"):
        fitted.set_params(n_codes=10).fit(X)
    assert not hasattr(fitted, "partial_fit")


def test_a_failed_fit_keeps_the_earlier_one(digits):
    X, X_test, y = digits
    fitted = quick(3, conditional=True).fit(X, y)
    indices = fitted.code_indices(X_test)

    with pytest.raises(ValueError, match="requires y"):
        fitted.fit(X)
    assert_array_equal(fitted.code_indices(X_test), indices)
    assert fitted.sample(2, y=3, random_state=0).shape == (2, 64)


def test_supports_pipelines_searches_and_pickles(digits):
    X, X_test, y = digits
    pipeline = make_pipeline(
        StandardScaler(), quick(4), LogisticRegression(max_iter=2_000)
    )
    search = GridSearchCV(pipeline, {"vqvae__n_codes": [4, 32]}, cv=2, n_jobs=2)
    search.fit(X, y)

    assert search.best_params_["vqvae__n_codes"] == 32
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_array_equal(again.predict(X_test), search.predict(X_test))
    vq, vq_again = search.best_estimator_[1], again[1]
    assert_array_equal(vq_again.sample(3, random_state=0), vq.sample(3, random_state=0))


def test_a_warm_start_takes_other_labels(digits):
    """Codes do not depend on labels, and the prior is fitted anew."""
    X, _, y = digits
    y = np.arange(len(X)) % 3
    fitted = quick(conditional=True, warm_start=True).fit(X, y)

    fitted.fit(X, y + 5)

    assert list(fitted.classes_) == [5, 6, 7]
    assert fitted.sample(2, y=6).shape == (2, X.shape[1])
