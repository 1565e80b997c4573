"""Imports point down between packages, and make no circle within one."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent

# From the ground up; a package may import from lower lines, and from itself.
FLOORS = [
    {"_utils"},
    {"losses", "networks", "exceptions", "_linalg"},
    {"_data", "_nn"},
    {"_training"},
    {"_base"},
    {"_deterministic", "_variational", "_vector_quantized", "_adversarial"},
    {"_outliers", "metrics"},
    {"displays"},
    {"__init__"},
]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}
# Names of modules that run on a device: no numpy arrays, no estimators.
TENSOR_PACKAGES = ("_nn", "losses", "networks")


def package(module):
    return module.split(".")[0]


def imports(module):
    """The modules that a file imports, and the names that it takes from each."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom):
            yield node.module, [alias.name for alias in node.names]


def imported_modules(module):
    """The files of skae that a file imports, as dotted names below skae."""
    for name, parts in imports(module):
        if name != "skae" and not name.startswith("skae."):
            continue
        below = name.removeprefix("skae").removeprefix(".")
        linear_paths = [f"{below}.{part}".removeprefix(".") for part in parts]
        of_packages = [path for path in linear_paths if path in FILES]
        if of_packages:
            yield from of_packages
        elif below:
            yield below if below in FILES else f"{below}.__init__"


def floor(name):
    return next(i for i, packages in enumerate(FLOORS) if name in packages)


def test_every_package_has_a_floor():
    assert {package(module) for module in FILES} == set().union(*FLOORS)


@pytest.mark.parametrize("module", FILES)
def test_arrows_between_packages_point_down(module):
    others = {package(other) for other in imported_modules(module)} - {package(module)}

    assert all(floor(other) < floor(package(module)) for other in others)


def test_no_circle_within_a_package():
    graph = {module: set(imported_modules(module)) for module in FILES}

    TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def test_a_circle_and_an_upward_arrow_would_be_found(tmp_path, monkeypatch):
    """The two tests above see imports inside functions, too."""
    path = tmp_path / "dataset.py"
    path.write_text("def f():\n    from skae._training import net\n")
    monkeypatch.setitem(FILES, "_data.dataset", path)

    assert set(imported_modules("_data.dataset")) == {"_training.net"}
    with pytest.raises(AssertionError):
        test_arrows_between_packages_point_down("_data.dataset")
    with pytest.raises(ValueError, match="_data.dataset"):
        test_no_circle_within_a_package()


@pytest.mark.parametrize("module", [m for m in FILES if package(m) in TENSOR_PACKAGES])
def test_tensor_code_depends_on_torch_only(module):
    third_party = {name.split(".")[0] for name, _ in imports(module)}

    assert not third_party & {"numpy", "pandas", "sklearn", "skorch", "scipy"}


def test_skorch_is_imported_in_one_file():
    users = {m for m in FILES for name, _ in imports(m) if name.startswith("skorch")}

    assert users == {"_training.net"}


def test_private_names_of_scikit_learn_are_imported_in_one_file():
    users = {
        module
        for module in FILES
        for name, parts in imports(module)
        if name.startswith("sklearn")
        and any(part.startswith("_") for part in [*name.split("."), *parts])
    }

    assert users == {"_utils.sklearn_compat"}


def test_public_names_are_sorted_and_complete():
    public = {n for n in vars(skae) if not n.startswith("_") and n[0].isupper()}

    assert skae.__all__ == sorted(skae.__all__)
    assert set(skae.__all__) == public
