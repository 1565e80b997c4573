"""Tests of the detector besides ranks: far samples, p-values, contributions, speed."""

import time

import numpy as np
from _shared import datasets
from scipy import stats
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score

from _outliers import data
from skae import AEOutlierDetector

TABLES = (
    *("wine_quality", "dry_bean", "htru2", "cpu_act", "ailerons", "protein_casp"),
    *("letter", "naval_propulsion", "masscyt_thymus", "cmapss_fd001"),
)
SHIPPED_TABLES = ("breast_cancer", "wine", "diabetes")


def far(names: list[str], seed: int = 0, cap: int = 2000) -> list[dict]:
    """AUROC of training samples shifted by ten deviations, against normal ones."""
    rows = []
    for name in names:
        task = data.make_task(name, "one-class", seed, cap)
        X, normal = task.X_train, task.X_test[task.y_test == 0]
        detector = AEOutlierDetector(random_state=seed).fit(X)
        peer = EmpiricalCovariance().fit(X)
        rng = np.random.RandomState(seed)
        random = rng.normal(size=(10, X.shape[1]))
        random /= np.linalg.norm(random, axis=1, keepdims=True)
        variance, latent = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[1:]
        # The leading directions, which explain 90 % of the variance; at most 10.
        share = np.cumsum(variance**2) / np.sum(variance**2)
        ten = latent[:10]  # with few features, directions without variance, too
        latent = latent[: min(10, np.searchsorted(share, 0.9) + 1)]
        kinds = {"random": random, "latent": latent, "first ten": ten}
        for kind, directions in kinds.items():
            ours, theirs = [], []
            for u in directions:
                shifted = X + 10 * (X @ u).std() * u
                both = np.concatenate([normal, shifted])
                y = np.repeat([0, 1], [len(normal), len(shifted)])
                ours.append(roc_auc_score(y, -detector.score_samples(both)))
                theirs.append(roc_auc_score(y, peer.mahalanobis(both)))
            rows.append(
                {
                    "set": name,
                    "directions": kind,
                    "auroc": np.mean(ours),
                    "auroc_least": np.min(ours),
                    "mahalanobis": np.mean(theirs),
                    "mahalanobis_least": np.min(theirs),
                }
            )
    return rows


def p_values(names: list[str], seed: int = 0, cap: int = 2000) -> list[dict]:
    """Validity of p-values and of FDR control on held-out normal samples."""
    rows = []
    for name in names:
        task = data.make_task(name, "one-class", seed, cap)
        normal, anomalous = (task.X_test[task.y_test == label] for label in (0, 1))
        detector = AEOutlierDetector(random_state=seed).fit(task.X_train)
        # One member scores each held-out sample, so that the scores are independent.
        member_scores = detector._member_scores(normal)
        member = np.arange(len(normal)) % len(member_scores)
        held_out = member_scores[member, np.arange(len(normal))]
        calibration = np.concatenate(detector._calibration_scores)
        p = detector.p_values(normal)
        rng = np.random.RandomState(seed)
        fdr, power = [], []
        n_anomalous = min(len(anomalous), max(1, len(normal) // 19))
        n_drawn = min(len(anomalous), max(1, n_anomalous // 2))
        for _ in range(100):  # one sample in twenty is anomalous
            few = normal[rng.choice(len(normal), len(normal) // 2, replace=False)]
            some = anomalous[rng.choice(len(anomalous), n_drawn, replace=False)]
            flagged = detector.predict_fdr(np.concatenate([few, some]), 0.2) == -1
            fdr.append(np.sum(flagged[: len(few)]) / max(1, np.sum(flagged)))
            power.append(np.mean(flagged[len(few) :]))
        rows.append(
            {
                "set": name,
                "distinct": len(np.unique(calibration)) / len(calibration),
                "n_known": len(calibration),
                "n_held_out": len(normal),
                "ks_p": stats.ks_2samp(calibration, held_out).pvalue,
                "below_0.05": np.mean(p <= 0.05),
                "fdr_at_0.2": np.mean(fdr),
                "power_at_0.2": np.mean(power),
            }
        )
    return rows


def explain(names: tuple[str, ...], seed: int = 0, n_cases: int = 200) -> list[dict]:
    """Share of samples in which ``explain`` ranks the corrupted feature first."""
    rows = []
    for name in names:
        split = datasets.hold_out(datasets.load(name), seed, max_samples=3000)
        varies = split.X_train.std(axis=0) > 0
        X, X_test = split.X_train[:, varies], split.X_test[:n_cases, varies]
        detector = AEOutlierDetector(random_state=seed).fit(X)
        rng = np.random.RandomState(seed)
        feature = rng.randint(X.shape[1], size=len(X_test))
        sign = rng.choice([-1, 1], size=len(X_test))
        cases = np.arange(len(X_test))
        for size in (3, 6):
            corrupted = X_test.copy()
            corrupted[cases, feature] += size * sign * X.std(axis=0)[feature]
            start = time.perf_counter()
            contributions = detector.explain(corrupted).to_numpy()
            seconds = time.perf_counter() - start
            z = np.abs(corrupted - X.mean(axis=0)) / X.std(axis=0)
            gap = contributions.sum(axis=1) + detector.expected_value_
            gap -= detector.score_samples(corrupted)
            rows.append(
                {
                    "set": name,
                    "n_features": X.shape[1],
                    "deviations": size,
                    "first": np.mean(contributions.argmin(axis=1) == feature),
                    "first_z_score": np.mean(z.argmax(axis=1) == feature),
                    "largest_gap": np.abs(gap).max(),
                    "rows_per_second": len(corrupted) / seconds,
                }
            )
    return rows


def speed(n_samples: int = 100_000, n_features: int = 30) -> list[dict]:
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_samples, n_features))
    detector = AEOutlierDetector(random_state=0).fit(X[:5000])
    detector.score_samples(X[:5000])
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        detector.score_samples(X)
        seconds.append(time.perf_counter() - start)
    return [{"n_features": n_features, "rows_per_second": n_samples / np.median(seconds)}]
