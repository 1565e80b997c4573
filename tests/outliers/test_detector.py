"""AEOutlierDetector: anomaly scores, thresholds, p-values and explanations."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AEOutlierDetector,
    AutoencoderTransformer,
    ConditionalVAE,
    DenoisingAE,
    VAETransformer,
)
from skae._data.dataset import Dataset
from skae._outliers.conformal import benjamini_hochberg, p_values
from skae._outliers.denoiser_ensemble import DenoiserEnsemble, DenoisingError
from skae._outliers.distances import Mahalanobis, NeighborDistance, clusteredness
from skae._outliers.scaling import fit_scaler
from skae._outliers.scoring import SCORINGS
from skae._outliers.shapley import reference_sample, shapley_values

QUICK = {"max_iter": 30, "random_state": 0}


def curve(n_samples, seed):
    """Samples near a curve in five features of very different units."""
    rng = np.random.RandomState(seed)
    t = rng.uniform(-2, 2, n_samples)
    X = np.column_stack([t, t**2, np.sin(2 * t), np.cos(2 * t), -t])
    return (X + 0.05 * rng.normal(size=X.shape)) * [1, 100, 0.01, 1, 1e6]


@pytest.fixture(scope="module")
def X_train():
    return curve(600, 0)


@pytest.fixture(scope="module")
def detector(X_train):
    return AEOutlierDetector(random_state=0).fit(X_train)


def off_the_curve(n_samples=200, seed=1):
    """Outliers with the marginal distributions of inliers."""
    X = curve(n_samples, seed)
    X[:, 2] = np.random.RandomState(seed).permutation(X[:, 2])
    return X


# Detection.


def test_detects_outliers_that_no_single_feature_reveals(detector):
    normal, outliers = curve(200, 2), off_the_curve()
    scores = detector.score_samples(np.concatenate([normal, outliers]))

    assert roc_auc_score(np.repeat([1, 0], 200), scores) > 0.9


@pytest.mark.parametrize("scoring", ["auto", "joint", "robust_joint", "knn"])
@pytest.mark.parametrize("autoencoder", [None, AutoencoderTransformer(2, max_iter=20)])
def test_far_samples_are_outliers_in_every_direction(X_train, scoring, autoencoder):
    scaler = StandardScaler().fit(X_train)
    X, normal = scaler.transform(X_train), scaler.transform(curve(200, 2))
    detector = AEOutlierDetector(autoencoder, scoring=scoring, **QUICK).fit(X)
    for direction in np.linalg.svd(X)[2][:2]:  # which an autoencoder reconstructs
        far = normal + 100 * direction
        scores = detector.score_samples(np.concatenate([normal, far]))

        assert roc_auc_score(np.repeat([1, 0], 200), scores) == 1.0


def test_scores_fall_with_the_distance_outside_the_training_range(detector, X_train):
    steps = X_train[0] + np.array([10, 100, 1e3, 1e6])[:, None] * X_train.std(axis=0)

    assert (np.diff(detector.score_samples(steps)) < 0).all()


def test_a_changed_constant_feature_is_an_outlier():
    X = np.column_stack([curve(200, 0), np.full(200, 7.0)])
    detector = AEOutlierDetector(**QUICK).fit(X)
    moved = X.copy()
    moved[:, -1] = 7.5

    assert (detector.predict(moved) == -1).all()
    assert (detector.explain(moved[:3]).idxmin(axis=1) == "x5").all()


def test_scores_are_invariant_to_the_units_of_features(X_train, detector):
    factors = [1e3, 1e-4, 10, 1, 1e-6]
    other = AEOutlierDetector(random_state=0).fit(X_train * factors + 5)
    X = off_the_curve()

    np.testing.assert_allclose(
        other.score_samples(X * factors + 5), detector.score_samples(X), rtol=1e-3
    )


def test_clustered_outliers_raise_the_neighbor_weight():
    rng = np.random.RandomState(0)
    normal = rng.normal(size=(600, 5))
    X = np.concatenate([normal, 4 + 0.01 * rng.normal(size=(12, 5))])
    clean, contaminated = (AEOutlierDetector(**QUICK).fit(X_) for X_ in (normal, X))

    assert contaminated.neighbor_weight_ > 0.9 > 0.5 > clean.neighbor_weight_
    is_inlier = np.repeat([1, 0], [600, 12])
    assert roc_auc_score(is_inlier, contaminated.score_samples(X)) > 0.99


# The interface of outlier detectors.


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_contamination_is_the_share_of_outliers_in_training(X_train, share):
    labels = AEOutlierDetector(contamination=share, **QUICK).fit_predict(X_train)

    assert np.mean(labels == -1) == pytest.approx(share, abs=0.01)


def test_the_default_threshold_has_few_false_positives(detector):
    assert np.mean(detector.predict(curve(1000, 3)) == -1) < 0.05
    decision = detector.decision_function(off_the_curve())
    expected = detector.score_samples(off_the_curve()) - detector.offset_

    np.testing.assert_array_equal(decision, expected)
    assert decision.dtype == np.float64


def test_is_deterministic_and_leaves_random_state_alone(X_train):
    before = np.random.get_state()[1].copy()
    first, second = (AEOutlierDetector(**QUICK).fit(X_train) for _ in range(2))
    other = AEOutlierDetector(max_iter=30, random_state=1).fit(X_train)

    X = off_the_curve()
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert not np.allclose(first.score_samples(X), other.score_samples(X))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_score_does_not_depend_on_the_other_samples(detector):
    X = off_the_curve()
    alone = np.concatenate([detector.score_samples(x[None]) for x in X[:20]])

    np.testing.assert_allclose(alone, detector.score_samples(X)[:20], rtol=1e-9)


def test_pickle_and_clone(detector):
    X = off_the_curve()
    restored = pickle.loads(pickle.dumps(detector))

    np.testing.assert_array_equal(restored.score_samples(X), detector.score_samples(X))
    assert not hasattr(clone(detector), "offset_")


def test_a_failed_fit_keeps_the_result_of_the_earlier_one(X_train):
    detector = AEOutlierDetector(**QUICK).fit(X_train)
    before = detector.score_samples(X_train)
    detector.set_params(autoencoder=ConditionalVAE())
    with pytest.raises(ValueError, match="must not need y"):
        detector.fit(X_train[:, :3])  # after n_features_in_ was set

    np.testing.assert_array_equal(detector.score_samples(X_train), before)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 40), (20, 5), (5, 300), (129, 1)])
def test_accepts_data_of_any_shape(shape):
    X = np.random.RandomState(0).normal(size=shape)
    detector = AEOutlierDetector(max_iter=3, random_state=0).fit(X)

    assert np.isfinite(detector.score_samples(X)).all()
    assert ((detector.p_values(X) > 0) & (detector.p_values(X) <= 1)).all()


@pytest.mark.parametrize(
    "X",
    [
        np.ones((50, 3)),
        np.repeat(np.eye(3), 40, axis=0),
        np.random.RandomState(0).randint(2, size=(300, 6)).astype(float),
        np.random.RandomState(0).standard_cauchy((300, 3)) * 1e20,
        np.random.RandomState(0).normal(size=(100, 2)).astype(np.float32) + 1e4,
    ],
    ids=["constant", "duplicates", "binary", "huge", "offset"],
)
def test_accepts_data_of_any_kind(X):
    scores = AEOutlierDetector(max_iter=3, random_state=0).fit(X).score_samples(X)

    assert np.isfinite(scores).all()
    assert scores.dtype == np.float64


def test_works_at_the_end_of_a_pipeline_with_data_frames(X_train):
    frame = pd.DataFrame(X_train, columns=list("abcde"))
    pipeline = make_pipeline(StandardScaler(), AEOutlierDetector(**QUICK))
    pipeline.set_output(transform="pandas").fit(frame)

    assert set(pipeline.predict(frame)) <= {-1, 1}
    contributions = pipeline[-1].explain(pipeline[:-1].transform(frame.iloc[5:8]))
    assert list(contributions.columns) == list("abcde")
    assert list(contributions.index) == [5, 6, 7]


# Other autoencoders.


@pytest.mark.parametrize("scoring", ["auto", *SCORINGS])
def test_every_scoring_detects_gross_errors(X_train, scoring):
    autoencoder = VAETransformer(2, max_iter=20) if scoring == "likelihood" else None
    detector = AEOutlierDetector(autoencoder, scoring=scoring, **QUICK).fit(X_train)
    outliers = off_the_curve() + 20 * X_train.std(axis=0) * np.eye(5)[np.arange(200) % 5]
    scores = detector.score_samples(np.concatenate([curve(200, 2), outliers]))

    assert roc_auc_score(np.repeat([1, 0], 200), scores) > 0.95


def test_scores_of_a_variational_class_are_its_log_likelihood(X_train):
    vae = VAETransformer(2, max_iter=5)
    detector = AEOutlierDetector(vae, n_estimators=2, random_state=0).fit(X_train)
    members = [estimator.score_samples(X_train) for estimator in detector.estimators_]

    np.testing.assert_allclose(
        detector.score_samples(X_train), np.mean(members, axis=0), rtol=1e-6
    )


def test_parameters_of_the_autoencoder_can_be_tuned(X_train):
    detector = AEOutlierDetector(AutoencoderTransformer(max_iter=2), n_estimators=1)
    y = np.ones(600)
    grid = {"autoencoder__n_components": [1, 3]}
    search = GridSearchCV(detector, grid, cv=2, scoring="accuracy").fit(X_train, y)

    assert search.best_estimator_.estimators_[0].n_components in (1, 3)


@pytest.mark.parametrize(
    "autoencoder", [ConditionalVAE(), DenoisingAE(corruption="paired")]
)
def test_raises_on_an_autoencoder_that_needs_y(X_train, autoencoder):
    with pytest.raises(ValueError, match="must not need y"):
        AEOutlierDetector(autoencoder).fit(X_train)


@pytest.mark.parametrize("autoencoder", [None, AutoencoderTransformer()])
def test_raises_on_a_likelihood_of_a_deterministic_class(X_train, autoencoder):
    with pytest.raises(ValueError, match="VAETransformer"):
        AEOutlierDetector(autoencoder, scoring="likelihood").fit(X_train)


# p-values and the false discovery rate.


def test_small_p_values_are_rare_among_inliers(detector):
    p = detector.p_values(curve(2000, 4))

    for level in (0.02, 0.05, 0.1, 0.2, 0.5):
        assert np.mean(p <= level) < 1.3 * level + 0.01
    assert np.median(p) == pytest.approx(0.5, abs=0.1)
    assert np.median(detector.p_values(off_the_curve())) < 0.01


def test_calibration_scores_are_distributed_as_those_of_new_samples(detector):
    X = curve(600, 4)
    new = [scores[m::4] for m, scores in enumerate(detector._member_scores(X))]

    pair = np.concatenate(detector._calibration_scores), np.concatenate(new)
    assert stats.ks_2samp(*pair).pvalue > 0.001


def test_a_calibration_set_is_a_quarter_of_the_samples(detector, X_train):
    assert [len(scores) for scores in detector._calibration_scores] == [150] * 4
    seven = AEOutlierDetector(n_estimators=7, **QUICK).fit(X_train)

    assert [len(scores) for scores in seven._calibration_scores] == [600 // 7] * 7


def test_the_false_discovery_rate_is_controlled(detector):
    rates = []
    for seed in range(20):
        X = np.concatenate([curve(180, 100 + seed), off_the_curve(20, 200 + seed)])
        flagged = detector.predict_fdr(X, alpha=0.2) == -1
        rates.append(flagged[:180].sum() / max(1, flagged.sum()))
    # The rate depends on the training set; its expectation is at most 0.2.
    assert np.mean(rates) < 0.3
    assert flagged[180:].any()


@pytest.mark.parametrize("alpha", [0, 1, "few"])
def test_raises_on_an_invalid_false_discovery_rate(detector, alpha):
    with pytest.raises(ValueError, match="between 0 and 1"):
        detector.predict_fdr(curve(5, 0), alpha=alpha)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(0, 8))
def test_p_value_counts_higher_scores_and_the_sample_itself(others, own):
    p = p_values([np.array([own])], [np.sort(others)])

    expected = (1 + sum(other >= own for other in others)) / (1 + len(others))
    assert p[0] == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_rejections_are_those_of_scipy(p, alpha):
    p = np.array(p)
    adjusted = stats.false_discovery_control(p)
    rejected = benjamini_hochberg(p, alpha)
    clear = np.abs(adjusted - alpha) > 1e-12

    np.testing.assert_array_equal(rejected[clear], (adjusted <= alpha)[clear])


# Explanations.


def test_the_reference_sample_has_a_combination_of_dummy_variables_that_occurs():
    rng = np.random.default_rng(0)
    country = rng.permutation(np.repeat(np.arange(3), [35, 33, 32]))
    X = np.column_stack([np.eye(3)[country], rng.normal(size=(100, 2))])

    reference = reference_sample(X, np.arange(len(X)))

    np.testing.assert_array_equal(reference[:3], [1, 0, 0])
    np.testing.assert_array_equal(reference[3:], np.median(X[:, 3:], axis=0))


def test_contributions_sum_to_the_score(detector):
    X = off_the_curve(30)
    total = detector.explain(X).sum(axis=1) + detector.expected_value_

    np.testing.assert_allclose(total, detector.score_samples(X), atol=1e-6)


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_contributions_to_a_linear_score_are_its_terms(n_features, seed):
    rng = np.random.RandomState(seed)
    X, reference = rng.normal(size=(4, n_features)), rng.normal(size=n_features)
    weights = rng.normal(size=n_features)
    contributions = shapley_values(lambda X: X @ weights, X, reference)

    np.testing.assert_allclose(contributions, (X - reference) * weights, atol=1e-9)


def test_a_fault_in_one_feature_has_the_largest_contribution(detector, X_train):
    X = curve(50, 5)
    faulty = np.arange(50) % 5
    X[np.arange(50), faulty] += 8 * X_train.std(axis=0)[faulty]
    first = detector.explain(X).to_numpy().argmin(axis=1)

    assert np.mean(first == faulty) > 0.9


# Components.


def test_mahalanobis_is_the_distance_of_a_shrunken_covariance():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(5000, 3)) @ rng.normal(size=(3, 3))
    covariance = np.cov(X.T, bias=True)
    shrunk = covariance + 0.05 * np.trace(covariance) / 3 * np.eye(3)
    centred = X - X.mean(axis=0)
    expected = np.sqrt((centred @ np.linalg.inv(shrunk) * centred).sum(axis=1))

    np.testing.assert_allclose(Mahalanobis().fit(X)(X), expected, rtol=1e-6)


def test_a_trimmed_covariance_is_robust_to_ten_percent_outliers():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(1000, 3))
    X[:100] += 30
    plain, trimmed = (Mahalanobis(share).fit(X)(X) for share in (0.0, 0.25))

    assert np.median(trimmed[:100]) / np.median(trimmed[100:]) > 10
    assert np.median(plain[:100]) / np.median(plain[100:]) < 5


def test_neighbor_distance_is_that_of_the_kth_neighbor():
    X = np.random.RandomState(0).normal(size=(100, 4))
    distance = NeighborDistance(np.random.RandomState(0)).fit(X)
    expected = np.sort(np.linalg.norm(X[:, None] - X, axis=2), axis=1)[:, 4]

    np.testing.assert_allclose(distance(X), expected, atol=1e-6)


def test_clusteredness_is_positive_for_clusters_and_negative_for_tails():
    rng = np.random.RandomState(0)
    bulk = rng.normal(size=(900, 4))
    cluster = 6 + 0.01 * rng.normal(size=(50, 4))
    tail = bulk[:50] / np.linalg.norm(bulk[:50], axis=1)[:, None] * 8

    assert clusteredness(np.concatenate([bulk, cluster])) > 1
    assert clusteredness(np.concatenate([bulk, tail])) < 0


def test_scaled_wide_data_show_deviations_in_every_direction():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 600)) + 0.1 * rng.normal(
        size=(400, 600)
    )
    scaler = fit_scaler(Dataset(X), rng)
    before = scaler(Dataset(X)[:].x)
    shifted = scaler(Dataset(X + 2 * rng.normal(size=600))[:].x)

    assert before.shape == (400, scaler.n_features_out)
    assert (shifted[:, -1] > before[:, -1].max()).all()


@pytest.mark.parametrize(("n_members", "n_features"), [(1, 1), (4, 7)])
def test_the_written_out_gradient_is_that_of_autograd(n_members, n_features):
    dataset = Dataset(np.random.RandomState(0).normal(size=(50, n_features)))
    scaler = fit_scaler(dataset, np.random.RandomState(0))
    module = DenoiserEnsemble(scaler, n_members)
    x = module.standardize(dataset[:].x).expand(n_members, -1, -1)
    parameters = list(module.parameters())
    module.generator = torch.Generator().manual_seed(1)
    loss = DenoisingError()(module(x), x).mean()
    expected = torch.autograd.grad(loss, parameters)
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, torch.nan)
    module.generator = torch.Generator().manual_seed(1)
    found = module.differentiate(x, x)

    torch.testing.assert_close(found, loss.detach())
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_the_detectors_scaler_is_on_the_cpu_for_networks_on_any_device(detector):
    assert detector._scaler is not detector.module_.inputs


def test_a_fitted_detector_has_a_torch_module_instead_of_a_skorch_net(detector, X_train):
    state = detector.module_.state_dict().values()
    clones = AEOutlierDetector(AutoencoderTransformer(2, max_iter=2), **QUICK).fit(
        X_train
    )

    assert len({values.untyped_storage().data_ptr() for values in state}) == len(state)
    assert not detector.module_.training
    assert clones.module_ is None
    for fitted in (detector, clones):
        assert b"skorch" not in pickle.dumps(fitted)


def test_accepts_read_only_arrays():
    X = np.random.RandomState(0).normal(size=(80, 3))
    X.setflags(write=False)
    detector = AEOutlierDetector(
        autoencoder=AutoencoderTransformer(2, max_iter=2), n_estimators=2, random_state=0
    )

    np.testing.assert_array_equal(detector.fit(X).predict(X), detector.predict(X.copy()))
