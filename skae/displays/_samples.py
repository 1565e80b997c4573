"""Drawing of samples: images side by side, or a curve for each feature."""

import numpy as np
import pandas as pd

from skae._utils.images import read_image_shape
from skae.displays._style import FAINT, PALETTE, class_style, clear_frame, legend_beside

LEAST_NAMED = 5  # features in the legend


def as_images(X: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Reshape the features to images: grey, or with the colour channels last."""
    n_channels, height, width, channels_last = read_image_shape(image_shape, X.shape[-1])
    if n_channels not in (1, 3, 4):
        raise ValueError(
            f"image_shape={image_shape!r} has {n_channels} channels, but only 1, 3 or 4 "
            "can be drawn, first or last. Pass image_shape=None to draw a table."
        )
    if n_channels == 1:
        return X.reshape(*X.shape[:-1], height, width)
    if channels_last:
        return X.reshape(*X.shape[:-1], height, width, n_channels)
    return np.moveaxis(X.reshape(*X.shape[:-1], n_channels, height, width), -3, -1)


def tile(images: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Tile (n_lines, n_columns) images into one; return it and the size of a tile."""
    n_lines, n_columns, height, width = images.shape[:4]
    gap = max(1, height // 14)
    around = [(0, 0), (0, 0), (0, gap), (0, gap)] + [(0, 0)] * (images.ndim - 4)
    # NaN is transparent, but only where there is a colour map.
    framed = np.pad(images, around, constant_values=np.nan if images.ndim == 4 else 1.0)
    height, width = height + gap, width + gap
    board = np.moveaxis(framed, 1, 2).reshape(
        n_lines * height, n_columns * width, *images.shape[4:]
    )
    return board[:-gap, :-gap], (height, width)


def draw_images(
    ax, images: np.ndarray, extremes: tuple[float, float], cmap: str, y_labels, x_labels
):
    """Draw (n_lines, n_columns) images with labels on both axes."""
    low, high = extremes
    if images.ndim == 5:  # RGB values are in [0, 1]
        images = np.clip((images - low) / max(high - low, 1e-12), 0, 1)
    board, (height, width) = tile(images)
    image = ax.imshow(board, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    middle = (images.shape[2] - 1) / 2, (images.shape[3] - 1) / 2
    ax.set_yticks(middle[0] + height * np.arange(len(y_labels)), y_labels, fontsize=9)
    ax.set_xticks(middle[1] + width * np.arange(len(x_labels)), x_labels, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def images_size(images: np.ndarray) -> tuple[float, float]:
    """Width and height of a figure with legible images, in inches."""
    n_lines, n_columns, height, width = images.shape[:4]
    inch = np.clip(12 / max(n_columns, n_lines), 0.4, 0.9)
    return max(4.0, 1.2 + inch * n_columns), 0.6 + inch * n_lines * height / width


def most_moved(values: np.ndarray) -> np.ndarray:
    """Features of the widest ranges: first the widest of each panel, then the second."""
    ranges = np.ptp(values, axis=1)
    orders = np.argsort(-ranges, axis=1, kind="stable")
    n_named = int(np.clip(len(values), LEAST_NAMED, len(PALETTE)))
    return pd.unique(orders.T.ravel())[:n_named]


def draw_lines(axes, x: np.ndarray, values: np.ndarray, names: list[str]) -> np.ndarray:
    """Draw a curve for each feature, with those of the widest ranges in the legend.

    Parameters
    ----------
    axes : array of Axes of shape (n_panels,)
        The panels; they share one legend, on the right.

    x : ndarray of shape (n_values,)
        Positions of the samples on the x axis.

    values : ndarray of shape (n_panels, n_values, n_features)
        The samples.

    names : list of str
        Names of the features.

    Returns
    -------
    lines : ndarray of Line2D of shape (n_panels, n_features)
    """
    styles = [{"color": FAINT, "linewidth": 0.8, "zorder": 1} for _ in names]
    named = most_moved(values)
    for place, feature in enumerate(named):
        styles[feature] = {**class_style(place), "markersize": 4, "label": names[feature]}
    if len(names) > len(named):
        rest = next(i for i in range(len(names)) if i not in named)
        styles[rest] = {**styles[rest], "label": f"{len(names) - len(named)} others"}
    lines = []
    for ax, samples in zip(axes, values, strict=True):
        curves = zip(samples.T, styles, strict=True)
        lines.append([ax.plot(x, y, **style)[0] for y, style in curves])
        clear_frame(ax)
        # Panels that share a scale can be compared.
        ax.set_ylim(*with_margin(values))
    order = [*named, rest] if len(names) > len(named) else named
    legend_beside(axes[_last_of_first_line(axes)], [lines[0][i] for i in order])
    return np.array(lines)


def with_margin(values: np.ndarray) -> tuple[float, float]:
    """Limits of an axis that several panels share, with a margin."""
    low, high = np.nanmin(values), np.nanmax(values)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _last_of_first_line(axes) -> int:
    places = [ax.get_subplotspec() for ax in axes]
    if len(axes) == 1:
        return 0
    return max(i for i, place in enumerate(places) if place.rowspan.start == 0)
