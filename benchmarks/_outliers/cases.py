"""Real cases of anomaly detection: intrusions, fraud, sensors, engines, hearts, digits.

Each has training samples, test samples and the anomalies among these. The peers are
scikit-learn's isolation forest and the distance to the fifth nearest neighbour.
"""

import time
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from _shared import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from _outliers import data
from skae import AEOutlierDetector, AutoencoderTransformer
from skae.networks import conv_decoder, conv_encoder


class Case(NamedTuple):
    X_train: np.ndarray
    X_test: np.ndarray
    is_anomaly: np.ndarray
    along: np.ndarray | None = None  # x axis of the figure of scores
    detector: AEOutlierDetector | None = None  # instead of the default


def load(name: str):
    return np.load(datasets.FOLDER / f"{name}.npz")


def intrusion() -> Case:
    """NSL-KDD: trained on normal traffic; the test set has new attacks."""
    frames = [
        pd.read_csv(datasets.FOLDER / f"nsl_kdd_{part}.csv.gz")
        for part in ("train20", "test")
    ]
    train, test = frames
    train = train[train["label"] == "normal"]
    drop = ["label", "difficulty"]
    text = make_column_selector(dtype_include=["object", "string", "str"])
    numbers = make_column_selector(dtype_include="number")
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((encoder, text), (StandardScaler(), numbers))
    X_train = columns.fit_transform(train.drop(columns=drop))
    X_test = columns.transform(test.drop(columns=drop))
    return Case(X_train, X_test, (test["label"] != "normal").to_numpy())


def fraud() -> Case:
    """Card payments: trained on half of the genuine ones."""
    file = load("creditcard_fraud_subset")
    X, y = file["X"].astype(float), file["y"]
    genuine = np.random.RandomState(0).permutation(np.flatnonzero(y == 0))
    train, others = np.split(genuine, [len(genuine) // 2])
    test = np.concatenate([others, np.flatnonzero(y == 1)])
    return Case(X[train], X[test], y[test] == 1)


def sensors() -> Case:
    """SKAB: trained on a recording without faults; the other runs are scored."""
    file = load("skab")
    X, y, run = file["X"].astype(float), file["y"], file["run"]
    first = run == run[np.flatnonzero(y == 1)[0]]
    return Case(X[run == 0], X[run > 0], y[run > 0] == 1, along=first[run > 0])


def engines() -> Case:
    """C-MAPSS: trained on cycles up to 50; the last 30 before failure are anomalies."""
    file = load("cmapss_fd001")
    X, cycle = file["X_train"].astype(float), file["cycle_train"]
    unit, remaining = file["unit_train"], file["y_train"]
    train = (unit <= 50) & (cycle <= 50)
    test = unit > 50
    return Case(X[train], X[test], remaining[test] <= 30, along=remaining[test])


def hearts() -> Case:
    """Cardiotocograms (cardio): trained on half of the normal ones."""
    task = data.make_task("6_cardio", "one-class", 0, 2000)
    return Case(task.X_train, task.X_test, task.y_test == 1)


def digits() -> Case:
    """MNIST: trained on 2,000 eights, by convolutions; other digits are anomalies."""
    file = load("mnist")
    X, y = file["X_train"].reshape(60000, -1) / 255.0, file["y_train"]
    X_test, y_test = (
        file["X_test"].reshape(10000, -1)[:4000] / 255.0,
        file["y_test"][:4000],
    )
    shape = {"image_shape": (1, 28, 28)}
    autoencoder = AutoencoderTransformer(
        32,
        encoder=partial(conv_encoder, **shape),
        decoder=partial(conv_decoder, **shape),
        max_iter=10,
    )
    detector = AEOutlierDetector(autoencoder, n_estimators=2, random_state=0)
    return Case(X[y == 8][:2000], X_test, y_test != 8, detector=detector)


CASES = {
    "NSL-KDD": intrusion,
    "card fraud": fraud,
    "SKAB": sensors,
    "C-MAPSS": engines,
    "cardio": hearts,
    "MNIST, not 8": digits,
}


def forest(case: Case) -> np.ndarray:
    model = IsolationForest(random_state=0).fit(case.X_train)
    return -model.score_samples(case.X_test)


def nearest_neighbor(case: Case) -> np.ndarray:
    scaler = StandardScaler().fit(case.X_train)
    model = NearestNeighbors(n_neighbors=5).fit(scaler.transform(case.X_train))
    return model.kneighbors(scaler.transform(case.X_test))[0][:, -1]


def ours(case: Case) -> np.ndarray:
    return -AEOutlierDetector(random_state=0).fit(case.X_train).score_samples(case.X_test)


def ours_convolutional(case: Case) -> np.ndarray:
    return -case.detector.fit(case.X_train).score_samples(case.X_test)


METHODS = {
    "IForest": forest,
    "kNN": nearest_neighbor,
    "AEOutlierDetector": ours,
    "with convolutions": ours_convolutional,
}


def run(names: list[str]) -> tuple[list[dict], dict]:
    """Return a row per case and method, and all scores for the figure."""
    rows, scores = [], {}
    for name in names:
        case = CASES[name]()
        for method, score in METHODS.items():
            if method == "with convolutions" and case.detector is None:
                continue
            start = time.process_time()
            anomaly_scores = score(case)
            seconds = time.process_time() - start
            scores[name, method] = case, anomaly_scores
            row = {
                "case": name,
                "method": method,
                "n_train": len(case.X_train),
                "n_test": len(case.X_test),
                "auroc": 100 * roc_auc_score(case.is_anomaly, anomaly_scores),
                "ap": 100 * average_precision_score(case.is_anomaly, anomaly_scores),
                "cpu_seconds": seconds,
            }
            if name == "C-MAPSS":  # the score should increase towards failure
                row["rank_correlation_with_cycles_left"] = pd.Series(anomaly_scores).corr(
                    pd.Series(case.along), method="spearman"
                )
            rows.append(row)
    return rows, scores
