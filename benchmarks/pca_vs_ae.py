"""Reconstruction of held-out samples by the autoencoder, compared with PCA and KernelPCA.

A run is a data set, a seed and a number of components ``k``. At most 5,000 samples are
drawn, 30 % of them held out (whole blocks of video frames), and features standardised on
the training samples. ``PCA(k)``, ``KernelPCA(k)`` (an RBF kernel, at most 2,000 training
samples, because its cost is cubic; with ``--full`` for the first seed only) and
``AutoencoderTransformer(k)`` with its defaults are fitted to them. The results, on the
held-out samples, are:

mse, r2
    Mean squared error in standardised units, and ``skae.metrics.reconstruction_r2``.
mse_ratio
    The error over PCA's of the same run; for the autoencoder it should be at most 1.
trustworthiness
    To what extent the 5 nearest neighbours of a code are neighbours in X, too.
knn_accuracy
    Accuracy of 5-NN on the training codes, for sets with classes.
fit_cpu_seconds, transform_cpu_seconds
    CPU time of a process with one thread.

Runs in which the error of PCA is at most 1e-9 cannot be improved: they are skipped and
counted. Then ``GridSearchCV`` selects PCA or the autoencoder as a step of a Pipeline that
classifies digits.

``--tuned`` compares with a plain autoencoder instead: the best of 12 ``MLPRegressor(X,
X)`` by the error on 10 % of the training samples, refitted to all of them. MLPRegressor
has one activation for all hidden layers, so its codes pass through a tanh, too.

``--full`` ends with tables as people have them: raw units (the 160 tables of oddbench,
too), series, copies, groups and drift, see ``_pca_vs_ae/situations.py``; ``--quick`` has
one of the synthetic ones. ``ratio`` is the error over PCA's, and ``tolerated`` its limit.

Usage::

    python benchmarks/pca_vs_ae.py [--quick | --full] [--tuned] [--jobs 2] [--sets a,b]

The default takes about a minute on two cores. A CSV file, a figure and a JSON file of
versions are written to ``benchmarks/results``; those of ``--quick``, of ``--sets`` and of
an incomplete collection of data sets to a temporary folder.
"""

import os

# Read by numpy and torch at import. Parallel workers have one thread each.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import csv
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
import sklearn
import torch
from _pca_vs_ae import report, situations
from _shared import datasets
from rich.progress import track
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import trustworthiness
from sklearn.model_selection import GridSearchCV, ParameterGrid, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer
from skae.metrics import reconstruction_r2

RESULTS = Path(__file__).parent / "results"
COLUMNS = (
    *("set", "n_train", "n_features", "k", "seed", "method", "mse", "r2", "mse_ratio"),
    *("trustworthiness", "knn_accuracy", "fit_cpu_seconds", "transform_cpu_seconds"),
)
TUNED_COLUMNS = (
    *("set", "n_train", "n_features", "k", "seed", "mse_pca", "mse_mlp", "mse_ae"),
    *("ratio", "width", "learning_rate_init", "epochs"),
    *("mlp_search_cpu_seconds", "ae_fit_cpu_seconds"),
)
TUNED_SETS = (
    *("digits", "breast_cancer", "wine", "diabetes", "wine_quality", "letter"),
    *("dry_bean", "htru2", "cpu_act", "ailerons", "pol", "protein_casp"),
    *("cmapss_fd001", "skab", "masscyt_thymus", "creditcard_fraud_subset", "usps"),
)
MLP_GRID = {
    "width": [64, 256],
    "learning_rate_init": [1e-3, 3e-3, 1e-2],
    "epochs": [50, 200],
}
MAX_KERNEL_SAMPLES = 2000
EXACT = 1e-9


class Plan(NamedTuple):
    """Data sets and settings of a run."""

    sets: tuple[str, ...]
    components: tuple[int, ...] = (1, 2, 4, 8, 16)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    kernel_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    max_iter: int | str = "auto"
    grid_components: tuple[int, ...] = (8,)
    mlp_grid: dict = MLP_GRID


QUICK = Plan(
    sets=("breast_cancer",),
    components=(2,),
    seeds=(0,),
    max_iter=3,
    grid_components=(2,),
    mlp_grid={"width": [16], "learning_rate_init": [1e-3, 1e-2], "epochs": [3]},
)
PLANS = {
    "pca_vs_ae": Plan(datasets.DEFAULT),
    "pca_vs_ae_full": Plan(datasets.FULL, kernel_seeds=(0,)),
    "pca_vs_ae_quick": QUICK,
    "pca_vs_ae_tuned": Plan(TUNED_SETS, components=(2, 8), seeds=(0,)),
    "pca_vs_ae_tuned_quick": QUICK,
}


