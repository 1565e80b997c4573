"""Training and inference speed and memory of the autoencoder, in parts, with its peers.

Seconds are CPU seconds of a process with one thread unless stated otherwise, and medians
over alternating repeats. Synthetic samples are float32: a curved surface of 10 dimensions
plus noise, standardised. The CSV has the long format: ``value`` is that of ``metric``,
and ``ratio`` its quotient by the reference of the part.

a
    Fit with equal networks, batch size and epochs, to 20,000 x 50 values; the peers are
    in ``_speed/peers.py``. The reference is skae without its linear skip connection,
    ``init="random"``; ``times_bare_loop`` is the quotient by a plain torch loop.
b
    Time to the held-out error (mean square, standardised units) of PyOD and pythae with
    their defaults and 8 components: of ``AutoencoderTransformer(8, max_iter)`` the
    cheapest fit whose error is no larger. The reference is the peer.
c
    Restarts trained in one stacked module, ``n_init=M``. The reference is M = 1;
    ``times_bare_loop`` is the quotient by one network in a torch loop.
d
    Growth of the cost with n, d and k, with the defaults and with 3 epochs, and exponents
    by least squares on logarithms (for n from 10,000 samples on, where the default batch
    size is constant).
e
    Samples per second that ``transform`` encodes; the reference is the fitted module's
    ``encode`` of chunks of the same size. Latency of one sample (wall time); the
    reference is ``PCA.transform``.
f
    Peak of the private memory (RssAnon, so pages of a mapped file do not count) of a
    fresh process during ``fit``, less that before. A tiny fit comes first, so that code
    imported late does not count. The reference is the size of X. Requires ``/proc``.
g
    Wall time of a ``GridSearchCV`` with two warm processes, and the same while others
    occupy all cores but one. The reference is one process.
h
    Incremental ``partial_fit`` to 20 chunks of the shuffled samples, in two passes, and
    its held-out error. The reference is one ``fit``.

Usage::

    python benchmarks/speed.py [--quick] [--parts a,b]

The peers require ``pip install pyod pythae`` and are skipped without it. A CSV file, a
figure and a JSON file of versions are written to ``benchmarks/results``; those of
``--quick``, of ``--parts`` and of an incomplete run to a temporary folder.
"""

import os

# Read by numpy and torch at import.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["TQDM_DISABLE"] = "1"  # pythae has no option for its progress bar

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
import torch
from _shared import datasets
from _speed import peers, processes
from _speed.peers import K, make_samples, time_calls
from _speed.report import COLUMNS, console, draw, make_row, print_part
from sklearn.decomposition import PCA

import skae
from skae import AutoencoderTransformer

RESULTS = Path(__file__).parent / "results"
BATCH_SIZES = (64, 256)


class Plan(NamedTuple):
    """Data sets and sizes of a run."""

    repeats: int = 3
    fit_rows: int = 20_000
    epochs: int = 10
    sets: tuple[str, ...] = ("cpu_act", "wine_quality", "dry_bean")
    max_iters: tuple = (1, 2, 5, 10, 20, "auto")
    members: tuple[int, ...] = (1, 4, 10, 30)
    member_rows: int = 5_000
    growth_rows: int = 5_000
    growth_features: int = 200
    n: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    linear_from: int = 10_000
    d: tuple[int, ...] = (10, 50, 200, 1000, 2000)
    k: tuple[int, ...] = (1, 4, 16, 64)
    transform_rows: int = 100_000
    transform_repeats: int = 15
    latency_calls: int = 2_000
    memory_rows: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    mapped_rows: int = 10_000_000
    memory_max_iter: int | str = "auto"
    search_rows: int = 5_000
    search_seconds: float = 75
    part_sets: tuple[str, ...] = ("letter", "masscyt_thymus", "pol")
    part_rows: int = 28_000
    part_max_iter: int | str = "auto"


FULL = Plan()
QUICK = Plan(
    repeats=1,
    fit_rows=1_000,
    epochs=2,
    sets=("breast_cancer",),
    max_iters=(1, 2),
    members=(1, 4),
    member_rows=500,
    growth_rows=300,
    growth_features=20,
    n=(300, 600, 1_200),
    linear_from=300,
    d=(10, 50),
    k=(1, 4),
    transform_rows=2_000,
    transform_repeats=3,
    latency_calls=50,
    memory_rows=(2_000,),
    mapped_rows=100_000,
    memory_max_iter=1,
    search_rows=200,
    search_seconds=1,
    part_sets=("breast_cancer",),
    part_max_iter=1,
)


