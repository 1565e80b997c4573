"""Scores of an outlier detector, and what makes a row odd."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from skae.displays._data import (
    feature_names,
    find_fitted,
    one_row,
    pass_to_last,
    row_names,
    to_array,
)
from skae.displays._style import (
    BLACK,
    BLUE,
    ORANGE,
    VERMILLION,
    clear_frame,
    make_panels,
)

N_BINS = 40
MAX_FEATURES = 10
# Times what the lower quartile lies below the median: a range that is longer than the
# first is cut at the second.
LONG_RANGE, SHORT_RANGE = 40, 10


class OutlierDisplay:
    """The scores of all rows, the threshold, and why one row lies where it does.

    Rows left of the threshold are called outliers. If it is known which rows are, they
    are marked, and the legend says how well scores tell them (AUROC). For one row there
    is a second panel, with the features that move its score most: bars to the left make
    it odd.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Higher is more usual.

    threshold : float
        Rows that score below it are outliers.

    is_outlier : ndarray of bool of shape (n_samples,) or None, default=None
        What is known of the rows.

    row : int or None, default=None
        The row to explain, by position.

    row_name : str, default=""
        What it is called.

    contributions : Series or None, default=None
        What each feature adds to the score of the row.

    values : ndarray of shape (n_features,) or None, default=None
        The features of the row, which their names bear.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        The scores, and the features of the row if one is explained.

    ax_ : matplotlib Axes
        The first of them.

    histograms_ : dict
        Of StepPatch, by "rows", or "usual" and "outliers" where it is known.

    threshold_ : Line2D
        The threshold.

    outliers_, row_ : Line2D or None
        A mark at the score of each known outlier, and of the row.

    bars_ : BarContainer or None
        Of the features, from above.

    See Also
    --------
    skae.AEOutlierDetector : Has ``explain``; scikit-learn's detectors have scores.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import AEOutlierDetector
    >>> from skae.displays import OutlierDisplay
    >>> X, _ = load_wine(return_X_y=True, as_frame=True)
    >>> detector = AEOutlierDetector(max_iter=20, random_state=0).fit(X)
    >>> display = OutlierDisplay.from_estimator(detector, X, row=0)
    >>> [str(ax.get_xlabel()) for ax in display.axes_]
    ['score (higher is more usual)', 'share in the score']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        scores,
        threshold,
        *,
        is_outlier=None,
        row=None,
        row_name="",
        contributions=None,
        values=None,
    ):
        self.scores = scores
        self.threshold = threshold
        self.is_outlier = is_outlier
        self.row = row
        self.row_name = row_name
        self.contributions = contributions
        self.values = values

    @classmethod
    def from_estimator(cls, detector, X, y=None, *, row=None, ax=None, **kwargs):
        """Score rows and draw the scores.

        Parameters
        ----------
        detector : object
            Fitted, or a Pipeline or search that ends in it, with ``score_samples`` and
            ``offset_``; for ``row`` also ``explain``.

        X : array-like of shape (n_samples, n_features)
            Rows to score.

        y : array-like of shape (n_samples,), default=None
            Which are known to be outliers: True or 1, and False or 0 for the others; or
            -1, and 1 for the others, as detectors predict.

        row : int, default=None
            Position in X of a row to explain.

        ax : matplotlib Axes, default=None
            Where to draw; two panels divide its place. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : OutlierDisplay
            What was drawn.
        """
        shares = values = None
        scores = detector.score_samples(X)
        if row is not None:
            _check_row(row, len(scores))
            shares, values = _explain(detector, X, row)
        display = cls(
            scores,
            float(find_fitted(detector, "offset_").offset_),
            is_outlier=_which_are_odd(y, len(scores)),
            row=row,
            row_name="" if row is None else row_names(X)[row],
            contributions=shares,
            values=values,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, scores, threshold, y=None, *, row=None, contributions=None, ax=None, **kwargs
    ):
        """Draw scores that are there already.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Scores of any detector. Higher is more usual.

        threshold : float
            Rows that score below it are outliers.

        y : array-like of shape (n_samples,), default=None
            Which are known to be outliers, as in :meth:`from_estimator`.

        row : int, default=None
            Position of a row to mark.

        contributions : Series, default=None
            What each feature adds to the score of that row.

        ax : matplotlib Axes, default=None
            Where to draw; two panels divide its place. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : OutlierDisplay
            What was drawn.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if row is not None:
            _check_row(row, len(scores))
        display = cls(
            scores,
            float(threshold),
            is_outlier=_which_are_odd(y, len(scores)),
            row=row,
            row_name="" if row is None else str(row),
            contributions=contributions,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, max_features=MAX_FEATURES):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; two panels divide its place. None makes a figure.

        max_features : int, default=10
            The most features of the row to draw: those that move its score most.

        Returns
        -------
        self : OutlierDisplay
            The display, with what was drawn as attributes.
        """
        explains = self.contributions is not None
        self.axes_ = make_panels(ax, (10.5 if explains else 6.4, 4.2), 1, 1 + explains)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self._draw_histograms()
        self._draw_marks()
        self._draw_threshold()
        self.bars_ = None
        if explains:
            self._draw_features(self.axes_[1], max_features)
        for panel in self.axes_:
            clear_frame(panel)
        return self

    def _draw_histograms(self) -> None:
        drawn, odd = self._drawn(), self.is_outlier
        edges = np.histogram_bin_edges(drawn, bins=N_BINS)
        parts = {"rows": drawn}
        if odd is not None:
            parts = {"usual": drawn[~odd], "outliers": drawn[odd]}
        self.histograms_ = {}
        for name, scores in parts.items():
            counts = np.histogram(scores, edges)[0]
            style = {"fill": True, "color": BLUE, "alpha": 0.8}
            if name == "outliers":
                style |= {"color": VERMILLION, "hatch": "////", "edgecolor": "white"}
            label = f"{name} ({len(scores)})"
            if name == "outliers" and 0 < len(scores) < len(self.scores):
                label += f", AUROC {roc_auc_score(~odd, self.scores):.3f}"
            self.histograms_[name] = self.ax_.stairs(counts, edges, label=label, **style)
        label = "score (higher is more usual)"
        n_beyond = int((self.scores < drawn).sum())
        if n_beyond:
            label += f"\n{n_beyond} rows that lie further left are drawn at the edge"
        self.ax_.set(xlabel=label, ylabel="rows")

    def _drawn(self) -> np.ndarray:
        """Scores, without a tail so long that the others would share few bins."""
        low, median = np.percentile(self.scores, [25, 50])
        if median - self.scores.min() <= LONG_RANGE * (median - low):
            return self.scores
        least = median - SHORT_RANGE * (median - low)
        margin = 0.1 * abs(median - self.threshold)
        return np.maximum(self.scores, min(least, self.threshold - margin))

    def _draw_marks(self) -> None:
        self.outliers_ = self.row_ = None
        # In shares of the height, not in rows.
        across = self.ax_.get_xaxis_transform()
        style = {"linestyle": "none", "transform": across, "clip_on": False}
        if self.is_outlier is not None and self.is_outlier.any():
            odd = self._drawn()[self.is_outlier]
            mark = {"marker": "|", "color": VERMILLION, "markersize": 12}
            heights = np.full(len(odd), 0.98)
            self.outliers_ = self.ax_.plot(odd, heights, **mark, **style)[0]
        if self.row is not None:
            mark = {"marker": "v", "color": ORANGE, "markersize": 11}
            mark |= {"markeredgecolor": BLACK, "label": f"row {self.row_name}"}
            at = self._drawn()[self.row]
            self.row_ = self.ax_.plot([at], [0.1], **mark, **style, zorder=5)[0]

    def _draw_threshold(self) -> None:
        n_below = int((self.scores < self.threshold).sum())
        label = f"threshold, {n_below} rows below"
        style = {"color": BLACK, "linestyle": "--", "linewidth": 1.2}
        self.threshold_ = self.ax_.axvline(self.threshold, label=label, **style)
        # Beside another panel there is no width for two columns.
        style = {"ncols": 3 - len(self.axes_), "fontsize": 9, "frameon": False}
        self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1.01), **style)

    def _draw_features(self, ax, max_features: int) -> None:
        shares = pd.Series(self.contributions)
        largest = np.argsort(-shares.abs().to_numpy(), kind="stable")[:max_features]
        lengths = shares.to_numpy()[largest]
        # Bars that point left are odd; the hatch says so without the colour.
        self.bars_ = ax.barh(range(len(largest)), lengths, color=BLUE)
        for bar, length in zip(self.bars_, lengths, strict=True):
            if length < 0:
                bar.set(facecolor=VERMILLION, hatch="//", edgecolor="white")
        names = [str(shares.index[i]) for i in largest]
        if self.values is not None:
            pairs = zip(names, self.values[largest], strict=True)
            names = [f"{name} = {value:.4g}" for name, value in pairs]
        ax.set_yticks(range(len(largest)), names, fontsize=9)
        ax.invert_yaxis()
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.set_xlabel("share in the score")
        ax.set_title(f"row {self.row_name}", fontsize=10)


