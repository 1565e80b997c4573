"""R2 by definition, for any transformer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, KernelPCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
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
