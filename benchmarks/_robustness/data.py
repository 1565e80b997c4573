"""Data sets, sizes and units of ``robustness.py``.

30 % of the samples are held out as in :mod:`datasets`, and adjacent samples stay together
to avoid leakage: blocks of 50 frames of frey_faces, engines of cmapss_fd001, and blocks
of 500 readings of skab.
"""

from typing import NamedTuple

import numpy as np
from _shared import datasets

# Largest value of a pixel, where it is not 1.
WHITE = {"digits": 16, "mnist": 255, "fashion_mnist": 255} | {
    name: 255 for name in ("frey_faces", "olivetti_faces")
}
# Images that are not square.
SHAPES = {"frey_faces": (28, 20)}
PIXELS = ("usps", *WHITE)
READINGS_PER_BLOCK = 500


class Plan(NamedTuple):
    """Data sets and sizes of a run."""

    images: tuple[str, ...] = ("mnist", "fashion_mnist", "frey_faces", "olivetti_faces")
    tables: tuple[str, ...] = ("skab", "cmapss_fd001", "isolet1")
    labelled: tuple[str, ...] = (
        *("digits", "usps", "mnist", "fashion_mnist"),
        *("letter", "dry_bean", "isolet1", "pbmc68k_reduced"),
    )
    patched: str = "olivetti_faces"
    genes: tuple[str, ...] = ("pbmc68k_reduced",)
    contracted: tuple[str, ...] = ("digits", "letter", "dry_bean", "cmapss_fd001")
    paired: str = "fashion_mnist"
    n_train: int = 10_000
    n_test: int = 1_000
    n_labelled: int = 4_000
    label_seeds: int = 1  # of the split and of the networks
    n_patches: int = 20_000
    n_planted: int = 20_000
    n_contracted: int = 5_000
    n_dictionary: int = 5_000  # samples for DictionaryLearning
    dictionary_iterations: int = 20  # of DictionaryLearning
    online_iterations: int = 1_000  # of MiniBatchDictionaryLearning, maximum
    repeats: int = 3  # of timed fits
    timed_epochs: int = 20
    max_iter: int | str = "auto"


FULL = Plan()
# Data sets of scikit-learn.
SHIPPED = Plan(
    images=("digits",),
    tables=("breast_cancer",),
    labelled=("digits", "breast_cancer", "wine", "iris"),
    patched="digits",
    genes=(),
    contracted=("digits", "breast_cancer"),
    paired="digits",
)
QUICK = SHIPPED._replace(
    labelled=("digits",),
    contracted=("breast_cancer",),
    n_train=300,
    n_test=50,
    n_labelled=300,
    n_patches=400,
    n_planted=400,
    n_contracted=300,
    n_dictionary=100,
    dictionary_iterations=1,
    online_iterations=2,
    repeats=1,
    timed_epochs=2,
    max_iter=2,
)


def load_images(name: str, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out images in [0, 1], with two axes each."""
    held_out = hold_out(name, plan.n_train, plan.n_test, standardise=False)
    return tuple(fold(X / WHITE.get(name, 1), name) for X in held_out[:2])


def load_table(
    name: str, plan: Plan, standardise: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out samples, without constant features."""
    held_out = hold_out(name, plan.n_train, plan.n_test, standardise)
    varies = held_out.X_train.std(axis=0) > 0
    return held_out.X_train[:, varies], held_out.X_test[:, varies]


def load_labelled(name: str, plan: Plan, seed: int) -> datasets.Split:
    """Return samples and labels: standardised, or with one scale for all pixels."""
    if name not in PIXELS:
        return hold_out(name, plan.n_labelled, seed=seed)
    held_out = hold_out(name, plan.n_labelled, standardise=False, seed=seed)
    scale = held_out.X_train.std()
    X_train, X_test = held_out.X_train / scale, held_out.X_test / scale
    return held_out._replace(X_train=X_train, X_test=X_test)


def hold_out(
    name: str,
    n_train: int,
    n_test: int | None = None,
    standardise: bool = True,
    seed: int = 0,
) -> datasets.Split:
    """Hold out 30 % of the samples, and return at most ``n_test`` of these."""
    data = datasets.load(name)
    data = data._replace(groups=_blocks(name, data))
    n_samples = round(n_train / 0.7)
    X_train, X_test, y_train, y_test = datasets.hold_out(
        data, seed, n_samples, standardise
    )
    chosen = np.random.default_rng(seed).permutation(len(X_test))[:n_test]
    y_test = None if y_test is None else y_test[chosen]
    return datasets.Split(X_train, X_test[chosen], y_train, y_test)


def _blocks(name: str, data: datasets.Data) -> np.ndarray | None:
    if name == "cmapss_fd001":
        with np.load(datasets.FOLDER / f"{name}.npz") as file:
            return file["unit_train"]
    if name == "skab":
        return np.arange(len(data.X)) // READINGS_PER_BLOCK
    return data.groups


def fold(X: np.ndarray, name: str) -> np.ndarray:
    side = int(np.sqrt(X.shape[1]))
    return X.reshape(-1, *SHAPES.get(name, (side, side)))


def flatten(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def psnr(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, for a peak of 1 and the mean over all values."""
    return -10 * np.log10(np.square(estimate - truth).mean())
