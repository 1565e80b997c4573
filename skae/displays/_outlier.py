"""Display of outlier scores, the threshold and feature contributions."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from skae._utils.reconstruction import to_dense
from skae.displays._data import (
    feature_names,
    find_fitted,
    one_sample,
    pass_to_last,
    sample_names,
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
# In units of the distance from the lower quartile to the median: a range of scores below
# the median that is longer than the first is clipped at the second.
LONG_RANGE, SHORT_RANGE = 40, 10


class OutlierDisplay:
    """Histogram of outlier scores with the threshold, and feature contributions.

    Samples left of the threshold are labelled as outliers. Known outliers are marked, and
    the legend has the AUROC of the scores. For one sample a second panel shows the
    features with the largest contributions to its score: bars to the left make it more
    anomalous.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of the samples. Higher is more normal.

    threshold : float
        Samples with a score below it are outliers.

    is_outlier : ndarray of bool of shape (n_samples,) or None, default=None
        Known outliers.

    sample : int or None, default=None
        Position of the sample to explain.

    sample_name : str, default=""
        Name of this sample.

    contributions : Series or None, default=None
        Contribution of each feature to the score of this sample.

    values : ndarray of shape (n_features,) or None, default=None
        Feature values of this sample, shown beside the feature names.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        The scores, and the contributions if a sample is explained.

    ax_ : matplotlib Axes
        The panel of the scores.

    histograms_ : dict
        Of StepPatch, by "samples", or by "inliers" and "outliers" if they are known.

    threshold_ : Line2D
        Vertical line at the threshold.

    outliers_, row_ : Line2D or None
        Marks at the scores of the known outliers and of the explained sample.

    bars_ : BarContainer or None
        Contributions of the features, from above.

    See Also
    --------
    skae.AEOutlierDetector : Detector with ``explain``.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import AEOutlierDetector
    >>> from skae.displays import OutlierDisplay
    >>> X, _ = load_wine(return_X_y=True, as_frame=True)
    >>> detector = AEOutlierDetector(max_iter=20, random_state=0).fit(X)
    >>> display = OutlierDisplay.from_estimator(detector, X, sample=0)
    >>> [str(ax.get_xlabel()) for ax in display.axes_]
    ['score (higher is more normal)', 'contribution']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        scores,
        threshold,
        *,
        is_outlier=None,
        sample=None,
        sample_name="",
        contributions=None,
        values=None,
    ):
        self.scores = scores
        self.threshold = threshold
        self.is_outlier = is_outlier
        self.sample = sample
        self.sample_name = sample_name
        self.contributions = contributions
        self.values = values

    @classmethod
    def from_estimator(cls, detector, X, y=None, *, sample=None, ax=None, **kwargs):
        """Compute the scores of X and draw them.

        Parameters
        ----------
        detector : object
            Fitted, or a Pipeline or search that ends in it, with ``score_samples`` and
            ``offset_``; ``sample`` also requires ``explain``.

        X : array-like of shape (n_samples, n_features)
            Samples to score.

        y : array-like of shape (n_samples,), default=None
            Known outliers: True or 1, with False or 0 for inliers; or -1, with 1 for
            inliers, as ``predict`` returns them.

        sample : int, default=None
            Position in X of a sample to explain.

        ax : matplotlib Axes, default=None
            Axes to draw in; two panels share its area. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : OutlierDisplay
            The display, already drawn.
        """
        contributions = values = None
        scores = detector.score_samples(X)
        if sample is not None:
            _check_sample(sample, len(scores))
            contributions, values = _explain(detector, X, sample)
        display = cls(
            scores,
            float(find_fitted(detector, "offset_").offset_),
            is_outlier=_check_is_outlier(y, len(scores)),
            sample=sample,
            sample_name="" if sample is None else sample_names(X)[sample],
            contributions=contributions,
            values=values,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        scores,
        threshold,
        y=None,
        *,
        sample=None,
        contributions=None,
        ax=None,
        **kwargs,
    ):
        """Draw scores that are computed already.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Scores of any detector. Higher is more normal.

        threshold : float
            Samples with a score below it are outliers.

        y : array-like of shape (n_samples,), default=None
            Known outliers, as in :meth:`from_estimator`.

        sample : int, default=None
            Position of a sample to mark.

        contributions : Series, default=None
            Contribution of each feature to the score of this sample.

        ax : matplotlib Axes, default=None
            Axes to draw in; two panels share its area. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : OutlierDisplay
            The display, already drawn.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if sample is not None:
            _check_sample(sample, len(scores))
        display = cls(
            scores,
            float(threshold),
            is_outlier=_check_is_outlier(y, len(scores)),
            sample=sample,
            sample_name="" if sample is None else str(sample),
            contributions=contributions,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, max_features=MAX_FEATURES):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; two panels share its area. None makes a figure.

        max_features : int, default=10
            Maximum number of features to draw: those of the largest contributions.

        Returns
        -------
        self : OutlierDisplay
            The display, with the artists as attributes.
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
        drawn, is_outlier = self._drawn(), self.is_outlier
        edges = np.histogram_bin_edges(drawn, bins=N_BINS)
        groups = {"samples": drawn}
        if is_outlier is not None:
            groups = {"inliers": drawn[~is_outlier], "outliers": drawn[is_outlier]}
        self.histograms_ = {}
        for name, scores in groups.items():
            counts = np.histogram(scores, edges)[0]
            style = {"fill": True, "color": BLUE, "alpha": 0.8}
            if name == "outliers":
                style |= {"color": VERMILLION, "hatch": "////", "edgecolor": "white"}
            label = f"{name} ({len(scores)})"
            if name == "outliers" and 0 < len(scores) < len(self.scores):
                label += f", AUROC {roc_auc_score(~is_outlier, self.scores):.3f}"
            self.histograms_[name] = self.ax_.stairs(counts, edges, label=label, **style)
        label = "score (higher is more normal)"
        n_clipped = int((self.scores < drawn).sum())
        if n_clipped:
            label += f"\n{n_clipped} lower scores are drawn at the left edge"
        self.ax_.set(xlabel=label, ylabel="samples")

    def _drawn(self) -> np.ndarray:
        """Scores with a long lower tail clipped, so that the others fill the bins."""
        low, median = np.percentile(self.scores, [25, 50])
        if median - self.scores.min() <= LONG_RANGE * (median - low):
            return self.scores
        least = median - SHORT_RANGE * (median - low)
        margin = 0.1 * abs(median - self.threshold)
        return np.maximum(self.scores, min(least, self.threshold - margin))

    def _draw_marks(self) -> None:
        self.outliers_ = self.sample_ = None
        # Heights are fractions of the axes, not numbers of samples.
        across = self.ax_.get_xaxis_transform()
        style = {"linestyle": "none", "transform": across, "clip_on": False}
        if self.is_outlier is not None and self.is_outlier.any():
            outliers = self._drawn()[self.is_outlier]
            mark = {"marker": "|", "color": VERMILLION, "markersize": 12}
            heights = np.full(len(outliers), 0.98)
            self.outliers_ = self.ax_.plot(outliers, heights, **mark, **style)[0]
        if self.sample is not None:
            mark = {"marker": "v", "color": ORANGE, "markersize": 11}
            mark |= {"markeredgecolor": BLACK, "label": f"sample {self.sample_name}"}
            at = self._drawn()[self.sample]
            self.sample_ = self.ax_.plot([at], [0.1], **mark, **style, zorder=5)[0]

    def _draw_threshold(self) -> None:
        n_below = int((self.scores < self.threshold).sum())
        label = f"threshold, {n_below} samples below"
        style = {"color": BLACK, "linestyle": "--", "linewidth": 1.2}
        self.threshold_ = self.ax_.axvline(self.threshold, label=label, **style)
        # Beside another panel the legend has no width for two entries side by side.
        style = {"ncols": 3 - len(self.axes_), "fontsize": 9, "frameon": False}
        self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1.01), **style)

    def _draw_features(self, ax, max_features: int) -> None:
        contributions = pd.Series(self.contributions)
        sizes = contributions.abs().to_numpy()
        largest = np.argsort(-sizes, kind="stable")[:max_features]
        lengths = contributions.to_numpy()[largest]
        # Negative contributions are anomalous; the hatch shows it without the colour.
        self.bars_ = ax.barh(range(len(largest)), lengths, color=BLUE)
        for bar, length in zip(self.bars_, lengths, strict=True):
            if length < 0:
                bar.set(facecolor=VERMILLION, hatch="//", edgecolor="white")
        names = [str(contributions.index[i]) for i in largest]
        if self.values is not None:
            pairs = zip(names, self.values[largest], strict=True)
            names = [f"{name} = {value:.4g}" for name, value in pairs]
        ax.set_yticks(range(len(largest)), names, fontsize=9)
        ax.invert_yaxis()
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.set_xlabel("contribution")
        ax.set_title(f"sample {self.sample_name}", fontsize=10)


def _explain(detector, X, sample: int) -> tuple[pd.Series, np.ndarray]:
    """Contribution of each feature to the score of a sample, and the features' values."""
    fitted = find_fitted(detector, "offset_")
    if not hasattr(fitted, "explain"):
        raise ValueError(
            f"sample={sample} requires explain, which {type(fitted).__name__} does not "
            "have. Pass an AEOutlierDetector, or sample=None."
        )
    x = one_sample(X, sample)
    transformed = pass_to_last(detector, x)
    contributions, values = fitted.explain(transformed).iloc[0], to_dense(x)[0]
    if len(contributions) != len(values):  # earlier steps change the features
        return contributions, to_dense(transformed)[0]
    return contributions.set_axis(feature_names(len(values), X, detector)), values


def _check_sample(sample, n_samples: int) -> None:
    if isinstance(sample, bool) or not isinstance(sample, (int, np.integer)):
        raise ValueError(
            f"sample={sample!r} must be the position of a sample, an integer."
        )
    if not 0 <= sample < n_samples:
        raise ValueError(
            f"sample={sample} must be from 0 to {n_samples - 1}, as there are "
            f"n_samples={n_samples}."
        )


def _check_is_outlier(y, n_samples: int) -> np.ndarray | None:
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n_samples,):
        raise ValueError(
            f"y of shape {y.shape} must have shape ({n_samples},), as there are "
            f"{n_samples} scores. Pass one label for each sample."
        )
    known = set(np.unique(y).tolist())
    if known <= {0, 1} and (0 in known or y.dtype == bool):
        return y.astype(bool)
    if known <= {-1, 1} and -1 in known:
        return y == -1
    raise ValueError(
        f"y has the values {sorted(known)} and must be binary labels of outliers. Pass "
        "booleans, 1 for outliers and 0 for inliers, or -1 and 1 as predict does."
    )
