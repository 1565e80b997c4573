"""Recovery of a known ("planted") dictionary in the part "sparse", and its models.

Samples are sums of 4 of 64 directions in 32 dimensions, with weights from 1 to 2, and
noise of 0.05. ``recovery`` is the mean over directions of the largest absolute cosine to
a learned direction. The penalty of ``MiniBatchDictionaryLearning`` is the best of a few,
in its favour.
"""

import time
import warnings
from collections.abc import Iterable

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from _robustness.data import Plan
from skae import SparseAE

SPARSITIES = ("batch_topk", "topk", "l1", "kl")
DICTIONARY_ALPHAS = (0.3, 0.6, 1.0, 1.5)
PLANTED = dict(n_atoms=64, n_features=32, n_active=4, noise=0.05)


def fit(model: TransformerMixin, X: np.ndarray) -> tuple[TransformerMixin, float]:
    """Return the fitted model, and its CPU seconds."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few iterations
        model.fit(X)
    return model, time.process_time() - start


def make_online_dictionaries(n_atoms: int, plan: Plan) -> list[TransformerMixin]:
    """Return a model for each penalty."""
    # Coordinate descent has the solution of LARS, the default, several times as fast.
    options = dict(fit_algorithm="cd", transform_algorithm="omp", random_state=0)
    return [
        MiniBatchDictionaryLearning(
            n_atoms, alpha=alpha, max_iter=plan.online_iterations, **options
        )
        for alpha in DICTIONARY_ALPHAS
    ]


def evaluate(plan: Plan) -> list[dict]:
    X, atoms = make_planted(plan.n_planted, **PLANTED)
    sizes = {"set": "planted", "n_train": len(X), "n_active": PLANTED["n_active"]}
    rows = []
    for method, models in make_candidates(plan):
        found = []
        for model in models:
            model, seconds = fit(model, X)
            found.append((recovery(model.components_, atoms), seconds))
        best, seconds = max(found)
        figures = {"recovery": best, "fit_cpu_seconds": seconds}
        rows.append(sizes | {"method": method} | figures)
    return rows


def make_candidates(plan: Plan) -> Iterable[tuple[str, list[TransformerMixin]]]:
    n_atoms = PLANTED["n_atoms"]
    options = dict(n_active=PLANTED["n_active"], max_iter=plan.max_iter, random_state=0)
    for sparsity in SPARSITIES:
        model = SparseAE(n_atoms, sparsity=sparsity, **options)
        yield f"SparseAE, {sparsity}", [model]
    yield "MiniBatchDictionaryLearning", make_online_dictionaries(n_atoms, plan)


def make_planted(
    n: int, n_atoms: int, n_features: int, n_active: int, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return samples that are sums of few atoms, and the atoms."""
    rng = np.random.default_rng(0)
    atoms = normalise(rng.standard_normal((n_atoms, n_features)))
    chosen = rng.random((n, n_atoms)).argsort(axis=1) < n_active  # of each sample
    codes = np.where(chosen, rng.uniform(1, 2, chosen.shape), 0.0)
    return codes @ atoms + noise * rng.standard_normal((n, n_features)), atoms


def recovery(learned: np.ndarray, atoms: np.ndarray) -> float:
    return float(np.abs(atoms @ normalise(learned).T).max(axis=1).mean())


def normalise(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
