"""VQVAE compared with k-means, product quantisation and simple densities of code indices.

k_means
    One code index, linear encoder and decoder, no early stopping: the training inertia
    over that of KMeans(n_init=10), with the codebook initialised at cluster centres and
    at random; unused codebook entries; perplexity; and the relative difference of the
    loss at fixed weights between batches of 32 and of 1,024 samples.
error
    Error on held-out samples, as a share of their variance, at equal bits per sample:
    k-means (one index), product quantisation of adjacent features and of principal
    components, and VQVAE with its defaults. Tables are standardised, images are not.
prior
    Negative log-likelihood of held-out code indices, in nats per sample: independent
    indices ("independent words"), a bigram model ("given the word before") and the
    Transformer.
samples
    MNIST: samples of each class, their distance to the nearest training sample, also for
    held-out digits and reconstructions, and the share that 3-NN classifies as the
    requested class. "independent words" draws each index from its marginal distribution.

Usage::

    python benchmarks/discrete.py [--quick] [--parts k_means ...]

A CSV file per part, a figure and a JSON file of versions are written to
``benchmarks/results``; those of ``--quick``, of ``--parts`` and without the data folder
to a temporary folder.
"""

import os

# Read by numpy and torch at import; CPU seconds are those of one thread.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from _discrete.figure import draw
from _discrete.peers import ProductQuantiser, bigram, unigram
from _pca_vs_ae.report import console, make_table
from _shared import datasets
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from skae import VQVAE
from skae._data.dataset import Dataset
from skae._training.inference import prepare

RESULTS = Path(__file__).with_name("results")
IMAGES = ("mnist", "fashion_mnist", "usps", "digits")
K = 64


class Plan(NamedTuple):
    linear: tuple[str, ...]  # sets of the part "k_means"
    sets: tuple[str, ...]
    words: tuple[int, ...]  # numbers of code indices per sample
    n_seeds: int
    max_iter: int | str
    n_digits: int
    n_words: int  # code indices per digit


FULL = Plan(
    linear=("digits", "letter", "dry_bean", "usps"),
    sets=("mnist", "fashion_mnist", "usps", "letter", "dry_bean", "cpu_act"),
    words=(1, 2, 4, 8),
    n_seeds=3,
    max_iter="auto",
    n_digits=20_000,
    n_words=8,
)
SHIPPED = FULL._replace(linear=("digits", "breast_cancer"), sets=("digits", "wine"))
QUICK = Plan(("digits",), ("digits",), (1, 2), 1, 3, 1_000, 4)


def split(name: str, seed: int) -> datasets.Split:
    data = datasets.load(name)
    return datasets.hold_out(data, seed, standardise=name not in IMAGES)


def compare_with_k_means(plan: Plan) -> pd.DataFrame:
    rows = []
    for name in plan.linear:
        for seed in range(plan.n_seeds):
            X = split(name, seed).X_train
            inertia = KMeans(K, n_init=10, random_state=seed).fit(X).inertia_
            for codebook_init in ("kmeans", "random"):
                fitted = VQVAE(
                    1,
                    n_codes=K,
                    code_dim=min(63, X.shape[1]),
                    hidden_layer_sizes=(),
                    codebook_init=codebook_init,
                    early_stopping=False,
                    prior=None,
                    max_iter=plan.max_iter,
                    random_state=seed,
                ).fit(X)
                rows.append(
                    {
                        "set": name,
                        "seed": seed,
                        "start": codebook_init,
                        "inertia_ratio": sum_of_squares(fitted, X) / inertia,
                        "dead_words": int((fitted.usage_ == 0).sum()),
                        "perplexity": fitted.perplexity_,
                        "loss_difference": compare_batches(fitted, X),
                    }
                )
    return pd.DataFrame(rows)


def sum_of_squares(fitted: VQVAE, X: np.ndarray) -> float:
    return -fitted.score_samples(X).sum() * X.shape[1]


def compare_batches(fitted: VQVAE, X: np.ndarray) -> float:
    """Relative difference of the mean training loss in batches of 32 and of 1,024."""
    module = fitted.module_.train()
    criterion = fitted._make_criterion(module)
    found = []
    with torch.no_grad():
        for size in (32, 1024):
            batches = Dataset(X[:1024]).chunks(size)
            parts = [prepare(module, batch) for batch in batches]
            losses = [criterion(module(p.x), p.target) for p in parts]
            found.append(torch.cat(losses).double().mean())
    module.eval()
    return float(abs(found[0] - found[1]) / found[1])


