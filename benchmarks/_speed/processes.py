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

from _speed.peers import N_FEATURES, K, make_samples, time_calls
from _speed.report import make_row
from skae import AutoencoderTransformer

STATUS = Path("/proc/self/status")


# (f) Memory, in a fresh process for each fit.


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
    return fit_monitored(make_samples(n_samples, n_features).astype(np.float64), max_iter)


def fit_memmap(n_samples: int, n_features: int, max_iter) -> tuple[int, float, int]:
    chunk = make_samples(min(n_samples, 100_000), n_features)
    with tempfile.TemporaryDirectory(prefix="skae_benchmark_") as folder:
        path = Path(folder) / "X"
        with path.open("wb") as file:
            for _ in range(n_samples // len(chunk)):
                chunk.tofile(file)
        del chunk
        X = np.memmap(path, np.float32, "r").reshape(-1, n_features)
        return fit_monitored(X, max_iter)


def fit_monitored(X: np.ndarray, max_iter: int | str) -> tuple[int, float, int]:
    """Return the peak increase of private bytes, CPU seconds and the bytes of X."""
    torch.set_num_threads(1)
    AutoencoderTransformer(K, max_iter=1, random_state=0).fit(X[:200])
    before = private_bytes()
    peaks = [before]
    done = threading.Event()

    def poll() -> None:
        while not done.wait(0.005):
            peaks[0] = max(peaks[0], private_bytes())

    thread = threading.Thread(target=poll)
    thread.start()
    start = time.process_time()
    try:
        AutoencoderTransformer(K, max_iter=max_iter, random_state=0).fit(X)
    finally:
        done.set()
        thread.join()
    return peaks[0] - before, time.process_time() - start, X.nbytes


def private_bytes() -> int:
    line = next(s for s in STATUS.read_text().splitlines() if s.startswith("RssAnon"))
    return 1024 * int(line.split()[1])


# (g) Grid search.


def time_search(plan) -> list[dict]:
    X = make_samples(plan.search_rows, 20)
    n_candidates = count_candidates(X, plan)
    searches = {n: partial(search, X, n_candidates, n_jobs=n) for n in (1, 2)}
    search(X[:100], 4, n_jobs=2)  # warms up the pool

    def search_under_load() -> None:
        with busy_processes(max(1, joblib.cpu_count() - 1)):
            searches[2]()

    calls = {"n_jobs=1": searches[1], "n_jobs=2": searches[2]}
    calls["n_jobs=2, busy cores"] = search_under_load
    seconds = time_calls(calls, plan.repeats, time.perf_counter)
    rows = []
    for setting, value in seconds.items():
        how = f"{setting}, {3 * n_candidates} fits"
        row = partial(make_row, "g", "skae", how, X.shape, 4)
        rows.append(row("wall_seconds", value, value / seconds["n_jobs=1"]))
        rows.append(row("speed_up", seconds["n_jobs=1"] / value))
    return rows


def count_candidates(X: np.ndarray, plan) -> int:
    """Return the number of candidates for the planned time in one process."""
    calls = {"one": partial(search, X, 1, n_jobs=1)}
    return max(2, round(plan.search_seconds / time_calls(calls, 2)["one"]))


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
