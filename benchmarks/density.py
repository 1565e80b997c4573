"""Held-out log-likelihood of VAETransformer and of scikit-learn's density estimators.

Features are standardised on the training samples, and those that are constant there are
removed, for all methods; scores are ``score_samples`` of held-out samples, in nats per
sample, means over seeds. PCA and FactorAnalysis have as many components as the VAE. The
hyperparameters of the other two are chosen on a fifth of the training samples: the number
of components and the covariance of ``GaussianMixture``, the bandwidth of
``KernelDensity``. The VAE has its defaults, or a mixture of 10, fitted to its codes, as
prior.

Usage::

    python benchmarks/density.py [--quick]

A CSV file, a figure and a JSON file of versions are written to ``benchmarks/results``;
those of ``--quick``, or without the data folder, to a temporary one.
"""

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _pca_vs_ae.report import console, make_table
from _shared import datasets
from matplotlib import pyplot as plt
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KernelDensity

from skae import VAETransformer

RESULTS = Path(__file__).with_name("results")
SETS = (
    *("frey_faces", "digits", "worm_neuron", "mouse_bladder"),
    *("cpu_act", "wine_quality", "dry_bean"),
)
K = 8
# Full covariances of more features have more parameters than there are samples.
MAX_FULL = 100


def best_of(candidates: list, X: np.ndarray, seed: int):
    """Select a candidate on a fifth of the samples, and refit it to all of them."""
    train, valid = train_test_split(X, test_size=0.2, random_state=seed)
    scores = [candidate.fit(train).score(valid) / len(valid) for candidate in candidates]
    return candidates[int(np.argmax(scores))].fit(X)


def fit_mixture(X: np.ndarray, seed: int) -> GaussianMixture:
    kinds = [(n, "diag") for n in (1, 10, 30)]
    if X.shape[1] <= MAX_FULL:
        kinds += [(n, "full") for n in (1, 3, 10, 30)]
    mixtures = [
        GaussianMixture(n, covariance_type=kind, reg_covar=1e-3, random_state=seed)
        for n, kind in kinds
    ]
    # GaussianMixture.score is a mean, KernelDensity.score a sum; a constant factor does
    # not change the selection.
    return best_of(mixtures, X, seed)


def fit_kernels(X: np.ndarray, seed: int) -> KernelDensity:
    widths = np.sqrt(X.shape[1]) * np.geomspace(0.03, 1.0, 12)
    return best_of([KernelDensity(bandwidth=width) for width in widths], X, seed)


def fit_vae(X: np.ndarray, seed: int, **options) -> VAETransformer:
    return VAETransformer(K, random_state=seed, **options).fit(X)


METHODS = {
    "PCA": lambda X, seed: PCA(K).fit(X),
    "FactorAnalysis": lambda X, seed: FactorAnalysis(K, random_state=seed).fit(X),
    "GaussianMixture": fit_mixture,
    "KernelDensity": fit_kernels,
    "VAE": fit_vae,
    "VAE, mixture": lambda X, seed: fit_vae(
        X, seed, prior=GaussianMixture(10, reg_covar=1e-3)
    ),
}


def evaluate(name: str, seed: int) -> list[dict]:
    data = datasets.hold_out(datasets.load(name), seed)
    varies = data.X_train.std(axis=0) > 0
    X, X_test = data.X_train[:, varies], data.X_test[:, varies]
    rows = []
    for method, fit in METHODS.items():
        start = time.process_time()
        model = fit(X, seed)
        seconds = time.process_time() - start
        rows.append(
            {
                "set": name,
                "seed": seed,
                "n_rows": len(X),
                "n_features": X.shape[1],
                "method": method,
                "score": model.score_samples(X_test).mean(),
                "median_score": np.median(model.score_samples(X_test)),
                "cpu_seconds": seconds,
            }
        )
    return rows


def show(frame: pd.DataFrame, column: str, title: str) -> None:
    table = make_table(title, "set", "n", "d", *METHODS)
    for name, rows in frame.groupby("set", sort=False):
        means = rows.groupby("method", sort=False)[column].mean()[list(METHODS)]
        best = means.idxmax()
        cells = [
            f"[bold]{value:.2f}[/bold]" if method == best else f"{value:.2f}"
            for method, value in means.items()
        ]
        sizes = rows[["n_rows", "n_features"]].iloc[0]
        table.add_row(name, *map(str, sizes), *cells)
    console.print(table)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw the gain of each method over PCA, in nats per feature."""
    means = frame.groupby(["set", "method"], sort=False)["score"].mean().unstack()
    widths = frame.groupby("set", sort=False)["n_features"].first()
    gain = means.sub(means["PCA"], axis=0).div(widths, axis=0)
    gain = gain.reindex(columns=[m for m in METHODS if m != "PCA"])
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    gain.clip(lower=-2).plot.bar(ax=axes, width=0.8, rot=20, xlabel="")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel(
        "held-out log-likelihood over PCA's,\nnats per feature (clipped at -2)"
    )
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    quick = parser.parse_args().quick
    has_data = datasets.FOLDER.is_dir()
    if not has_data:
        console.print("Data folder not found: only scikit-learn's data sets are used.")
    sets = SETS if has_data else ("digits", "breast_cancer", "wine", "diabetes")
    sets, seeds = (("wine",), 1) if quick else (sets, 3)
    torch.set_num_threads(1)
    # scikit-learn's models have their default max_iter.
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    for name in sets:
        for seed in range(seeds):
            rows += evaluate(name, seed)
        console.print(f"{name} done")
    frame = pd.DataFrame(rows)
    show(frame, "score", "Held-out log-likelihood, nats per sample")
    show(frame, "median_score", "The same, medians over samples")
    show(frame, "cpu_seconds", "CPU seconds of fit, with hyperparameter search")
    kept = has_data and not quick
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    frame.to_csv(folder / "density.csv", index=False, float_format="%.6g")
    draw(frame, folder / "density.png")
    packages = ("numpy", "scikit-learn", "torch", "skorch", "skae")
    facts = {"python": platform.python_version()} | {p: version(p) for p in packages}
    facts |= {"n_components": K, "seeds": seeds, "cores": os.cpu_count()}
    (folder / "density.json").write_text(json.dumps(facts, indent=2) + "\n")
    console.print(f"Results: {folder / 'density.csv'}")


if __name__ == "__main__":
    main()
