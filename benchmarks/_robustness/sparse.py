"""Part "sparse" of ``robustness.py``: sparse codes, and dictionary learning.

Samples are 8 x 8 patches of images, each less its mean, and the genes of cells, less
their means; both are then divided by one number, their standard deviation. SparseAE, with
each kind of sparsity, has as many units as the dictionaries have atoms; codes of
dictionaries are computed by orthogonal matching pursuit (OMP). The penalty of
``MiniBatchDictionaryLearning`` is the best on the test samples, in its favour.
``DictionaryLearning`` has 5,000 samples and 20 iterations, for a similar time.

unexplained
    Squared error on test samples over that of the training mean.
active
    Number of units that are not 0, mean over test samples.
dead
    Share of the units that are 0 for all training samples.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.decomposition import PCA, DictionaryLearning

from _robustness import recovery
from _robustness.data import Plan, flatten, load_images, load_table
from _robustness.recovery import SPARSITIES, fit, make_online_dictionaries
from skae import SparseAE

N_ATOMS = 128
ACTIVE = (4, 8)
PATCH = 8


def run(plan: Plan) -> pd.DataFrame:
    rows = evaluate(plan.patched, *load_patches(plan), plan)
    for name in plan.genes:
        rows += evaluate(name, *load_genes(name, plan), plan)
    return pd.DataFrame(rows + recovery.evaluate(plan))


def load_patches(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Return patches at random positions; those for testing are of other images."""
    train, test = load_images(plan.patched, plan)
    rng = np.random.default_rng(0)
    X, X_test = (
        draw_patches(images, n, rng)
        for images, n in ((train, plan.n_patches), (test, plan.n_patches // 10))
    )
    return X / X.std(), X_test / X.std()


def draw_patches(images: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), (1, 2))
    patches = flatten(windows[tuple(rng.integers(windows.shape[:3], size=(n, 3)).T)])
    return patches - patches.mean(axis=1, keepdims=True)


def load_genes(name: str, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    X, X_test = load_table(name, plan, standardise=False)
    mean, scale = X.mean(axis=0), (X - X.mean(axis=0)).std()
    return (X - mean) / scale, (X_test - mean) / scale


def evaluate(name: str, X: np.ndarray, X_test: np.ndarray, plan: Plan) -> list[dict]:
    dictionaries = {
        "DictionaryLearning": [fit(make_dictionary(plan), X[: plan.n_dictionary])],
        "MiniBatchDictionaryLearning": [
            fit(model, X) for model in make_online_dictionaries(N_ATOMS, plan)
        ],
    }
    rows = []
    for n_active in ACTIVE:
        candidates = {"PCA": [fit(PCA(n_active), X)]}
        for method, fits in dictionaries.items():
            for model, _ in fits:
                model.set_params(transform_n_nonzero_coefs=n_active)
            candidates[method] = fits
        for sparsity in SPARSITIES:
            sparse = SparseAE(
                N_ATOMS,
                n_active=n_active,
                sparsity=sparsity,
                max_iter=plan.max_iter,
                random_state=0,
            )
            candidates[f"SparseAE, {sparsity}"] = [fit(sparse, X)]
        sizes = {"set": name, "n_train": len(X), "n_test": len(X_test)}
        for method, fits in candidates.items():
            found = [measure(*fitted, X, X_test) for fitted in fits]
            best = min(found, key=lambda figures: figures["unexplained"])
            rows.append(sizes | {"n_active": n_active, "method": method} | best)
    return rows


def make_dictionary(plan: Plan) -> DictionaryLearning:
    return DictionaryLearning(
        N_ATOMS,
        max_iter=plan.dictionary_iterations,
        fit_algorithm="cd",
        transform_algorithm="omp",
        random_state=0,
    )


def measure(
    model: TransformerMixin, seconds: float, X: np.ndarray, X_test: np.ndarray
) -> dict[str, float]:
    start = time.process_time()
    codes = model.transform(X_test)
    transformed = time.process_time() - start
    infer: Callable = getattr(model, "reconstruct", None) or (
        lambda X: model.inverse_transform(model.transform(X))
    )
    error = np.square(infer(X_test) - X_test).sum()
    return {
        "unexplained": error / np.square(X_test - X.mean(axis=0)).sum(),
        "active": np.count_nonzero(codes, axis=1).mean(),
        "dead": np.mean(~model.transform(X).any(axis=0)),
        "fit_cpu_seconds": seconds,
        "transform_cpu_seconds": transformed,
    }
