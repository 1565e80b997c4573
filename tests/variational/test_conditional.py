"""ConditionalVAE: known results, label inference and conditional generation."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ConditionalVAE
from skae.metrics import reconstruction_r2

quick = partial(ConditionalVAE, max_iter=3, random_state=0)
untrained = partial(
    ConditionalVAE, max_iter=1, learning_rate=1e-12, early_stopping=False, random_state=0
)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(iris):
    return ConditionalVAE(2, random_state=0).fit(*iris)


# Known results.


def test_initial_model_is_probabilistic_pca_of_residuals_given_labels(iris):
    X, y = StandardScaler().fit_transform(iris[0]), iris[1]
    centres = np.array([X[y == c].mean(axis=0) for c in range(3)])
    residual = X - centres[y]
    covariance = PCA(2).fit(residual).get_covariance() * (len(X) - 1) / len(X)

    vae = untrained(2, noise="shared", n_importance_samples=1).fit(X, y)

    exact = multivariate_normal(np.zeros(4), covariance).logpdf(residual)
    assert_allclose(vae.score_samples(X, y), exact, rtol=1e-4)


def test_initial_model_of_continuous_y_is_a_linear_regression():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    residual = X - LinearRegression().fit(y[:, None], X).predict(y[:, None])
    covariance = PCA(3).fit(residual).get_covariance() * (len(X) - 1) / len(X)

    vae = untrained(3, noise="shared", n_importance_samples=1).fit(X, y)

    exact = multivariate_normal(np.zeros(10), covariance).logpdf(residual)
    assert_allclose(vae.score_samples(X, y), exact, rtol=1e-3)


def test_initial_predictions_are_those_of_linear_discriminant_analysis(iris):
    """Both share one covariance; with n_components=n_features they would be equal."""
    X, y = iris
    lda = LinearDiscriminantAnalysis(solver="lsqr").fit(X, y)

    vae = untrained(3).fit(X, y)

    assert np.mean(vae.predict(X) == lda.predict(X)) > 0.97
    assert_allclose(vae.predict_proba(X), lda.predict_proba(X), atol=0.15)


def test_scores_and_probabilities_follow_bayes_rule(fitted, iris):
    X, y = iris
    joint = np.column_stack(
        [fitted.score_samples(X, label) + np.log(1 / 3) for label in range(3)]
    )

    assert_allclose(fitted.score_samples(X), logsumexp(joint, axis=1), atol=1e-6)
    assert_allclose(fitted.score(X, y), joint[np.arange(150), y].mean() + np.log(3))
    assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0)
    assert_array_equal(fitted.predict(X), fitted.predict_proba(X).argmax(axis=1))


# Types of y.


@pytest.mark.parametrize(
    "names",
    [["setosa", "versicolor", "virginica"], [7, -1, 30], [False, True, True]],
    ids=["strings", "integers", "booleans"],
)
def test_labels_of_any_type(names, iris):
    X, codes = iris
    y = np.array(names)[codes]
    vae = quick(2).fit(X, y)

    assert_array_equal(vae.classes_, np.unique(y))
    assert vae.predict(X).dtype == y.dtype
    assert vae.sample(3, y=names[0], random_state=0).shape == (3, 4)
    assert_array_equal(quick(2).fit(X, pd.Series(y)).transform(X), vae.transform(X))
    assert_array_equal(vae.transform(X, y.tolist()), vae.transform(X, y))


@pytest.mark.parametrize("n_conditions", [1, 2])
def test_continuous_conditions(n_conditions):
    X, y = load_diabetes(return_X_y=True)
    y = y if n_conditions == 1 else np.column_stack([y, X[:, 0]])
    vae = quick(2).fit(X, y)
    one = y[0]

    assert not hasattr(vae, "classes_")
    assert_array_equal(vae.fit_transform(X, y), vae.transform(X, y))
    assert vae.sample(3, y=one, random_state=0).shape == (3, 10)
    assert vae.sample(442, y=y, random_state=0).shape == (442, 10)
    assert vae.translate(X[:5], y[:5], one).shape == (5, 10)
    assert vae.reconstruct(X[:1], one).shape == (1, 10)
    assert not hasattr(vae, "predict") and not hasattr(vae, "predict_proba")
    for method in ("transform", "reconstruct", "score_samples", "sample"):
        argument = 3 if method == "sample" else X
        with pytest.raises(
            ValueError, match=r"requires y, because the y of fit is continuous"
        ):
            getattr(vae, method)(argument)
    with pytest.raises(ValueError, match=f"fit had {n_conditions} numbers per sample"):
        vae.transform(X, np.zeros((442, 3)))


def test_invalid_y_raises(iris):
    X, y = iris
    vae = quick(2).fit(X, y)
    before = vae.transform(X)

    with pytest.raises(ValueError, match="requires y to be passed"):
        vae.fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        vae.fit(X, y[:-1])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        vae.fit(X, np.where(y == 0, np.nan, y))
    with pytest.raises(ValueError, match="two-dimensional y must be numeric"):
        vae.fit(X, np.array([["a", "b"]] * len(X)))
    with pytest.raises(ValueError, match=r"label 9, which is not among .* \[0, 1, 2\]"):
        vae.transform(X[:1], [9])
    with pytest.raises(ValueError, match="types that cannot be ordered"):
        vae.fit(X, np.array([1, "b", 2.5], dtype=object)[y])
    with pytest.raises(ValueError, match="y has 2 entries for 3 samples"):
        vae.transform(X[:3], [0, 1])
    with pytest.raises(ValueError, match="traverse requires y or at"):
        vae.traverse(0, [0.0])
    assert_array_equal(vae.transform(X), before)  # the earlier fit is kept
    with pytest.warns(DataConversionWarning):
        vae.fit(X, y[:, None])


def test_a_failed_refit_keeps_the_labels(iris):
    X, y = iris
    vae = quick(2).fit(X, y)

    class Stop(Exception):
        pass

    def broken(n_in, n_out):
        raise Stop

    vae.set_params(encoder=broken)
    with pytest.raises(Stop):
        vae.fit(X[:100], y[:100] + 5)

    assert_array_equal(vae.classes_, [0, 1, 2])
    assert set(vae.predict(X)) <= {0, 1, 2}


def test_a_warm_start_keeps_the_classes(iris):
    X, y = iris
    vae = quick(2, warm_start=True).fit(X, y)

    assert vae.fit(X[:100], y[:100]).predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="label 3, which is not among"):
        vae.fit(X, y + 1)


# Use.


def test_codes_do_not_contain_the_labels():
    """A classifier on codes is less accurate than on PCA scores, as y is not encoded."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    vae = ConditionalVAE(2, max_iter=30, random_state=0).fit(X, y)
    pca = PCA(2).fit(X)

    def accuracy(encode):
        knn = KNeighborsClassifier().fit(encode(X, y), y)
        return knn.score(encode(X_test, y_test), y_test)

    assert accuracy(vae.transform) < 0.5 * accuracy(lambda X, y: pca.transform(X))