def compare_errors(plan: Plan) -> pd.DataFrame:
    rows = []
    for name in plan.sets:
        for seed in range(plan.n_seeds):
            X, X_test, *_ = split(name, seed)
            n_codes = min(K, len(X) // 4)
            variance = np.square(X_test - X.mean(axis=0)).sum()
            for n_components in plan.words:
                sizes = n_components, n_codes
                row = {"set": name, "seed": seed, "words": n_components, "codes": n_codes}
                row["bits"] = n_components * np.log2(n_codes)
                for method, error in quantise(X, X_test, *sizes, seed, plan):
                    rows.append({**row, "method": method, "error": error / variance})
        console.print(f"error: {name} done")
    return pd.DataFrame(rows)


def quantise(X, X_test, n_components: int, n_codes: int, seed: int, plan: Plan):
    """Yield methods and their sums of squared errors."""
    if n_components == 1:
        means = KMeans(n_codes, n_init=10, random_state=seed).fit(X)
        yield "k-means", np.square(means.transform(X_test).min(axis=1)).sum()
    else:
        for rotated, method in ((False, "columns"), (True, "components")):
            peer = ProductQuantiser(n_components, n_codes, seed, rotated).fit(X)
            yield f"product quantisation, {method}", peer.error(X_test)
    options = {"prior": None, "max_iter": plan.max_iter, "random_state": seed}
    fitted = VQVAE(n_components, n_codes=n_codes, **options).fit(X)
    yield "VQVAE", sum_of_squares(fitted, X_test)


def compare_priors(plan: Plan) -> pd.DataFrame:
    rows = []
    for name in plan.sets:
        for seed in range(plan.n_seeds):
            X, X_test, *_ = split(name, seed)
            fitted = VQVAE(
                plan.words[-1], n_codes=K, max_iter=plan.max_iter, random_state=seed
            ).fit(X)
            codes, held_out = fitted.code_indices(X), fitted.code_indices(X_test)
            results = {
                "independent words": unigram(codes, held_out, K),
                "given the word before": bigram(codes, held_out, K),
                "Transformer": -fitted.score_codes(held_out).mean(),
            }
            for method, nats in results.items():
                rows.append({"set": name, "seed": seed, "method": method, "nats": nats})
        console.print(f"prior: {name} done")
    return pd.DataFrame(rows)


def load_images(n_train: int) -> tuple[np.ndarray, ...]:
    """Training and held-out samples in [0, 1], with labels."""
    path = datasets.FOLDER / "mnist.npz"
    if not path.exists():
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        return X[:1200], y[:1200], X[1200:], y[1200:]
    file = np.load(path)
    X, X_test = (
        file[name].reshape(len(file[name]), -1)[:n].astype(np.float32) / 255
        for name, n in (("X_train", n_train), ("X_test", 2_000))
    )
    return X, file["y_train"][:n_train].astype(int), X_test, file["y_test"][:2_000]


def draw_samples(plan: Plan) -> tuple[pd.DataFrame, dict]:
    X, y, X_test, y_test = load_images(plan.n_digits)
    start = time.process_time()
    fitted = VQVAE(
        plan.n_words,
        n_codes=128,
        loss="bernoulli",
        conditional=True,
        max_iter=plan.max_iter,
        random_state=0,
    ).fit(X, y)
    seconds = time.process_time() - start
    y_new = np.repeat(np.arange(10), len(X_test) // 10)
    rng = np.random.RandomState(0)
    independent = np.stack(
        [rng.choice(len(share), len(y_new), p=share) for share in fitted.usage_], axis=1
    )
    kinds = {
        "held-out digits": (X_test, y_test),
        "reconstructions": (fitted.reconstruct(X_test), y_test),
        "samples": (fitted.sample(len(y_new), y=y_new, random_state=0), y_new),
        "samples, temperature 0.8": (
            fitted.sample(len(y_new), y=y_new, temperature=0.8, random_state=0),
            y_new,
        ),
        "independent words": (fitted.inverse_transform(independent), None),
    }
    nearest = NearestNeighbors(n_neighbors=1).fit(X)
    classifier = KNeighborsClassifier(3).fit(X, y)
    rows, distances = [], {}
    for kind, (digits, labels) in kinds.items():
        digits = digits.astype(np.float32)
        distances[kind] = nearest.kneighbors(digits)[0].ravel()
        quartiles = np.percentile(distances[kind], [25, 50, 75])
        row = dict(zip(("lower", "median", "upper"), quartiles, strict=True))
        row["recognised"] = np.nan if labels is None else classifier.score(digits, labels)
        rows.append({"kind": kind, **row, "fit_cpu_seconds": seconds})
    grid = fitted.sample(100, y=np.repeat(np.arange(10), 10), random_state=1)
    return pd.DataFrame(rows), {"distances": distances, "grid": grid}


# Tables.


def show(part: str, frame: pd.DataFrame) -> None:
    table = make_table(part, *SUMMARIES[part](frame).reset_index().columns.astype(str))
    for row in SUMMARIES[part](frame).reset_index().itertuples(index=False):
        cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row]
        table.add_row(*cells)
    console.print(table)


SUMMARIES = {
    "k_means": lambda frame: frame.groupby(["set", "start"], sort=False).agg(
        largest_ratio=("inertia_ratio", "max"),
        unused_entries=("dead_words", "max"),
        smallest_perplexity=("perplexity", "min"),
        loss_difference=("loss_difference", "max"),
    ),
    "error": lambda frame: frame.pivot_table(
        index=["set", "words"], columns="method", values="error", sort=False
    ),
    "prior": lambda frame: frame.pivot_table(
        index="set", columns="method", values="nats", sort=False
    ),
    "samples": lambda frame: frame.set_index("kind"),
}
PARTS = {
    "k_means": compare_with_k_means,
    "error": compare_errors,
    "prior": compare_priors,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    names = [*PARTS, "samples"]
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plan = FULL
    if not datasets.FOLDER.is_dir():
        console.print(f"{datasets.FOLDER} is not a folder: scikit-learn's sets are used.")
        plan = SHIPPED
    plan = QUICK if options.quick else plan
    kept = plan is FULL and set(options.parts) == set(names)
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    frames, drawn = {}, {}
    for part in options.parts:
        if part == "samples":
            frames[part], drawn = draw_samples(plan)
        else:
            frames[part] = PARTS[part](plan)
        path = folder / f"discrete_{part}.csv"
        frames[part].to_csv(path, index=False, float_format="%.6g")
        show(part, frames[part])
    draw(frames, drawn, folder / "discrete.png")
    facts = {name: version(name) for name in ("scikit-learn", "torch", "skae")}
    facts = {"python": platform.python_version(), **facts, **plan._asdict()}
    (folder / "discrete.json").write_text(json.dumps(facts, indent=2) + "\n")
    console.print(f"Results: {folder}", soft_wrap=True)


if __name__ == "__main__":
    main()
