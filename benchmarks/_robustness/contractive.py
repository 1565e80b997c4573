"""Part "contractive" of ``robustness.py``: Jacobian norms of codes and reconstructions.

Sensitivity is the root mean squared Frobenius norm of a Jacobian on held-out samples of
standardised features. For ``encode``, codes are divided by their standard deviation on
the same samples, and for ``reconstruct`` the units are those of the samples: smaller
codes reduce neither. ``times_plain`` is the CPU time of ``fit`` over that of
AutoencoderTransformer, for the same number of epochs without early stopping, medians over
alternating repeats.
"""

import copy
import time

import numpy as np
import pandas as pd
import torch
from torch.func import jacrev, vmap

from _robustness.data import Plan, load_table
from skae import AutoencoderTransformer, ContractiveAE
from skae.metrics import reconstruction_r2

K = 8
FACTORS = (0.01, 0.1, 1.0, 10.0, 100.0)  # of the default penalty
CHUNK_SIZE = 256


def run(plan: Plan) -> pd.DataFrame:
    return pd.DataFrame([row for name in plan.contracted for row in evaluate(name, plan)])


def evaluate(name: str, plan: Plan) -> list[dict]:
    X, X_test = load_table(name, plan)
    X = X[: plan.n_contracted]
    k = min(K, X.shape[1] // 2)
    times_plain = time_fits(X, k, plan)
    default = ContractiveAE().penalty
    rows = []
    for factor in (0.0, *FACTORS):
        model = ContractiveAE(
            k, penalty=factor * default, max_iter=plan.max_iter, random_state=0
        ).fit(X)
        rows.append(
            {
                **{"set": name, "n_train": len(X), "n_test": len(X_test)},
                **{"n_features": X.shape[1], "k": k},
                **{"penalty": factor * default, "is_default": factor == 1.0},
                **measure_sensitivity(model, X_test),
                **{"r2": reconstruction_r2(model, X_test), "times_plain": times_plain},
            }
        )
    return rows


def measure_sensitivity(model, X: np.ndarray) -> dict[str, float]:
    module = copy.deepcopy(model.module_).double()
    spread = torch.from_numpy(model.transform(X).std(axis=0))

    def scaled_code(x: torch.Tensor) -> torch.Tensor:
        return module.encode(x[None])[0] / spread

    def reconstruction(x: torch.Tensor) -> torch.Tensor:
        return module.reconstruct(x[None])[0]

    functions = {"encode": scaled_code, "reconstruct": reconstruction}
    return {name: jacobian_norm(f, X) for name, f in functions.items()}


def jacobian_norm(function, X: np.ndarray) -> float:
    """Return the root mean squared Frobenius norm of the Jacobian over samples."""
    jacobian = vmap(jacrev(function))
    squares = [
        jacobian(part).detach().square().sum(dim=(1, 2))
        for part in torch.from_numpy(X).split(CHUNK_SIZE)
    ]
    return float(torch.cat(squares).mean().sqrt())


def time_fits(X: np.ndarray, k: int, plan: Plan) -> float:
    options = dict(max_iter=plan.timed_epochs, early_stopping=False, random_state=0)
    seconds = {AutoencoderTransformer: [], ContractiveAE: []}
    for _ in range(plan.repeats):
        for estimator, times in seconds.items():
            start = time.process_time()
            estimator(k, **options).fit(X)
            times.append(time.process_time() - start)
    plain, contractive = (np.median(times) for times in seconds.values())
    return contractive / plain
