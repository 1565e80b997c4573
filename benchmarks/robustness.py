"""The regularised autoencoders on real data, beside PCA and what else is used.

A part each, described where it is:

denoising
    ``robustness_denoising.py``: DenoisingAE mends images and tables.
features
    ``robustness_features.py``: all of them as features of classifiers, test rows clean
    and spoilt.
sparse
    ``robustness_sparse.py`` and ``robustness_recovery.py``: SparseAE and scikit-learn's
    dictionaries.
contractive
    ``robustness_contractive.py``: what the penalty of ContractiveAE does and costs.
paired
    ``robustness_paired.py``: DenoisingAE makes images of edges and of few pixels.

Usage::

    python benchmarks/robustness.py [--quick] [--parts denoising ...]

Some peers are of ``pip install scikit-image PyWavelets``; what is not installed is left
out. A CSV file per part, a figure and a JSON file of versions are written to
``benchmarks/results``; those of ``--quick``, of ``--parts`` and of a run that leaves
something out to a temporary folder.
"""

import os

# numpy and torch read these when they load; CPU seconds are those of one thread.
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
    # The kept results are those of all there is to run.
    kept = not (options.quick or gaps) and set(options.parts) == set(PARTS)
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    frames: dict[str, pd.DataFrame] = {}
    for part in options.parts:
        run, show = PARTS[part]
        start = time.process_time()
        frames[part] = run(plan)
        path = folder / f"robustness_{part}.csv"
        frames[part].to_csv(path, index=False, float_format="%.6g")  # survives a crash
        show(frames[part])
        console.print(f"{part}: {time.process_time() - start:.0f} CPU seconds")
    draw(frames, folder / "robustness.png")
    write_facts(folder / "robustness.json", plan, gaps)
    console.print(f"Results: {folder}", soft_wrap=True)


def find_gaps() -> list[str]:
    """Return what has to be left out here, each in a sentence."""
    gaps = [
        f"{package} is not installed: denoising goes without." for package in missing()
    ]
    if not datasets.FOLDER.is_dir():
        gaps.append(
            f"{datasets.FOLDER} is no folder: only what scikit-learn ships. Set "
            "SKAE_DATA to the folder of the other data sets."
        )
    return gaps


def write_facts(path: Path, plan: Plan, gaps: list[str]) -> None:
    """Write what the figures depend on beside them."""
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
