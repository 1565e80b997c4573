"""Conditional generation of digits by ConditionalVAE, translation and classification.

It is fitted to MNIST's training digits with their labels, in [0, 1], with a Bernoulli
likelihood and 6 components, otherwise with defaults. A 3-nearest-neighbour classifier on
the real training digits recognises classes:

samples
    The share of ``sample(n, y=c)`` recognised as c, of samples and of decoder means.
translations
    Of test digits, each translated to a random other class: the share whose recognised
    class changes, and the share with the requested one; and Pearson's correlation, before
    and after, of two style features that the label does not determine: the slant (of the
    inertia) and the thickness of strokes (ink over the length of outlines). The chance
    level ("of a stranger") is the same correlation with a random digit of the class.
predict
    Accuracy on test digits, compared with 5-NN on as many PCA codes.

Usage::

    python benchmarks/conditional.py [--quick]

A CSV file and a figure are written to ``benchmarks/results``; those of ``--quick``, or of
scikit-learn's digits without the data folder, to a temporary one.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _pca_vs_ae.report import console, make_table
from _shared import datasets
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skae import ConditionalVAE

RESULTS = Path(__file__).with_name("results")
K = 6


def load(n_train: int | None) -> tuple:
    """Return training and test samples in [0, 1], with labels."""
    path = datasets.FOLDER / "mnist.npz"
    if not path.exists():
        console.print("mnist.npz not found: scikit-learn's digits are used.")
        X, y = load_digits(return_X_y=True)
        parts = train_test_split(X / 16, y, random_state=0, stratify=y)
        X, X_test, y, y_test = parts
    else:
        file = np.load(path)
        X, X_test = (
            file[name].reshape(len(file[name]), -1).astype(np.float32) / 255
            for name in ("X_train", "X_test")
        )
        y, y_test = (file[name].astype(int) for name in ("y_train", "y_test"))
    return X[:n_train], y[:n_train], X_test[:n_train], y_test[:n_train]


def slant(images: np.ndarray) -> np.ndarray:
    """Horizontal shift per vertical pixel, by the second moments of the ink."""
    side = int(np.sqrt(images.shape[1]))
    ink = images.reshape(-1, side, side) + 1e-9
    ink = ink / ink.sum(axis=(1, 2), keepdims=True)
    rows, columns = np.mgrid[:side, :side]
    y = rows - (ink * rows).sum(axis=(1, 2))[:, None, None]
    x = columns - (ink * columns).sum(axis=(1, 2))[:, None, None]
    return (ink * x * y).sum(axis=(1, 2)) / (ink * y * y).sum(axis=(1, 2))


def thickness(images: np.ndarray) -> np.ndarray:
    """Ink over the length of its outline."""
    side = int(np.sqrt(images.shape[1]))
    ink = np.pad(images.reshape(-1, side, side), ((0, 0), (1, 1), (1, 1)))
    outline = sum(np.abs(np.diff(ink, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))
    return ink.sum(axis=(1, 2)) / np.maximum(outline, 1e-9)


def evaluate(n_train: int | None, n_drawn: int, max_iter) -> tuple[pd.DataFrame, tuple]:
    X, y, X_test, y_test = load(n_train)
    start = time.process_time()
    vae = ConditionalVAE(
        K, likelihood="bernoulli", max_iter=max_iter, random_state=0
    ).fit(X, y)
    results = {"fit, CPU seconds": time.process_time() - start}
    results["active units"] = vae.active_units_
    real = KNeighborsClassifier(3).fit(X, y)
    results["real test digits recognised"] = real.score(
        X_test[:n_drawn], y_test[:n_drawn]
    )

    requested = np.resize(vae.classes_, n_drawn)
    for noise in (True, False):
        drawn = vae.sample(n_drawn, y=requested, random_state=0, noise=noise)
        name = "drawn rows" if noise else "decoder means"
        results[f"samples recognised as asked, {name}"] = real.score(drawn, requested)

    rng = np.random.RandomState(0)
    digits, labels = X_test[:n_drawn], y_test[:n_drawn]
    others = vae.classes_[
        (np.searchsorted(vae.classes_, labels) + rng.randint(1, 10, len(labels))) % 10
    ]
    translated = vae.translate(digits, labels, others)
    recognised = real.predict(translated)
    results["translations that change class"] = np.mean(recognised != labels)
    results["translations recognised as asked"] = np.mean(recognised == others)
    random_digit = X[[rng.choice(np.flatnonzero(y == other)) for other in others]]
    pairs = {"kept": translated, "of a stranger": random_digit}
    for style in (slant, thickness):
        for pair, images in pairs.items():
            correlation = np.corrcoef(style(digits), style(images))[0, 1]
            results[f"{style.__name__} {pair}, correlation"] = correlation

    start = time.process_time()
    results["predict, accuracy"] = np.mean(vae.predict(X_test) == y_test)
    results["predict, CPU seconds"] = time.process_time() - start
    on_codes = make_pipeline(PCA(K), KNeighborsClassifier(5)).fit(X, y)
    results["5-NN on PCA codes, accuracy"] = on_codes.score(X_test, y_test)
    frame = pd.DataFrame(results.items(), columns=["figure", "value"])
    return frame, (vae, digits, labels)


def draw(vae: ConditionalVAE, X: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """Draw samples by class, translations of a digit to each class, and traversals."""
    side = int(np.sqrt(X.shape[1]))
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
    classes = vae.classes_
    samples = [vae.sample(10, y=label, random_state=0, noise=False) for label in classes]
    translated = [
        np.vstack(
            [
                X[i : i + 1],
                *(
                    vae.translate(X[i : i + 1], labels[i : i + 1], label)
                    for label in classes
                ),
            ]
        )
        for i in range(10)
    ]
    varied = [vae.traverse(j, np.linspace(-2.5, 2.5, 10), y=classes[3]) for j in range(K)]
    titles = (
        "sample(10, y=c), a line each",
        "test digit, then translate(X, y, c)",
        "traverse(component, values, y=3)",
    )
    for panel, grid, title in zip(
        panels, (samples, translated, varied), titles, strict=True
    ):
        lines = [np.hstack(images.reshape(-1, side, side)) for images in grid]
        panel.imshow(np.vstack(lines), cmap="gray_r")
        panel.set_title(title)
        panel.axis("off")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    plan = (1000, 200, 3) if quick else (None, 5000, "auto")
    frame, drawn = evaluate(*plan)
    table = make_table("ConditionalVAE", "figure", "value")
    for name, value in frame.itertuples(index=False):
        table.add_row(name, f"{value:.3f}")
    console.print(table)
    kept = datasets.FOLDER.is_dir() and not quick
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    frame.to_csv(folder / "conditional.csv", index=False, float_format="%.6g")
    draw(*drawn, folder / "conditional.png")
    console.print(f"Results: {folder / 'conditional.csv'}")


if __name__ == "__main__":
    main()
