"""AEOutlierDetector: what is odd, how odd, why, and how sure one can be."""

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
from skae._outliers.conformal import discoveries, p_values
from skae._outliers.denoiser_ensemble import Denoisers, DenoisingError
from skae._outliers.distances import Mahalanobis, Neighbours, crowding
from skae._outliers.scaling import fit_units
from skae._outliers.scoring import SCORINGS
from skae._outliers.shapley import contributions, typical_row

QUICK = {"max_iter": 30, "random_state": 0}


def curve(n_rows, seed):
    """Rows near a curve in five columns of very different units."""
    rng = np.random.RandomState(seed)
    t = rng.uniform(-2, 2, n_rows)
    X = np.column_stack([t, t**2, np.sin(2 * t), np.cos(2 * t), -t])
    return (X + 0.05 * rng.normal(size=X.shape)) * [1, 100, 0.01, 1, 1e6]


@pytest.fixture(scope="module")
def known():
    return curve(600, 0)


@pytest.fixture(scope="module")
def detector(known):
    return AEOutlierDetector(random_state=0).fit(known)


def off_the_curve(n_rows=200, seed=1):
    """Rows with each column as usual, but not together."""
    X = curve(n_rows, seed)
    X[:, 2] = np.random.RandomState(seed).permutation(X[:, 2])
    return X


# What is found.


def test_finds_rows_that_no_single_column_betrays(detector):
    usual, odd = curve(200, 2), off_the_curve()
    scores = detector.score_samples(np.concatenate([usual, odd]))

    assert roc_auc_score(np.repeat([1, 0], 200), scores) > 0.9


@pytest.mark.parametrize("scoring", ["auto", "joint", "robust_joint", "knn"])
@pytest.mark.parametrize("autoencoder", [None, AutoencoderTransformer(2, max_iter=20)])
def test_far_rows_are_odd_in_every_direction(known, scoring, autoencoder):
    scaler = StandardScaler().fit(known)
    X, usual = scaler.transform(known), scaler.transform(curve(200, 2))
    detector = AEOutlierDetector(autoencoder, scoring=scoring, **QUICK).fit(X)
    for direction in np.linalg.svd(X)[2][:2]:  # where an autoencoder's code can follow
        far = usual + 100 * direction
        scores = detector.score_samples(np.concatenate([usual, far]))

        assert roc_auc_score(np.repeat([1, 0], 200), scores) == 1.0


def test_farther_is_odder_beyond_the_scale_of_the_training_rows(detector, known):
    steps = known[0] + np.array([10, 100, 1e3, 1e6])[:, None] * known.std(axis=0)

    assert (np.diff(detector.score_samples(steps)) < 0).all()


def test_a_constant_column_is_expected_to_stay():
    X = np.column_stack([curve(200, 0), np.full(200, 7.0)])
    detector = AEOutlierDetector(**QUICK).fit(X)
    moved = X.copy()
    moved[:, -1] = 7.5

    assert (detector.predict(moved) == -1).all()
    assert (detector.explain(moved[:3]).idxmin(axis=1) == "x5").all()


def test_units_of_columns_do_not_matter(known, detector):
    factors = [1e3, 1e-4, 10, 1, 1e-6]
    other = AEOutlierDetector(random_state=0).fit(known * factors + 5)
    X = off_the_curve()

    np.testing.assert_allclose(
        other.score_samples(X * factors + 5), detector.score_samples(X), rtol=1e-3
    )


def test_grouped_outliers_make_it_cautious():
    rng = np.random.RandomState(0)
    usual = rng.normal(size=(600, 5))
    X = np.concatenate([usual, 4 + 0.01 * rng.normal(size=(12, 5))])
    clean, spoilt = (AEOutlierDetector(**QUICK).fit(rows) for rows in (usual, X))

    assert spoilt.caution_ > 0.9 > 0.5 > clean.caution_
    is_usual = np.repeat([1, 0], [600, 12])
    assert roc_auc_score(is_usual, spoilt.score_samples(X)) > 0.99


