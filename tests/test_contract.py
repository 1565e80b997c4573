"""scikit-learn's own checks, all of them, for every public estimator."""

import inspect

import pytest
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

import skae
from tests.toy import ToyDenoiser
from tests.toy_generative import ToyGenerator

# scikit-learn runs these on its own estimators only.
FURTHER_CHECKS = [
    estimator_checks.check_param_validation,
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_global_set_output_transform_polars,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
    estimator_checks.check_get_feature_names_out_error,
    estimator_checks.check_inplace_ensure_writeable,
]


def public_estimators():
    classes = [getattr(skae, name) for name in skae.__all__]
    return [c for c in classes if inspect.isclass(c) and issubclass(c, BaseEstimator)]


def small(estimator_class):
    """A quick instance; one component, because some checks have a single feature."""
    wanted = {"n_components": 1, "max_iter": 3, "random_state": 0}
    accepted = inspect.signature(estimator_class).parameters
    return estimator_class(**{k: v for k, v in wanted.items() if k in accepted})


ESTIMATORS = [*public_estimators(), ToyDenoiser, ToyGenerator]

# The checks' data have one feature here and there, and an autoencoder says so.
overcomplete = pytest.mark.filterwarnings(
    "ignore:n_components=1 should be less than n_features=1"
)


def test_there_are_estimators_to_check():
    assert len(public_estimators()) >= 1


@overcomplete
@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_check_estimator_in_full(estimator_class):
    results = check_estimator(small(estimator_class), on_fail=None, on_skip=None)

    not_passed = {
        result["check_name"]: (result["status"], result["exception"])
        for result in results
        if result["status"] != "passed"
    }
    assert not not_passed
    assert len(results) >= 47


@overcomplete
# The checks fit on a DataFrame and transform an array, or the reverse, to compare.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but")
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_further_check(estimator_class, check):
    estimator = small(estimator_class)
    of_transformers = any(w in check.__name__ for w in ("transform", "names_out"))
    if isinstance(estimator, OutlierMixin) and of_transformers:
        assert not hasattr(estimator, "transform")
    else:
        check(estimator_class.__name__, estimator)
