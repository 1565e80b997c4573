"""Data sets of the benchmarks, and their split into training and held-out samples.

Five sets come with scikit-learn. The others are files in the folder of the environment
variable ``SKAE_DATA``, by default ``../shared/data`` from the root of the repository. Of
files with an official split only the training part is used, images are flattened, and
values are those of the file unless :data:`PREPARE` has a transformation.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.datasets
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.preprocessing import StandardScaler

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKAE_DATA", REPOSITORY / ".." / "shared" / "data"))

SHIPPED = ("digits", "breast_cancer", "wine", "iris", "diabetes")
TABLES = (
    *("wine_quality", "letter", "dry_bean", "htru2", "cpu_act", "ailerons", "pol"),
    *("protein_casp", "naval_propulsion", "cmapss_fd001", "skab", "masscyt_thymus"),
    "creditcard_fraud_subset",
)
IMAGES = (
    *("mnist", "fashion_mnist", "usps", "coil20", "olivetti_faces", "frey_faces"),
    "binarized_mnist",
)
WIDE = ("isolet1", "tox_171", "pbmc68k_reduced", "worm_neuron", "mouse_bladder")
# The same held-out samples, but at most this number of training samples.
TINY = {"breast_cancer_60": 60, "cpu_act_60": 60, "ailerons_60": 60}

DEFAULT = ("digits", "breast_cancer")
FULL = (*SHIPPED, *TABLES, *IMAGES, *WIDE, *TINY)

# Adjacent video frames are alike: held-out blocks avoid leakage.
FRAMES_PER_BLOCK = {"frey_faces": 50}


def log_counts(X: np.ndarray) -> np.ndarray:
    """Logarithms of counts of single cells, after scaling to the same total."""
    return np.log1p(1e4 * X / X.sum(axis=1, keepdims=True))


PREPARE = {"tox_171": np.log, "worm_neuron": log_counts, "mouse_bladder": log_counts}


class Data(NamedTuple):
    X: np.ndarray
    y: np.ndarray | None
    groups: np.ndarray | None
    max_train: int | None = None


class Split(NamedTuple):
    """Training samples and held-out samples."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray | None
    y_test: np.ndarray | None


def load(name: str) -> Data:
    """Return the samples of a set, their classes if any, and blocks of samples."""
    if name in TINY:
        whole = load(name.removesuffix(f"_{TINY[name]}"))
        return whole._replace(max_train=TINY[name])
    X, y = _load_shipped(name) if name in SHIPPED else _load_file(name)
    X = PREPARE.get(name, np.asarray)(X)
    block = FRAMES_PER_BLOCK.get(name)
    return Data(X, _classes(y), np.arange(len(X)) // block if block else None)


def _load_shipped(name: str) -> tuple[np.ndarray, np.ndarray]:
    return getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)


def _load_file(name: str) -> tuple[np.ndarray, np.ndarray | None]:
    with np.load(FOLDER / f"{name}.npz") as file:
        part = "_train" if "X_train" in file else ""
        X = file[f"X{part}"]
        y = file[f"y{part}"] if f"y{part}" in file else None
    # The files contain bytes or float32, so float32 is exact.
    return X.reshape(len(X), -1).astype(np.float32, copy=False), y


def _classes(y: np.ndarray | None) -> np.ndarray | None:
    """Return y if it is class labels. Regression targets are floats, or many values."""
    if y is None or not np.issubdtype(y.dtype, np.integer):
        return None
    return y if 2 <= len(np.unique(y)) <= 50 else None


def hold_out(
    data: Data, seed: int, max_samples: int = 5000, standardise: bool = True
) -> Split:
    """Draw at most ``max_samples``, hold out 30 % (by blocks), standardise features."""
    drawn = np.arange(len(data.X))
    if len(drawn) > max_samples:
        drawn = np.random.default_rng(seed).choice(drawn, max_samples, replace=False)
    train, test = _split(drawn, data.groups, seed)
    train = train[: data.max_train]
    # float64, because held-out errors near 1e-9 are compared.
    scaler = StandardScaler(with_mean=standardise, with_std=standardise)
    scaler.fit(data.X[train].astype(np.float64))
    X_train, X_test = (scaler.transform(data.X[i].astype(float)) for i in (train, test))
    if data.y is None:
        return Split(X_train, X_test, None, None)
    return Split(X_train, X_test, data.y[train], data.y[test])


def _split(drawn: np.ndarray, groups: np.ndarray | None, seed: int):
    if groups is None:
        return train_test_split(drawn, test_size=0.3, random_state=seed)
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.3, random_state=seed)
    train, test = next(splitter.split(drawn, groups=groups[drawn]))
    return drawn[train], drawn[test]