# The contract of outlier detectors.


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_contamination_is_the_share_named_in_training(known, share):
    labels = AEOutlierDetector(contamination=share, **QUICK).fit_predict(known)

    assert np.mean(labels == -1) == pytest.approx(share, abs=0.01)


def test_the_threshold_of_itself_spares_nearly_all_usual_rows(detector):
    assert np.mean(detector.predict(curve(1000, 3)) == -1) < 0.05
    decision = detector.decision_function(off_the_curve())
    expected = detector.score_samples(off_the_curve()) - detector.offset_

    np.testing.assert_array_equal(decision, expected)
    assert decision.dtype == np.float64


def test_is_deterministic_and_leaves_random_state_alone(known):
    before = np.random.get_state()[1].copy()
    first, second = (AEOutlierDetector(**QUICK).fit(known) for _ in range(2))
    other = AEOutlierDetector(max_iter=30, random_state=1).fit(known)

    X = off_the_curve()
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert not np.allclose(first.score_samples(X), other.score_samples(X))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_score_does_not_depend_on_the_other_rows(detector):
    X = off_the_curve()
    alone = np.concatenate([detector.score_samples(row[None]) for row in X[:20]])

    np.testing.assert_allclose(alone, detector.score_samples(X)[:20], rtol=1e-9)


def test_survives_pickle_and_clone(detector):
    X = off_the_curve()
    twin = pickle.loads(pickle.dumps(detector))

    np.testing.assert_array_equal(twin.score_samples(X), detector.score_samples(X))
    assert not hasattr(clone(detector), "offset_")


def test_keeps_what_an_earlier_fit_left_if_the_next_fails(known):
    detector = AEOutlierDetector(**QUICK).fit(known)
    before = detector.score_samples(known)
    detector.set_params(autoencoder=ConditionalVAE())
    with pytest.raises(ValueError, match="fitted to X alone"):
        detector.fit(known[:, :3])  # refused after its columns were counted

    np.testing.assert_array_equal(detector.score_samples(known), before)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 40), (20, 5), (5, 300), (129, 1)])
def test_takes_tables_of_any_shape(shape):
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
def test_takes_tables_of_any_kind(X):
    scores = AEOutlierDetector(max_iter=3, random_state=0).fit(X).score_samples(X)

    assert np.isfinite(scores).all()
    assert scores.dtype == np.float64


def test_works_at_the_end_of_a_pipeline_with_frames(known):
    frame = pd.DataFrame(known, columns=list("abcde"))
    pipeline = make_pipeline(StandardScaler(), AEOutlierDetector(**QUICK))
    pipeline.set_output(transform="pandas").fit(frame)

    assert set(pipeline.predict(frame)) <= {-1, 1}
    shares = pipeline[-1].explain(pipeline[:-1].transform(frame.iloc[5:8]))
    assert list(shares.columns) == list("abcde")
    assert list(shares.index) == [5, 6, 7]


# Other autoencoders.


@pytest.mark.parametrize("scoring", ["auto", *SCORINGS])
def test_every_scoring_finds_gross_errors(known, scoring):
    likely = scoring == "likelihood"
    autoencoder = VAETransformer(2, max_iter=20) if likely else None
    detector = AEOutlierDetector(autoencoder, scoring=scoring, **QUICK).fit(known)
    odd = off_the_curve() + 20 * known.std(axis=0) * np.eye(5)[np.arange(200) % 5]
    scores = detector.score_samples(np.concatenate([curve(200, 2), odd]))

    assert roc_auc_score(np.repeat([1, 0], 200), scores) > 0.95


def test_scores_of_a_variational_class_are_its_likelihood(known):
    vae = VAETransformer(2, max_iter=5)
    detector = AEOutlierDetector(vae, n_estimators=2, random_state=0).fit(known)
    members = [estimator.score_samples(known) for estimator in detector.estimators_]

    np.testing.assert_allclose(
        detector.score_samples(known), np.mean(members, axis=0), rtol=1e-6
    )


