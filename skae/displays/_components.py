"""How much each component of a code says, or how often it is used."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array

from skae.displays._data import find_fitted, pass_to_last, to_array, write
from skae.displays._style import BLACK, BLUE, FAINT, VERMILLION, clear_frame, make_panels

# What an estimator may have, the most telling first.
MEASURES = "kl_per_component_", "usage_", "active_fraction_", "explained_variance_ratio_"
MAX_NUMBERED = 30
ACTIVE_VARIANCE = 0.01


class Measure(NamedTuple):
    """One number for each component, and what it is."""

    values: np.ndarray  # (n_components,) or (n_parts, n_components)
    in_use: np.ndarray  # the same shape, bool
    label: str
    summary: str
    unit_name: str = "component"


class ComponentsDisplay:
    """The components of a code, largest first, by what they are worth.

    A variational code is measured in nats: the divergence from the prior, with
    components that are not in use marked. A code ordered by variance shows the share
    of the variance that each component adds; a sparse code, or a code book, the share of
    rows in which each component, or entry, is used.

    Prefer :meth:`from_estimator` to the constructor.

    Parameters
    ----------
    values : ndarray of shape (n_components,) or (n_parts, n_components)
        A number for each component. Where codes have parts with a book each, there is
        one row of them for each part; bars are their means, rank by rank.

    in_use : ndarray of bool, of the same shape
        Which of them do anything.

    label : str
        What the numbers are, with their unit.

    summary : str, default=""
        The title.

    unit_name : str, default="component"
        What there is one bar for.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        The one panel.

    ax_ : matplotlib Axes
        The same.

    order_ : ndarray of int or None
        The component of each bar, from the left; None where there are several parts.

    bars_ : BarContainer
        The bars.

    idle_ : Line2D or None
        A mark on each bar that stands for something not in use.

    parts_ : list of StepPatch
        A line for each part, where there are several.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import VAETransformer
    >>> from skae.displays import ComponentsDisplay
    >>> X, _ = load_wine(return_X_y=True)
    >>> vae = VAETransformer(8, random_state=0).fit(X)
    >>> display = ComponentsDisplay.from_estimator(vae)
    >>> display.ax_.get_ylabel()
    'divergence from the prior, nats a row'
    >>> plt.close(display.figure_)
    """

    def __init__(self, values, in_use, *, label, summary="", unit_name="component"):
        self.values = values
        self.in_use = in_use
        self.label = label
        self.summary = summary
        self.unit_name = unit_name

    @classmethod
    def from_estimator(cls, estimator, X=None, *, ax=None):
        """Draw what the estimator knows of its components.

        Parameters
        ----------
        estimator : object
            Fitted, or a Pipeline or search that ends in it, with one of
            ``kl_per_component_``, ``usage_`` (shares or counts of the entries of a code
            book, of shape (n_codes,) or (n_components, n_codes)), ``active_fraction_``
            or ``explained_variance_ratio_``.

        X : array-like of shape (n_samples, n_features), default=None
            Rows to measure. A :class:`skae.SparseAE` needs them; a variational class
            takes them in place of the training data; all others ignore them.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : ComponentsDisplay
            What was drawn.
        """
        fitted = find_fitted(estimator, *MEASURES)
        name = next(name for name in MEASURES if hasattr(fitted, name))
        rows = None if X is None else pass_to_last(estimator, X)
        return cls(**_READERS[name](fitted, rows)._asdict()).plot(ax)

    def plot(self, ax=None):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        self : ComponentsDisplay
            The display, with what was drawn as attributes.
        """
        parts = np.atleast_2d(self.values)
        n_bars = parts.shape[1]
        self.axes_ = make_panels(ax, (float(np.clip(2 + 0.3 * n_bars, 5, 9)), 3.6))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        orders = np.argsort(-parts, axis=1, kind="stable")
        ranked = np.take_along_axis(parts, orders, axis=1)
        used = np.take_along_axis(np.atleast_2d(self.in_use), orders, axis=1)
        self.order_ = orders[0] if len(parts) == 1 else None
        self._draw_bars(ranked.mean(axis=0), used.any(axis=0))
        self._draw_parts(ranked if len(parts) > 1 else ranked[:0])
        self._label(n_bars)
        return self

    def _draw_bars(self, heights: np.ndarray, in_use: np.ndarray) -> None:
        width = 0.8 if len(heights) <= MAX_NUMBERED else 1.0
        colors = np.where(in_use, BLUE, FAINT)
        self.bars_ = self.ax_.bar(range(len(heights)), heights, width, color=colors)
        # A bar may have no height, but its mark has.
        (idle,) = np.nonzero(~in_use)
        style = {"marker": "x", "color": VERMILLION, "linestyle": "none"}
        style |= {"label": "not in use", "clip_on": False}
        # An empty line that is not clipped would upset a constrained layout.
        self.idle_ = None
        if len(idle):
            self.idle_ = self.ax_.plot(idle, heights[idle], **style)[0]

    def _draw_parts(self, ranked: np.ndarray) -> None:
        edges = np.arange(ranked.shape[1] + 1) - 0.5
        style = {"color": BLACK, "linewidth": 0.8, "baseline": None}
        self.parts_ = [self.ax_.stairs(part, edges, **style) for part in ranked]
        handles = [self.idle_] if self.idle_ else []
        if self.parts_:
            self.parts_[0].set_label(f"each of {len(ranked)} parts")
            handles.append(self.parts_[0])
        if handles:
            self.ax_.legend(handles=handles, loc="upper right", frameon=False)

    def _label(self, n_bars: int) -> None:
        self.ax_.set(ylabel=self.label, xlim=(-0.6, n_bars - 0.4))
        self.ax_.set_title(self.summary, fontsize=10)
        self.ax_.axhline(0, color="0.3", linewidth=0.8)
        if self.order_ is not None and n_bars <= MAX_NUMBERED:
            self.ax_.set_xticks(range(n_bars), self.order_.tolist(), fontsize=9)
            self.ax_.set_xlabel(self.unit_name)
        else:
            self.ax_.set_xlabel(f"rank of the {self.unit_name}")
        clear_frame(self.ax_)


