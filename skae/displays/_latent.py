"""Scatter plot of the latent space, coloured by labels or numbers."""

import numpy as np
import pandas as pd

from skae._utils.reconstruction import to_dense
from skae.displays._projection import is_quantity, neighbor_score, project
from skae.displays._style import (
    BLUE,
    class_style,
    clear_frame,
    legend_beside,
    make_panels,
)

CLASSES_A_COLUMN = 15
N_BINS = 40


class LatentDisplay:
    """Scatter plot of the latent space (embedding).

    Codes of two components are drawn unchanged; longer ones are projected by PCA, t-SNE
    or UMAP. A single component is drawn as a strip for each class. The title has the
    five-fold accuracy of a 5-nearest-neighbour classifier of y (for numbers, the R2 of a
    regressor) on the codes and on the projection: the classes may be separated less in
    two dimensions than in the codes, or more.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    places : ndarray of shape (n_samples, 1) or (n_samples, 2)
        Positions of the samples in the figure.

    axis_names : list of str
        Names of the one or two axes.

    y : ndarray of shape (n_samples,) or None, default=None
        Labels or numbers.

    y_name : str, default="y"
        Name of y.

    scores : tuple of (float or None), default=(None, None)
        5-NN accuracy (or R2) of y, on the codes and on the projection.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        The only panel.

    ax_ : matplotlib Axes
        The axes of this panel.

    points_ : dict or PathCollection
        The points of each class, by label; of all samples if y is not labels.

    colorbar_ : Colorbar or None
        Colour bar of y, if y is numbers.

    histogram_ : StepPatch or None
        Histogram of a single component, without y.

    See Also
    --------
    TraversalDisplay : Decoded samples while one component varies.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.displays import LatentDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> autoencoder = AutoencoderTransformer(2, random_state=0).fit(X)
    >>> display = LatentDisplay.from_estimator(autoencoder, X, y)
    >>> display.ax_.get_xlabel(), sorted(display.points_)
    ('component 0', [0, 1, 2])
    >>> plt.close(display.figure_)
    """

    def __init__(self, places, *, axis_names, y=None, y_name="y", scores=(None, None)):
        self.places = places
        self.axis_names = axis_names
        self.y = y
        self.y_name = y_name
        self.scores = scores

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, method="auto", ax=None, **kwargs):
        """Encode samples and draw their codes.

        Parameters
        ----------
        estimator : object
            Fitted, with ``transform``.

        X : array-like of shape (n_samples, n_features)
            Samples. All of them are drawn, so pass some thousand at most.

        y : array-like of shape (n_samples,), default=None
            Labels or numbers to colour them by. Numbers with fractions, or more than 20
            different ones, have a colour bar; all others have a legend.

        method : {"auto", "pca", "tsne", "umap"}, default="auto"
            Projection of codes of more than two components; shorter ones are drawn
            unchanged. "auto" is "pca", which is fast; "tsne" and "umap" preserve
            neighbourhoods. "umap" requires umap-learn.

        ax : matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : LatentDisplay
            The display, already drawn.
        """
        codes = estimator.transform(X)
        return cls.from_predictions(codes, y, method=method, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, codes, y=None, *, method="auto", ax=None, **kwargs):
        """Draw codes that are computed already.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
            Codes, as returned by ``transform``.

        y : array-like of shape (n_samples,), default=None
            Labels or numbers to colour them by.

        method : {"auto", "pca", "tsne", "umap"}, default="auto"
            As in :meth:`from_estimator`.

        ax : matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : LatentDisplay
            The display, already drawn.
        """
        codes = to_dense(codes)
        places, names = project(codes, method)
        scores = None, None
        if y is not None:
            labels = np.asarray(y)
            _check_labels(labels, len(codes))
            drawn = None if places is codes else neighbor_score(places, labels)
            scores = neighbor_score(codes, labels), drawn
        display = cls(
            places,
            axis_names=names,
            y=None if y is None else labels,
            y_name=str(getattr(y, "name", None) or "y"),
            scores=scores,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, cmap="viridis"):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        cmap : str or Colormap, default="viridis"
            Colour map of y, if y is numbers.

        Returns
        -------
        self : LatentDisplay
            The display, with the artists as attributes.
        """
        self.axes_ = make_panels(ax, (5.6 + self._legend_width(), 4.8))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.points_ = self.colorbar_ = self.histogram_ = None
        self.ax_.set_xlabel(self.axis_names[0])
        if self.places.shape[1] == 2:
            self.ax_.set_ylabel(self.axis_names[1])
        if self.y is None:
            self._plot_alone()
        elif is_quantity(self.y):
            self._plot_quantity(cmap)
        else:
            self._plot_classes()
        self.ax_.set_title(self._describe_scores(), fontsize=10)
        clear_frame(self.ax_)
        return self

    def _classes(self) -> list:
        labels = pd.unique(pd.Series(self.y)).tolist()
        return sorted(labels, key=lambda label: (str(type(label)), label))

    def _legend_width(self) -> float:
        """Approximate width of the legend beside the points, in inches."""
        if self.y is None or is_quantity(self.y) or self.places.shape[1] == 1:
            return 0.8
        names = [str(label) for label in self._classes()] + [self.y_name]
        n_columns = -(-len(names) // CLASSES_A_COLUMN)
        return n_columns * (0.5 + 0.075 * max(map(len, names)))

    def _size(self) -> dict:
        """Marker size, smaller for more points."""
        return {"s": float(np.clip(20_000 / len(self.places), 8, 30)), "alpha": 0.8}

    def _plot_alone(self) -> None:
        if self.places.shape[1] == 2:
            style = {"color": BLUE, "linewidth": 0, **self._size()}
            self.points_ = self.ax_.scatter(*self.places.T, **style)
            return
        counts, edges = np.histogram(self.places[:, 0], bins=N_BINS)
        self.histogram_ = self.ax_.stairs(counts, edges, fill=True, color=BLUE)
        self.ax_.set_ylabel("samples")

    def _plot_quantity(self, cmap) -> None:
        across = self.y if self.places.shape[1] == 1 else self.places[:, 1]
        style = {"c": self.y, "cmap": cmap, "linewidth": 0, **self._size()}
        self.points_ = self.ax_.scatter(self.places[:, 0], across, **style)
        if self.places.shape[1] == 1:
            self.ax_.set_ylabel(self.y_name)
        else:
            self.colorbar_ = self.figure_.colorbar(
                self.points_, ax=self.ax_, label=self.y_name
            )
            self.colorbar_.solids.set_alpha(1)

    def _plot_classes(self) -> None:
        classes = self._classes()
        heights = np.random.RandomState(0).uniform(-0.3, 0.3, size=len(self.y))
        self.points_ = {}
        for number, label in enumerate(classes):
            own = self.y == label
            across = number + heights[own]
            if self.places.shape[1] == 2:
                across = self.places[own, 1]
            style = {"edgecolor": "0.2", "linewidth": 0.2, "label": str(label)}
            style |= class_style(number) | self._size()
            points = self.ax_.scatter(self.places[own, 0], across, **style)
            self.points_[label] = points
        if self.places.shape[1] == 1:
            self.ax_.set_yticks(range(len(classes)), [str(label) for label in classes])
            self.ax_.set_ylabel(self.y_name)
        else:
            n_columns = -(-len(classes) // CLASSES_A_COLUMN)
            legend = legend_beside(self.ax_, title=self.y_name, ncols=n_columns)
            for handle in legend.legend_handles:
                handle.set(sizes=[30], alpha=1)

    def _describe_scores(self) -> str:
        of_codes, of_drawing = self.scores
        if of_codes is None:
            return ""
        what = "R2" if is_quantity(self.y) else "accuracy"
        text = f"5-NN {what} of {self.y_name}: {of_codes:.2f}"
        return text if of_drawing is None else f"{text} (as drawn {of_drawing:.2f})"


def _check_labels(y: np.ndarray, n_samples: int) -> None:
    if y.shape != (n_samples,):
        raise ValueError(
            f"y of shape {y.shape} must have shape ({n_samples},), as there are "
            f"{n_samples} codes. Pass one label or number for each sample."
        )
