"""Tables and figures of the benchmark of outlier detectors."""

from pathlib import Path

import numpy as np
import pandas as pd
from _pca_vs_ae.report import console, make_table
from matplotlib import pyplot as plt
from scipy import stats
from sklearn.metrics import roc_curve

from _outliers.detectors import OURS


def show_frame(frame: pd.DataFrame, title: str) -> None:
    table = make_table(title, *frame.columns)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over sets, mean ranks by AUROC, and Wilcoxon tests against ours."""
    rows = []
    for setting, part in frame.groupby("setting", sort=False):
        table = part.pivot_table(index="set", columns="method", values="auroc")
        ap = part.pivot_table(index="set", columns="method", values="ap")
        seconds = part.pivot_table(index="set", columns="method", values="cpu_seconds")
        table = table.dropna(axis=1)
        ranks = table.rank(axis=1, ascending=False).mean()
        for method in ranks.sort_values().index:
            p = np.nan
            if method != OURS and OURS in table:
                p = stats.wilcoxon(table[OURS], table[method]).pvalue
            rows.append(
                {
                    "setting": setting,
                    "method": method,
                    "auroc": table[method].mean(),
                    "ap": ap[method].mean(),
                    "rank": ranks[method],
                    "p_against_ours": p,
                    "cpu_seconds": seconds[method].mean(),
                }
            )
    return pd.DataFrame(rows)


def draw_ranks(frame: pd.DataFrame, path: Path) -> None:
    """Mean ranks over sets, with the critical difference of Nemenyi's test at 5 %."""
    settings = frame["setting"].unique()
    figure, axes = plt.subplots(
        len(settings), 1, figsize=(9, 2.6 * len(settings)), layout="constrained"
    )
    for setting, ax in zip(settings, np.atleast_1d(axes), strict=True):
        part = frame[frame["setting"] == setting]
        table = part.pivot_table(index="set", columns="method", values="auroc")
        ranks = table.dropna(axis=1).rank(axis=1, ascending=False).mean().sort_values()
        n_methods, n_sets = len(ranks), len(table)
        q = stats.studentized_range.ppf(0.95, n_methods, np.inf) / np.sqrt(2)
        critical = q * np.sqrt(n_methods * (n_methods + 1) / (6 * n_sets))
        for place, (method, rank) in enumerate(ranks.items()):
            color = "C1" if method == OURS else "C0"
            ax.plot(rank, -place, "o", color=color)
            ax.annotate(f"  {method} {rank:.2f}", (rank, -place), va="center")
        first = ranks.iloc[0]
        ax.axvspan(first, first + critical, color="0.9", zorder=0)
        ax.set(yticks=[], xlabel="mean rank by AUROC (1 is best)", title=setting)
        ax.set_xlim(1, n_methods + 2)
    figure.suptitle("Grey: not significantly worse than the best (Nemenyi test, 5 %)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_cases(scores: dict, path: Path) -> None:
    """ROC curves of each case; for the engines, the score by cycles before failure."""
    names = list(dict.fromkeys(name for name, _ in scores))
    n_rows = -(-len(names) // 3)
    figure, axes = plt.subplots(
        n_rows, 3, figsize=(12, 3.8 * n_rows), layout="constrained", squeeze=False
    )
    for ax in axes.flat[len(names) :]:
        ax.remove()
    for name, ax in zip(names, axes.flat, strict=False):
        for (other, method), (case, anomaly_scores) in scores.items():
            if other != name:
                continue
            if name == "C-MAPSS":
                remaining = np.minimum(case.along, 200) // 10 * 10
                ranks = pd.Series(stats.rankdata(anomaly_scores) / len(remaining))
                mean = ranks.groupby(remaining).mean()
                ax.plot(mean.index, mean, label=method)
            else:
                rates = roc_curve(case.is_anomaly, anomaly_scores)[:2]
                ax.plot(*rates, label=method)
        if name == "C-MAPSS":
            ax.set(xlabel="cycles before failure", ylabel="mean rank of the score")
            ax.invert_xaxis()
        else:
            ax.set(xlabel="false positive rate", ylabel="true positive rate")
        ax.set_title(name)
        ax.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)
