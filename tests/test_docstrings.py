"""Docstrings say what there is: parameters, defaults, attributes, an example."""

import inspect
import re
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import skae

MODULES = ("displays", "exceptions", "losses", "metrics", "networks")
ESTIMATORS = [getattr(skae, n) for n in skae.__all__ if inspect.isclass(getattr(skae, n))]


def public(module):
    found = vars(module).items()
    return [
        thing
        for name, thing in found
        if not name.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__.startswith("skae")
    ]


THINGS = [
    *ESTIMATORS,
    *(t for m in MODULES for t in public(import_module(f"skae.{m}"))),
]
CALLED = [t for t in THINGS if not (inspect.isclass(t) and issubclass(t, Exception))]
METHODS = {
    f"{cls.__name__}.{name}": method
    for cls in (thing for thing in CALLED if inspect.isclass(thing))
    for name, method in inspect.getmembers(cls, inspect.isfunction)
    if not name.startswith("_") and method.__module__.startswith("skae")
}


def sections(thing) -> dict[str, str]:
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(thing), flags=re.M)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))


def entries(section: str) -> dict[str, str]:
    """Names and what follows the colon, of the lines that are not indented."""
    found = {}
    for line in re.findall(r"^\S.*", section, flags=re.M):
        names, _, kind = line.partition(" : ")
        found |= {name.strip(" *"): kind for name in names.split(",")}
    return found


def arguments(thing) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(thing).parameters)
    found.pop("self", None)
    return found


def named(things):
    return pytest.mark.parametrize("thing", things, ids=lambda t: t.__qualname__)


@pytest.mark.parametrize(
    "thing",
    [*CALLED, *METHODS.values()],
    ids=[*(t.__qualname__ for t in CALLED), *METHODS],
)
def test_parameters_are_those_of_the_signature(thing):
    documented = entries(sections(thing).get("Parameters", ""))
    expected = arguments(thing)

    if inspect.isclass(thing):  # where parameters that all share come last
        assert sorted(documented) == sorted(expected)
    else:
        assert list(documented) == list(expected)
    for name, kind in documented.items():
        if name == "y":  # its default serves scikit-learn's signature
            continue
        said = re.search(r"default=(.*)$", kind)
        has_default = expected[name].default is not inspect.Parameter.empty
        assert bool(said) == has_default, f"{name} : {kind}"
        if said:
            value = expected[name].default
            known = {str(value), repr(value), f'"{value}"', f"``{value!r}``"}
            shown = said[1].strip("`")
            assert shown in known or eval(shown) == value, f"{name}: {said[1]}"


@named(THINGS)
def test_summary_is_a_sentence_and_there_is_an_example(thing):
    found = sections(thing)

    assert found[""].partition("\n\n")[0].rstrip().endswith(".")
    if thing in CALLED:
        assert ">>>" in found.get("Examples", "")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_say_what_they_return(name):
    method = METHODS[name]
    source = inspect.getsource(inspect.unwrap(method))
    gives = re.search(r"^\s+return \S", source, flags=re.M)
    assert ("Returns" in sections(method)) == bool(gives)


X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 6)), columns=list("abcdef"))
Y = np.arange(80) % 2
# Attributes that only some settings have.
SETTINGS = {
    "VQVAE": [{"conditional": True, "n_codes": 4}],
    "AdversarialAE": [{"conditional": True, "prior": "mixture", "n_modes": 2}],
}


@named(ESTIMATORS)
def test_attributes_are_those_after_fit(thing):
    documented = set(entries(sections(thing)["Attributes"]))
    properties = {
        name
        for name, value in inspect.getmembers(thing)
        if isinstance(value, property) and re.fullmatch(r"[a-z]\w*_", name)
    }
    present = set()
    few = {} if "max_iter" not in arguments(thing) else {"max_iter": 2}
    for settings in [{}, *SETTINGS.get(thing.__name__, [])]:
        fitted = thing(**few, **settings, random_state=0).fit(X, Y)
        present |= {n for n in vars(fitted) if n.endswith("_") and n[0] != "_"}
        present |= {n for n in properties if hasattr(fitted, n)}

    assert documented == present
