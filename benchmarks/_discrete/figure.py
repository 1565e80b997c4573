"""Figure of ``discrete.py``: errors, log-likelihoods, distances and samples."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")  # before pyplot is imported

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

OURS = "VQVAE"
# Okabe & Ito: distinct with colour blindness.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#555555", "#D55E00")
KINDS = {
    "held-out digits": ("#555555", "-"),
    "samples": ("#0072B2", "-"),
    "reconstructions": ("#009E73", "--"),
    "independent words": ("#E69F00", ":"),
}
# Labels of names in the CSV files.
LABELS = {
    "independent words": "independent indices",
    "given the word before": "bigram model",
}


def draw(frames: dict[str, pd.DataFrame], drawn: dict, path: Path) -> None:
    figure, panels = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
    if "error" in frames:
        draw_errors(panels[0, 0], frames["error"])
    if "prior" in frames:
        draw_nats(panels[0, 1], frames["prior"])
    if drawn:
        draw_distances(panels[1, 0], drawn["distances"])
        draw_grid(panels[1, 1], drawn["grid"])
    for panel in panels.flat:
        if not panel.has_data():
            panel.set_axis_off()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_errors(panel: Axes, frame: pd.DataFrame) -> None:
    """Draw VQVAE's error over the best peer's, a line for each set."""
    table = frame.pivot_table(index=["set", "words"], columns="method", values="error")
    ratio = table[OURS] / table.drop(columns=OURS).min(axis=1)
    markers = "osD^vP"
    for place, (name, line) in enumerate(ratio.groupby(level="set", sort=False)):
        n_indices = line.index.get_level_values("words")
        color, marker = COLORS[place % 6], markers[place % 6]
        panel.plot(n_indices, line, color=color, marker=marker, label=name)
    panel.axhline(1, color="black", lw=1)
    panel.set_xscale("log", base=2)
    panel.set_xticks(n_indices, [str(n) for n in n_indices])
    panel.set_ylim(0, 1.1)
    panel.set_xlabel("code indices per sample")
    panel.set_ylabel("held-out error over the best peer's")
    panel.set_title("Error at equal bits: k-means, product quantisation = 1")
    panel.legend(fontsize=9, ncols=2)


def draw_nats(panel: Axes, frame: pd.DataFrame) -> None:
    table = frame.pivot_table(index="set", columns="method", values="nats", sort=False)
    gain = table.rsub(table["independent words"], axis=0).drop(
        columns="independent words"
    )
    places = np.arange(len(gain))
    for offset, (method, color) in enumerate(zip(gain, COLORS[1::-1], strict=True)):
        style = {"color": color, "label": LABELS.get(method, method)}
        panel.barh(places + 0.38 * offset, gain[method], 0.36, **style)
    panel.set_yticks(places + 0.19, gain.index)
    panel.invert_yaxis()
    panel.set_xlabel("gain over independent indices, nats per sample")
    panel.set_title("Log-likelihood of held-out code indices")
    panel.legend(fontsize=9)


def draw_distances(panel: Axes, distances: dict[str, np.ndarray]) -> None:
    top = max(np.percentile(values, 99.5) for values in distances.values())
    bins = np.linspace(0, top, 60)
    for kind, (color, style) in KINDS.items():
        panel.hist(
            distances[kind],
            bins,
            density=True,
            histtype="step",
            color=color,
            ls=style,
            lw=1.8,
            label=LABELS.get(kind, kind),
        )
    panel.set_xlabel("distance to the nearest training digit (pixels in [0, 1])")
    panel.set_ylabel("density")
    panel.set_title("Distance to the training set")
    panel.legend(fontsize=9)


def draw_grid(panel: Axes, grid: np.ndarray) -> None:
    side = int(np.sqrt(grid.shape[1]))
    images = grid.reshape(10, 10, side, side)
    panel.imshow(np.vstack([np.hstack(row) for row in images]), cmap="gray_r")
    panel.set_title("sample(10, y=c), a line for each class")
    panel.set_axis_off()
    panel.set_visible(True)
