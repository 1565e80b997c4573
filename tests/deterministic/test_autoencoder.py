"""AutoencoderTransformer: known answers, parameters, data, and the API."""

import copy
import io
import pickle
import threading
import warnings
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer
from skae.exceptions import OvercompleteWarning
from skae.metrics import reconstruction_r2
from skae.networks import conv_decoder, conv_encoder, mlp, residual_mlp

quick = partial(AutoencoderTransformer, max_iter=3, random_state=0)
overcomplete = pytest.mark.filterwarnings("ignore::skae.exceptions.OvercompleteWarning")


def pca_error(X, n_components, X_test=None):
    pca = PCA(n_components).fit(X)
    X = X if X_test is None else X_test
    return np.square(pca.inverse_transform(pca.transform(X)) - X).mean()


# Known answers.


def principal_angles(ae, pca):
    """Between PCA's subspace and the span of the decoder's outputs, in degrees."""
    n_components = len(pca.components_)
    corners = np.vstack([np.zeros(n_components), np.eye(n_components)])
    decoded = ae.inverse_transform(corners)
    return np.rad2deg(subspace_angles((decoded[1:] - decoded[0]).T, pca.components_.T))


def test_linear_autoencoder_from_random_weights_is_pca(low_rank_X):
    """Without hidden layers PCA is optimal, and training must converge to it."""
    linear = AutoencoderTransformer(
        3, hidden_layer_sizes=(), init="random", max_iter=1000, random_state=0
    ).fit(low_rank_X)

    assert -linear.score(low_rank_X) < 1.01 * pca_error(low_rank_X, 3)
    assert principal_angles(linear, PCA(3).fit(low_rank_X)).max() < 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_without_training_it_is_pca(load, dtype):
    """The initial weights are PCA: same codes, including signs."""
    X = load().data.astype(dtype)
    # A step at this learning rate does not change the weights.
    ae = AutoencoderTransformer(3, learning_rate=1e-30, random_state=0).fit(X)
    pca = PCA(3, svd_solver="full").fit(X)

    rtol, scale = (1e-7, 1e-9) if dtype == np.float64 else (1e-3, 1e-4)
    expected = pca.transform(X)
    assert_allclose(ae.transform(X), expected, rtol=rtol, atol=scale * np.ptp(expected))
    assert_allclose(ae.reconstruct(X), pca.inverse_transform(expected), rtol=1e-3)
    assert_allclose(
        ae.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-3
    )


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_scaling_x_scales_codes_and_reconstructions(X, factor):
    one = quick(2).fit(X)
    other = quick(2).fit(factor * X)

    assert_allclose(other.transform(factor * X), factor * one.transform(X), rtol=1e-3)
    assert_allclose(other.reconstruct(factor * X), factor * one.reconstruct(X), rtol=1e-3)
    assert reconstruction_r2(other, factor * X) == pytest.approx(
        reconstruction_r2(one, X), abs=1e-6
    )


def test_shifting_x_shifts_reconstructions_only(X):
    one, other = quick(2).fit(X), quick(2).fit(X + 1e6)

    assert_allclose(other.transform(X + 1e6), one.transform(X), rtol=1e-3, atol=1e-4)
    assert_allclose(other.reconstruct(X + 1e6) - 1e6, one.reconstruct(X), atol=1e-4)


def test_codes_are_centred_uncorrelated_and_ordered(X):
    codes = AutoencoderTransformer(3, random_state=0).fit_transform(X)
    covariance = np.cov(codes.T, bias=True)

    assert_allclose(codes.mean(axis=0), 0, atol=1e-9)
    assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-9)
    assert (np.diff(np.diag(covariance)) <= 0).all()


def test_explained_variance_ratio_adds_up_to_r2(X):
    for n_components in (1, 3):
        ae = AutoencoderTransformer(n_components, random_state=0).fit(X)

        ratio = ae.explained_variance_ratio_

        assert (ratio >= 0).all()
        assert ratio.sum() == pytest.approx(reconstruction_r2(ae, X), abs=1e-9)


