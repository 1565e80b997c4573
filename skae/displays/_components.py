"""Display of the information in each component of the code, or of its usage."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array

from skae._utils.reconstruction import to_dense
from skae.displays._data import find_fitted, pass_to_last, write
from skae.displays._style import BLACK, BLUE, FAINT, VERMILLION, clear_frame, make_panels

# Attributes of estimators, the most informative first.
MEASURES = "kl_per_component_", "usage_", "active_fraction_", "explained_variance_ratio_"
MAX_NUMBERED = 30
ACTIVE_VARIANCE = 0.01


class Measure(NamedTuple):
    """A number for each component, with its axis label and title."""

    values: np.ndarray  # (n_components,) or (n_positions, n_components)
    in_use: np.ndarray  # the same shape, bool
    label: str
    summary: str
    unit_name: str = "component"


class ComponentsDisplay:
    """Information in each latent component as a bar chart, largest first.

    It shows posterior collapse: the bars of a variational code are its KL divergence from
    the prior in nats, and inactive components are marked. The bars of a code ordered by
    variance are each component's share of the variance; those of a sparse code or a
    codebook are the share of samples in which a component or an entry is used.

    Prefer :meth:`from_estimator` to the constructor.

    Parameters
    ----------
    values : ndarray of shape (n_components,) or (n_positions, n_components)
        A number for each component. If each position of the code has a codebook of its
        own, the values of the positions are averaged rank by rank.

    in_use : ndarray of bool, of the same shape
        Whether each component is in use.

    label : str
        Label of the y axis, with the unit.

    summary : str, default=""
        Title of the figure.

    unit_name : str, default="component"
        Label of the x axis: the thing that each bar stands for.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        The only panel.

    ax_ : matplotlib Axes
        The axes of this panel.

    order_ : ndarray of int or None
        The component of each bar, from the left; None with several positions.

    bars_ : BarContainer
        The bars.

    idle_ : Line2D or None
        A mark on each bar that is not in use.

    parts_ : list of StepPatch
        A line for each position, if there are several.

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
    'KL divergence from the prior, nats per sample'
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
        """Draw the components of a fitted estimator.

        Parameters
        ----------
        estimator : object
            Fitted, or a Pipeline or search that ends in it, with one of
            ``kl_per_component_``, ``usage_`` (shares or counts of the codebook entries,
            of shape (n_codes,) or (n_components, n_codes)), ``active_fraction_`` or
            ``explained_variance_ratio_``.

        X : array-like of shape (n_samples, n_features), default=None
            Samples to evaluate. A :class:`skae.SparseAE` requires them; a variational
            class uses them instead of the training data; all others ignore them.

        ax : matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        Returns
        -------
        display : ComponentsDisplay
            The display, already drawn.
        """
        fitted = find_fitted(estimator, *MEASURES)
        name = next(name for name in MEASURES if hasattr(fitted, name))
        transformed = None if X is None else pass_to_last(estimator, X)
        return cls(**_READERS[name](fitted, transformed)._asdict()).plot(ax)

    def plot(self, ax=None):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        Returns
        -------
        self : ComponentsDisplay
            The display, with the artists as attributes.
        """
        values = np.atleast_2d(self.values)
        n_bars = values.shape[1]
        self.axes_ = make_panels(ax, (float(np.clip(2 + 0.3 * n_bars, 5, 9)), 3.6))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        orders = np.argsort(-values, axis=1, kind="stable")
        ranked = np.take_along_axis(values, orders, axis=1)
        used = np.take_along_axis(np.atleast_2d(self.in_use), orders, axis=1)
        self.order_ = orders[0] if len(values) == 1 else None
        self._draw_bars(ranked.mean(axis=0), used.any(axis=0))
        self._draw_positions(ranked if len(values) > 1 else ranked[:0])
        self._label(n_bars)
        return self

    def _draw_bars(self, heights: np.ndarray, in_use: np.ndarray) -> None:
        width = 0.8 if len(heights) <= MAX_NUMBERED else 1.0
        colors = np.where(in_use, BLUE, FAINT)
        self.bars_ = self.ax_.bar(range(len(heights)), heights, width, color=colors)
        # The mark is visible even if the bar has no height.
        (idle,) = np.nonzero(~in_use)
        style = {"marker": "x", "color": VERMILLION, "linestyle": "none"}
        style |= {"label": "not in use", "clip_on": False}
        # An empty line that is not clipped would break the constrained layout.
        self.idle_ = None
        if len(idle):
            self.idle_ = self.ax_.plot(idle, heights[idle], **style)[0]

    def _draw_positions(self, ranked: np.ndarray) -> None:
        edges = np.arange(ranked.shape[1] + 1) - 0.5
        style = {"color": BLACK, "linewidth": 0.8, "baseline": None}
        self.parts_ = [self.ax_.stairs(heights, edges, **style) for heights in ranked]
        handles = [self.idle_] if self.idle_ else []
        if self.parts_:
            self.parts_[0].set_label(f"each of {len(ranked)} positions")
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
    in_use = np.arange(len(kl)) < n_active  # sorted by KL divergence
    if X is not None:
        mean, deviation = estimator.posterior(X)
        kl = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation)).mean(axis=0)
        in_use = mean.var(axis=0) > ACTIVE_VARIANCE
    summary = f"{in_use.sum()} of {len(kl)} in use, {kl.sum():.3g} nats in total"
    return Measure(kl, in_use, "KL divergence from the prior, nats per sample", summary)


def _usage(estimator, X) -> Measure:
    usage = check_array(np.atleast_2d(estimator.usage_), dtype=np.float64)
    shares = usage / np.maximum(usage.sum(axis=1, keepdims=True), 1e-300)
    in_use = shares > 0
    summary = f"{(~in_use).sum()} of {in_use.size} entries never used"
    if hasattr(estimator, "perplexity_"):
        summary += f", perplexity {write(estimator.perplexity_)}"
    shares, in_use = (a[0] if len(usage) == 1 else a for a in (shares, in_use))
    return Measure(shares, in_use, "share of samples", summary, "codebook entry")


def _activity(estimator, X) -> Measure:
    if X is None:
        raise ValueError(
            f"{type(estimator).__name__} does not store how often each component is "
            "active. Pass X, the samples to count in."
        )
    active = to_dense(estimator.transform(X)) != 0
    shares = active.mean(axis=0)
    summary = (
        f"{active.sum(axis=1).mean():.3g} of {len(shares)} active per sample, "
        f"{(shares == 0).sum()} in none"
    )
    return Measure(shares, shares > 0, "share of samples in which active", summary)


def _variance(estimator, X) -> Measure:
    ratio = np.asarray(estimator.explained_variance_ratio_)
    # Without a sum: the share of a nonlinear model without components may be negative.
    summary = f"{len(ratio)} components"
    in_use = np.ones(len(ratio), dtype=bool)
    return Measure(ratio, in_use, "share of variance added", summary)


_READERS = dict(zip(MEASURES, (_divergence, _usage, _activity, _variance), strict=True))