def test_samples_and_translations_have_the_requested_label():
    X, y = load_digits(return_X_y=True)
    vae = ConditionalVAE(4, max_iter=40, random_state=0).fit(X, y)
    labels = np.repeat(np.arange(10), 20)

    drawn = vae.sample(200, y=labels, random_state=0)
    translated = vae.translate(X[:200], y[:200], labels)

    knn = KNeighborsClassifier().fit(X, y)
    assert knn.score(drawn, labels) > 0.9
    assert knn.score(translated, labels) > 0.9
    assert vae.score(X[:300]) > PCA(4).fit(X).score(X[:300])


def test_features_correlated_only_through_y_do_not_warn():
    rng = np.random.RandomState(0)
    y = rng.randint(3, size=1000)
    X = 3 * rng.normal(size=(3, 10))[y] + rng.normal(size=(1000, 10))
    vae = ConditionalVAE(1, init="random", early_stopping=False, random_state=0)

    figures = vae.fit(X, y).diagnose(X, y)  # a warning would be an error

    assert figures.code_use < 0.1  # y explains all common variance


def test_probabilities_of_far_samples_are_the_label_frequencies(iris):
    X, y = iris
    fitted = quick(2).fit(1e-30 * X, y)
    far = np.full((1, 4), 1e149)

    assert_allclose(fitted.predict_proba(far), 1 / 3)
    assert_allclose(fitted.predict_log_proba(far), np.log(1 / 3))


def test_reconstruction_r2_infers_labels(fitted, iris):
    assert reconstruction_r2(fitted, iris[0]) > 0.95


