"""R2 by definition, for any transformer."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler

from skae import AutoencoderTransformer, metrics
from skae.metrics import reconstruction_r2


@pytest.fixture(scope="module")
def iris():
    return load_iris().data


def test_of_pca_it_is_the_explained_variance(iris):
    pca = PCA(2).fit(iris)

    expected = pca.explained_variance_ratio_.sum()
    assert reconstruction_r2(pca, iris) == pytest.approx(expected)


@pytest.mark.parametrize(
    "transformer",
    [
        KernelPCA(2, kernel="rbf", fit_inverse_transform=True),
        AutoencoderTransformer(2, max_iter=2, random_state=0),
        make_pipeline(StandardScaler(), PCA(2)),
        make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_iter=2)),
    ],
)
def test_it_is_scikit_learns_variance_weighted_r2(iris, transformer):
    transformer.fit(iris)
    returned = transformer.inverse_transform(transformer.transform(iris))

    expected = r2_score(iris, returned, multioutput="variance_weighted")
    assert reconstruction_r2(transformer, iris) == pytest.approx(expected)


def test_pandas_output_is_understood(iris):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas")

    assert 0 < reconstruction_r2(pipeline.fit(frame), frame) < 1


def test_it_is_a_scorer(iris):
    search = GridSearchCV(
        make_pipeline(PCA()),
        {"pca": [PCA(1), AutoencoderTransformer(1, max_iter=2, random_state=0)]},
        scoring=reconstruction_r2,
        cv=2,
    ).fit(iris)

    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("samples", [slice(0, 1), [3, 3, 3]])
def test_without_variance_it_is_nan_with_a_warning(iris, samples):
    pca = PCA(2).fit(iris)

    with pytest.warns(UserWarning, match="R2 is not defined for n_samples="):
        assert np.isnan(reconstruction_r2(pca, iris[samples]))


# Sparse and missing values.


def sparse_table(n_samples=120, kind=sparse.csr_array):
    """Three factors, each of which is 0 for most samples."""
    rng = np.random.RandomState(0)
    factors = rng.uniform(size=(n_samples, 3)) * (rng.uniform(size=(n_samples, 3)) < 0.4)
    return kind(factors @ rng.uniform(size=(3, 8)))


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_samples_are_understood(kind, monkeypatch):
    monkeypatch.setattr(metrics, "CHUNK_VALUES", 100)  # more than one chunk
    X = sparse_table(kind=kind)
    estimator = AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X)
    pipeline = make_pipeline(MaxAbsScaler(), TruncatedSVD(2, random_state=0)).fit(X)

    for fitted in (estimator, pipeline):
        expected = reconstruction_r2(fitted, X.toarray())
        assert reconstruction_r2(fitted, X) == pytest.approx(expected)


def test_a_search_over_sparse_samples_ranks_its_candidates():
    X = sparse_table()
    grid = {"n_components": [1, 2, 3]}
    estimator = AutoencoderTransformer(max_iter=2, random_state=0)

    search = GridSearchCV(estimator, grid, scoring=reconstruction_r2, cv=2).fit(X)

    assert search.best_params_ == {"n_components": 3}
    assert np.diff(search.cv_results_["mean_test_score"]).min() > 0


def with_missing(X, share=0.2):
    X = np.array(X)
    X[np.random.RandomState(0).uniform(size=X.shape) < share] = np.nan
    return X


@pytest.mark.parametrize(
    "imputers",
    [
        [SimpleImputer()],
        [SimpleImputer(add_indicator=True)],
        [KNNImputer()],
        [StandardScaler(), SimpleImputer()],
        [make_pipeline(SimpleImputer(), StandardScaler()), StandardScaler()],
    ],
)
def test_missing_values_are_left_out(iris, imputers):
    X = with_missing(iris)
    pipeline = make_pipeline(*imputers, PCA(2)).fit(X)

    found = reconstruction_r2(pipeline, X)

    before, last = pipeline[:-1], pipeline[-1]
    returned = last.inverse_transform(last.transform(before.transform(X)))
    for step in imputers[::-1]:
        scaler = step[-1] if hasattr(step, "steps") else step
        if isinstance(scaler, StandardScaler):
            returned = scaler.inverse_transform(returned)
    error = np.nansum((X - returned[:, :4]) ** 2)
    assert found == pytest.approx(1 - error / np.nansum((X - np.nanmean(X, axis=0)) ** 2))


@pytest.mark.filterwarnings("ignore:Skipping features")
def test_features_without_a_value_are_left_out(iris):
    X = np.insert(with_missing(iris), 1, np.nan, axis=1)
    pipeline = make_pipeline(SimpleImputer(), PCA(2)).fit(X)

    found = reconstruction_r2(pipeline, X)

    without = make_pipeline(SimpleImputer(), PCA(2)).fit(X[:, [0, 2, 3, 4]])
    assert found == pytest.approx(reconstruction_r2(without, X[:, [0, 2, 3, 4]]))
    X[:, 1] = 5.0  # known in new samples only
    assert reconstruction_r2(pipeline, X) == pytest.approx(found)


def test_missing_values_may_have_another_mark(iris):
    X = with_missing(iris)
    marked = np.where(np.isnan(X), -1.0, X)
    pipeline = make_pipeline(SimpleImputer(), PCA(2)).fit(X)
    of_marked = make_pipeline(SimpleImputer(missing_values=-1), PCA(2)).fit(marked)

    expected = reconstruction_r2(pipeline, X)
    assert reconstruction_r2(of_marked, marked) == pytest.approx(expected)


def test_a_search_over_missing_values_ranks_its_candidates(iris):
    frame = pd.DataFrame(with_missing(iris), columns=list("abcd"))
    pipeline = make_pipeline(
        SimpleImputer(), AutoencoderTransformer(max_iter=2, random_state=0)
    )
    grid = {"autoencodertransformer__n_components": [1, 2, 3]}

    search = GridSearchCV(pipeline, grid, scoring=reconstruction_r2, cv=2).fit(frame)

    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert reconstruction_r2(search, frame) == pytest.approx(
        reconstruction_r2(search.best_estimator_, frame)
    )


def test_reconstructions_that_are_not_finite_are_refused(iris):
    broken = FunctionTransformer(inverse_func=lambda X: X * np.nan).fit(iris)

    with pytest.raises(ValueError, match="NaN"):
        reconstruction_r2(broken, iris)


def test_steps_without_an_inverse_are_refused(iris):
    pipeline = make_pipeline(MissingIndicator(features="all"), PCA(2))
    X = with_missing(iris)

    with pytest.raises(ValueError, match="MissingIndicator has no inverse_transform"):
        reconstruction_r2(pipeline.fit(X), X)