# (a) and (b): comparison with the peers.


def compare_fits(plan: Plan) -> list[dict]:
    how = plan.epochs, plan.repeats
    return [
        row
        for batch_size in BATCH_SIZES
        for row in peers.compare_fits(make_samples(plan.fit_rows), batch_size, *how)
    ]


def compare_defaults(plan: Plan) -> list[dict]:
    sets = plan.sets if datasets.FOLDER.is_dir() else datasets.DEFAULT
    how = plan.max_iters, plan.repeats
    return [row for name in sets for row in peers.compare_defaults(name, *how)]


# (c) Restarts.


def time_restarts(plan: Plan) -> list[dict]:
    X = make_samples(plan.member_rows)
    how = X, BATCH_SIZES[0], plan.epochs
    calls = {f"n_init={m}": partial(peers.fit_skae, *how, n_init=m) for m in plan.members}
    calls["one network"] = partial(peers.fit_bare_loop, *how)
    calls["one network"]()
    calls["n_init=1"]()
    seconds = time_calls(calls, plan.repeats)
    loop = seconds.pop("one network")
    rows = [make_row("c", "bare loop", "one network", X.shape, K, "cpu_seconds", loop)]
    for setting, value in seconds.items():
        row = partial(make_row, "c", "skae", setting, X.shape, K)
        rows.append(row("cpu_seconds", value, value / seconds["n_init=1"]))
        rows.append(row("times_bare_loop", value / loop))
    return rows


# (d) Growth with n, d and k.


class Size(NamedTuple):
    n: int
    d: int
    k: int


def time_growth(plan: Plan) -> list[dict]:
    base = Size(plan.growth_rows, plan.growth_features, k=4)
    sizes = {
        "n": [Size(n, d=20, k=4) for n in plan.n],
        "d": [base._replace(d=d) for d in plan.d],
        "k": [base._replace(k=k) for k in plan.k],
    }
    rows = []
    for axis, along in sizes.items():
        least = plan.linear_from if axis == "n" else 1
        for how, options in {"3 epochs": {"max_iter": 3}, "defaults": {}}.items():
            calls = {size: prepare_fit(size, **options) for size in along}
            seconds = time_calls(calls, plan.repeats)
            rows += describe_growth(axis, how, seconds, least)
    return rows


def prepare_fit(size: Size, **options) -> Callable:
    autoencoder = AutoencoderTransformer(size.k, random_state=0, **options)
    return partial(autoencoder.fit, make_samples(size.n, size.d))


def describe_growth(
    axis: str, how: str, seconds: dict[Size, float], least: int
) -> list[dict]:
    """Return a row per size, and the exponent over sizes of at least ``least``."""
    setting = f"{axis}, {how}"
    rows = [
        make_row("d", "skae", setting, size[:2], size.k, "cpu_seconds", value)
        for size, value in seconds.items()
    ]
    points = np.array([(getattr(size, axis), value) for size, value in seconds.items()])
    exponent = np.polyfit(*np.log(points[points[:, 0] >= least]).T, deg=1)[0]
    return [*rows, rows[-1] | {"metric": "exponent", "value": exponent}]


# (e) Transform.


def time_transform(plan: Plan) -> list[dict]:
    X = make_samples(plan.transform_rows)
    autoencoder = AutoencoderTransformer(K, max_iter=1, random_state=0).fit(X[:5000])
    pca = PCA(K).fit(X[:5000])
    calls = {
        "skae": partial(autoencoder.transform, X),
        "bare forward pass": partial(encode_bare, autoencoder, torch.from_numpy(X)),
        "PCA": partial(pca.transform, X),
    }
    time_calls(calls, 1)
    seconds = time_calls(calls, plan.transform_repeats)
    bare = seconds["bare forward pass"]
    rows = []
    for method, value in seconds.items():
        row = partial(make_row, "e", method, "many rows, float32", X.shape, K)
        rows.append(row("rows_per_cpu_second", len(X) / value, bare / value))
    for dtype in (np.float32, np.float64):
        rows += time_one_sample(autoencoder, pca, X[:1].astype(dtype), plan)
    return rows


def encode_bare(autoencoder: AutoencoderTransformer, x: torch.Tensor) -> torch.Tensor:
    encode = autoencoder.module_.encode
    # Chunks of the size that transform uses.
    with torch.inference_mode():
        return torch.cat([encode(chunk) for chunk in x.split(autoencoder._chunk())])