def _explain(detector, X, row: int) -> tuple[pd.Series, np.ndarray]:
    """What each feature adds to the score of a row, and its value there."""
    fitted = find_fitted(detector, "offset_")
    if not hasattr(fitted, "explain"):
        raise ValueError(
            f"row={row} is to be explained, and {type(fitted).__name__} has no explain. "
            "Pass an AEOutlierDetector, or row=None."
        )
    one = one_row(X, row)
    seen = pass_to_last(detector, one)
    shares, values = fitted.explain(seen).iloc[0], to_array(one)[0]
    if len(shares) != len(values):  # steps before have made other features
        return shares, to_array(seen)[0]
    return shares.set_axis(feature_names(len(values), X, detector)), values


def _check_row(row, n_rows: int) -> None:
    if isinstance(row, bool) or not isinstance(row, (int, np.integer)):
        raise ValueError(f"row={row!r} must be the position of a row, an integer.")
    if not 0 <= row < n_rows:
        raise ValueError(
            f"row={row} must be from 0 to {n_rows - 1}: X has {n_rows} rows."
        )


def _which_are_odd(y, n_rows: int) -> np.ndarray | None:
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n_rows,):
        raise ValueError(
            f"y has shape {y.shape}, and there are {n_rows} scores. Pass one label "
            "for each row."
        )
    known = set(np.unique(y).tolist())
    if known <= {0, 1} and (0 in known or y.dtype == bool):
        return y.astype(bool)
    if known <= {-1, 1} and -1 in known:
        return y == -1
    raise ValueError(
        f"y has the values {sorted(known)}, which do not say what an outlier is. Pass "
        "booleans, 1 for outliers and 0 for the others, or -1 and 1 as predict does."
    )
