"""Fits under adverse conditions: busy cores, parts of any kind, many features.

busy
    Wall time of ``AutoencoderTransformer(8).fit`` to digits, in a fresh process with the
    default threads, on idle cores and beside two and three processes that compute. The
    reference is the idle time.
parts
    ``partial_fit`` to 1,500 digits in parts: of 100, 10 and 1 samples, shuffled; with
    20 features that are constant in the first part; sorted by label. The value is the
    share of the variance of the other digits that is not reconstructed; the reference
    ``IncrementalPCA``, fitted to parts of at least 100 samples.
memory
    Peak resident memory of a fresh process that fits (2 epochs), less that of one that
    fits to a tiny table. The reference is the size of X. Pages of a mapped file count.

Usage::

    python benchmarks/stress.py [--quick]

A CSV file and a figure are written to ``benchmarks/results``; those of ``--quick`` to a
temporary folder.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from _pca_vs_ae.report import console, make_table
from _speed.processes import busy_processes
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import IncrementalPCA

from skae import AutoencoderTransformer

RESULTS = Path(__file__).parent / "results"
TITLES = {
    "busy": "wall time / that on idle cores",
    "parts": "error / that of IncrementalPCA",
    "memory": "peak memory / the size of X",
}
K = 8
N_TRAIN = 1_500


def in_fresh_process(function, *arguments):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


# Busy cores.


def time_busy(quick: bool) -> list[dict]:
    rows, idle = [], None
    for n_busy in (0, 2, 3):
        with busy_processes(n_busy):
            seconds = in_fresh_process(time_fit, 1 if quick else 5)
        idle = seconds if idle is None else idle
        rows.append(make_row("busy", f"{n_busy} busy processes", seconds, seconds / idle))
    return rows


def time_fit(n_repeats: int) -> float:
    """Return the median of some fits, after a first one."""
    X = load_digits().data
    AutoencoderTransformer(K, max_iter=1, random_state=0).fit(X)
    seconds = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        AutoencoderTransformer(K, random_state=0).fit(X)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


# Parts.


def fit_parts(quick: bool) -> list[dict]:
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    X, y = X[order], y[order]
    train, test = X[:N_TRAIN], X[N_TRAIN:]
    constant = train.copy()
    constant[:100, 20:40] = constant[0, 20:40]
    ordered = train[np.argsort(y[:N_TRAIN], kind="stable")]
    sequences = {
        "100 samples, shuffled": (train, 100),
        "10 samples, shuffled": (train, 10),
        "1 sample": (train, 1),
        "100 samples, 20 features constant in the first part": (constant, 100),
        "100 samples, sorted by label": (ordered, 100),
    }
    rows = []
    whole = AutoencoderTransformer(K, random_state=0).fit(train)
    linear = error(IncrementalPCA(K).fit(train), test)
    rows.append(
        make_row("parts", "one fit", error(whole, test), error(whole, test) / linear)
    )
    for setting, (samples, size) in sequences.items():
        if quick and size < 100:
            continue
        autoencoder = AutoencoderTransformer(K, random_state=0)
        pca = IncrementalPCA(K)
        for start in range(0, N_TRAIN, size):
            autoencoder.partial_fit(samples[start : start + size])
        for start in range(0, N_TRAIN, max(size, 100)):
            pca.partial_fit(samples[start : start + max(size, 100)])
        found = error(autoencoder, test)
        rows.append(make_row("parts", setting, found, found / error(pca, test)))
    return rows


def error(model, X: np.ndarray) -> float:
    """Share of the variance that is not reconstructed."""
    left = np.square(model.inverse_transform(model.transform(X)) - X).sum()
    return left / np.square(X - X.mean(axis=0)).sum()


# Memory.


def measure_memory(quick: bool) -> list[dict]:
    shapes = [(100, 500)] if quick else [(500, 20_000), (600, 200_000)]
    before = in_fresh_process(peak_of_fit, (50, 10), False)
    rows = []
    for shape, mapped in zip(shapes, (False, True), strict=False):
        peak = in_fresh_process(peak_of_fit, shape, mapped) - before
        size = np.prod(shape) * (4 if mapped else 8)
        kind = "float32 memory map" if mapped else "float64 array"
        setting = f"{shape[0]} x {shape[1]}, {kind}"
        rows.append(make_row("memory", setting, peak / 1e6, peak / size))
    return rows


def peak_of_fit(shape: tuple[int, int], mapped: bool) -> int:
    """Return the peak of the resident bytes."""
    random_state = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="skae_benchmark_") as folder:
        if mapped:
            X = np.memmap(Path(folder) / "X", np.float32, "w+", shape=shape)
            for sample in X:
                sample[:] = random_state.normal(size=shape[1])
            X.flush()
            X = np.memmap(Path(folder) / "X", np.float32, "r", shape=shape)
        else:
            X = random_state.normal(size=shape)
        AutoencoderTransformer(K, max_iter=2, random_state=0).fit(X)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# The command.


def make_row(part: str, setting: str, value: float, ratio: float) -> dict:
    return {"part": part, "setting": setting, "value": value, "ratio": ratio}


PARTS = {"busy": time_busy, "parts": fit_parts, "memory": measure_memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    options = parser.parse_args()
    rows = [row for run in PARTS.values() for row in run(options.quick)]
    frame = pd.DataFrame(rows)
    folder = RESULTS
    if options.quick:
        folder = Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    frame.to_csv(folder / "stress.csv", index=False, float_format="%.4g")
    for part, found in frame.groupby("part", sort=False):
        table = make_table(f"{part}: {TITLES[part]}", "setting", "value", "ratio")
        for row in found.itertuples():
            table.add_row(row.setting, f"{row.value:.3g}", f"{row.ratio:.2f}")
        console.print(table)
    draw(frame, folder / "stress.png")
    console.print(f"Results: {folder / 'stress.csv'}", soft_wrap=True)


def draw(frame: pd.DataFrame, path: Path) -> None:
    groups = list(frame.groupby("part", sort=False))
    figure, panels = plt.subplots(1, len(groups), figsize=(15, 3.5), layout="constrained")
    for panel, (part, rows) in zip(panels, groups, strict=True):
        panel.barh(rows["setting"], rows["ratio"], color="tab:blue")
        panel.axvline(1, color="black", linestyle="--", linewidth=1)
        panel.invert_yaxis()
        panel.set_xlabel(TITLES[part])
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