def time_one_sample(
    autoencoder: AutoencoderTransformer, pca: PCA, X: np.ndarray, plan: Plan
) -> list[dict]:
    calls = {"skae": partial(autoencoder.transform, X), "PCA": partial(pca.transform, X)}
    time_calls(calls, 10)
    seconds = time_calls(calls, plan.latency_calls, time.perf_counter)
    setting = f"one row, {X.dtype}"
    return [
        make_row("e", m, setting, X.shape, K, "microseconds", 1e6 * s, s / seconds["PCA"])
        for m, s in seconds.items()
    ]


# (h) Incremental training.


def compare_incremental(plan: Plan) -> list[dict]:
    """Fit to all samples at once, and incrementally to chunks in two passes."""
    sets = plan.part_sets if datasets.FOLDER.is_dir() else datasets.DEFAULT
    return [row for name in sets for row in compare_incremental_on(name, plan)]


def compare_incremental_on(name: str, plan: Plan) -> list[dict]:
    data = datasets.hold_out(datasets.load(name), 0, plan.part_rows)
    X = np.random.default_rng(0).permutation(data.X_train)
    whole = AutoencoderTransformer(K, max_iter=plan.part_max_iter, random_state=0)
    incremental = AutoencoderTransformer(K, max_iter=plan.part_max_iter, random_state=0)

    def fit_chunks() -> None:
        for chunk in 2 * np.array_split(X, 20):
            incremental.partial_fit(chunk)

    seconds = time_calls({"fit": partial(whole.fit, X), "parts": fit_chunks}, 1)
    setting = {"fit": f"{name}, fit", "parts": f"{name}, 20 parts, twice"}
    errors = {"fit": -whole.score(data.X_test), "parts": -incremental.score(data.X_test)}
    rows = []
    for how, value in seconds.items():
        row = partial(make_row, "h", "skae", setting[how], X.shape, K)
        rows.append(row("cpu_seconds", value))
        rows.append(row("held_out_mse", errors[how], errors[how] / errors["fit"]))
    return rows


# The command.

PARTS = {
    "a": compare_fits,
    "b": compare_defaults,
    "c": time_restarts,
    "d": time_growth,
    "e": time_transform,
    "f": processes.measure_memory,
    "g": processes.time_search,
    "h": compare_incremental,
}


def main() -> None:
    start = time.perf_counter()
    options = parse_options()
    torch.set_num_threads(1)
    plan = QUICK if options.quick else FULL
    gaps = find_gaps()
    for gap in gaps:
        console.print(gap)
    # Only complete runs are stored in the repository.
    kept = not (options.quick or gaps) and options.parts == tuple(PARTS)
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    folder.mkdir(exist_ok=True)
    path = folder / "speed.csv"
    rows = []
    for part in options.parts:
        if new := PARTS[part](plan):
            rows += new
            frame = pd.DataFrame(rows, columns=COLUMNS)
            frame.to_csv(path, index=False, float_format="%.6g")  # before the next part
            print_part(frame, part)
    if rows:
        draw(frame, path.with_suffix(".png"))
    write_facts(path.with_suffix(".json"), plan, gaps)
    seconds = time.perf_counter() - start
    console.print(f"{seconds:.0f} s. Results: {path}", soft_wrap=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    parser.add_argument("--parts", help=f"comma-separated, of {','.join(PARTS)}")
    options = parser.parse_args()
    options.parts = tuple(options.parts.split(",")) if options.parts else tuple(PARTS)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"--parts must not contain {sorted(unknown)}. Use {tuple(PARTS)}.")
    return options


def find_gaps() -> list[str]:
    """Return what is skipped here, a sentence each."""
    gaps = [f"{peer} is not installed: (a) and (b) skip it." for peer in peers.missing()]
    if not datasets.FOLDER.is_dir():
        gaps.append(
            f"{datasets.FOLDER} is not a folder: (b) uses {datasets.DEFAULT} of "
            "scikit-learn. Set SKAE_DATA to the folder of the others."
        )
    if not processes.STATUS.exists():
        gaps.append(f"{processes.STATUS} does not exist: (f) is skipped.")
    return gaps


def write_facts(path: Path, plan: Plan, gaps: list[str]) -> None:
    """Write versions and settings of the run."""
    packages = ("numpy", "scikit-learn", "torch", "skorch")
    installed = [
        module for name, module in peers.OPTIONAL.items() if name not in peers.missing()
    ]
    facts = {
        "python": platform.python_version(),
        **{package: version(package) for package in (*packages, *installed)},
        "skae": skae.__version__,
        "cores": joblib.cpu_count(),
        "threads": torch.get_num_threads(),
        "left_out": gaps,
        **plan._asdict(),
    }
    path.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
