"""Convolutional networks compared with fully connected ones, on images.

Both in AutoencoderTransformer and in VAETransformer, with the defaults of each:

mlp
    The default network, ``encoder=None``.
conv
    ``conv_encoder`` and ``conv_decoder``, which have at most as many weights as the mlp.
conv, mlp's time
    Fewer channels, and as many epochs as take the CPU time of the mlp.

For each set and seed: the squared error on held-out images over PCA's, 5-NN accuracy on
codes, CPU seconds of the fit, number of weights. Of the VAEs, for the first seed:
precision and recall of samples as in ``generation.py``. Further networks are added to
``NETWORKS``.

Usage::

    python benchmarks/images.py [--quick]

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
from functools import partial
from importlib.metadata import version
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from _pca_vs_ae.report import console, make_table
from _shared import datasets
from generation import compare
from joblib import Parallel, delayed
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer, VAETransformer
from skae.networks import conv_decoder, conv_encoder

matplotlib.use("Agg")  # before pyplot is imported

import matplotlib.pyplot as plt

SHAPES = {
    "mnist": (1, 28, 28),
    "fashion_mnist": (1, 28, 28),
    "coil20": (1, 32, 32),
    "olivetti_faces": (1, 64, 64),
    "digits": (1, 8, 8),
}
SETS = tuple(SHAPES)[:4]
PHOTOGRAPHS = ("coil20", "olivetti_faces")
N_COMPONENTS = 16
NARROW = (16, 32)
NETWORKS = ("mlp", "conv", "conv, mlp's time")
COLORS = {"mlp": "#E69F00", "conv": "#0072B2", "conv, mlp's time": "#56B4E9"}
MARKERS = {"mlp": "s", "conv": "o", "conv, mlp's time": "D"}


def builders(network: str, shape: tuple) -> dict:
    if network == "mlp":
        return {}
    build = {"encoder": conv_encoder, "decoder": conv_decoder}
    channels = {"encoder": "auto", "decoder": "auto"}
    if network != "conv":
        channels = {"encoder": NARROW, "decoder": NARROW[::-1]}
    return {
        name: partial(build[name], image_shape=shape, channels=channels[name])
        for name in build
    }


def load(name: str, seed: int) -> datasets.Split:
    data = datasets.hold_out(datasets.load(name), seed, standardise=False)
    largest = data.X_train.max()
    images = (np.float32(part / largest) for part in data[:2])
    return datasets.Split(*images, *data[2:])


def fit_within(seconds: float, model, X: np.ndarray):
    """Fit for the number of epochs with about this CPU time, at least one."""
    _, two_epochs = fit_timed(model.set_params(max_iter=2), X)
    n_epochs = max(1, round(2 * seconds / two_epochs))
    return fit_timed(model.set_params(max_iter=n_epochs), X)


def fit_timed(model, X: np.ndarray) -> tuple:
    start = time.process_time()
    model.fit(X)
    return model, time.process_time() - start


def squared_error(model, X: np.ndarray) -> float:
    reconstruction = model.inverse_transform(model.transform(X))
    return float(np.square(np.subtract(X, reconstruction, dtype=float)).sum())


def accuracy(model, data: datasets.Split) -> float:
    classifier = KNeighborsClassifier(5).fit(model.transform(data.X_train), data.y_train)
    return classifier.score(model.transform(data.X_test), data.y_test)


def evaluate(name: str, seed: int, max_iter) -> list[dict]:
    data = load(name, seed)
    pca = PCA(N_COMPONENTS, random_state=seed).fit(data.X_train)
    base = squared_error(pca, data.X_test)
    found = {"set": name, "seed": seed}
    lines = [{**found, "network": "PCA", "error": 1.0, "knn": accuracy(pca, data)}]
    seconds = None
    for network in NETWORKS:
        model = AutoencoderTransformer(
            N_COMPONENTS,
            **builders(network, SHAPES[name]),
            max_iter=max_iter,
            random_state=seed,
        )
        if network == "conv, mlp's time":
            model, taken = fit_within(seconds, model, data.X_train)
        else:
            model, taken = fit_timed(model, data.X_train)
        seconds = taken if seconds is None else seconds
        lines.append(
            {
                **found,
                "network": network,
                "error": squared_error(model, data.X_test) / base,
                "knn": accuracy(model, data),
                "cpu_seconds": taken,
                "weights": sum(p.numel() for p in model.module_.parameters()),
                "epochs": model.n_iter_,
            }
        )
    return lines


def evaluate_samples(name: str, max_iter) -> tuple[list[dict], dict]:
    data = load(name, 0)
    lines, drawn = [], {"real": data.X_test[:8]}
    for network in NETWORKS[:2]:
        vae = VAETransformer(
            N_COMPONENTS,
            **builders(network, SHAPES[name]),
            max_iter=max_iter,
            random_state=0,
        ).fit(data.X_train)
        generated = vae.sample(len(data.X_test), random_state=0, noise=False)
        found = compare(data.X_test, generated)
        lines.append({"set": name, "network": network, **found})
        drawn[network] = generated[:8]
    return lines, drawn


def draw(frame: pd.DataFrame, drawn: dict[str, dict], path: Path) -> None:
    figure = plt.figure(figsize=(12, 7), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.4, 1))
    panels = top.subplots(1, 2)
    names = list(dict.fromkeys(frame["set"]))
    for panel, column in zip(panels, ("error", "knn"), strict=True):
        for shift, network in enumerate(NETWORKS):
            some = frame[frame["network"] == network]
            places = [names.index(name) + 0.2 * (shift - 1) for name in some["set"]]
            panel.plot(
                places,
                some[column],
                linestyle="",
                marker=MARKERS[network],
                color=COLORS[network],
                alpha=0.8,
                label=network,
            )
        panel.set_xticks(range(len(names)), names)
    base = frame[frame["network"] == "PCA"].groupby("set", sort=False)["knn"].median()
    panels[0].axhline(1.0, color="black", lw=1)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("held-out error over PCA's")
    panels[0].set_title(f"Error of {N_COMPONENTS} components (PCA: 1)")
    panels[1].hlines(
        base, np.arange(len(names)) - 0.35, np.arange(len(names)) + 0.35, "black", lw=1
    )
    panels[1].set_ylabel("accuracy")
    panels[1].set_title("Five nearest neighbours on codes (PCA: line)")
    panels[0].legend()
    draw_samples(bottom, drawn)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_samples(figure, drawn: dict[str, dict]) -> None:
    kinds = {"real": "held-out images", "mlp": "VAE, mlp", "conv": "VAE, conv"}
    panels = figure.subplots(len(kinds), len(drawn), squeeze=False)
    for row, (kind, title) in zip(panels, kinds.items(), strict=True):
        for panel, (name, images) in zip(row, drawn.items(), strict=True):
            height, width = SHAPES[name][1:]
            strip = images[kind].reshape(-1, height, width).transpose(1, 0, 2)
            cmap = "gray" if name in PHOTOGRAPHS else "gray_r"
            panel.imshow(strip.reshape(height, -1), cmap=cmap, vmin=0, vmax=1)
            panel.set(xticks=[], yticks=[])
            panel.set_title(f"{name}: {title}", fontsize=9)


def show(frame: pd.DataFrame, samples: pd.DataFrame) -> None:
    table = make_table(
        "Held-out error over PCA's, and its cost: medians",
        *("set", "network", "error", "5-NN", "CPU s", "weights"),
    )
    for (name, network), some in frame.groupby(["set", "network"], sort=False):
        row = some.median(numeric_only=True)
        taken = ["", ""]
        if network != "PCA":
            taken = [f"{row['cpu_seconds']:.1f}", f"{row['weights']:,.0f}"]
        table.add_row(name, network, f"{row['error']:.3f}", f"{row['knn']:.3f}", *taken)
    console.print(table)
    table = make_table("Samples of VAEs", "set", "network", "precision", "recall")
    for row in samples.itertuples():
        table.add_row(row.set, row.network, f"{row.precision:.2f}", f"{row.recall:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    quick = parser.parse_args().quick
    has_data = datasets.FOLDER.is_dir()
    if not has_data:
        console.print(f"{datasets.FOLDER} is not a folder: only digits are used.")
    names = SETS if has_data and not quick else ("digits",)
    n_seeds, max_iter = (1, 3) if quick else (3, "auto")
    folder = Path(__file__).parent / "results"
    if quick or not has_data:
        folder = Path(tempfile.mkdtemp())

    jobs = [delayed(evaluate)(n, s, max_iter) for n in names for s in range(n_seeds)]
    found = Parallel(n_jobs=2)(jobs)
    frame = pd.DataFrame([line for lines in found for line in lines])
    found = Parallel(n_jobs=2)(delayed(evaluate_samples)(n, max_iter) for n in names)
    samples = pd.DataFrame([line for lines, _ in found for line in lines])

    frame.round(4).to_csv(folder / "images.csv", index=False)
    samples.round(4).to_csv(folder / "images_samples.csv", index=False)
    drawn = {name: images for name, (_, images) in zip(names, found, strict=True)}
    draw(frame, drawn, folder / "images.png")
    packages = ("numpy", "scikit-learn", "torch")
    about = {"python": platform.python_version(), **{p: version(p) for p in packages}}
    (folder / "images.json").write_text(json.dumps(about, indent=2) + "\n")
    show(frame, samples)
    console.print(f"Written to {folder}")


if __name__ == "__main__":
    main()
