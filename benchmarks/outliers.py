"""Benchmark of AEOutlierDetector: anomaly detection on ADBench and on real cases.

The protocol is in ``_outliers/data.py``. Parts:

adbench
    At most 2,000 samples of each set, five seeds, with ten detectors of PyOD.
large
    At most 50,000 samples, one seed, with three of them.
scorings
    The values of ``scoring``, at most 2,000 samples, one seed.
far, p_values, explain, speed
    ``_outliers/claims.py``.
cases
    ``_outliers/cases.py``.

Usage::

    python benchmarks/outliers.py [--quick] [--parts adbench ...]

The peers require ``pip install pyod``; without it only AEOutlierDetector runs. A CSV file
per part and two figures are written to ``benchmarks/results``; those of ``--quick``, and
of a run without the data or without PyOD, to a temporary folder.
"""

import os

# Read by numpy, numba and torch at import; CPU seconds are those of one thread.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"

import argparse
import json
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch
from _outliers import adbench, cases, claims, data, detectors, report
from _pca_vs_ae.report import console

RESULTS = Path(__file__).with_name("results")
PARTS = (
    *("adbench", "large", "scorings", "far", "p_values", "explain", "speed"),
    "cases",
)


def run_part(part: str, quick: bool) -> tuple[list[dict], dict]:
    names = data.names()[:1] if quick else data.names()
    tables = claims.TABLES if data.ADBENCH.is_dir() else claims.SHIPPED_TABLES
    tables = tables[:1] if quick else tables
    seeds = [0] if quick else list(range(5))
    methods = [detectors.OURS] if quick else detectors.available()
    subset = [method for method in detectors.SUBSET if method in methods]
    scorings = [detectors.OURS, *(f"scoring={name}" for name in adbench.SCORINGS)]
    if part == "cases":
        has_data = data.ADBENCH.is_dir() and not quick
        return cases.run(list(cases.CASES) if has_data else [])
    cap = 500 if quick else 2000
    rows = {
        "adbench": lambda: adbench.run(cap, seeds, methods, names),
        "large": lambda: adbench.run(cap if quick else 50_000, [0], subset, names),
        "scorings": lambda: adbench.run(cap, [0], scorings, names),
        "far": lambda: claims.far(names, cap=cap),
        "p_values": lambda: claims.p_values(names, cap=cap),
        "explain": lambda: claims.explain(tables, n_cases=20 if quick else 200),
        "speed": lambda: claims.speed(10_000 if quick else 100_000),
    }[part]()
    return rows, {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not detectors.HAS_PYOD:
        console.print("PyOD is not installed: its detectors are skipped.")
    if not data.ADBENCH.is_dir():
        console.print("Data folder not found: only scikit-learn's data sets, no cases.")
    kept = data.ADBENCH.is_dir() and detectors.HAS_PYOD and not options.quick
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    for part in options.parts:
        rows, scores = run_part(part, options.quick)
        if not rows:
            continue
        frame = pd.DataFrame(rows)
        frame.to_csv(folder / f"outliers_{part}.csv", index=False, float_format="%.6g")
        show(part, frame)
        if part == "adbench":
            report.draw_ranks(frame, folder / "outliers_ranks.png")
        if scores:
            report.draw_cases(scores, folder / "outliers_cases.png")
    packages = ["numpy", "scikit-learn", "torch", "skorch", "skae"]
    packages += ["pyod"] if detectors.HAS_PYOD else []
    facts = {"python": platform.python_version()} | {p: version(p) for p in packages}
    facts |= {"cores": os.cpu_count()}
    (folder / "outliers.json").write_text(json.dumps(facts, indent=2) + "\n")
    console.print(f"Results: {folder}")


def show(part: str, frame: pd.DataFrame) -> None:
    if part in ("adbench", "large", "scorings"):
        frame = report.summarise(frame)
    report.show_frame(frame, part)


if __name__ == "__main__":
    main()
