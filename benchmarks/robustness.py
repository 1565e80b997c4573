"""Benchmark of the regularised autoencoders on real data, with PCA and other peers.

Parts, described in their files:

denoising
    ``_robustness/denoising.py``: DenoisingAE on images and tables.
features
    ``_robustness/features.py``: codes of all classes as features of classifiers, for
    clean and corrupted test samples.
sparse
    ``_robustness/sparse.py`` and ``_robustness/recovery.py``: SparseAE and scikit-learn's
    dictionary learning.
contractive
    ``_robustness/contractive.py``: effect and cost of the penalty of ContractiveAE.
paired
    ``_robustness/paired.py``: images from edges and from low resolution by DenoisingAE.

Usage::

    python benchmarks/robustness.py [--quick] [--parts denoising ...]

Some peers require ``pip install scikit-image PyWavelets`` and are skipped without it. A
CSV file per part, a figure and a JSON file of versions are written to
``benchmarks/results``; those of ``--quick``, of ``--parts`` and of an incomplete run to a
temporary folder.
"""

import os

# Read by numpy and torch at import; CPU seconds are those of one thread.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch
from _robustness import contractive, denoising, features, paired, report, sparse
from _robustness.data import FULL, QUICK, SHIPPED, Plan
from _robustness.denoisers import missing
from _robustness.figure import draw
from _robustness.report import console
from _shared import datasets

RESULTS = Path(__file__).with_name("results")
PARTS = {
    "denoising": (denoising.run, report.show_denoising),
    "features": (features.run, report.show_features),
    "sparse": (sparse.run, report.show_sparse),
    "contractive": (contractive.run, report.show_contractive),
    "paired": (paired.run, report.show_paired),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    gaps = find_gaps()
    for gap in gaps:
        console.print(gap)
    plan = FULL if datasets.FOLDER.is_dir() else SHIPPED
    plan = QUICK if options.quick else plan
    # Only complete runs are stored in the repository.
    kept = not (options.quick or gaps) and set(options.parts) == set(PARTS)
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    frames: dict[str, pd.DataFrame] = {}
    for part in options.parts:
        run, show = PARTS[part]
        start = time.process_time()
        frames[part] = run(plan)
        path = folder / f"robustness_{part}.csv"
        frames[part].to_csv(
            path, index=False, float_format="%.6g"
        )  # before the next part
        show(frames[part])
        console.print(f"{part}: {time.process_time() - start:.0f} CPU seconds")
    draw(frames, folder / "robustness.png")
    write_facts(folder / "robustness.json", plan, gaps)
    console.print(f"Results: {folder}", soft_wrap=True)


def find_gaps() -> list[str]:
    """Return what is skipped here, a sentence each."""
    gaps = [
        f"{package} is not installed: its denoisers are skipped." for package in missing()
    ]
    if not datasets.FOLDER.is_dir():
        gaps.append(
            f"{datasets.FOLDER} is not a folder: only scikit-learn's data sets are used. "
            "Set SKAE_DATA to the folder of the others."
        )
    return gaps


def write_facts(path: Path, plan: Plan, gaps: list[str]) -> None:
    """Write versions and settings of the run."""
    packages = ["numpy", "scikit-learn", "torch", "skorch", "skae"]
    peers = [p for p in ("scikit-image", "PyWavelets") if p not in missing()]
    facts = {
        "python": platform.python_version(),
        **{package: version(package) for package in packages + peers},
        "cores": os.cpu_count(),
        "left_out": gaps,
        **plan._asdict(),
    }
    path.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
