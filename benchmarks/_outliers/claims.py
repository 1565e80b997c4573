"""What the detector promises besides ranks: far rows, p-values, contributions, speed."""

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
    """Training rows, ten standard deviations away, against normal rows held out."""
    rows = []
    for name in names:
        task = data.make_task(name, "one-class", seed, cap)
        X, usual = task.X_train, task.X_test[task.y_test == 0]
        detector = AEOutlierDetector(random_state=seed).fit(X)
        peer = EmpiricalCovariance().fit(X)
        rng = np.random.RandomState(seed)
        random = rng.normal(size=(10, X.shape[1]))
        random /= np.linalg.norm(random, axis=1, keepdims=True)
        variance, latent = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[1:]
        # Those that a code follows: the leading ones, of nine tenths of the variance.
        share = np.cumsum(variance**2) / np.sum(variance**2)
        ten = latent[:10]  # in small tables down to directions of no variance
        latent = latent[: min(10, np.searchsorted(share, 0.9) + 1)]
        kinds = {"random": random, "latent": latent, "first ten": ten}
        for kind, directions in kinds.items():
            ours, theirs = [], []
            for u in directions:
                shifted = X + 10 * (X @ u).std() * u
                both = np.concatenate([usual, shifted])
                y = np.repeat([0, 1], [len(usual), len(shifted)])
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
    """Normal rows held out, against those that calibrate."""
    rows = []
    for name in names:
        task = data.make_task(name, "one-class", seed, cap)
        usual, odd = (task.X_test[task.y_test == label] for label in (0, 1))
        detector = AEOutlierDetector(random_state=seed).fit(task.X_train)
        # Each held-out row is scored by one member, so that all are independent.
        odd_by_member = detector._oddness(usual)
        member = np.arange(len(usual)) % len(odd_by_member)
        held_out = odd_by_member[member, np.arange(len(usual))]
        known = np.concatenate(detector._known)
        p = detector.p_values(usual)
        rng = np.random.RandomState(seed)
        shares, found = [], []
        n_odd = min(len(odd), max(1, len(usual) // 19))
        for _ in range(100):  # one row in twenty is odd
            few = rng.choice(len(usual), len(usual) // 2, replace=False)
            some = rng.choice(len(odd), min(len(odd), max(1, n_odd // 2)), replace=False)
            named = detector.predict_fdr(np.concatenate([usual[few], odd[some]]), 0.2)
            false = np.sum(named[: len(few)] == -1)
            shares.append(false / max(1, np.sum(named == -1)))
            found.append(np.mean(named[len(few) :] == -1))
        rows.append(
            {
                "set": name,
                "distinct": len(np.unique(known)) / len(known),
                "n_known": len(known),
                "n_held_out": len(usual),
                "ks_p": stats.ks_2samp(known, held_out).pvalue,
                "below_0.05": np.mean(p <= 0.05),
                "fdr_at_0.2": np.mean(shares),
                "power_at_0.2": np.mean(found),
            }
        )
    return rows


def explain(names: tuple[str, ...], seed: int = 0, n_cases: int = 200) -> list[dict]:
    """A value moved by some deviations: is its column named first?"""
    rows = []
    for name in names:
        split = datasets.hold_out(datasets.load(name), seed, max_rows=3000)
        varies = split.X_train.std(axis=0) > 0
        X, X_test = split.X_train[:, varies], split.X_test[:n_cases, varies]
        detector = AEOutlierDetector(random_state=seed).fit(X)
        rng = np.random.RandomState(seed)
        column = rng.randint(X.shape[1], size=len(X_test))
        sign = rng.choice([-1, 1], size=len(X_test))
        cases = np.arange(len(X_test))
        for size in (3, 6):
            faulty = X_test.copy()
            faulty[cases, column] += size * sign * X.std(axis=0)[column]
            start = time.perf_counter()
            shares = detector.explain(faulty).to_numpy()
            seconds = time.perf_counter() - start
            z = np.abs(faulty - X.mean(axis=0)) / X.std(axis=0)
            gap = shares.sum(axis=1) + detector.base_score_
            gap -= detector.score_samples(faulty)
            rows.append(
                {
                    "set": name,
                    "n_features": X.shape[1],
                    "deviations": size,
                    "first": np.mean(shares.argmin(axis=1) == column),
                    "first_z_score": np.mean(z.argmax(axis=1) == column),
                    "largest_gap": np.abs(gap).max(),
                    "rows_per_second": len(faulty) / seconds,
                }
            )
    return rows


def speed(n_rows: int = 100_000, n_features: int = 30) -> list[dict]:
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, n_features))
    detector = AEOutlierDetector(random_state=0).fit(X[:5000])
    detector.score_samples(X[:5000])
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        detector.score_samples(X)
        seconds.append(time.perf_counter() - start)
    return [{"n_features": n_features, "rows_per_second": n_rows / np.median(seconds)}]