def test_parameters_of_the_autoencoder_can_be_searched(known):
    detector = AEOutlierDetector(AutoencoderTransformer(max_iter=2), n_estimators=1)
    y = np.ones(600)
    grid = {"autoencoder__n_components": [1, 3]}
    search = GridSearchCV(detector, grid, cv=2, scoring="accuracy").fit(known, y)

    assert search.best_estimator_.estimators_[0].n_components in (1, 3)


@pytest.mark.parametrize(
    "autoencoder", [ConditionalVAE(), DenoisingAE(corruption="paired")]
)
def test_refuses_what_needs_y(known, autoencoder):
    with pytest.raises(ValueError, match="fitted to X alone"):
        AEOutlierDetector(autoencoder).fit(known)


@pytest.mark.parametrize("autoencoder", [None, AutoencoderTransformer()])
def test_refuses_a_likelihood_where_there_is_none(known, autoencoder):
    with pytest.raises(ValueError, match="VAETransformer"):
        AEOutlierDetector(autoencoder, scoring="likelihood").fit(known)


# How sure: p-values and false discoveries.


def test_small_p_values_are_as_rare_among_usual_rows_as_they_say(detector):
    p = detector.p_values(curve(2000, 4))

    for level in (0.02, 0.05, 0.1, 0.2, 0.5):
        assert np.mean(p <= level) < 1.3 * level + 0.01
    assert np.median(p) == pytest.approx(0.5, abs=0.1)
    assert np.median(detector.p_values(off_the_curve())) < 0.01


def test_rows_left_out_score_as_new_ones_do(detector):
    X = curve(600, 4)
    new = [odd[m::4] for m, odd in enumerate(detector._oddness(X))]

    pair = np.concatenate(detector._known), np.concatenate(new)
    assert stats.ks_2samp(*pair).pvalue > 0.001


def test_members_leave_out_a_quarter_each(detector, known):
    assert [len(scores) for scores in detector._known] == [150] * 4
    seven = AEOutlierDetector(n_estimators=7, **QUICK).fit(known)

    assert [len(scores) for scores in seven._known] == [600 // 7] * 7


def test_false_discoveries_are_as_rare_as_asked(detector):
    shares = []
    for seed in range(20):
        X = np.concatenate([curve(180, 100 + seed), off_the_curve(20, 200 + seed)])
        named = detector.predict_fdr(X, alpha=0.2) == -1
        shares.append(named[:180].sum() / max(1, named.sum()))
    # Given one training set the rate varies; on average over them it is 0.2 at most.
    assert np.mean(shares) < 0.3
    assert named[180:].any()


@pytest.mark.parametrize("alpha", [0, 1, "few"])
def test_refuses_rates_that_are_none(detector, alpha):
    with pytest.raises(ValueError, match="between 0 and 1"):
        detector.predict_fdr(curve(5, 0), alpha=alpha)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(0, 8))
def test_p_value_counts_rows_as_odd_and_the_row_itself(others, ours):
    p = p_values([np.array([ours])], [np.sort(others)])

    expected = (1 + sum(other >= ours for other in others)) / (1 + len(others))
    assert p[0] == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_discoveries_are_those_of_benjamini_and_hochberg(p, alpha):
    p = np.array(p)
    adjusted = stats.false_discovery_control(p)
    named = discoveries(p, alpha)
    clear = np.abs(adjusted - alpha) > 1e-12

    np.testing.assert_array_equal(named[clear], (adjusted <= alpha)[clear])


# Why: contributions.


def test_rows_are_explained_against_one_that_dummy_variables_can_be():
    rng = np.random.default_rng(0)
    country = rng.permutation(np.repeat(np.arange(3), [35, 33, 32]))
    X = np.column_stack([np.eye(3)[country], rng.normal(size=(100, 2))])

    typical = typical_row(X)

    np.testing.assert_array_equal(typical[:3], [1, 0, 0])
    np.testing.assert_array_equal(typical[3:], np.median(X[:, 3:], axis=0))


