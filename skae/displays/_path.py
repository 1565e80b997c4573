"""Decoded samples along paths in the latent space."""

import math

import numpy as np

from skae.displays._samples import as_images, draw_images, draw_lines, images_size
from skae.displays._style import make_panels

MOST_IN_LINE = 3


class PathDisplay:
    """Base class of :class:`TraversalDisplay` and :class:`InterpolationDisplay`.

    Parameters
    ----------
    paths : ndarray of shape (n_paths, n_steps, n_features)
        The decoded samples.

    places : ndarray of shape (n_steps,)
        Positions of the steps on the x axis.

    path_names, feature_names : list of str
        Names of the paths and of the features.

    units : callable
        Converts samples to the units of the figure; ``label`` is the name of the units.

    image_shape : tuple of int or None, default=None
        (height, width), (channels, height, width) or (height, width, channels) of a
        sample; None is a table.
    """

    _x_label = ""

    def __init__(
        self, paths, places, *, path_names, feature_names, units, image_shape=None
    ):
        self.paths = paths
        self.places = places
        self.path_names = path_names
        self.feature_names = feature_names
        self.units = units
        self.image_shape = image_shape

    def plot(self, ax=None, *, cmap="gray"):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; the panels of a table share its area. None makes a figure.

        cmap : str or Colormap, default="gray"
            Colour map of grey images.

        Returns
        -------
        self : object
            The display, with the artists as attributes.
        """
        self.image_ = self.lines_ = None
        if self.image_shape is None:
            self._plot_table(ax)
        else:
            self._plot_images(ax, cmap)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _plot_images(self, ax, cmap) -> None:
        images = as_images(self.paths, self.image_shape)
        self.axes_ = make_panels(ax, images_size(images))
        labels = [f"{place:.3g}" for place in self.places]
        extremes = self.paths.min(), self.paths.max()
        self.image_ = draw_images(
            self.axes_[0], images, extremes, cmap, self.path_names, labels
        )
        self.axes_[0].set_xlabel(self._x_label)

    def _plot_table(self, ax) -> None:
        n_paths = len(self.paths)
        n_columns = n_paths if n_paths <= MOST_IN_LINE else math.ceil(n_paths**0.5)
        n_lines = -(-n_paths // n_columns)
        size = 3.4 + 2.6 * n_columns, 0.6 + 2.8 * n_lines
        axes = make_panels(ax, size, n_lines, n_columns)
        for spare in axes[n_paths:]:
            spare.remove()
        self.axes_ = axes[:n_paths]
        values = self.units(self.paths)
        self.lines_ = draw_lines(self.axes_, self.places, values, self.feature_names)
        for number, panel in enumerate(self.axes_):
            panel.set_title(self.path_names[number], fontsize=10)
            if number + n_columns >= n_paths:
                panel.set_xlabel(self._x_label)
            panel.tick_params(labelleft=number % n_columns == 0)
            if number % n_columns == 0:
                panel.set_ylabel(f"value, {self.units.label}")


def check_paths(paths) -> np.ndarray:
    paths = np.asarray(paths, dtype=np.float64)
    if paths.ndim != 3:
        raise ValueError(
            f"paths of shape {paths.shape} must be (n_paths, n_steps, n_features). Pass "
            "one path as [path]."
        )
    return paths
