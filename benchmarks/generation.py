"""Quality of synthetic data, and the cost of matching codes to a prior.

Two parts, with features standardised on the training samples:

samples
    As many generated samples as held-out ones, compared in balls that reach to the fifth
    neighbour: precision (generated samples in a ball of a held-out one), recall (held-out
    samples in a ball of a generated one; Kynkaanniemi et al., "Improved precision and
    recall metric for assessing generative models", NeurIPS 2019), density and coverage
    (Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML
    2020). "real rows" are training samples, the level to reach. Further generators are
    added to ``GENERATORS``.
match
    Of AdversarialAE with its defaults: the energy distance between held-out codes and
    draws of the prior, over the mean one between two draws of that size; and the squared
    error on held-out samples over that of AutoencoderTransformer of the same width.

Usage::

    python benchmarks/generation.py [--quick]

CSV files, a figure and a JSON file of versions are written to ``benchmarks/results``;
those of ``--quick``, or without the data folder, to a temporary one.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _pca_vs_ae.report import console, make_table
from _shared import datasets
from matplotlib import pyplot as plt
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.metrics import euclidean_distances
from sklearn.mixture import GaussianMixture

from skae import AdversarialAE, AutoencoderTransformer, VAETransformer
from skae._adversarial.priors import Mixture, Normal, SwissRoll

RESULTS = Path(__file__).with_name("results")
SETS = ("digits", "mnist", "letter", "dry_bean", "usps")
SHIPPED = ("digits", "breast_cancer", "wine")
K = 8
N_NEIGHBORS = 5
MAX_FULL = 100  # features of a mixture with full covariances


# Generators: fit to X, and return n_samples samples.


def sample_pca(X: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
    """Samples of PCA with independent normal codes."""
    pca = PCA(K).fit(X)
    codes = np.random.RandomState(seed).normal(size=(n_samples, K))
    return pca.inverse_transform(codes * np.sqrt(pca.explained_variance_))


def sample_mixture(X: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
    kind = "full" if X.shape[1] <= MAX_FULL else "diag"
    mixture = GaussianMixture(
        10, covariance_type=kind, reg_covar=1e-3, random_state=seed
    ).fit(X)
    return mixture.sample(n_samples)[0]


def by(model):
    """Generator of an estimator with ``sample``."""

    def generate(X: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
        fitted = model(random_state=seed).fit(X)
        return fitted.sample(n_samples, random_state=seed)

    return generate


def sample_vae_means(X: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
    fitted = VAETransformer(K, random_state=seed).fit(X)
    return fitted.sample(n_samples, random_state=seed, noise=False)


GENERATORS = {
    "real rows": lambda X, n, seed: X[:n],
    "AdversarialAE": by(lambda **seed: AdversarialAE(K, **seed)),
    "AdversarialAE, mmd": by(lambda **seed: AdversarialAE(K, divergence="mmd", **seed)),
    "VAE": by(lambda **seed: VAETransformer(K, **seed)),
    "VAE, means": sample_vae_means,
    "PCA, normal codes": sample_pca,
    "GaussianMixture": sample_mixture,
}
FIGURES = ("precision", "recall", "density", "coverage")


def radii(X: np.ndarray) -> np.ndarray:
    distances = euclidean_distances(X)
    return np.partition(distances, N_NEIGHBORS, axis=1)[:, N_NEIGHBORS]


def compare(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    distances = euclidean_distances(real, generated)
    in_real = distances <= radii(real)[:, None]
    in_generated = distances <= radii(generated)[None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": in_generated.any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / N_NEIGHBORS,
        "coverage": in_real.any(axis=1).mean(),
    }


def evaluate_samples(sets: tuple, n_seeds: int) -> pd.DataFrame:
    rows = []
    for name in sets:
        for seed in range(n_seeds):
            data = datasets.hold_out(datasets.load(name), seed)
            for method, generate in GENERATORS.items():
                start = time.process_time()
                generated = generate(data.X_train, len(data.X_test), seed)
                seconds = time.process_time() - start
                row = {"set": name, "seed": seed, "method": method}
                figures = compare(data.X_test, generated)
                rows.append({**row, **figures, "cpu_seconds": seconds})
        console.print(f"samples: {name} done")
    return pd.DataFrame(rows)


# Distance of codes to the prior.

PRIORS = {
    "normal": Normal,
    "mixture": lambda k: Mixture(k, 10),
    "swiss_roll": lambda k: SwissRoll(),
}


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()


def energy_ratio(codes: np.ndarray, prior, n_repeats: int = 10) -> float:
    """Energy distance to the prior, over the mean between two draws of that size."""
    generator = torch.Generator().manual_seed(0)

    def draw() -> np.ndarray:
        return prior.draw(len(codes), generator, dtype=torch.float64).numpy()

    own = [energy_distance(draw(), draw()) for _ in range(n_repeats)]
    return np.mean([energy_distance(codes, draw()) for _ in range(3)]) / np.mean(own)


def plan(n_seeds: int, few_seeds: int, widths: tuple) -> list[tuple]:
    """Prior, divergence, width and number of seeds."""
    found = [("normal", d, k, n_seeds) for k in widths for d in ("adversarial", "mmd")]
    found += [(prior, "adversarial", 2, few_seeds) for prior in ("mixture", "swiss_roll")]
    return found


def evaluate_match(sets: tuple, settings: list[tuple], path: Path) -> pd.DataFrame:
    rows, errors = [], {}
    for prior, divergence, k, n_seeds in settings:
        for name in sets:
            for seed in range(n_seeds):
                data = datasets.hold_out(datasets.load(name), seed)
                if (name, k, seed) not in errors:
                    plain = AutoencoderTransformer(k, random_state=seed)
                    errors[name, k, seed] = timed_error(plain, data)
                error, seconds = errors[name, k, seed]
                model = AdversarialAE(
                    k, prior=prior, divergence=divergence, random_state=seed
                )
                own_error, own_seconds = timed_error(model, data)
                codes = model.transform(data.X_test)
                rows.append(
                    {
                        "set": name,
                        "seed": seed,
                        "k": k,
                        "prior": prior,
                        "divergence": divergence,
                        "energy_ratio": energy_ratio(codes, PRIORS[prior](k)),
                        "error_ratio": own_error / error,
                        "time_ratio": own_seconds / seconds,
                    }
                )
        # In case of an interruption.
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g")
        console.print(f"match: {prior}, {divergence}, k={k} done")
    return pd.DataFrame(rows)


def timed_error(model, data: datasets.Split) -> tuple[float, float]:
    start = time.process_time()
    model.fit(data.X_train)
    seconds = time.process_time() - start
    return -model.score(data.X_test), seconds


# Tables and figure.


def show_samples(frame: pd.DataFrame) -> None:
    for figure in FIGURES:
        table = make_table(f"Samples: {figure}", "set", *GENERATORS)
        means = frame.pivot_table(figure, "set", "method", sort=False)[list(GENERATORS)]
        for name, row in means.iterrows():
            table.add_row(name, *(f"{value:.2f}" for value in row))
        table.add_row("mean", *(f"{value:.2f}" for value in means.mean()))
        console.print(table)


def show_match(frame: pd.DataFrame) -> None:
    headings = ("setting", "energy: mean", "largest", "<= 2", "error: mean", "largest")
    table = make_table("Codes against prior, error against plain AE", *headings, "time")
    keys = ["prior", "divergence", "k", "set"]
    for key, rows in frame.groupby(keys, sort=False):
        energy, error = rows["energy_ratio"], rows["error_ratio"]
        table.add_row(
            " ".join(map(str, key)),
            f"{energy.mean():.2f}",
            f"{energy.max():.2f}",
            f"{(energy <= 2).sum()}/{len(rows)}",
            f"{error.mean():.3f}",
            f"{error.max():.3f}",
            f"{rows['time_ratio'].median():.1f}",
        )
    console.print(table)


def draw(samples: pd.DataFrame, match: pd.DataFrame, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
    means = samples.groupby("method", sort=False)[list(FIGURES)].mean()
    means.plot.bar(ax=left, width=0.8, rot=25, xlabel="", title="samples, mean of sets")
    kinds = match.groupby(["prior", "divergence", "k"], sort=False)
    for (prior, divergence, k), rows in kinds:
        label = f"{prior}, {divergence}, k={k}"
        right.scatter(rows["error_ratio"], rows["energy_ratio"], s=14, label=label)
    right.axhline(2, color="black", linewidth=0.8)
    right.axvline(1.1, color="black", linewidth=0.8)
    right.set(xscale="log", yscale="log", title="match, a dot for each fit")
    right.set(xlabel="error / plain autoencoder's", ylabel="energy distance / draws'")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    quick = parser.parse_args().quick
    has_data = datasets.FOLDER.is_dir()
    if not has_data:
        console.print("Data folder not found: only scikit-learn's data sets are used.")
    sets = SETS if has_data else SHIPPED
    settings = plan(5, 3, (2, K))
    if quick:
        sets, settings = ("wine",), plan(1, 1, (2,))
    torch.set_num_threads(1)
    kept = has_data and not quick
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    samples = evaluate_samples(sets, 1)
    samples.to_csv(folder / "generation.csv", index=False, float_format="%.6g")
    show_samples(samples)
    match = evaluate_match(sets, settings, folder / "generation_match.csv")
    show_match(match)
    draw(samples, match, folder / "generation.png")
    packages = ("numpy", "scikit-learn", "torch", "skorch", "skae")
    facts = {"python": platform.python_version()} | {p: version(p) for p in packages}
    facts |= {"n_components": K, "cores": os.cpu_count()}
    (folder / "generation.json").write_text(json.dumps(facts, indent=2) + "\n")
    console.print(f"Results: {folder / 'generation.csv'}")


if __name__ == "__main__":
    main()