def test_shares_of_variance_do_not_depend_on_chunks(low_rank_X):
    whole = quick(4).fit(low_rank_X).explained_variance_ratio_

    with config_context(working_memory=1e-1):  # some samples at a time
        chunked = quick(4).fit(low_rank_X).explained_variance_ratio_

    assert_allclose(chunked, whole, atol=1e-6)


@pytest.mark.parametrize("n_components", [0.3, 0.9, 0.999999, None, 3])
@pytest.mark.parametrize("shape", [(60, 7), (9, 30)])
def test_n_components_and_variances_are_pcas(n_components, shape):
    """Without training the model is PCA, and so are its attributes."""
    random_state = np.random.RandomState(0)
    X = random_state.normal(size=shape) * np.logspace(0, 3, shape[1]) + 1e4
    pca = PCA(n_components, svd_solver="full").fit(X)
    ae = AutoencoderTransformer(n_components, max_iter=1, learning_rate=1e-30)
    with warnings.catch_warnings(action="ignore", category=OvercompleteWarning):
        ae.fit(X)

    assert ae.n_components_ == pca.n_components_ == ae.transform(X).shape[1]
    assert_allclose(ae.mean_, pca.mean_)
    scale = dict(rtol=1e-6, atol=1e-9 * pca.explained_variance_[0])
    assert_allclose(ae.explained_variance_, pca.explained_variance_, **scale)
    assert_allclose(ae.noise_variance_, pca.noise_variance_, **scale)


def test_a_share_of_the_variance_is_exceeded_by_few_components():
    X = load_digits().data[:400]
    ae = AutoencoderTransformer(0.6, random_state=0).fit(X)
    assert ae.n_components_ == PCA(0.6).fit(X).n_components_
    assert ae.explained_variance_ratio_.sum() >= 0.6
    again = AutoencoderTransformer(0.6, random_state=0)
    for part in (X[:200], X[200:]):
        again.partial_fit(part)
    assert again.n_components_ == again.transform(X).shape[1]


def test_explained_variance_ratio_is_what_the_first_codes_explain():
    """As a regression on them and on what they are decoded to, by scikit-learn."""
    X = load_digits().data[:600]
    ae = AutoencoderTransformer(4, random_state=0).fit(X)
    codes, sums = ae.transform(X), ae.explained_variance_ratio_.cumsum()
    for n_kept in (1, 2, 3):
        kept = codes * (np.arange(4) < n_kept)
        decoded = ae.inverse_transform(kept)
        explained = sum(
            np.var(
                LinearRegression()
                .fit(np.column_stack([kept, decoded[:, i]]), X[:, i])
                .predict(np.column_stack([kept, decoded[:, i]]))
            )
            for i in range(64)
        )
        expected = min(explained / X.var(axis=0).sum(), sums[-1])
        assert sums[n_kept - 1] == pytest.approx(expected, abs=1e-6)


def test_a_nonlinear_manifold_is_learned(X):
    """The five features have two intrinsic dimensions; PCA needs more."""
    ae = AutoencoderTransformer(2, random_state=0).fit(X[:150])

    assert -ae.score(X[150:]) < 0.3 * pca_error(X[:150], 2, X[150:])


@pytest.mark.parametrize("n_components", [1, 2, 8])
def test_not_worse_than_pca_held_out(n_components):
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    ae = AutoencoderTransformer(n_components, random_state=0).fit(X[:400])

    assert -ae.score(X[400:]) <= 1.01 * pca_error(X[:400], n_components, X[400:])


@pytest.mark.slow
def test_digits_in_two_dimensions():
    X, y = load_digits(return_X_y=True)
    accuracies = []
    for seed in range(3):
        ae = AutoencoderTransformer(2, random_state=seed).fit(X[:1200])
        knn = KNeighborsClassifier().fit(ae.transform(X[:1200]), y[:1200])
        accuracies.append(knn.score(ae.transform(X[1200:]), y[1200:]))
        assert -ae.score(X[1200:]) < 0.8 * pca_error(X[:1200], 2, X[1200:])

    # The accuracy of PCA is 0.57.
    assert np.median(accuracies) > 0.75


