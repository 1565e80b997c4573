"""Detectors of the benchmark: functions from a task to scores, higher is more anomalous.

All have their library's defaults. PyOD's scores of training samples are the stored
``decision_scores_``, in which a sample is not its own neighbour.
"""

import contextlib
import importlib.util
import io
import warnings

import numpy as np

from _outliers.data import Task
from skae import AEOutlierDetector

HAS_PYOD = importlib.util.find_spec("pyod") is not None
OURS = "AEOutlierDetector"
PEERS = {
    "PyOD AutoEncoder": ("auto_encoder", "AutoEncoder", {"verbose": 0}),
    "PyOD VAE": ("vae", "VAE", {"verbose": 0}),
    "DeepSVDD": ("deep_svdd", "DeepSVDD", {"verbose": 0}),
    "kNN": ("knn", "KNN", {}),
    "IForest": ("iforest", "IForest", {}),
    "ECOD": ("ecod", "ECOD", {}),
    "LOF": ("lof", "LOF", {}),
    "OCSVM": ("ocsvm", "OCSVM", {}),
    "GMM": ("gmm", "GMM", {}),
    "INNE": ("inne", "INNE", {}),
}
SUBSET = (OURS, "PyOD AutoEncoder", "kNN", "IForest")


def available() -> list[str]:
    return [OURS, *PEERS] if HAS_PYOD else [OURS]


def run_ours(task: Task, seed: int, **options) -> np.ndarray:
    detector = AEOutlierDetector(random_state=seed, **options).fit(task.X_train)
    return -detector.score_samples(task.X_test)


def run_peer(name: str, task: Task, seed: int) -> np.ndarray:
    module, kind, options = PEERS[name]
    kind = getattr(importlib.import_module(f"pyod.models.{module}"), kind)
    options = dict(options)
    if kind.__name__ == "DeepSVDD":
        options["n_features"] = task.X_train.shape[1]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            detector = kind(random_state=seed, **options)
        except TypeError:  # no random_state
            detector = kind(**options)
        detector.fit(task.X_train)
        if task.X_test is task.X_train:
            scores = detector.decision_scores_
        else:
            scores = detector.decision_function(task.X_test)
    return np.nan_to_num(np.asarray(scores, dtype=np.float64))


def run(name: str, task: Task, seed: int) -> np.ndarray:
    return run_ours(task, seed) if name == OURS else run_peer(name, task, seed)
