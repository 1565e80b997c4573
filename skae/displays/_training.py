"""Display of the training history: learning curves and early stopping."""

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

# Position in the palette of the first term, after the colours of the losses.
FIRST_TERM = 2
LOG_FROM = 30  # ratio of the largest to the smallest loss, for a logarithmic axis


class TrainingDisplay:
    """Learning curves: training loss, validation loss, terms and learning rate by epoch.

    It shows overfitting, and whether training stopped at once or has not converged: the
    line marked "chosen" is the epoch of the weights that early stopping kept. Runs on
    several folds share the x axis.

    Prefer :meth:`from_estimator` to the constructor.

    Parameters
    ----------
    history : DataFrame
        ``history_`` of an estimator.

    chosen_epoch : int or None, default=None
        Epochs of training of the final weights: 0 if the initial weights were kept, None
        without a validation set.

    loss_unit : str, default=""
        Unit of the loss.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        Panels of the loss, of its terms if there are any, and of the learning rate.

    ax_ : matplotlib Axes
        The panel of the loss.

    lines_ : dict
        Of Line2D, by (stage, name of the quantity in ``history_``).

    chosen_ : Line2D or None
        Vertical line at the chosen epoch.

    See Also
    --------
    ReconstructionDisplay : Samples and their reconstructions.

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
            Axes to draw in; the panels share its area. None makes a figure.

        Returns
        -------
        display : TrainingDisplay
            The display, already drawn.
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
            Axes to draw in; the panels share its area. None makes a figure.

        Returns
        -------
        self : TrainingDisplay
            The display, with the artists as attributes.
        """
        terms = [n for n in self.history if n.startswith("train_") and n != "train_loss"]
        heights = [2.2, 1.3, 1] if terms else [2.2, 1]
        size = 7.5, 1.4 * sum(heights)
        axes = make_panels(ax, size, len(heights), height_ratios=heights)
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        self.lines_ = {}
        for stage, epochs in _stages(self.history):
            self._draw_losses(axes[0], stage, epochs)
            self._draw_terms(axes[1], stage, epochs, terms)
            style = {"color": BLACK, **_stage_style(stage)}
            self._draw(axes[-1], stage, epochs, "learning_rate", **style)
        self._label(axes, bool(terms))
        self._mark_chosen(axes)
        _legend(axes[0])
        if terms:
            _legend(axes[1])
        return self

    def _draw(self, ax, stage: str, epochs: pd.DataFrame, name: str, **style) -> None:
        lines = ax.plot(epochs["place"], epochs[name], **style)
        self.lines_[stage, name] = lines[0]

    def _draw_losses(self, ax, stage: str, epochs: pd.DataFrame) -> None:
        kind, style = _kind(stage), _stage_style(stage)
        label = f"training{kind}"
        self._draw(ax, stage, epochs, "train_loss", color=BLUE, label=label, **style)
        if epochs["valid_loss"].notna().any():
            marked = {"marker": "o", "markersize": 3, "markevery": _some(len(epochs))}
            style |= {"color": VERMILLION, "label": f"validation{kind}", **marked}
            self._draw(ax, stage, epochs, "valid_loss", **style)

    def _draw_terms(self, ax, stage: str, epochs: pd.DataFrame, terms: list[str]) -> None:
        for place, term in enumerate(terms, start=FIRST_TERM):
            style = class_style(place) | _stage_style(stage)
            style |= {"markersize": 3, "markevery": _some(len(epochs))}
            style["label"] = term.removeprefix("train_").replace("_", " ")
            self._draw(ax, stage, epochs, term, **style)

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
            text = "chosen: the initial weights"
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
    # n_iter_ is at least 1, as scikit-learn requires.
    return 0 if estimator.best_step_ == 0 else estimator.n_iter_


def _loss_unit(estimator) -> str:
    if hasattr(estimator, "likelihood"):
        return "nats per sample"
    squared = getattr(estimator, "loss", None) == "squared_error"
    return "share of variance" if squared else ""


def _stages(history: pd.DataFrame):
    """Yield each stage with its epochs and their positions on the x axis."""
    for stage, epochs in history.groupby("stage", sort=False):
        # Each call of partial_fit counts its epochs from 1.
        repeats = epochs["epoch"].duplicated().any()
        places = np.arange(1, len(epochs) + 1) if repeats else epochs["epoch"]
        yield stage, epochs.assign(place=places)


def _kind(stage: str) -> str:
    """Suffix of a stage in the legend."""
    if stage.startswith("fold"):
        return ", five folds"
    kinds = {"validate": "", "refit": ", refit on all samples", "fit": ", all samples"}
    return kinds.get(stage, f", {stage}")


def _stage_style(stage: str) -> dict:
    if stage.startswith("fold"):
        return {"linewidth": 0.8, "alpha": 0.6}
    return {"linewidth": 1.5, "linestyle": "--" if stage == "refit" else "-"}


def _some(n: int) -> int:
    """Number of points from one marker to the next."""
    return max(1, n // 12)


def _legend(ax) -> None:
    handles, labels = ax.get_legend_handles_labels()
    # Of lines with the same label, only the first is in the legend.
    once = dict(zip(labels[::-1], handles[::-1], strict=True))
    once = {label: once[label] for label in labels}
    legend_beside(ax, list(once.values()), labels=list(once))
