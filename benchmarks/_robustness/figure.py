"""Figure of ``robustness.py``, with a panel or two per part."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

LEAST_GAIN = -4  # lower limit of the axis
PAD = 36  # of titles, above a legend


def draw(frames: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw the panels of the parts that were run."""
    drawings = [
        (function, frame) for part, frame in frames.items() for function in DRAWINGS[part]
    ]
    n_columns = min(len(drawings), 2)
    n_rows = -(-len(drawings) // n_columns)
    figure, grid = plt.subplots(
        n_rows,
        n_columns,
        figsize=(8.5 * n_columns, 4.8 * n_rows),
        squeeze=False,
        layout="constrained",
    )
    panels = list(grid.ravel())
    for panel, (function, frame) in zip(panels, drawings, strict=False):
        function(panel, frame)
    for panel in panels[len(drawings) :]:
        panel.set_axis_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_denoising(panel: Axes, frame: pd.DataFrame) -> None:
    methods = [m for m in frame["method"].unique() if m not in ("noisy", "PCA")]
    gain = frame.pivot_table(
        index=["set", "noise"], columns="method", values="gain_over_pca", sort=False
    )[methods]
    draw_bars(panel, gain.clip(lower=LEAST_GAIN), "\n")
    panel.axhline(0, color="black", linewidth=0.8)
    panel.set_ylabel(f"gain in PSNR over PCA, dB (clipped at {LEAST_GAIN})")
    panel.set_title("Denoising of held-out samples", pad=PAD)


def draw_features(panel: Axes, frame: pd.DataFrame) -> None:
    means = frame.pivot_table(
        index=["test", "classifier"], columns="method", values="accuracy", sort=False
    )[list(frame["method"].unique())]
    draw_bars(panel, means, ", ")
    panel.set_ylim(max(0.0, means.min().min() - 0.1), 1)
    panel.set_ylabel("accuracy, mean over sets")
    panel.set_title("Features: codes of clean and corrupted test samples", pad=PAD)


def draw_sparse(panel: Axes, frame: pd.DataFrame) -> None:
    unexplained = frame.dropna(subset="unexplained").pivot_table(
        index=["set", "n_active"], columns="method", values="unexplained", sort=False
    )
    draw_bars(panel, unexplained, ", active ")
    panel.set_ylabel("share of variance unexplained")
    panel.set_title("Sparse codes of held-out samples", pad=PAD)


def draw_recovery(panel: Axes, frame: pd.DataFrame) -> None:
    found = frame.dropna(subset="recovery")
    bars = panel.barh(found["method"], found["recovery"])
    panel.bar_label(bars, [f"{value:.3f}" for value in found["recovery"]], padding=2)
    panel.invert_yaxis()
    panel.tick_params(axis="y", labelsize=7)
    panel.axvline(0.9, color="tab:red", linestyle=":", label="target")
    panel.set_xlim(0, 1.1)
    panel.set_xlabel("largest cosine to a learned direction, mean")
    panel.legend(fontsize=7, frameon=False)
    panel.set_title("Sparse: recovery of a known dictionary")


def draw_contractive(panel: Axes, frame: pd.DataFrame) -> None:
    """Draw sensitivity relative to that without penalty."""
    for color, (name, rows) in enumerate(frame.groupby("set", sort=False)):
        rows = rows.sort_values("penalty")
        without, rows = rows.iloc[0], rows.iloc[1:]
        for kind, style in (("encode", "o-"), ("reconstruct", "s--")):
            relative = rows[kind] / without[kind]
            panel.plot(
                rows["penalty"],
                relative,
                style,
                color=f"C{color}",
                markersize=4,
                label=f"{name}, {kind}",
            )
    default = frame.loc[frame["is_default"], "penalty"].iloc[0]
    panel.axvline(default, color="black", linestyle=":", label="default")
    panel.set_xscale("log")
    panel.set_xlabel("penalty")
    panel.set_ylabel("sensitivity / that without penalty")
    panel.legend(fontsize=7, frameon=False)
    panel.set_title("Contractive: sensitivity on held-out samples")


def draw_paired(panel: Axes, frame: pd.DataFrame) -> None:
    """Draw a block of images per task: inputs, predictions and targets."""
    scores = frame.set_index(["task", "method"])["psnr"]
    blocks, titles = [], []
    for task, images in frame.attrs["examples"].items():
        height, width = images["image"].shape[1:]
        strips = []
        for strip in images.values():
            enlarged = strip.repeat(height // strip.shape[1], axis=1)
            strips.append(np.hstack(enlarged.repeat(width // strip.shape[2], axis=2)))
        blocks.append(np.pad(np.vstack(strips), ((0, 0), (0, width // 2))))
        decibels = (f"{method} {score:.1f}" for method, score in scores[task].items())
        titles.append(f"from {task}, dB: {', '.join(decibels)}")
    panel.imshow(np.hstack(blocks), cmap="gray_r", vmin=0, vmax=1)
    panel.set_xticks([])
    labels = ["input", *frame["method"].unique(), "target"]
    panel.set_yticks((np.arange(len(labels)) + 0.5) * height - 0.5, labels, size=8)
    panel.set_title("Paired: held-out images\n" + "\n".join(titles), size=9)


def draw_bars(panel: Axes, table: pd.DataFrame, between: str) -> None:
    """Draw a group of bars per row of the table, labelled by its index."""
    table.index = [between.join(map(str, keys)) for keys in table.index]
    table.plot.bar(ax=panel, width=0.85, xlabel="")
    panel.tick_params(axis="x", labelsize=7, labelrotation=30)
    panel.legend(
        fontsize=7,
        frameon=False,
        ncols=4,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        columnspacing=1,
    )


DRAWINGS: dict[str, tuple[Callable[[Axes, pd.DataFrame], None], ...]] = {
    "denoising": (draw_denoising,),
    "features": (draw_features,),
    "sparse": (draw_sparse, draw_recovery),
    "contractive": (draw_contractive,),
    "paired": (draw_paired,),
}
