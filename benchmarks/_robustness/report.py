"""Tables of ``robustness.py`` on the terminal, one or two for each part."""

import numpy as np
import pandas as pd
from _pca_vs_ae.report import console, make_table

TESTS = ("clean", "gaussian", "masking")


def show_denoising(frame: pd.DataFrame) -> None:
    methods = list(frame["method"].unique())
    headings = (method.replace("AE", " AE") for method in methods)  # may wrap
    table = make_table(
        "Denoising: PSNR on held-out samples, dB",
        *("set", "noise", *headings, "over PCA"),
        caption="Over PCA: the gain of DenoisingAE. The settings of all others are the "
        "best on the test samples",
    )
    table.columns[1].justify = "left"  # text
    for (name, noise), rows in frame.groupby(["set", "noise"], sort=False):
        of_method = rows.set_index("method")
        decibels = of_method["psnr"].reindex(methods)
        gain = of_method["gain_over_pca"]["DenoisingAE"]
        cells = embolden(decibels, decibels.max(), "{:.2f}")
        table.add_row(name, noise, *cells, f"{gain:+.2f}")
    console.print(table)


def show_features(frame: pd.DataFrame) -> None:
    accuracy = frame.pivot_table(
        index=["set", "classifier", "test"], columns="method", values="accuracy"
    )[list(frame["method"].unique())]
    ranks = accuracy.rank(axis=1, ascending=False)
    for title, values, digits in (("accuracy", accuracy, 3), ("rank", ranks, 1)):
        means = values.groupby(["test", "classifier"]).mean()
        table = make_table(
            f"Features: mean {title} over {frame['set'].nunique()} sets",
            *("test samples", "classifier", *means.columns),
        )
        table.columns[1].justify = "left"
        for (test, classifier), row in means.iterrows():
            best = row.max() if title == "accuracy" else row.min()
            table.add_row(test, classifier, *embolden(row, best, f"{{:.{digits}f}}"))
        console.print(table)
    show_sets(frame)


def show_sets(frame: pd.DataFrame) -> None:
    """Print a row per set and kind of test samples, means over the classifiers."""
    methods = list(frame["method"].unique())
    means = frame.groupby(["set", "test", "method"], sort=False)["accuracy"].mean()
    table = make_table(
        "Features: accuracy, means of both classifiers", "set", "test samples", *methods
    )
    table.columns[1].justify = "left"
    for (name, test), row in means.unstack("method")[methods].iterrows():
        table.add_row(name, test, *embolden(row, row.max(), "{:.3f}"))
    console.print(table)


def show_sparse(frame: pd.DataFrame) -> None:
    planted = frame["set"] == "planted"
    show_columns(
        frame[~planted],
        "Sparse codes of held-out samples",
        **{"n_active": "n_active", "active": "active", "unexplained": "unexpl."},
        **{
            "dead": "dead",
            "fit_cpu_seconds": "fit s",
            "transform_cpu_seconds": "transf. s",
        },
    )
    show_columns(
        frame[planted],
        "Recovery of a known dictionary",
        **{"n_active": "n_active", "recovery": "recovery", "fit_cpu_seconds": "fit s"},
    )


def show_columns(frame: pd.DataFrame, title: str, **shown: str) -> None:
    """Print columns of numbers; ``shown`` maps them to headings."""
    table = make_table(
        title, "set", "method", *shown.values(), caption="Seconds are CPU seconds"
    )
    table.columns[1].justify = "left"
    for row in frame.to_dict("records"):
        table.add_row(row["set"], row["method"], *(number(row[key]) for key in shown))
    console.print(table)


def show_contractive(frame: pd.DataFrame) -> None:
    table = make_table(
        "Contractive: sensitivity on held-out samples",
        *("set", "penalty", "encode", "reconstruct", "R2", "fit / plain's"),
        caption="Bold: the default penalty. fit / plain's: CPU time of equal epochs",
    )
    for row in frame.to_dict("records"):
        penalty = number(row["penalty"])
        cells = [number(row[key]) for key in ("encode", "reconstruct", "r2")]
        bold = f"[bold]{penalty}[/bold]" if row["is_default"] else penalty
        table.add_row(row["set"], bold, *cells, f"{row['times_plain']:.2f}")
    console.print(table)
    for kind in ("encode", "reconstruct"):
        decreasing = [
            name
            for name, rows in frame.sort_values("penalty").groupby("set", sort=False)
            if (rows[kind].diff().dropna() < 0).all()
        ]
        console.print(
            f"Sensitivity of {kind} decreases with the penalty on {len(decreasing)} of "
            f"{frame['set'].nunique()} sets: {', '.join(decreasing) or 'none'}"
        )


def show_paired(frame: pd.DataFrame) -> None:
    table = make_table(
        f"Paired: to images of {frame['set'].iloc[0]}",
        *("from", "method", "PSNR, dB", "fit CPU s", "predict CPU s"),
    )
    table.columns[1].justify = "left"
    for row in frame.to_dict("records"):
        seconds = row["fit_cpu_seconds"], row["predict_cpu_seconds"]
        cells = f"{row['psnr']:.2f}", *map(number, seconds)
        table.add_row(row["task"], row["method"], *cells)
    console.print(table)


def embolden(values: pd.Series, best: float, form: str) -> list[str]:
    """Return the numbers as text, the best in bold and NaN as a dash."""
    cells = ["-" if np.isnan(value) else form.format(value) for value in values]
    return [
        f"[bold]{cell}[/bold]" if value == best else cell
        for cell, value in zip(cells, values, strict=True)
    ]


def number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3g}"
