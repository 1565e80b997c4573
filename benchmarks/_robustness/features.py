"""Part "features" of ``robustness.py``: codes as features of a classifier.

5-NN and logistic regression are fitted to the codes of clean training samples and
evaluated on the codes of test samples: clean, with normal noise of half a standard
deviation of each feature, and with a fifth of the values set to 0. Codes are divided by
one number, their standard deviation, so that regularisation is invariant to rotations.
Codes have 16 components; those of 16 features have 8, because 16 could copy the samples.
SparseAE has its default width and as many active units.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer

from _robustness.data import Plan, load_labelled
from skae import AutoencoderTransformer, ContractiveAE, DenoisingAE, SparseAE

MAX_COMPONENTS = 16
NOISE_LEVEL = (0.0, 0.7)  # of DenoisingAE
SIGMA = 0.5  # of the test samples, in standard deviations of each feature
MASKED = 0.2

MODELS: dict[str, Callable[..., TransformerMixin]] = {
    "raw": lambda k, **options: FunctionTransformer(),
    "PCA": lambda k, **options: PCA(k, svd_solver="covariance_eigh"),
    "plain": AutoencoderTransformer,
    "DenoisingAE": lambda k, **options: DenoisingAE(
        k, corruption="gaussian", noise_level=NOISE_LEVEL, **options
    ),
    "SparseAE": lambda k, **options: SparseAE(n_active=k, **options),
    "ContractiveAE": ContractiveAE,
}
CLASSIFIERS = {
    "5-NN": lambda: KNeighborsClassifier(5),
    "logistic": lambda: LogisticRegression(
        max_iter=1000, tol=1e-3
    ),  # 1e-4 only takes longer
}


def run(plan: Plan) -> pd.DataFrame:
    rows = []
    for name in plan.labelled:
        for seed in range(plan.label_seeds):
            rows += evaluate(name, seed, plan)
    return pd.DataFrame(rows)


def evaluate(name: str, seed: int, plan: Plan) -> list[dict]:
    X, X_test, y, y_test = load_labelled(name, plan, seed)
    k = min(MAX_COMPONENTS, X.shape[1] // 2)
    tests = corrupt(X_test, X.std(axis=0))
    rows = []
    for method, make in MODELS.items():
        start = time.process_time()
        model = make(k, max_iter=plan.max_iter, random_state=seed).fit(X)
        seconds = time.process_time() - start
        codes = model.transform(X)
        scale = codes.std()
        for classifier, make_classifier in CLASSIFIERS.items():
            fitted = make_classifier().fit(codes / scale, y)
            for test, corrupted in tests.items():
                codes_test = model.transform(corrupted) / scale
                rows.append(
                    {
                        **{"set": name, "seed": seed, "n_train": len(X)},
                        **{"n_test": len(X_test), "n_features": X.shape[1], "k": k},
                        "method": method,
                        **{"classifier": classifier, "test": test},
                        "accuracy": fitted.score(codes_test, y_test),
                        "fit_cpu_seconds": seconds,
                    }
                )
    return rows


def corrupt(X: np.ndarray, spread: np.ndarray) -> dict[str, np.ndarray]:
    """Return clean and corrupted test samples, by name."""
    rng = np.random.default_rng(1)
    return {
        "clean": X,
        "gaussian": X + SIGMA * spread * rng.standard_normal(X.shape),
        "masking": np.where(rng.random(X.shape) < MASKED, 0.0, X),
    }
