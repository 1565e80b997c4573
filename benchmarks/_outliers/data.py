"""Data of the benchmark of outlier detectors: the locked protocol.

One-class: a random half of the normal rows to learn from, the others and all anomalies to
score. Contaminated: the same rows to learn from and to score. No row is duplicated, no
label is seen, and the detectors get rows standardised on the training rows.
"""

from typing import NamedTuple

import numpy as np
from _shared import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

ADBENCH = datasets.FOLDER / "adbench"
SHIPPED = ("breast_cancer", "wine", "digits")
SETTINGS = ("one-class", "contaminated")


class Task(NamedTuple):
    X_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray  # 1 is an anomaly


def names() -> list[str]:
    if not ADBENCH.is_dir():
        return list(SHIPPED)
    files = [path.stem for path in ADBENCH.glob("*.npz")]
    return sorted(files, key=lambda name: int(name.split("_")[0]))


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels; of what scikit-learn ships, the rarest class is odd."""
    if name not in SHIPPED:
        with np.load(ADBENCH / f"{name}.npz") as file:
            return file["X"].astype(np.float64), file["y"].astype(int)
    data = datasets.load(name)
    labels, counts = np.unique(data.y, return_counts=True)
    return data.X.astype(np.float64), (data.y == labels[counts.argmin()]).astype(int)


def make_task(name: str, setting: str, seed: int, cap: int) -> Task:
    X, y = load(name)
    if len(X) > cap:
        rows = np.arange(len(X))
        rows, _ = train_test_split(rows, train_size=cap, stratify=y, random_state=seed)
        X, y = X[rows], y[rows]
    if setting == "contaminated":
        X = StandardScaler().fit_transform(X)
        return Task(X, X, y)
    normal = np.random.RandomState(seed).permutation(np.flatnonzero(y == 0))
    train, others = np.split(normal, [len(normal) // 2])
    test = np.concatenate([others, np.flatnonzero(y == 1)])
    scaler = StandardScaler().fit(X[train])
    return Task(scaler.transform(X[train]), scaler.transform(X[test]), y[test])