def test_scoring_monitor_scores_every_epoch(iris):
    X, y = iris
    monitor = ScoringMonitor(scoring={"r2": reconstruction_r2})
    vae = quick(2, max_iter=4, early_stopping=False).set_callbacks(monitor).fit(X, y)
    vae.fit(X[:100], y[:100])  # with fewer labels than before

    curve = monitor.get_logs().data_as_pandas
    assert (curve[curve["task_name"] == "epoch"]["r2"] > 0.5).all()


def test_set_output_affects_only_transform(iris):
    X, y = iris
    vae = quick(2).fit(X, y)
    other = quick(2).fit(X, y).set_output(transform="pandas")

    assert isinstance(other.transform(X), pd.DataFrame)
    assert_array_equal(other.translate(X, y, 1), vae.translate(X, y, 1))
    assert_array_equal(other.interpolate(X[:2], X[2:4]), vae.interpolate(X[:2], X[2:4]))
    assert_array_equal(other.traverse(0, [1], at=X[:2]), vae.traverse(0, [1], at=X[:2]))
    assert_array_equal(other.direction(X[:2], X[2:4]), vae.direction(X[:2], X[2:4]))


def test_translation_to_the_same_label_is_reconstruction(fitted, iris):
    X, y = iris

    assert_allclose(fitted.translate(X, y, y), fitted.reconstruct(X, y))
    assert_allclose(
        fitted.translate(X, None, 0), fitted.translate(X, fitted.predict(X), 0)
    )


def test_without_y_labels_are_inferred(fitted, iris):
    X, _ = iris
    inferred = fitted.predict(X)

    assert_array_equal(fitted.transform(X), fitted.transform(X, inferred))
    assert_array_equal(fitted.reconstruct(X), fitted.reconstruct(X, inferred))
    assert fitted.inverse_transform(fitted.transform(X)).shape == X.shape
    codes = fitted.transform(X, inferred)
    again = fitted.inverse_transform(codes, inferred)
    assert_allclose(again, fitted.reconstruct(X), atol=1e-6)


def test_fit_transform_infers_labels_as_transform_does(iris):
    X, y = iris
    vae = quick(2)

    assert_array_equal(vae.fit_transform(X, y), clone(vae).fit(X, y).transform(X))


def test_interpolation_traversal_and_direction(fitted, iris):
    X, y = iris

    paths = fitted.interpolate(X[:2], X[-2:], n_steps=5)
    assert paths.shape == (2, 5, 4)
    assert_allclose(paths[:, 0], fitted.reconstruct(X[:2]), atol=1e-5)
    assert_allclose(paths[:, -1], fitted.reconstruct(X[-2:]), atol=1e-5)
    assert fitted.traverse(1, [-1, 0, 1], y=2).shape == (3, 4)
    assert fitted.traverse(1, [-1, 0, 1], at=X[:4]).shape == (4, 3, 4)
    assert fitted.direction(X[:50], X[50:], y=None).shape == (2,)
    assert fitted.diagnose(X, y)["coverage"] > 0.5


def test_in_a_pipeline_and_a_search(iris):
    X, y = iris
    model = make_pipeline(StandardScaler(), quick(), LogisticRegression())

    search = GridSearchCV(model, {"conditionalvae__n_components": [1, 2]}, n_jobs=2)
    search.fit(X, y)

    # Codes do not contain the labels, so that accuracy is close to chance level.
    assert search.score(X, y) > 0.25


def test_metadata_routing_passes_continuous_y():
    X, y = load_diabetes(return_X_y=True)
    with config_context(enable_metadata_routing=True):
        vae = quick(2).set_transform_request(y=True)
        model = make_pipeline(StandardScaler(), vae).fit(X, y)
        codes = model.transform(X, y=y)

    fitted = model[-1]
    assert_array_equal(codes, fitted.transform(model[0].transform(X), y))


def test_pickling_and_global_random_state(fitted, iris):
    X, _ = iris
    state = torch.get_rng_state()
    again = pickle.loads(pickle.dumps(fitted))

    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert_array_equal(again.sample(4, random_state=0), fitted.sample(4, random_state=0))
    assert_array_equal(torch.get_rng_state(), state)
    assert not hasattr(fitted, "partial_fit")