# Parameters.


def layers(network):
    return [
        (type(layer).__name__, *getattr(layer, "weight", torch.empty(0)).shape)
        for layer in network
    ]


def test_the_autoencoder_of_tutorials_is_one_call():
    """784-256-128-32 and back with relu: encoder and decoder are just these layers."""
    X = np.random.RandomState(0).uniform(size=(8, 784))
    ae = AutoencoderTransformer(
        32,
        hidden_layer_sizes=(256, 128),
        activation="relu",
        init="random",
        max_iter=1,
        early_stopping=False,
    ).fit(X)

    assert layers(ae.module_.encoder) == [
        ("Linear", 256, 784),
        ("ReLU", 0),
        ("Linear", 128, 256),
        ("ReLU", 0),
        ("Linear", 32, 128),
    ]
    assert layers(ae.module_.decoder) == [
        ("Linear", 128, 32),
        ("ReLU", 0),
        ("Linear", 256, 128),
        ("ReLU", 0),
        ("Linear", 784, 256),
    ]


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_training_reduces_every_loss(X, loss):
    ae = AutoencoderTransformer(2, loss=loss, max_iter=30, random_state=0).fit(X)

    history = ae.history_[ae.history_["stage"] == "validate"]
    assert history["valid_loss"].min() < 0.9 * history["valid_loss"].iloc[0]


def test_absolute_error_resists_outliers(X):
    """Outliers change the median error of the other samples less."""
    corrupted = X.copy()
    corrupted[::20, 0] += 50.0
    clean = np.delete(np.arange(len(X)), np.s_[::20])
    errors = {
        loss: -np.median(
            AutoencoderTransformer(2, loss=loss, random_state=0, init="random")
            .fit(corrupted)
            .score_samples(X[clean])
        )
        for loss in ("squared_error", "absolute_error")
    }

    assert errors["absolute_error"] < errors["squared_error"]


def test_bernoulli_gives_probabilities_and_beats_their_mean():
    X = (load_digits().data[:600] > 7).astype(float)
    ae = AutoencoderTransformer(8, loss="bernoulli", max_iter=15, random_state=0).fit(X)
    P = ae.reconstruct(X)

    def log_likelihood(P):
        P = np.clip(P, 1e-6, 1 - 1e-6)
        return (X * np.log(P) + (1 - X) * np.log(1 - P)).mean()

    assert P.min() >= 0 and P.max() <= 1
    assert log_likelihood(P) > 0.7 * log_likelihood(np.broadcast_to(X.mean(0), X.shape))


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize(
    "builders",
    [
        {"encoder": partial(mlp, hidden_layer_sizes=(8,))},
        {"decoder": partial(residual_mlp, width=8)},
        {
            "encoder": partial(conv_encoder, image_shape=(1, 8, 8)),
            "decoder": partial(conv_decoder, image_shape=(1, 8, 8)),
        },
    ],
)
def test_builders_clone_pickle_and_search(builders, init):
    X = load_digits().data[:120]
    ae = AutoencoderTransformer(2, max_iter=2, init=init, random_state=0, **builders)

    codes = clone(ae).fit(X).transform(X)

    assert_array_equal(pickle.loads(pickle.dumps(ae)).fit(X).transform(X), codes)
    GridSearchCV(ae, {"n_components": [1, 2]}, cv=2).fit(X)


def with_dropout(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.Dropout(0.5), nn.Linear(8, n_out))


def with_batch_norm(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.BatchNorm1d(8), nn.Linear(8, n_out))


def test_dropout_of_a_builder_is_seeded_and_keeps_the_global_random_state(X):
    before = torch.random.get_rng_state()
    one = quick(2, encoder=with_dropout).fit(X).transform(X)
    torch.manual_seed(1)
    other = quick(2, encoder=with_dropout).fit(X).transform(X)
    torch.random.set_rng_state(before)

    assert_array_equal(one, other)


