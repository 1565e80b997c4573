"""CSV rows, tables and figure of ``speed.py``."""

from pathlib import Path

import numpy as np
import pandas as pd
from _pca_vs_ae.report import console, make_table
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLUMNS = (
    *("part", "method", "setting", "n_rows", "n_features", "n_components"),
    *("metric", "value", "ratio"),
)
TITLES = {
    "a": ("Fit with equal networks, batch size and epochs", "CPU time / skae's"),
    "b": ("Time to the held-out error of a peer's defaults", "CPU time / the peer's"),
    "c": ("Restarts in one stacked module", "CPU time / one restart's"),
    "d": ("Growth of the cost of fit", ""),
    "e": ("Transform", "throughput / the bare forward pass's, latency / PCA's"),
    "f": ("Peak private memory of fit", "memory / the size of X"),
    "g": ("GridSearchCV", "wall time / that of n_jobs=1"),
    "h": ("partial_fit", "held-out error / that of one fit"),
}


def make_row(
    part: str,
    method: str,
    setting: str,
    shape: tuple[int, int],
    k: int,
    metric: str,
    value: float,
    ratio: float = np.nan,
) -> dict:
    """Return a row of the CSV; :data:`TITLES` describes the ratio."""
    cells = (part, method, setting, *shape, k, metric, value, ratio)
    return dict(zip(COLUMNS, cells, strict=True))


def print_part(frame: pd.DataFrame, part: str) -> None:
    """Print a line per method and setting, with a column per metric."""
    rows = frame[frame["part"] == part]
    title, ratio = TITLES[part]
    metrics = list(rows["metric"].unique())
    table = make_table(
        f"({part}) {title}",
        *("setting", "method", "n", "d", "k"),
        *(metric.replace("_", " ") for metric in metrics),
        "ratio",
        caption=f"ratio: {ratio}" if ratio else None,
    )
    table.columns[1].justify = "left"  # the method, text
    keys = ["setting", "method", "n_rows", "n_features", "n_components"]
    for key, group in rows.groupby(keys, sort=False):
        values = group.set_index("metric")["value"].reindex(metrics)
        # No line has more than one ratio; the other metrics have none.
        cells = [*values, group["ratio"].max()]
        table.add_row(*map(str, key), *map(format_number, cells))
    console.print(table)


def format_number(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


# The figure: a panel per part.


def draw(frame: pd.DataFrame, path: Path) -> None:
    parts = list(frame["part"].unique())
    n_columns = min(len(parts), 3)
    figure, grid = plt.subplots(
        -(-len(parts) // n_columns),
        n_columns,
        figsize=(6 * n_columns, 4.2 * -(-len(parts) // n_columns)),
        squeeze=False,
        layout="constrained",
    )
    for panel, part in zip(grid.ravel(), parts, strict=False):
        DRAWINGS[part](panel, frame[frame["part"] == part])
        panel.set_title(f"({part}) {TITLES[part][0]}", size=11)
    for panel in grid.ravel()[len(parts) :]:
        panel.set_axis_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_fits(panel: Axes, rows: pd.DataFrame) -> None:
    draw_bars(panel, rows.dropna(subset="ratio"), limit=4)


def draw_quality(panel: Axes, rows: pd.DataFrame) -> None:
    draw_bars(panel, rows.dropna(subset="ratio"), limit=0.1)
    panel.set_xscale("log")


def draw_transform(panel: Axes, rows: pd.DataFrame) -> None:
    draw_bars(panel, rows)


def draw_search(panel: Axes, rows: pd.DataFrame) -> None:
    draw_bars(panel, rows[rows["metric"] == "wall_seconds"], limit=1 / 1.7)


def draw_parts(panel: Axes, rows: pd.DataFrame) -> None:
    draw_bars(panel, rows.dropna(subset="ratio"), limit=1.05)


def draw_bars(panel: Axes, rows: pd.DataFrame, limit: float = np.nan) -> None:
    """Draw a bar with its number per ratio, and the target as a dotted line."""
    if rows.empty:  # no peer is installed
        return
    names = (rows["method"] + " " + rows["setting"]).tolist()
    positions = -np.arange(len(rows))
    colors = ["tab:blue" if m.startswith("skae") else "tab:gray" for m in rows["method"]]
    bars = panel.barh(positions, rows["ratio"], color=colors)
    panel.bar_label(bars, [format_number(r) for r in rows["ratio"]], size=7, padding=2)
    panel.axvline(1, color="black", linestyle="--", linewidth=1)
    if np.isfinite(limit):
        panel.axvline(limit, color="tab:red", linestyle=":", label="target")
        panel.legend(fontsize=7, frameon=False)
    panel.set_yticks(positions, names, size=7)
    panel.set_xlabel(TITLES[rows["part"].iloc[0]][1], size=9)
    panel.margins(x=0.15)


def draw_restarts(panel: Axes, rows: pd.DataFrame) -> None:
    ratios = rows.dropna(subset="ratio")
    restarts = ratios["setting"].str.split("=").str[1].astype(int)
    panel.plot(restarts, ratios["ratio"], "o-", color="tab:blue", label="skae")
    panel.plot(restarts, restarts, "--", color="black", linewidth=1, label="sequential")
    set_log_axes(panel, "restarts (n_init)", TITLES["c"][1])


def draw_scaling(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw CPU time against n, d and k, each over its own range."""
    exponents = rows[rows["metric"] == "exponent"].set_index("setting")["value"]
    seconds = rows[rows["metric"] == "cpu_seconds"]
    axes = {"n": "n_rows", "d": "n_features", "k": "n_components"}
    for setting, line in seconds.groupby("setting", sort=False):
        axis, _, how = str(setting).partition(", ")
        panel.plot(
            line[axes[axis]],
            line["value"],
            "o-" if how == "defaults" else "s:",
            color=f"C{list(axes).index(axis)}",
            markersize=4,
            label=f"{setting}: exponent {exponents.get(setting, np.nan):.2f}",
        )
    set_log_axes(panel, "n, d or k", "CPU seconds of fit")


def draw_memory(panel: Axes, rows: pd.DataFrame) -> None:
    rows = rows[rows["metric"] == "peak_private_mb"]
    sizes = rows["value"] / rows["ratio"]
    for setting, line in rows.groupby("setting", sort=False):
        panel.plot(sizes[line.index], line["value"], "o-", label=str(setting))
    panel.plot(sizes, sizes, "--", color="black", linewidth=1, label="size of X")
    set_log_axes(panel, "size of X, MB", "peak increase, MB")


def set_log_axes(panel: Axes, x: str, y: str) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel(x, size=9)
    panel.set_ylabel(y, size=9)
    panel.legend(fontsize=7, frameon=False)


DRAWINGS = {
    "a": draw_fits,
    "b": draw_quality,
    "c": draw_restarts,
    "d": draw_scaling,
    "e": draw_transform,
    "f": draw_memory,
    "g": draw_search,
    "h": draw_parts,
}