# A run.


def compare(name: str, seed: int, k: int, plan: Plan) -> list[dict]:
    """Return a row per method; none if PCA is exact."""
    data = datasets.hold_out(datasets.load(name), seed)
    records = {"PCA": evaluate(PCA(k, random_state=seed), data)}
    pca_error = records["PCA"]["mse"]
    if pca_error <= EXACT:
        return []
    if seed in plan.kernel_seeds:
        kernel_pca = KernelPCA(
            k, kernel="rbf", fit_inverse_transform=True, random_state=seed
        )
        records["KernelPCA"] = evaluate(kernel_pca, data, MAX_KERNEL_SAMPLES)
    records["AE"] = evaluate(make_autoencoder(k, seed, plan), data)
    return [
        describe(name, seed, k, data)
        | {"method": method, "mse_ratio": record["mse"] / pca_error}
        | record
        for method, record in records.items()
    ]


def make_autoencoder(k: int, seed: int, plan: Plan) -> AutoencoderTransformer:
    return AutoencoderTransformer(k, max_iter=plan.max_iter, random_state=seed)


def describe(name: str, seed: int, k: int, data: datasets.Split) -> dict:
    n_train, n_features = data.X_train.shape
    return dict(set=name, n_train=n_train, n_features=n_features, k=k, seed=seed)


def evaluate(transformer, data: datasets.Split, max_samples: int | None = None) -> dict:
    """Fit to at most ``max_samples`` samples, and evaluate on held-out ones."""
    start = time.process_time()
    transformer.fit(data.X_train[:max_samples])
    fitted = time.process_time()
    codes = transformer.transform(data.X_test)
    transformed = time.process_time()
    return {
        "mse": squared_error(transformer.inverse_transform(codes), data.X_test),
        "r2": reconstruction_r2(transformer, data.X_test),
        "trustworthiness": trustworthiness(data.X_test, codes, n_neighbors=5),
        "knn_accuracy": knn_accuracy(transformer, data),
        "fit_cpu_seconds": fitted - start,
        "transform_cpu_seconds": transformed - fitted,
    }


def squared_error(reconstruction: np.ndarray, X: np.ndarray) -> float:
    return np.square(X - reconstruction).mean()


def knn_accuracy(transformer, data: datasets.Split) -> float:
    if data.y_train is None:
        return float("nan")
    classifier = KNeighborsClassifier(5)
    classifier.fit(transformer.transform(data.X_train), data.y_train)
    return classifier.score(transformer.transform(data.X_test), data.y_test)


# A run against a tuned plain autoencoder.


def compare_tuned(name: str, seed: int, k: int, plan: Plan) -> list[dict]:
    """Return one row; none if PCA is exact."""
    data = datasets.hold_out(datasets.load(name), seed)
    pca = evaluate(PCA(k, random_state=seed), data)
    if pca["mse"] <= EXACT:
        return []
    autoencoder = evaluate(make_autoencoder(k, seed, plan), data)
    start = time.process_time()
    mlp, setting = search_mlp(data.X_train, k, seed, plan.mlp_grid)
    searched = time.process_time()
    mlp_error = squared_error(mlp.predict(data.X_test), data.X_test)
    return [
        describe(name, seed, k, data)
        | setting
        | {
            "mse_pca": pca["mse"],
            "mse_mlp": mlp_error,
            "mse_ae": autoencoder["mse"],
            "ratio": autoencoder["mse"] / mlp_error,
            "mlp_search_cpu_seconds": searched - start,
            "ae_fit_cpu_seconds": autoencoder["fit_cpu_seconds"],
        }
    ]


def search_mlp(X: np.ndarray, k: int, seed: int, grid: dict) -> tuple[MLPRegressor, dict]:
    """Return the best of a grid, refitted to all of X, and its setting."""
    X_fit, X_valid = train_test_split(X, test_size=0.1, random_state=seed)

    def validation_error(setting: dict) -> float:
        return squared_error(fit_mlp(X_fit, k, seed, **setting).predict(X_valid), X_valid)

    best = min(ParameterGrid(grid), key=validation_error)
    return fit_mlp(X, k, seed, **best), best


