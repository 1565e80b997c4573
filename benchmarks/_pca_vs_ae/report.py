"""Tables and figure of ``pca_vs_ae.py``."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import gmean
from sklearn.model_selection import GridSearchCV

matplotlib.use("Agg")  # before pyplot is imported

import matplotlib.pyplot as plt
from matplotlib import patheffects
from matplotlib.axes import Axes

TOLERATED_RATIO = 1.01
TOP = 1.2  # upper limit of the axes of ratios
STYLES = {"AE": ("Autoencoder", "tab:blue"), "KernelPCA": ("KernelPCA", "tab:orange")}
DIGIT_COLORS = plt.get_cmap("tab10").colors

# The tables need this width; on a narrower terminal their cells are truncated.
console = Console(width=max(100, Console().width))


def make_table(title: str, *headings: str, **options) -> Table:
    """Return a table with text in its first column and numbers in the others."""
    table = Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0), **options)
    for heading in headings:
        if heading == headings[0]:
            table.add_column(heading, no_wrap=True)
        else:
            table.add_column(heading, justify="right")
    return table


def print_ratios(frame: pd.DataFrame) -> None:
    """Print a row per data set, and a summary of the ratios over all runs."""
    table = make_table(
        "Mean squared error on held-out samples: the autoencoder (AE) against PCA",
        *("set", "n", "d", "AE/PCA", "max", "KPCA/PCA", "acc. PCA", "acc. AE"),
        *("trust. PCA", "trust. AE", "AE fit CPU s"),
        caption="Medians over runs; KPCA: KernelPCA. At k = 2, acc.: of 5-NN, trust.: "
        "trustworthiness",
    )
    for name, rows in frame.groupby("set", observed=True):
        table.add_row(str(name), *summarise(rows))
    console.print(table)
    console.print(describe_ratios(frame[frame["method"] == "AE"]))


def summarise(rows: pd.DataFrame) -> list[str]:
    """Return the cells of a data set: medians over all runs, means of those at k = 2."""
    ratio = rows.groupby("method")["mse_ratio"]
    median = ratio.median().reindex(["AE", "KernelPCA"])
    at_two = rows[rows["k"] == 2].groupby("method").mean(numeric_only=True)
    at_two = at_two.reindex(["PCA", "AE"])
    ratios = median["AE"], ratio.max()["AE"], median["KernelPCA"]
    seconds = rows.loc[rows["method"] == "AE", "fit_cpu_seconds"].median()
    quality = *at_two["knn_accuracy"], *at_two["trustworthiness"], seconds
    shape = [str(rows[column].iloc[0]) for column in ("n_train", "n_features")]
    cells = [f"{x:.3f}" for x in ratios] + [f"{x:.2f}" for x in quality]
    return shape + [cell.replace("nan", "-") for cell in cells]


def describe_ratios(runs: pd.DataFrame) -> str:
    ratio = runs["mse_ratio"]
    worse = runs[ratio > TOLERATED_RATIO]
    which = "; ".join(
        f"{run.set} k={run.k} seed={run.seed}: {run.mse_ratio:.3f}"
        for run in worse.itertuples()
    )
    return (
        f"{len(runs)} runs: median ratio {ratio.median():.3f}, max {ratio.max():.4f}, "
        f"{len(worse)} above {TOLERATED_RATIO}" + (f" ({which})" if which else "")
    )


def print_situations(frame: pd.DataFrame) -> None:
    """Print a row per kind, and all runs above what is tolerated."""
    table = make_table(
        "New samples of tables as people have them: error of the AE over PCA's",
        *("kind", "runs", "median", "geometric mean", "max", "tolerated", "above"),
    )
    above = frame[frame["ratio"] > frame["tolerated"]]
    for kind, rows in frame.groupby("kind", sort=False):
        ratio, limit = rows["ratio"], rows["tolerated"].iloc[0]
        figures = ratio.median(), gmean(ratio.clip(lower=1e-6)), ratio.max()
        cells = [f"{x:.3f}" for x in figures] + [f"{limit:.2f}", f"{sum(ratio > limit)}"]
        table.add_row(str(kind), str(len(rows)), *cells)
    console.print(table)
    for run in above.itertuples():
        console.print(
            f"{run.kind}, {run.set}, k={run.k}, seed {run.seed}: {run.ratio:.3f}"
        )


def draw_situations(frame: pd.DataFrame, path: Path) -> None:
    """Draw the ratios of each kind, sorted."""
    kinds = list(frame.groupby("kind", sort=False))
    figure, panels = plt.subplots(
        1,
        len(kinds),
        figsize=(2.6 * len(kinds), 3.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel, (kind, rows) in zip(panels.ravel(), kinds, strict=True):
        ratio = np.sort(rows["ratio"])
        panel.axhline(1, color="black", linestyle="--", linewidth=1)
        panel.axhline(rows["tolerated"].iloc[0], color="tab:red", linewidth=1)
        panel.plot(np.linspace(0, 1, len(ratio)), ratio.clip(max=TOP), ".", markersize=4)
        panel.set_title(f"{kind}\n{len(ratio)} runs", size=10)
        panel.set_xlabel("share of runs")
        panel.set_ylim(0, TOP + 0.03)
    panels[0, 0].set_ylabel("error on new samples / PCA's")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def print_tuned(frame: pd.DataFrame) -> None:
    """Print a row per run, and the geometric mean of their ratios."""
    shown = {
        **{"set": "set", "n_train": "n", "n_features": "d", "k": "k", "mse_pca": "PCA"},
        **{"mse_mlp": "MLP", "mse_ae": "AE", "ratio": "AE/MLP", "width": "width"},
        **{"learning_rate_init": "rate", "epochs": "epochs"},
        **{"mlp_search_cpu_seconds": "MLP CPU s", "ae_fit_cpu_seconds": "AE CPU s"},
    }
    table = make_table(
        "Mean squared error on held-out samples: default AE against tuned MLPRegressor",
        *shown.values(),
    )
    for row in frame[list(shown)].itertuples(index=False):
        table.add_row(*(f"{x:.3g}" if isinstance(x, float) else str(x) for x in row))
    console.print(table)
    ratio = frame["ratio"]
    console.print(
        f"{len(frame)} runs: geometric mean of AE/MLP {gmean(ratio):.3f}, "
        f"max {ratio.max():.3f}, {np.sum(ratio > 1)} above 1"
    )


def print_digits(frame: pd.DataFrame) -> None:
    """Print medians over seeds of two components of digits."""
    table = make_table(
        "Digits in grey levels, two components: medians over seeds",
        *("method", "5-NN accuracy", "trustworthiness", "r2"),
    )
    quality = ["knn_accuracy", "trustworthiness", "r2"]
    for method, row in frame.groupby("method", sort=False)[quality].median().iterrows():
        table.add_row(str(method), *(f"{value:.3f}" for value in row))
    console.print(table)


def print_search(search: GridSearchCV) -> None:
    """Print a row per candidate, and the selected one."""
    table = make_table(
        "GridSearchCV on digits: scale, reduce, 5-NN",
        *("reduce", "test accuracy", "fit seconds"),
    )
    results = search.cv_results_
    names = [name_step(parameters) for parameters in results["params"]]
    scores = results["mean_test_score"], results["mean_fit_time"]
    for name, accuracy, seconds in zip(names, *scores, strict=True):
        table.add_row(name, f"{accuracy:.3f}", f"{seconds:.2f}")
    console.print(table)
    console.print(f"Selected: {name_step(search.best_params_)}")


def name_step(parameters: dict) -> str:
    step = type(parameters["reduce"]).__name__
    return f"{step}({parameters['reduce__n_components']})"


def draw(frame: pd.DataFrame, classes: np.ndarray, codes: dict, path: Path) -> None:
    """Draw the ratios of ``frame`` and the codes by title, and save both."""
    sets = list(frame["set"].unique())
    n_panels = len(sets) + len(codes)
    n_columns = min(n_panels, 6 if n_panels > 8 else 4)
    n_rows = -(-n_panels // n_columns)
    figure, grid = plt.subplots(
        n_rows,
        n_columns,
        figsize=(3.2 * n_columns, 2.9 * n_rows + 0.5),
        squeeze=False,
        layout="constrained",
    )
    panels = grid.ravel()
    for panel, name in zip(panels, sets, strict=False):
        draw_ratios(panel, frame[frame["set"] == name])
    for panel, (title, points) in zip(panels[len(sets) :], codes.items(), strict=False):
        draw_codes(panel, title, points, classes)
    for panel in panels[n_panels:]:
        panel.set_axis_off()
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        title="median and range over seeds; a triangle is above the axis",
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_ratios(panel: Axes, rows: pd.DataFrame) -> None:
    panel.axhline(1, color="black", linestyle="--", linewidth=1, label="PCA")
    for method, (label, color) in STYLES.items():
        ratio = rows[rows["method"] == method].groupby("k")["mse_ratio"]
        median = ratio.median()
        panel.fill_between(median.index, ratio.min(), ratio.max(), color=color, alpha=0.2)
        panel.plot(median.clip(upper=TOP), "o-", color=color, markersize=4, label=label)
        # Values above the axis are marked at its edge.
        panel.plot(median[median > TOP].clip(upper=TOP), "^", color=color, markersize=8)
    components = sorted(rows["k"].unique())
    panel.set_xscale("log", base=2)
    panel.set_xticks(components, components)
    panel.set_ylim(0, TOP + 0.03)
    first = rows.iloc[0]
    panel.set_title(
        f"{first['set']}\n{first['n_train']} x {first['n_features']}", size=10
    )
    panel.set_xlabel("components")
    panel.set_ylabel("held-out error / PCA's")


def draw_codes(panel: Axes, title: str, codes: np.ndarray, classes: np.ndarray) -> None:
    for label in np.unique(classes):
        points = codes[classes == label]
        panel.scatter(*points.T, s=8, color=DIGIT_COLORS[label], linewidths=0)
        # Labels, because ten colours are hard to distinguish.
        panel.annotate(
            str(label),
            np.median(points, axis=0),
            ha="center",
            va="center",
            weight="bold",
            path_effects=[patheffects.withStroke(linewidth=3, foreground="white")],
        )
    panel.set_title(f"digits, two components\n{title}", size=10)
    # A few outliers would determine the limits.
    low, high = np.quantile(codes, [0.01, 0.99], axis=0)
    margin = 0.1 * (high - low)
    panel.set_xlim(low[0] - margin[0], high[0] + margin[0])
    panel.set_ylim(low[1] - margin[1], high[1] + margin[1])
    panel.set_xlabel("component 1 (without outliers)")
    panel.set_ylabel("component 2")
    panel.set_xticks([])
    panel.set_yticks([])
