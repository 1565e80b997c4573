"""Part "denoising" of ``robustness.py``: PSNR of denoised held-out samples.

All methods are fitted to clean samples and evaluated on corrupted ones. Images are in
[0, 1] and corrupted in three ways, without clipping; DenoisingAE trains with the function
that also corrupts the test samples. Tables are standardised, and have normal noise of
half a standard deviation, which is built into DenoisingAE.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from _robustness.data import Plan, flatten, load_images, load_table, psnr
from _robustness.denoisers import (
    Denoiser,
    fit_pca,
    fit_plain,
    fit_ridge,
    identity,
    make_filters,
)
from skae import DenoisingAE

N_COMPONENTS = 128  # of images; for tables, the number of features
PLAIN_COMPONENTS = (16, 64)
SIGMA = 0.25  # in grey levels of [0, 1]
FLIPPED = 0.2
MASKED = 0.3
TABLE_SIGMA = 0.5  # in standard deviations


def gaussian(x: Tensor, generator: torch.Generator) -> Tensor:
    return x + SIGMA * torch.empty_like(x).normal_(generator=generator)


def salt_and_pepper(x: Tensor, generator: torch.Generator) -> Tensor:
    draw = torch.empty_like(x).uniform_(generator=generator)
    return torch.where(draw < FLIPPED, (draw < FLIPPED / 2).to(x.dtype), x)


def masking(x: Tensor, generator: torch.Generator) -> Tensor:
    draw = torch.empty_like(x).uniform_(generator=generator)
    return torch.where(draw < MASKED, 0.0, x)


def table_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    return x + TABLE_SIGMA * torch.empty_like(x).normal_(generator=generator)


NOISES = {"gaussian": gaussian, "salt+pepper": salt_and_pepper, "masking": masking}


def run(plan: Plan) -> pd.DataFrame:
    rows = []
    for name in plan.images:
        rows += evaluate_images(name, plan)
    for name in plan.tables:
        rows += evaluate_table(name, plan)
    return pd.DataFrame(rows)


def evaluate_images(name: str, plan: Plan) -> list[dict]:
    train, test = load_images(name, plan)
    X, X_test = flatten(train), flatten(test)
    trained = dict(max_iter=plan.max_iter, random_state=0)
    fitted = {"noisy": identity, "PCA": fit_pca(X)}
    fitted["plain"] = fit_plain(X, undercomplete_widths(X), **trained)
    filters = make_filters(test.shape)
    rows = []
    for kind, noise in NOISES.items():
        methods = {
            **fitted,
            **filters,
            "ridge": fit_ridge(X, partial(corrupt, noise)),
            "DenoisingAE": fit_denoiser(X, N_COMPONENTS, corruption=noise, **trained),
        }
        labels = {"set": name, "noise": kind, "n_train": len(X)}
        rows += evaluate(labels, methods, X_test, corrupt(noise, X_test, 1))
    return rows


def evaluate_table(name: str, plan: Plan) -> list[dict]:
    X, X_test = load_table(name, plan)
    d = X.shape[1]
    trained = dict(max_iter=plan.max_iter, random_state=0)
    methods = {
        "noisy": identity,
        "PCA": fit_pca(X),
        "plain": fit_plain(X, undercomplete_widths(X), **trained),
        "ridge": fit_ridge(X, partial(corrupt, table_noise)),
        "DenoisingAE": fit_denoiser(X, d, noise_level=TABLE_SIGMA, **trained),
    }
    labels = {"set": name, "noise": "gaussian", "n_train": len(X)}
    return evaluate(labels, methods, X_test, corrupt(table_noise, X_test, 1))


def evaluate(
    labels: dict, methods: dict[str, Denoiser], clean: np.ndarray, corrupted: np.ndarray
) -> list[dict]:
    """Return a row per method, with its best setting on the test samples."""
    rows = []
    for method, denoise in methods.items():
        found = [(psnr(x, clean), setting) for setting, x in denoise(corrupted)]
        best, setting = max(found)
        rows.append(
            {
                **labels,
                **{"n_test": len(clean), "n_features": clean.shape[1]},
                **{"method": method, "setting": setting, "psnr": best},
            }
        )
    reference = next(row["psnr"] for row in rows if row["method"] == "PCA")
    return [row | {"gain_over_pca": row["psnr"] - reference} for row in rows]


def undercomplete_widths(X: np.ndarray) -> tuple[int, ...]:
    """Return widths of undercomplete codes."""
    d = X.shape[1]
    return tuple(k for k in PLAIN_COMPONENTS if k < d) or (d // 2,)


def corrupt(noise: Callable, X: np.ndarray, seed: int) -> np.ndarray:
    return noise(torch.from_numpy(X), torch.Generator().manual_seed(seed)).numpy()


def fit_denoiser(X: np.ndarray, n_components: int, **options) -> Denoiser:
    autoencoder = DenoisingAE(n_components, **options).fit(X)
    return lambda corrupted: [(f"k={n_components}", autoencoder.reconstruct(corrupted))]