def _divergence(estimator, X) -> Measure:
    kl, n_active = estimator.kl_per_component_, estimator.active_units_
    in_use = np.arange(len(kl)) < n_active  # the components that say most
    if X is not None:
        mean, deviation = estimator.posterior(X)
        kl = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation)).mean(axis=0)
        in_use = mean.var(axis=0) > ACTIVE_VARIANCE
    summary = f"{in_use.sum()} of {len(kl)} in use, {kl.sum():.3g} nats in all"
    return Measure(kl, in_use, "divergence from the prior, nats a row", summary)


def _usage(estimator, X) -> Measure:
    usage = check_array(np.atleast_2d(estimator.usage_), dtype=np.float64)
    shares = usage / np.maximum(usage.sum(axis=1, keepdims=True), 1e-300)
    in_use = shares > 0
    summary = f"{(~in_use).sum()} of {in_use.size} entries never used"
    if hasattr(estimator, "perplexity_"):
        summary += f", perplexity {write(estimator.perplexity_)}"
    shares, in_use = (a[0] if len(usage) == 1 else a for a in (shares, in_use))
    return Measure(shares, in_use, "share of rows", summary, "entry of the code book")


def _activity(estimator, X) -> Measure:
    if X is None:
        raise ValueError(
            f"{type(estimator).__name__} knows how many components are active, but not "
            "how often each is. Pass X, the rows to count in."
        )
    active = to_array(estimator.transform(X)) != 0
    shares = active.mean(axis=0)
    summary = (
        f"{active.sum(axis=1).mean():.3g} of {len(shares)} active in a row, "
        f"{(shares == 0).sum()} in none"
    )
    return Measure(shares, shares > 0, "share of rows in which it is active", summary)


def _variance(estimator, X) -> Measure:
    ratio = np.asarray(estimator.explained_variance_ratio_)
    # Without a sum: what a curved map has before its first component may be negative.
    summary = f"{len(ratio)} components"
    in_use = np.ones(len(ratio), dtype=bool)
    return Measure(ratio, in_use, "share of variance that it adds", summary)


_READERS = dict(zip(MEASURES, (_divergence, _usage, _activity, _variance), strict=True))
