"""Parts (f) and (g) of ``speed.py``, which measure whole processes."""

import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.model_selection import GridSearchCV

from _speed.peers import N_FEATURES, K, make_rows, take_turns
from _speed.report import make_row
from skae import AutoencoderTransformer

STATUS = Path("/proc/self/status")


# (f) Memory, each time in a fresh process.


def measure_memory(plan) -> list[dict]:
    if not STATUS.exists():
        return []
    runs = [(fit_array, "float64 array", (n, N_FEATURES)) for n in plan.memory_rows]
    runs.append((fit_memmap, "float32 memmap", (plan.mapped_rows, 100)))
    rows = []
    for function, setting, shape in runs:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            result = pool.submit(function, *shape, plan.memory_max_iter).result()
        peak, seconds, size = result
        row = partial(make_row, "f", "skae", setting, shape, K)
        rows.append(row("peak_private_mb", peak / 1e6, peak / size))
        rows.append(row("cpu_seconds", seconds))
    return rows


def fit_array(n_samples: int, n_features: int, max_iter) -> tuple[int, float, int]:
    return fit_watched(make_rows(n_samples, n_features).astype(np.float64), max_iter)


def fit_memmap(n_samples: int, n_features: int, max_iter) -> tuple[int, float, int]:
    chunk = make_rows(min(n_samples, 100_000), n_features)
    with tempfile.TemporaryDirectory(prefix="skae_benchmark_") as folder:
        path = Path(folder) / "X"
        with path.open("wb") as file:
            for _ in range(n_samples // len(chunk)):
                chunk.tofile(file)
        del chunk
        X = np.memmap(path, np.float32, "r").reshape(-1, n_features)
        return fit_watched(X, max_iter)


def fit_watched(X: np.ndarray, max_iter: int | str) -> tuple[int, float, int]:
    """Return the peak of private bytes beyond those before, CPU seconds, bytes of X."""
    torch.set_num_threads(1)
    AutoencoderTransformer(K, max_iter=1, random_state=0).fit(X[:200])
    before = private_bytes()
    peaks = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peaks[0] = max(peaks[0], private_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    try:
        AutoencoderTransformer(K, max_iter=max_iter, random_state=0).fit(X)
    finally:
        done.set()
        watcher.join()
    return peaks[0] - before, time.process_time() - start, X.nbytes


def private_bytes() -> int:
    line = next(s for s in STATUS.read_text().splitlines() if s.startswith("RssAnon"))
    return 1024 * int(line.split()[1])


# (g) Grid search.


def time_search(plan) -> list[dict]:
    X = make_rows(plan.search_rows, 20)
    n_candidates = count_candidates(X, plan)
    searches = {n: partial(search, X, n_candidates, n_jobs=n) for n in (1, 2)}
    search(X[:100], 4, n_jobs=2)  # the pool's processes load their code

    def search_crowded() -> None:
        with busy_processes(max(1, joblib.cpu_count() - 1)):
            searches[2]()

    calls = {"n_jobs=1": searches[1], "n_jobs=2": searches[2]}
    calls["n_jobs=2, busy cores"] = search_crowded
    seconds = take_turns(calls, plan.repeats, time.perf_counter)
    rows = []
    for setting, value in seconds.items():
        how = f"{setting}, {3 * n_candidates} fits"
        row = partial(make_row, "g", "skae", how, X.shape, 4)
        rows.append(row("wall_seconds", value, value / seconds["n_jobs=1"]))
        rows.append(row("speed_up", seconds["n_jobs=1"] / value))
    return rows


def count_candidates(X: np.ndarray, plan) -> int:
    """Return how many candidates keep one process busy for as long as planned."""
    calls = {"one": partial(search, X, 1, n_jobs=1)}
    return max(2, round(plan.search_seconds / take_turns(calls, 2)["one"]))


def search(X: np.ndarray, n_candidates: int, n_jobs: int) -> GridSearchCV:
    rates = {"learning_rate": np.geomspace(5e-3, 1e-2, n_candidates)}
    autoencoder = AutoencoderTransformer(4, random_state=0)
    return GridSearchCV(autoencoder, rates, cv=3, n_jobs=n_jobs, refit=False).fit(X)


@contextmanager
def busy_processes(n: int):
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(n)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
