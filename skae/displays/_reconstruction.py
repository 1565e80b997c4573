"""Display of samples and their reconstructions."""

import numpy as np

from skae._utils.reconstruction import reconstruct, to_dense
from skae.displays._data import (
    Units,
    check_at_least_one,
    check_decodes,
    feature_names,
    first_samples,
    sample_names,
    write,
)
from skae.displays._samples import as_images, draw_images, images_size, with_margin
from skae.displays._style import (
    BLUE,
    FAINT,
    VERMILLION,
    clear_frame,
    legend_beside,
    make_panels,
)

MAX_FEATURES = 20
N_IMAGES, N_TABLE_SAMPLES = 10, 4


class ReconstructionDisplay:
    """Samples, their reconstructions, and the reconstruction error of each.

    Images are drawn in two lines, originals above. Samples of a table are drawn feature
    by feature, in standard deviations, with a line from the original to the
    reconstruction: long lines are features with a large error.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    X, X_reconstructed : ndarray of shape (n_samples, n_features)
        The samples to draw and their reconstructions, in the same units.

    units : callable or None
        Converts samples of a table to the units of the figure; ``label`` is the name of
        the units.

    sample_names, feature_names : list of str
        Names of the samples and of the features.

    image_shape : tuple of int or None, default=None
        (height, width), (channels, height, width) or (height, width, channels) of a
        sample; None is a table.

    Attributes
    ----------
    errors_ : ndarray of shape (n_samples,)
        Mean squared error of each sample, in the units of X.

    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        One panel for all images, or one for each sample of a table.

    ax_ : matplotlib Axes
        The first panel.

    image_ : AxesImage or None
        The images, tiled into one.

    originals_, reconstructions_ : list of Line2D
        The points of each sample of a table, from below; empty for images.

    See Also
    --------
    skae.metrics.reconstruction_r2 : R2 over all samples.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderTransformer
    >>> from skae.displays import ReconstructionDisplay
    >>> X, _ = load_wine(return_X_y=True, as_frame=True)
    >>> autoencoder = AutoencoderTransformer(2, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(autoencoder, X, n_samples=3)
    >>> [str(ax.get_title()).split(",")[0] for ax in display.axes_]
    ['sample 0', 'sample 1', 'sample 2']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self, X, X_reconstructed, *, units, sample_names, feature_names, image_shape=None
    ):
        self.X = X
        self.X_reconstructed = X_reconstructed
        self.units = units
        self.sample_names = sample_names
        self.feature_names = feature_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls, estimator, X, *, n_samples=None, image_shape=None, ax=None, **kwargs
    ):
        """Reconstruct the first samples of X and draw both.

        Parameters
        ----------
        estimator : object
            Fitted, with ``reconstruct``, or ``transform`` and ``inverse_transform``.

        X : array-like of shape (n_samples, n_features)
            Samples. The first are drawn; all are used for the standard deviations.

        n_samples : int, default=None
            Number of samples to draw. None is 10 images, or 4 samples of a table.

        image_shape : tuple of int, default=None
            (height, width), (channels, height, width) or (height, width, channels) of a
            sample; None is a table.

        ax : matplotlib Axes, default=None
            Axes to draw in; the samples of a table share its area. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, already drawn.
        """
        first = first_samples(X, _count(n_samples, image_shape))
        check_decodes(estimator)
        reconstructed = to_dense(reconstruct(estimator, first))
        names = feature_names(reconstructed.shape[1], X, estimator)
        display = cls._make(X, reconstructed, names, image_shape)
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, X, X_reconstructed, *, n_samples=None, image_shape=None, ax=None, **kwargs
    ):
        """Draw samples and reconstructions that are computed already.

        Parameters
        ----------
        X, X_reconstructed : array-like of shape (n_samples, n_features)
            Targets of the reconstruction, and reconstructions.

        n_samples : int, default=None
            Number of samples to draw. None is 10 images, or 4 samples of a table.

        image_shape : tuple of int, default=None
            (height, width), (channels, height, width) or (height, width, channels) of a
            sample; None is a table.

        ax : matplotlib Axes, default=None
            Axes to draw in; the samples of a table share its area. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, already drawn.
        """
        n_drawn = _count(n_samples, image_shape)
        reconstructed = to_dense(first_samples(X_reconstructed, n_drawn))
        names = feature_names(reconstructed.shape[1], X, X_reconstructed)
        return cls._make(X, reconstructed, names, image_shape).plot(ax, **kwargs)

    @classmethod
    def _make(cls, X, reconstructed: np.ndarray, names: list[str], image_shape):
        original = to_dense(first_samples(X, len(reconstructed)))
        if original.shape[1] != reconstructed.shape[1]:
            raise ValueError(
                f"X has {original.shape[1]} features and must have as many as the "
                f"reconstructions, {reconstructed.shape[1]}. Pass the targets instead of "
                "X: ReconstructionDisplay.from_predictions(Y, estimator.reconstruct(X))."
            )
        return cls(
            original,
            reconstructed[: len(original)],
            # Images are not standardised; X may be large.
            units=None if image_shape else Units.of_samples(X),
            sample_names=sample_names(X)[: len(reconstructed)],
            feature_names=names,
            image_shape=image_shape,
        )

    def plot(self, ax=None, *, cmap="gray", max_features=MAX_FEATURES):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; the samples of a table share its area. None makes a figure.

        cmap : str or Colormap, default="gray"
            Colour map of grey images.

        max_features : int, default=20
            Maximum number of features of a table: those with the largest errors.

        Returns
        -------
        self : ReconstructionDisplay
            The display, with the artists as attributes.
        """
        self.errors_ = _mean_of_observed(np.square(self.X - self.X_reconstructed), axis=1)
        self.image_, self.originals_, self.reconstructions_ = None, [], []
        if self.image_shape is None:
            self._plot_table(ax, check_at_least_one(max_features, "max_features"))
        else:
            self._plot_images(ax, cmap)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _plot_images(self, ax, cmap) -> None:
        images = as_images(np.stack([self.X, self.X_reconstructed]), self.image_shape)
        self.axes_ = make_panels(ax, images_size(images))
        labels = [write(error) for error in self.errors_]
        extremes = np.nanmin(self.X), np.nanmax(self.X)
        lines = ["original", "reconstruction"]
        self.image_ = draw_images(self.axes_[0], images, extremes, cmap, lines, labels)
        self.axes_[0].set_xlabel("mean squared error (units of X, squared)")

    def _plot_table(self, ax, max_features: int) -> None:
        before, after = self.units(self.X), self.units(self.X_reconstructed)
        worst = _mean_of_observed(-np.abs(before - after), axis=0).argsort(kind="stable")
        shown = np.sort(worst[:max_features])
        n_samples = len(before)
        size = 3.4 + 1.8 * n_samples, 1.2 + 0.22 * len(shown)
        self.axes_ = make_panels(ax, size, 1, n_samples)
        for number, panel in enumerate(self.axes_):
            self._draw_sample(panel, before[number, shown], after[number, shown])
            name, mse = self.sample_names[number], write(self.errors_[number])
            error = f"sample {name},\nMSE {mse}"
            panel.set_title(error, fontsize=10)
            panel.set_xlim(*with_margin(np.stack([before, after])[..., shown]))
            labels = [self.feature_names[i] for i in shown] if number == 0 else []
            panel.set_yticks(range(len(shown)), labels or [""] * len(shown), fontsize=9)
        # One label for all panels, in the middle.
        self.axes_[(n_samples - 1) // 2].set_xlabel(f"value, {self.units.label}")
        if len(shown) < self.X.shape[1]:
            text = f"{len(shown)} of {self.X.shape[1]} features, those of largest error"
            self.axes_[0].set_ylabel(text, fontsize=9)
        legend_beside(self.axes_[-1], [self.originals_[-1], self.reconstructions_[-1]])

    def _draw_sample(self, ax, before: np.ndarray, after: np.ndarray) -> None:
        places = np.arange(len(before))
        ax.hlines(places, before, after, color=FAINT, linewidth=2, zorder=1)
        style = {"linestyle": "none", "markersize": 6}
        self.originals_ += ax.plot(
            before, places, marker="o", color=BLUE, label="original", **style
        )
        style |= {"marker": "D", "markersize": 5, "fillstyle": "none"}
        self.reconstructions_ += ax.plot(
            after, places, color=VERMILLION, label="reconstruction", **style
        )
        ax.set_ylim(len(before) - 0.5, -0.5)
        ax.grid(axis="y", color="0.93")
        ax.set_axisbelow(True)
        clear_frame(ax)


def _mean_of_observed(errors: np.ndarray, axis: int) -> np.ndarray:
    """Means without those of missing values, which are NaN."""
    observed = ~np.isnan(errors)
    n_observed = np.maximum(observed.sum(axis=axis), 1)
    return errors.sum(axis=axis, where=observed) / n_observed


def _count(n_samples: int | None, image_shape) -> int:
    if n_samples is None:
        return N_TABLE_SAMPLES if image_shape is None else N_IMAGES
    return check_at_least_one(n_samples, "n_samples")
