"""What happened while an autoencoder was trained."""

import numpy as np
import pandas as pd

from skae.displays._data import find_fitted
from skae.displays._style import (
    BLACK,
    BLUE,
    VERMILLION,
    class_style,
    clear_frame,
    legend_beside,
    make_panels,
)

# In an order in which colours differ from those of the losses above.
FIRST_TERM = 2
LOG_FROM = 30  # times the least loss


class TrainingDisplay:
    """Losses, their parts and the learning rate by epoch.

    Look at it when a fit has ended at once, or has not come to an end: the line marked
    "chosen" is where early stopping found that rows held out were served best. Runs on
    parts of the rows are drawn over each other, so that an epoch is the same place in
    all of them.

    Prefer :meth:`from_estimator` to the constructor.

    Parameters
    ----------
    history : DataFrame
        ``history_`` of an estimator.

    chosen_epoch : int or None, default=None
        Epochs behind the final weights: 0 if the start was kept, None if nothing was
        held out to choose by.

    loss_unit : str, default=""
        What the loss is measured in.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        Loss, further terms if there are any, learning rate.

    ax_ : matplotlib Axes
        The first of them.

    lines_ : dict
        Of Line2D, by (stage, column of ``history_``).

    chosen_ : Line2D or None
        The mark of the chosen epoch.

    See Also
    --------
    ReconstructionDisplay : What the trained estimator does with rows.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.displays import TrainingDisplay
    >>> X, _ = load_iris(return_X_y=True)
    >>> autoencoder = AutoencoderTransformer(2, random_state=0).fit(X)
    >>> display = TrainingDisplay.from_estimator(autoencoder)
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['loss,\\nshare of variance', 'learning rate']
    >>> plt.close(display.figure_)
    """

    def __init__(self, history, *, chosen_epoch=None, loss_unit=""):
        self.history = history
        self.chosen_epoch = chosen_epoch
        self.loss_unit = loss_unit

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted autoencoder, or a Pipeline or search that ends in one.

        ax : matplotlib Axes, default=None
            Its place is divided among the panels. None makes a figure.

        Returns
        -------
        display : TrainingDisplay
            What was drawn.
        """
        fitted = find_fitted(estimator, "history_")
        display = cls(
            fitted.history_,
            chosen_epoch=_chosen_epoch(fitted),
            loss_unit=_loss_unit(fitted),
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Its place is divided among the panels. None makes a figure.

        Returns
        -------
        self : TrainingDisplay
            The display, with what was drawn as attributes.
        """
        terms = [n for n in self.history if n.startswith("train_") and n != "train_loss"]
        heights = [2.2, 1.3, 1] if terms else [2.2, 1]
        size = 7.5, 1.4 * sum(heights)
        axes = make_panels(ax, size, len(heights), height_ratios=heights)
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        self.lines_ = {}
        for stage, rows in _stages(self.history):
            self._draw_losses(axes[0], stage, rows)
            self._draw_terms(axes[1], stage, rows, terms)
            style = {"color": BLACK, **_stage_style(stage)}
            self._draw(axes[-1], stage, rows, "learning_rate", **style)
        self._label(axes, bool(terms))
        self._mark_chosen(axes)
        _legend(axes[0])
        if terms:
            _legend(axes[1])
        return self

    def _draw(self, ax, stage: str, rows: pd.DataFrame, column: str, **style) -> None:
        lines = ax.plot(rows["place"], rows[column], **style)
        self.lines_[stage, column] = lines[0]

    def _draw_losses(self, ax, stage: str, rows: pd.DataFrame) -> None:
        kind, style = _kind(stage), _stage_style(stage)
        label = f"training{kind}"
        self._draw(ax, stage, rows, "train_loss", color=BLUE, label=label, **style)
        if rows["valid_loss"].notna().any():
            marked = {"marker": "o", "markersize": 3, "markevery": _some(len(rows))}
            style |= {"color": VERMILLION, "label": f"held out{kind}", **marked}
            self._draw(ax, stage, rows, "valid_loss", **style)

    def _draw_terms(self, ax, stage: str, rows: pd.DataFrame, terms: list[str]) -> None:
        for place, term in enumerate(terms, start=FIRST_TERM):
            style = class_style(place) | _stage_style(stage)
            style |= {"markersize": 3, "markevery": _some(len(rows))}
            style["label"] = term.removeprefix("train_").replace("_", " ")
            self._draw(ax, stage, rows, term, **style)

    def _label(self, axes, has_terms: bool) -> None:
        losses = self.history[["train_loss", "valid_loss"]].to_numpy(dtype=float)
        losses = losses[np.isfinite(losses)]
        if losses.size and losses.min() > 0 and losses.max() > LOG_FROM * losses.min():
            axes[0].set_yscale("log")
        unit = f",\n{self.loss_unit}" if self.loss_unit else ""
        axes[0].set_ylabel(f"loss{unit}")
        if has_terms:
            axes[1].set_ylabel("terms,\nin training")
        axes[-1].set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
        axes[0].xaxis.get_major_locator().set_params(integer=True)
        for ax in axes:
            clear_frame(ax)
            ax.sharex(axes[0])
            ax.tick_params(labelbottom=ax is axes[-1])

    def _mark_chosen(self, axes) -> None:
        self.chosen_ = None
        if self.chosen_epoch is None:
            return
        text = f"chosen: {self.chosen_epoch} epochs"
        if self.chosen_epoch == 0:
            text = "chosen: the start, before any step"
        for ax in axes[::-1]:
            style = {"color": BLACK, "linewidth": 1.5, "linestyle": ":"}
            self.chosen_ = ax.axvline(self.chosen_epoch, **style)
        self.chosen_.set_label(text)  # in the legend of the losses only


def _chosen_epoch(estimator) -> int | None:
    stages = set(estimator.history_["stage"])
    if "refit" in stages:
        return estimator.n_iter_
    if not any(stage.startswith(("fold", "validate")) for stage in stages):
        return None
    # n_iter_ is never 0, as scikit-learn has it.
    return 0 if estimator.best_step_ == 0 else estimator.n_iter_


def _loss_unit(estimator) -> str:
    if hasattr(estimator, "likelihood"):
        return "nats a row"
    squared = getattr(estimator, "loss", None) == "squared_error"
    return "share of variance" if squared else ""


def _stages(history: pd.DataFrame):
    """Each stage with its rows, and the place of each from left to right."""
    for stage, rows in history.groupby("stage", sort=False):
        # Calls of partial_fit count from 1 again.
        repeats = rows["epoch"].duplicated().any()
        places = np.arange(1, len(rows) + 1) if repeats else rows["epoch"]
        yield stage, rows.assign(place=places)


def _kind(stage: str) -> str:
    """What a legend says of a stage, besides whose loss it is."""
    if stage.startswith("fold"):
        return ", five folds"
    kinds = {"validate": "", "refit": ", refit on all rows", "fit": ", all rows"}
    return kinds.get(stage, f", {stage}")


def _stage_style(stage: str) -> dict:
    if stage.startswith("fold"):
        return {"linewidth": 0.8, "alpha": 0.6}
    return {"linewidth": 1.5, "linestyle": "--" if stage == "refit" else "-"}


def _some(n: int) -> int:
    """Every so many points bear a marker."""
    return max(1, n // 12)


def _legend(ax) -> None:
    handles, labels = ax.get_legend_handles_labels()
    # Of lines with one name, the first stands for all.
    once = dict(zip(labels[::-1], handles[::-1], strict=True))
    once = {label: once[label] for label in labels}
    legend_beside(ax, list(once.values()), labels=list(once))
