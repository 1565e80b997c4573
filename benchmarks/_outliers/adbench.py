"""ADBench: AUROC and average precision of AEOutlierDetector and its peers."""

import time

import numpy as np
from _pca_vs_ae.report import console
from sklearn.metrics import average_precision_score, roc_auc_score

from _outliers import data, detectors

SCORINGS = ("reconstruction", "mahalanobis", "joint", "robust_joint", "knn")


def compare(name: str, setting: str, seed: int, cap: int, methods: list[str]) -> list:
    task = data.make_task(name, setting, seed, cap)
    rows = []
    for method in methods:
        start = time.process_time()
        if method.startswith("scoring="):
            scoring = method.removeprefix("scoring=")
            scores = detectors.run_ours(task, seed, scoring=scoring)
        else:
            scores = detectors.run(method, task, seed)
        rows.append(
            {
                "set": name,
                "setting": setting,
                "cap": cap,
                "seed": seed,
                "n_train": len(task.X_train),
                "n_features": task.X_train.shape[1],
                "method": method,
                "auroc": 100 * roc_auc_score(task.y_test, scores),
                "ap": 100 * average_precision_score(task.y_test, scores),
                "cpu_seconds": time.process_time() - start,
            }
        )
    return rows


def run(cap: int, seeds: list[int], methods: list[str], names: list[str]) -> list[dict]:
    rows = []
    for name in names:
        for setting in data.SETTINGS:
            for seed in seeds:
                rows += compare(name, setting, seed, cap, methods)
        means = {}
        for row in rows:
            if row["set"] == name:
                means.setdefault(row["method"], []).append(row["auroc"])
        best = max(means, key=lambda method: np.mean(means[method]))
        console.print(f"{name}: best {best}")
    return rows
