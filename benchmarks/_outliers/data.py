"""Data of the benchmark of outlier detectors, with a fixed protocol.

One-class: a random half of the normal samples is the training set; the other half and all
anomalies are scored. Contaminated: the training samples are scored. No sample is
duplicated, labels are not used, and features are standardised on the training samples.
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
    """Samples and labels; in scikit-learn's sets the rarest class is the anomaly."""
    if name not in SHIPPED:
        with np.load(ADBENCH / f"{name}.npz") as file:
            return file["X"].astype(np.float64), file["y"].astype(int)
    data = datasets.load(name)
    labels, counts = np.unique(data.y, return_counts=True)
    return data.X.astype(np.float64), (data.y == labels[counts.argmin()]).astype(int)


def make_task(name: str, setting: str, seed: int, cap: int) -> Task:
    X, y = load(name)
    if len(X) > cap:
        drawn = np.arange(len(X))
        drawn, _ = train_test_split(drawn, train_size=cap, stratify=y, random_state=seed)
        X, y = X[drawn], y[drawn]
    if setting == "contaminated":
        X = StandardScaler().fit_transform(X)
        return Task(X, X, y)
    normal = np.random.RandomState(seed).permutation(np.flatnonzero(y == 0))
    train, others = np.split(normal, [len(normal) // 2])
    test = np.concatenate([others, np.flatnonzero(y == 1)])
    scaler = StandardScaler().fit(X[train])
    return Task(scaler.transform(X[train]), scaler.transform(X[test]), y[test])