def test_batch_norm_supports_any_n_samples(X):
    ae = quick(2, encoder=with_batch_norm, batch_size=20).fit(X[:181])  # 9 * 20 + 1

    assert np.isfinite(ae.transform(X)).all()


@pytest.mark.parametrize("n_components", [5, 7])
def test_overcomplete_codes_warn(X, n_components):
    with pytest.warns(
        OvercompleteWarning, match="DenoisingAE, SparseAE or ContractiveAE"
    ):
        ae = quick(n_components).fit(X)
    assert ae.transform(X).shape == (200, n_components)


def test_warm_start_resumes_training(X):
    ae = AutoencoderTransformer(2, max_iter=40, warm_start=True, random_state=0).fit(X)
    before = ae.score(X)
    codes = ae.transform(X)

    ae.set_params(max_iter=1, learning_rate=1e-30).fit(X)

    assert ae.score(X) == pytest.approx(before)
    assert_allclose(ae.transform(X), codes, atol=1e-5)
    for changed in ({"n_components": 1}, {"loss": "huber"}, {"hidden_layer_sizes": 8}):
        with pytest.raises(
            ValueError, match="warm_start=True resumes the training of a module"
        ):
            clone_fitted(ae).set_params(**changed).fit(X)
    with pytest.raises(ValueError, match="'n_features': 5.*'n_features': 4"):
        ae.fit(X[:, :4])


def clone_fitted(ae):
    return copy.deepcopy(ae)


def test_early_stopping_keeps_the_best_weights(X):
    """With a harmful learning rate the initial weights are kept: PCA."""
    ae = AutoencoderTransformer(2, learning_rate=1.0, max_iter=5, random_state=0).fit(X)

    assert -ae.score(X) <= pca_error(X, 2) * (1 + 1e-6)


def test_callbacks_of_skorch_are_called(X):
    from skorch.callbacks import Callback, EarlyStopping, Freezer, LRScheduler

    sizes = []

    class Counter(Callback):
        def on_batch_end(self, net, batch, **kwargs):
            sizes.append(len(batch.x))

    ae = AutoencoderTransformer(
        2,
        max_iter=4,
        random_state=0,
        early_stopping=False,
        callbacks=[
            ("count", Counter()),
            Freezer("encoder*"),
            LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5),
        ],
    ).fit(X)

    assert len(sizes) == 4 * np.ceil(200 / 32) and sum(sizes) == 4 * 200
    assert_allclose(ae.history_["learning_rate"], 7e-3 * 0.5 ** np.arange(4))
    fresh = AutoencoderTransformer(2, max_iter=1, random_state=0, learning_rate=1e-30)
    frozen = ae.module_.encoder.state_dict()
    for name, values in fresh.fit(X).module_.encoder.state_dict().items():
        torch.testing.assert_close(frozen[name], values, rtol=0, atol=1e-6)

    quick(2, callbacks=[Freezer("*")]).fit(X)

    stopped = AutoencoderTransformer(
        2, max_iter=50, random_state=0, callbacks=[EarlyStopping(patience=1, threshold=1)]
    ).fit(X)
    assert (stopped.history_["stage"] == "validate").sum() < 50


# Data.


@pytest.mark.parametrize("n_samples", [1, 2, 3, 5, 33, 65])
def test_small_n_samples(X, n_samples):
    ae = quick(2).fit(X[:n_samples])

    assert ae.transform(X).shape == (200, 2)
    assert np.isfinite(ae.reconstruct(X)).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda X: np.column_stack([X, X, np.full(len(X), 7.0)]),
        lambda X: np.where(np.arange(len(X))[:, None] == 5, 1e6, X),
        lambda X: X * 1e30,
        lambda X: X * 1e-30,
        lambda X: (X * 100).astype(np.int64),
        lambda X: X > 0,
        lambda X: X.astype(np.float16),
        lambda X: np.asfortranarray(X)[::-1],
    ],
    ids=["double", "outlier", "huge", "tiny", "int", "bool", "half", "order"],
)
def test_extreme_values(X, change):
    extreme = change(X)
    ae = quick(2).fit(extreme)

    assert np.isfinite(ae.transform(extreme)).all()
    assert -ae.score(extreme) <= 1.01 * pca_error(extreme.astype(float), 2) + 1e-12