def fit_mlp(
    X: np.ndarray,
    k: int,
    seed: int,
    *,
    width: int,
    epochs: int,
    learning_rate_init: float,
) -> MLPRegressor:
    mlp = MLPRegressor(
        hidden_layer_sizes=(width, k, width),
        activation="tanh",
        learning_rate_init=learning_rate_init,
        max_iter=epochs,
        # Otherwise a plateau of the training loss ends training before max_iter.
        n_iter_no_change=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # max_iter is the budget, and reaching it is intended.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mlp.fit(X, X)


# All runs of a plan.


def run_all(
    function: Callable, plan: Plan, columns: tuple, path: Path, n_jobs: int
) -> pd.DataFrame:
    """Run a plan in parallel, write each row at once, and return all of them sorted."""
    runs = [
        (name, seed, k, plan)
        for name in plan.sets
        for k in usable_components(name, plan)
        for seed in plan.seeds
    ]
    parallel = joblib.Parallel(n_jobs, return_as="generator_unordered")
    results = parallel(joblib.delayed(function)(*run) for run in runs)
    n_skipped = 0
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for rows in track(results, path.stem, total=len(runs), console=report.console):
            writer.writerows(rows)
            file.flush()  # in case of an interruption
            n_skipped += not rows
    frame = sort_rows(pd.read_csv(path), plan)
    frame.to_csv(path, index=False, float_format="%.6g")
    write_facts(path, plan, n_jobs, n_skipped)
    report.console.print(
        f"{n_skipped} of {len(runs)} runs skipped, because PCA is exact."
    )
    return frame


def usable_components(name: str, plan: Plan) -> list[int]:
    n_features = datasets.load(name).X.shape[1]
    return [k for k in plan.components if k < n_features]


def sort_rows(frame: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Sort rows in the order of the plan; runs end in any order."""
    frame["set"] = pd.Categorical(frame["set"], plan.sets)
    # Stable, to keep the order of methods.
    return frame.sort_values(["set", "k", "seed"], kind="stable", ignore_index=True)


def write_facts(path: Path, plan: Plan, n_jobs: int, n_skipped: int) -> None:
    """Write versions and settings of the run."""
    modules = np, sklearn, torch, skae
    facts = {
        "python": platform.python_version(),
        **{module.__name__: module.__version__ for module in modules},
        "cores": joblib.cpu_count(),
        "jobs": n_jobs,
        "runs_left_out": n_skipped,
        "kernel_pca_seeds": plan.kernel_seeds,
    }
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")


# Tables as people have them.


def compare_situation(situation: situations.Situation, seed: int, k: int) -> dict:
    """Return the errors of PCA and of the autoencoder on new samples, in units of X."""
    train, test, groups = situation.load(seed)
    start = time.process_time()
    autoencoder = AutoencoderTransformer(k, random_state=seed).fit(train, groups=groups)
    seconds = time.process_time() - start
    pca = PCA(k, svd_solver="full").fit(train)
    errors = [
        squared_error(model.inverse_transform(model.transform(test)), test)
        for model in (pca, autoencoder)
    ]
    # Where PCA is exact, what is left is rounding error.
    rounding = np.square(1e-7 * test.std(axis=0)).mean()
    return {
        **{"kind": situation.kind, "set": situation.name, "n_train": len(train)},
        **{"n_features": train.shape[1], "k": k, "seed": seed},
        **{"mse_pca": errors[0], "mse_ae": errors[1]},
        "ratio": errors[1] / max(errors[0], rounding),
        "tolerated": situations.TOLERATED.get(situation.kind, situations.OTHERS),
        "fit_cpu_seconds": seconds,
    }


def run_situations(
    chosen: list[situations.Situation], path: Path, n_jobs: int
) -> pd.DataFrame:
    """Run some situations in parallel; write and return the results."""
    runs = [
        (situation, seed, k)
        for situation in chosen
        for k in situation.components
        for seed in situation.seeds
    ]
    parallel = joblib.Parallel(n_jobs, return_as="generator")
    results = parallel(joblib.delayed(compare_situation)(*run) for run in runs)
    rows = track(results, "situations", total=len(runs), console=report.console)
    frame = pd.DataFrame(list(rows))
    frame.to_csv(path, index=False, float_format="%.6g")
    return frame


# Digits: a grid search, and codes for the figure.


def search_grid(plan: Plan, n_jobs: int) -> GridSearchCV:
    """Select PCA or the autoencoder by a grid search."""
    digits = datasets.load("digits")
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("reduce", PCA()),
            ("classify", KNeighborsClassifier()),
        ]
    )
    grid = [
        {"reduce": [reducer], "reduce__n_components": plan.grid_components}
        for reducer in (PCA(random_state=0), make_autoencoder(2, 0, plan))
    ]
    return GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs, refit=False).fit(
        digits.X, digits.y
    )


def evaluate_digits(plan: Plan, n_jobs: int) -> pd.DataFrame:
    """Evaluate two components of digits in grey levels, the same unit for all pixels."""
    parallel = joblib.Parallel(n_jobs)
    rows = parallel(
        joblib.delayed(evaluate_digits_once)(seed, plan) for seed in plan.seeds[:3]
    )
    return pd.DataFrame(sum(rows, []))


def evaluate_digits_once(seed: int, plan: Plan) -> list[dict]:
    data = datasets.hold_out(datasets.load("digits"), seed, standardise=False)
    methods = {"PCA": PCA(2, random_state=seed), "AE": make_autoencoder(2, seed, plan)}
    return [
        {"method": method, "seed": seed} | evaluate(transformer, data)
        for method, transformer in methods.items()
    ]


def encode_digits(plan: Plan) -> tuple[np.ndarray, dict]:
    """Return the held-out classes, and codes to plot, by title."""
    data = datasets.hold_out(datasets.load("digits"), seed=0, standardise=False)
    codes = {}
    for name, transformer in {
        "PCA": PCA(2, random_state=0),
        "Autoencoder": make_autoencoder(2, 0, plan),
    }.items():
        accuracy = knn_accuracy(transformer.fit(data.X_train), data)
        title = f"{name}: 5-NN accuracy {accuracy:.2f}"
        codes[title] = transformer.transform(data.X_test)
    return data.y_test, codes


# The command.


def main() -> None:
    start = time.perf_counter()
    options = parse_options()
    suffixes = [name for name in ("full", "tuned", "quick") if getattr(options, name)]
    stem = "_".join(["pca_vs_ae", *suffixes])
    plan = restrict(PLANS[stem], options.sets)
    # Only complete runs are stored in the repository.
    kept = plan == PLANS[stem] and not options.quick
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.csv"
    if options.tuned:
        report.print_tuned(
            run_all(compare_tuned, plan, TUNED_COLUMNS, path, options.jobs)
        )
    else:
        frame = run_all(compare, plan, COLUMNS, path, options.jobs)
        report.print_ratios(frame)
        digits = evaluate_digits(plan, options.jobs)
        digits.to_csv(path.with_name(f"{stem}_digits.csv"), index=False)
        report.print_digits(digits)
        report.print_search(search_grid(plan, options.jobs))
        report.draw(frame, *encode_digits(plan), path.with_suffix(".png"))
        if options.full or options.quick:
            chosen = list(situations.situations())
            if options.quick:
                chosen = [s for s in chosen if s.kind == "series"][:1]
            path = path.with_name(f"{stem}_situations.csv")
            found = run_situations(chosen, path, options.jobs)
            report.print_situations(found)
            report.draw_situations(found, path.with_suffix(".png"))
    report.console.print(
        f"{time.perf_counter() - start:.0f} s. Results: {path}", soft_wrap=True
    )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    amount.add_argument("--full", action="store_true", help="all sets, half an hour")
    parser.add_argument("--tuned", action="store_true", help="against MLPRegressor")
    parser.add_argument("--jobs", type=int, help="worker processes (2; quick: 1)")
    parser.add_argument("--sets", help="comma-separated names of datasets.FULL")
    options = parser.parse_args()
    if options.full and options.tuned:
        parser.error("--tuned has its own sets and excludes --full")
    options.sets = tuple(options.sets.split(",")) if options.sets else ()
    if unknown := set(options.sets) - set(datasets.FULL):
        parser.error(f"--sets must not contain {sorted(unknown)}. Use {datasets.FULL}.")
    # Two workers take longer to start than a smoke test takes in one process.
    options.jobs = options.jobs or (1 if options.quick else 2)
    return options


def restrict(plan: Plan, sets: tuple[str, ...]) -> Plan:
    """Return the plan with the requested sets, of those that are available."""
    requested = sets or plan.sets
    if datasets.FOLDER.is_dir():
        return plan._replace(sets=requested)
    available = tuple(name for name in requested if name in datasets.SHIPPED)
    if available != requested:
        report.console.print(
            f"{datasets.FOLDER} is not a folder: only {available} are used. "
            "Set SKAE_DATA to the folder of the others."
        )
    if not available:
        raise SystemExit("No data set is available.")
    return plan._replace(sets=available)


if __name__ == "__main__":
    main()