def test_contributions_sum_to_the_score(detector):
    X = off_the_curve(30)
    total = detector.explain(X).sum(axis=1) + detector.base_score_

    np.testing.assert_allclose(total, detector.score_samples(X), atol=1e-6)


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_contributions_of_a_sum_are_its_terms(n_features, seed):
    rng = np.random.RandomState(seed)
    X, reference = rng.normal(size=(4, n_features)), rng.normal(size=n_features)
    weights = rng.normal(size=n_features)
    shares = contributions(lambda rows: rows @ weights, X, reference)

    np.testing.assert_allclose(shares, (X - reference) * weights, atol=1e-9)


def test_a_fault_in_one_column_comes_first(detector, known):
    X = curve(50, 5)
    at_fault = np.arange(50) % 5
    X[np.arange(50), at_fault] += 8 * known.std(axis=0)[at_fault]
    first = detector.explain(X).to_numpy().argmin(axis=1)

    assert np.mean(first == at_fault) > 0.9


# The parts.


def test_mahalanobis_is_the_textbook_distance_but_for_the_shrinkage():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(5000, 3)) @ rng.normal(size=(3, 3))
    covariance = np.cov(X.T, bias=True)
    shrunk = covariance + 0.05 * np.trace(covariance) / 3 * np.eye(3)
    centred = X - X.mean(axis=0)
    expected = np.sqrt((centred @ np.linalg.inv(shrunk) * centred).sum(axis=1))

    np.testing.assert_allclose(Mahalanobis().fit(X)(X), expected, rtol=1e-6)


def test_a_trimmed_covariance_is_not_bent_by_a_tenth_of_the_rows():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(1000, 3))
    X[:100] += 30
    plain, trimmed = (Mahalanobis(share).fit(X)(X) for share in (0.0, 0.25))

    assert np.median(trimmed[:100]) / np.median(trimmed[100:]) > 10
    assert np.median(plain[:100]) / np.median(plain[100:]) < 5


def test_neighbours_give_the_distance_of_their_rank():
    X = np.random.RandomState(0).normal(size=(100, 4))
    distance = Neighbours(np.random.RandomState(0)).fit(X)
    expected = np.sort(np.linalg.norm(X[:, None] - X, axis=2), axis=1)[:, 4]

    np.testing.assert_allclose(distance(X), expected, atol=1e-6)


def test_crowding_tells_groups_from_tails():
    rng = np.random.RandomState(0)
    bulk = rng.normal(size=(900, 4))
    group = 6 + 0.01 * rng.normal(size=(50, 4))
    tail = bulk[:50] / np.linalg.norm(bulk[:50], axis=1)[:, None] * 8

    assert crowding(np.concatenate([bulk, group])) > 1
    assert crowding(np.concatenate([bulk, tail])) < 0


def test_units_show_every_direction_of_wide_rows():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 600)) + 0.1 * rng.normal(
        size=(400, 600)
    )
    units = fit_units(Dataset(X), rng)
    before = units(Dataset(X)[:].x)
    shifted = units(Dataset(X + 2 * rng.normal(size=600))[:].x)

    assert before.shape == (400, units.n_out)
    assert (shifted[:, -1] > before[:, -1].max()).all()


@pytest.mark.parametrize(("n_members", "n_columns"), [(1, 1), (4, 7)])
def test_the_gradient_written_out_is_autograds(n_members, n_columns):
    rows = Dataset(np.random.RandomState(0).normal(size=(50, n_columns)))
    module = Denoisers(fit_units(rows, np.random.RandomState(0)), n_members)
    x = module.standardize(rows[:].x).expand(n_members, -1, -1)
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


def test_units_stay_on_the_cpu_wherever_networks_are(detector):
    assert detector._units is not detector.net_.module_.inputs


def test_rows_that_may_not_be_written_to_are_read():
    X = np.random.RandomState(0).normal(size=(80, 3))
    X.setflags(write=False)
    detector = AEOutlierDetector(
        autoencoder=AutoencoderTransformer(2, max_iter=2), n_estimators=2, random_state=0
    )

    np.testing.assert_array_equal(detector.fit(X).predict(X), detector.predict(X.copy()))