def test_constant_data(X):
    constant = np.full((50, 3), 7.0)
    ae = quick(2).fit(constant)

    assert_allclose(ae.transform(constant), 0, atol=1e-12)
    assert_array_equal(ae.reconstruct(constant + 1), constant)
    assert_array_equal(ae.explained_variance_ratio_, 0)


@overcomplete
def test_one_feature(X):
    assert quick(1).fit_transform(X[:, :1]).shape == (200, 1)


def test_a_memory_map_is_read_only_and_stays_so(X, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")

    assert_array_equal(quick(2).fit(mapped).transform(mapped), quick(2).fit_transform(X))


def test_supports_dataframes(X):
    frame = pd.DataFrame(X, columns=list("abcde"))
    ae = quick(2).set_output(transform="pandas").fit(frame)

    codes = ae.transform(frame)

    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    assert list(ae.feature_names_in_) == list("abcde")
    assert ae.set_output(transform="polars").transform(frame).shape == (200, 2)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 200), st.integers(0, 199), st.sampled_from([np.float32, np.float64])
)
def test_inference_does_not_depend_on_the_batch(n_samples, start, dtype):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 6)).astype(dtype)
    ae = _fitted(dtype)
    part = slice(start, start + n_samples)

    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for method in (ae.transform, ae.reconstruct, ae.score_samples):
        whole = method(X)
        assert whole.dtype == (np.float64 if method == ae.score_samples else dtype)
        assert_allclose(method(X[part]), whole[part], rtol=tolerance, atol=tolerance)


_FITTED = {}


def _fitted(dtype):
    if dtype not in _FITTED:
        X = np.random.RandomState(0).normal(size=(200, 6)).astype(dtype)
        _FITTED[dtype] = quick(2).fit(X)
    return _FITTED[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_reconstruct_is_inverse_transform_of_transform(X, dtype, init):
    ae = quick(2, init=init).fit(X.astype(dtype))

    returned = ae.inverse_transform(ae.transform(X.astype(dtype)))

    assert returned.dtype == dtype
    assert_allclose(returned, ae.reconstruct(X.astype(dtype)), rtol=1e-4, atol=1e-5)


def test_values_of_constant_features_do_not_change_codes(X):
    padded = np.column_stack([X, np.full(len(X), 7.0)])
    ae = AutoencoderTransformer(2, random_state=0).fit(padded)
    later = padded.copy()
    later[:, -1] = 1e6

    assert_array_equal(ae.transform(later), ae.transform(padded))


def test_scores_of_huge_float32_values_are_finite(X):
    huge = (X * 1e25).astype(np.float32)

    assert np.isfinite(quick(2).fit(huge).score(huge))


@pytest.fixture
def double_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_callers_default_dtype_does_not_matter(X, double_by_default):
    assert quick(2).fit_transform(X).shape == (200, 2)


@pytest.mark.parametrize("state", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(X, state):
    with state():
        codes = quick(2).fit(X).transform(X)

    assert_array_equal(codes, quick(2).fit(X).transform(X))


def test_the_callers_default_device_does_not_matter(X):
    with torch.device("meta"):
        codes = quick(2, device="cpu").fit(X).transform(X)

    assert_array_equal(codes, quick(2).fit(X).transform(X))


def in_double(n_in, n_out):
    return nn.Linear(n_in, n_out).double()


def without_parameters(n_in, n_out):
    return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(n_out))


def test_builders_of_other_precisions_are_converted(X):
    assert quick(2, encoder=in_double).fit_transform(X).shape == (200, 2)


def test_networks_without_parameters_are_rejected(X):
    nothing = {"encoder": without_parameters, "decoder": without_parameters}
    with pytest.raises(ValueError, match="have no parameters to train"):
        quick(2, init="random", **nothing).fit(X)


# In pipelines, searches and pickles.


def test_in_a_grid_search_with_pca(X):
    y = X[:, 0] > 0
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("reduce", PCA()), ("knn", KNeighborsClassifier())]
    )
    grid = {"reduce": [PCA(2), quick(2)], "knn__n_neighbors": [3, 5]}
    one = GridSearchCV(pipeline, grid, cv=2, n_jobs=1).fit(X, y)
    two = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)

    assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )


