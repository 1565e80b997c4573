"""Tables as people have them: raw units, series, copies, groups, and drift.

Each situation is a kind, and a function of a seed that returns training samples, new
samples and groups or None. Except for raw units, features are standardised on the
training samples.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from _shared import datasets
from sklearn.preprocessing import StandardScaler

ODD = datasets.FOLDER / "oddbench"
MAX_SAMPLES = 5_000
EARLIER = 0.65  # share of the samples that drift are trained on
# Largest ratio of the error to PCA's that is tolerated.
TOLERATED = {"drift": 1.05}
OTHERS = 1.01


class Situation(NamedTuple):
    kind: str
    name: str
    components: tuple[int, ...]
    seeds: tuple[int, ...]
    load: Callable  # (seed) -> (X_train, X_test, groups or None)


def situations() -> Iterator[Situation]:
    """All situations of which the data are there."""
    has_files = datasets.FOLDER.is_dir()
    tables = (*datasets.SHIPPED, *datasets.TABLES) if has_files else datasets.SHIPPED
    for name in tables:
        yield Situation("raw units", name, (1, 2, 4, 8), (0, 1), partial(raw, name))
    for kind in ("raw units", "standardised") if ODD.is_dir() else ():
        for path in sorted(ODD.glob("*.npz")):
            load = partial(odd, path, kind == "standardised")
            yield Situation(f"{kind}, 160 tables", path.stem, (2,), (0,), load)
    for n_train in (100, 140, 300):
        load = partial(series, n_train)
        yield Situation("series", f"AR(1), {n_train}", (1, 2, 4), tuple(range(5)), load)
    for name in ("digits", "wine", "breast_cancer", "letter", "cpu_act", "dry_bean"):
        if name in tables:
            yield Situation("copies", name, (2, 4), (0, 1, 2), partial(copies, name))
    for n_groups in (40, 300):
        load = partial(subjects, n_groups)
        yield Situation("groups", f"{n_groups} subjects", (2, 4), (0, 1, 2), load)
    if has_files:
        for name, field in {"skab": "run", "cmapss_fd001": "unit_train"}.items():
            load = partial(groups_of, name, field)
            yield Situation("groups", f"{name} by {field[:4]}", (2, 4), (0, 1, 2), load)
        for name, (k, load) in DRIFTS.items():
            yield Situation("drift", name, (k,), (0,), partial(drift, load))


# The kinds.


def raw(name: str, seed: int):
    data = datasets.hold_out(datasets.load(name), seed, 3_000, standardise=False)
    return data.X_train, data.X_test, None


def odd(path, standardise: bool, seed: int):
    with np.load(path) as file:
        X = file["train"].astype(float)
    X = X[np.random.RandomState(seed).permutation(len(X))]
    n_train = int(0.7 * len(X))
    parts = X[:n_train], X[n_train:]
    return *(scale(*parts) if standardise else parts), None


def series(n_train: int, seed: int):
    """Three slow sensors in eight channels; those that follow are new."""
    random_state = np.random.RandomState(seed)
    sensors = autoregression(2 * n_train, 3, random_state)
    X = sensors @ random_state.normal(size=(3, 8))
    X += 0.1 * autoregression(len(X), 8, random_state)
    return *scale(X[:n_train], X[n_train:]), None


def autoregression(n_samples: int, n_features: int, random_state) -> np.ndarray:
    noise = np.sqrt(1 - 0.98**2) * random_state.normal(size=(n_samples, n_features))
    for time in range(1, n_samples):
        noise[time] += 0.98 * noise[time - 1]
    return noise


def copies(name: str, seed: int):
    """At most 200 samples, ten copies of each, shuffled."""
    data = datasets.hold_out(datasets.load(name), seed, 3_000)
    random_state = np.random.RandomState(seed)
    X = random_state.permutation(np.repeat(data.X_train[:200], 10, axis=0))
    return *scale(X, data.X_test), None


def subjects(n_groups: int, seed: int):
    """Twenty similar measurements of each of some subjects, and of new subjects."""
    random_state = np.random.RandomState(seed)
    of_subject = np.repeat(random_state.normal(size=(2 * n_groups, 10)), 20, axis=0)
    X = of_subject + 0.1 * random_state.normal(size=of_subject.shape)
    order = random_state.permutation(20 * n_groups)
    groups = np.repeat(np.arange(n_groups), 20)[order]
    return *scale(X[: 20 * n_groups][order], X[20 * n_groups :]), groups


def groups_of(name: str, field: str, seed: int):
    """Half of the runs or engines, shuffled; the others are new."""
    with np.load(datasets.FOLDER / f"{name}.npz") as file:
        X = file["X" if "X" in file else "X_train"].astype(float)
        groups = file[field]
    random_state = np.random.RandomState(seed)
    drawn = random_state.choice(len(X), MAX_SAMPLES, replace=False)
    X, groups = X[drawn], groups[drawn]
    names = random_state.permutation(np.unique(groups))
    is_train = np.isin(groups, names[: len(names) // 2])
    return *scale(X[is_train], X[~is_train]), groups[is_train]


def drift(load: Callable, seed: int):
    X = load()
    n_train = int(EARLIER * len(X))
    return *scale(X[:n_train], X[n_train:]), None


def scale(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


# Orders in which the last samples are unlike the first ones.


def by_feature(name: str, place: int) -> np.ndarray:
    X = datasets.load(name).X.astype(float)
    X = X[np.argsort(X[:, place], kind="stable")]
    step = -(-len(X) // 7_000)
    return X[::step]


def by_column(name: str, column: str) -> np.ndarray:
    frame = pd.read_csv(datasets.FOLDER / f"{name}.csv.gz")
    frame = frame.sort_values(column, kind="stable")
    X = frame.select_dtypes("number").dropna().to_numpy(float)
    return X[:: -(-len(X) // 14_000)]


def in_time(name: str, run: int | None = None) -> np.ndarray:
    with np.load(datasets.FOLDER / f"{name}.npz") as file:
        X = file["X" if "X" in file else "X_train"]
        X = X if run is None else X[file["run"] == run]
    return X.reshape(len(X), -1).astype(float)


DRIFTS = {
    "SKAB run 0 in time": (4, partial(in_time, "skab", 0)),
    "SKAB run 1 in time": (2, partial(in_time, "skab", 1)),
    "SKAB in time": (4, partial(in_time, "skab")),
    "C-MAPSS in time": (4, partial(in_time, "cmapss_fd001")),
    "Frey faces in time": (2, partial(in_time, "frey_faces")),
    "california by latitude": (4, partial(by_column, "california_housing", "latitude")),
    "diamonds by price": (2, partial(by_column, "diamonds", "price")),
    "dry_bean by area": (4, partial(by_feature, "dry_bean", 0)),
    "protein_casp by feature 0": (2, partial(by_feature, "protein_casp", 0)),
    "cpu_act by feature 0": (4, partial(by_feature, "cpu_act", 0)),
    "naval_propulsion by feature 0": (4, partial(by_feature, "naval_propulsion", 0)),
    "ailerons by feature 0": (4, partial(by_feature, "ailerons", 0)),
    "htru2 by feature 0": (2, partial(by_feature, "htru2", 0)),
}
