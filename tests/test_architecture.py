"""The house stays livable: arrows point down, and each thing has its one place."""

import ast
from pathlib import Path

import pytest

import skae

PACKAGE = Path(skae.__file__).parent

# From the ground up; a file may import from lower lines only. A new file needs a line.
LAYERS = [
    {"losses", "networks", "_rows", "_runtime", "_optimizer", "_watch"}
    | {"_priors", "_sampling"}
    | {"_conditions", "_diagnosis", "_eigen", "exceptions", "_warn"}
    | {"_conformal", "_contributions", "_distances", "_quantiser"},
    {"_regression", "_divergence"},
    {"_docs", "_progress", "_sklearn", "_modules", "_statistics"},
    {"_gradients", "_members", "_parts", "_variational", "_inference", "_corruption"}
    | {"_sparsity", "_detector_units", "_quantised", "_code_prior"},
    {"_variational_parts", "_quantised_parts", "_sensitivity"},
    {"_net"},
    {"_ensemble", "_stream", "_adversarial_net"},
    {"_training", "_codes", "_collapse"},
    {"_fitting", "_fitted", "_prior_net"},
    {"_base"},
    {"_generative"},
    {"_inferred"},
    # Leaves: they never import each other.
    {"_autoencoder", "_denoising", "_contractive", "_sparse", "_vae", "_conditional"}
    | {"_vq", "_adversarial"},
    {"_denoisers"},
    {"_views"},
    {"_oddness"},
    {"_outlier"},
    {"metrics"},
    {"_display_style", "_display_data", "_display_codes"},
    {"_display_rows"},
    {"_display_paths"},
    {"_display_training", "_display_reconstruction", "_display_latent"}
    | {"_display_traversal", "_display_interpolation", "_display_components"}
    | {"_display_outlier"},
    {"displays"},
    {"__init__"},
]
TORCH_ONLY = {"losses", "networks", "_runtime", "_optimizer", "_modules", "_gradients"}
TORCH_ONLY |= {"_members", "_variational", "_sensitivity", "_sparsity", "_quantiser"}
TORCH_ONLY |= {"_quantised", "_code_prior", "_priors", "_divergence"}
FILES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imports(name):
    """The modules that a file imports, and the names it takes from each."""
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom):
            yield node.module, [alias.name for alias in node.names]


def imported_files(name):
    for module, names in imports(name):
        if module == "skae":
            yield from names
        elif module.startswith("skae."):
            yield module.removeprefix("skae.")


def level(name):
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def test_every_file_has_a_place():
    assert set(FILES) == set().union(*LAYERS)


@pytest.mark.parametrize("name", FILES)
def test_arrows_point_down(name):
    assert all(level(other) < level(name) for other in imported_files(name))


@pytest.mark.parametrize("name", sorted(TORCH_ONLY))
def test_tensor_code_knows_only_torch(name):
    third_party = {module.split(".")[0] for module, _ in imports(name)}

    assert not third_party & {"numpy", "pandas", "sklearn", "skorch", "scipy"}


def test_skorch_has_one_door():
    users = {n for n in FILES for module, _ in imports(n) if module.startswith("skorch")}

    assert users == {"_net"}


def test_private_names_of_scikit_learn_have_one_door():
    users = {
        name
        for name in FILES
        for module, names in imports(name)
        if module.startswith("sklearn")
        and any(part.startswith("_") for part in [*module.split("."), *names])
    }

    assert users == {"_sklearn"}


def test_public_names_are_sorted_and_complete():
    public = {n for n in vars(skae) if not n.startswith("_") and n[0].isupper()}

    assert skae.__all__ == sorted(skae.__all__)
    assert set(skae.__all__) == public
