"""The same name means the same thing, with the same default, in every class."""

import inspect
import re
from pathlib import Path

import pytest

from skae._base.estimator import BaseAutoencoder
from skae._utils import docstrings
from tests.test_contract import ESTIMATORS

SHARED = set(BaseAutoencoder._parameter_constraints)
TRANSFORMERS = [c for c in ESTIMATORS if issubclass(c, BaseAutoencoder)]
DOCS = Path(__file__).parent.parent / "docs"


def defaults(estimator_class):
    parameters = inspect.signature(estimator_class).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


@pytest.mark.parametrize("estimator_class", TRANSFORMERS)
def test_shared_parameters_are_all_there_and_agree(estimator_class):
    ours, reference = defaults(estimator_class), defaults(TRANSFORMERS[0])

    assert SHARED <= set(ours)
    common = SHARED - {"n_components"}  # whose meaning varies
    assert {n: ours[n] for n in common} == {n: reference[n] for n in common}
    assert set(ours) == set(estimator_class._parameter_constraints)


def test_documented_defaults_are_the_real_ones():
    documented = dict(
        re.findall(r"^(\w+) : .*default=(.+)$", docstrings.PARAMETERS, re.M)
    )

    assert set(documented) == SHARED - {"n_components"}  # whose meaning varies
    for name, value in documented.items():
        assert eval(value) == defaults(TRANSFORMERS[0])[name]


PUBLIC = [c for c in TRANSFORMERS if c.__module__.startswith("skae.")]


@pytest.mark.parametrize("estimator_class", PUBLIC)
def test_docstrings_name_every_parameter_and_fitted_attribute(estimator_class, X):
    text = inspect.getdoc(estimator_class)
    parameters, attributes = re.split(r"^Attributes\n-+$", text, flags=re.M)
    entry = re.compile(r"^(\w+) : ", re.M)
    fitted = estimator_class(2, max_iter=1).fit(X, X[:, 0] > 0)

    assert set(entry.findall(parameters)) == set(defaults(estimator_class))
    for name in set(entry.findall(attributes.split("See Also")[0])):
        assert hasattr(fitted, name) or name in ("feature_names_in_", "classes_")


@pytest.mark.parametrize("name", ["toy", "toy_generative"])
def test_the_page_on_variants_shows_the_toys_that_are_tested(name):
    page = (DOCS / "variants.md").read_text()

    assert Path(__file__).with_name(f"{name}.py").read_text() in page