def test_in_unions_and_column_transformers(X):
    union = FeatureUnion([("pca", PCA(1)), ("ae", quick(2))])
    columns = ColumnTransformer([("ae", quick(1), [0, 1, 2])], remainder="passthrough")

    assert union.fit_transform(X).shape == (200, 3)
    assert columns.fit_transform(X).shape == (200, 3)


@pytest.mark.parametrize(
    "round_trip",
    [
        lambda ae: pickle.loads(pickle.dumps(ae)),
        copy.deepcopy,
        lambda ae: joblib.load(_dumped(ae)),
    ],
    ids=["pickle", "deepcopy", "joblib"],
)
def test_round_trips_give_the_same_codes(X, round_trip):
    ae = quick(2).fit(X)
    ae.transform(X)  # makes the float64 copy, which is not pickled
    returned = round_trip(ae)

    assert_array_equal(returned.transform(X), ae.transform(X))
    assert_array_equal(
        returned.inverse_transform(X[:, :2]), ae.inverse_transform(X[:, :2])
    )
    assert returned.history_.equals(ae.history_)


def _dumped(ae):
    buffer = io.BytesIO()
    joblib.dump(ae, buffer)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("n_components", [2, 32])
def test_a_pickle_is_hardly_larger_than_the_weights(n_components):
    X = np.random.RandomState(0).normal(size=(2500, 300))
    ae = AutoencoderTransformer(n_components, max_iter=1, random_state=0).fit(X)
    ae.transform(X)
    pickled = pickle.dumps(ae)
    n_weights = sum(parameter.numel() for parameter in ae.module_.parameters())

    assert len(pickled) < 1.3 * 4 * n_weights + 50_000
    assert X[0].tobytes() not in pickled
    assert X.astype(np.float32)[0].tobytes() not in pickled


def test_global_random_states_are_neither_used_nor_changed(X):
    np.random.seed(0)
    torch.manual_seed(0)
    numpys, torchs = np.random.get_state()[1].copy(), torch.random.get_rng_state()

    first = quick(2).fit(X).transform(X)

    assert_array_equal(np.random.get_state()[1], numpys)
    assert torch.equal(torch.random.get_rng_state(), torchs)
    torch.manual_seed(1)
    assert_array_equal(quick(2).fit(X).transform(X), first)


def test_fits_in_threads_are_independent(X):
    expected = [
        quick(2, encoder=with_dropout).set_params(random_state=seed).fit_transform(X)
        for seed in range(4)
    ]
    results = joblib.Parallel(n_jobs=2, backend="threading")(
        joblib.delayed(
            quick(2, encoder=with_dropout).set_params(random_state=seed).fit_transform
        )(X)
        for seed in range(4)
    )

    for result, alone in zip(results, expected, strict=True):
        assert_array_equal(result, alone)


# Errors.


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda X: np.where(X > 0.9, np.nan, X), "Input X contains NaN"),
        (lambda X: np.where(X > 0.9, np.inf, X), "Input X contains infinity"),
        (lambda X: np.full(X.shape, "text"), "could not convert string to float"),
        (lambda X: X[:, 0], "Expected 2D array, got 1D array"),
        (lambda X: X[None], "Found array with dim 3"),
        (lambda X: X[:0], r"Found array with 0 sample\(s\)"),
    ],
)
def test_bad_x(X, change, message):
    with pytest.raises(ValueError, match=message):
        quick(2).fit(change(X))


def too_wide(n_in, n_out):
    return nn.Linear(n_in, n_out + 1)


def no_module(n_in, n_out):
    return "a network"


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"n_components": 0}, "'n_components' parameter .* must be an int in the range"),
        (
            {"encoder": nn.Linear(5, 2)},
            "encoder must be a function .*, not a torch module",
        ),
        (
            {"decoder": nn.Linear(2, 5)},
            "decoder must be a function .*, not a torch module",
        ),
        ({"encoder": too_wide}, r"maps shape \(2, 5\) to \(2, 3\), not \(2, 2\)"),
        ({"decoder": no_module}, r"decoder\(2, 5\) returned str"),
        ({"loss": "bernoulli"}, r"loss='bernoulli' requires values in \[0, 1\]"),
        ({"validation_fraction": 0.999}, "validation_fraction=0.999 holds out 200"),
        ({"activation": "swish"}, "'activation' parameter .* must be a str among"),
        ({"loss": "cosine"}, "'loss' parameter .* must be a str among"),
        (
            {"hidden_layer_sizes": (8, 0)},
            r"hidden_layer_sizes=\(8, 0\) must be 'auto' or",
        ),
        ({"device": "abacus"}, "device='abacus' is not a device of torch"),
    ],
)
def test_bad_parameters(X, parameters, message):
    with pytest.raises(ValueError, match=message):
        quick(**{"n_components": 2, **parameters}).fit(X)


def test_the_error_for_grey_values_suggests_scaling(X):
    with pytest.raises(ValueError, match="Divide X by 255"):
        quick(2, loss="bernoulli").fit(np.abs(X) * 100)


def test_bad_x_after_fit(X):
    ae = quick(2).fit(X)
    with pytest.raises(ValueError, match="X has 4 features, but .* is expecting 5"):
        ae.transform(X[:, :4])
    with pytest.raises(ValueError, match="X has 3 features, but .* n_components=2"):
        ae.inverse_transform(X[:, :3])
    with pytest.raises(NotFittedError):
        quick(2).transform(X)


def test_a_failed_fit_keeps_the_earlier_one(X):
    ae = quick(2).fit(pd.DataFrame(X, columns=list("abcde")))
    expected = ae.transform(pd.DataFrame(X, columns=list("abcde")))

    with pytest.raises(ValueError, match="not a torch module"):
        ae.set_params(encoder=nn.Linear(4, 2)).fit(X[:, :4])

    assert ae.n_features_in_ == 5
    assert_array_equal(ae.transform(pd.DataFrame(X, columns=list("abcde"))), expected)


class Interrupts(nn.Linear):
    """Raises KeyboardInterrupt (Ctrl-C) in training."""

    def forward(self, x):
        if self.training:
            raise KeyboardInterrupt
        return super().forward(x)


def interrupting(n_in, n_out):
    return Interrupts(n_in, n_out)


def test_keyboard_interrupt_keeps_the_earlier_fit(X):
    ae = quick(2)
    with pytest.raises(KeyboardInterrupt):
        clone(ae).set_params(encoder=interrupting).fit(X)
    expected = ae.fit(X).transform(X)
    with pytest.raises(KeyboardInterrupt):
        ae.set_params(encoder=interrupting).fit(X)

    assert_array_equal(ae.transform(X), expected)
    with pytest.raises(NotFittedError):
        clone(ae).transform(X)


class Diverges(nn.Linear):
    """Returns infinity after the fifth training step."""

    n_calls = 0

    def forward(self, x):
        self.n_calls += self.training
        bad = self.training and self.n_calls > 5
        return super().forward(x) + (torch.inf if bad else 0.0)


def diverging(n_in, n_out):
    return Diverges(n_in, n_out)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_loss_that_is_not_finite_keeps_the_last_finite_weights(X, early_stopping):
    ae = quick(2, decoder=diverging, early_stopping=early_stopping)

    with pytest.warns(ConvergenceWarning, match="no longer finite.*Lower learning_rate"):
        ae.fit(X)

    assert np.isfinite(ae.reconstruct(X)).all()


def test_no_thread_remains_after_fit(X):
    before = threading.active_count()
    quick(2).fit(X)
    assert threading.active_count() == before
