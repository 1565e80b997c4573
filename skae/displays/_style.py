"""Colours and axes of displays; matplotlib is imported at the first figure."""

import numpy as np

# Okabe & Ito, "Color universal design", 2008: distinct with colour blindness.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, BLACK, YELLOW = "#56B4E9", "#E69F00", "#000000", "#F0E442"
GREY, WINE = "#999999", "#882255"  # added, for ten colours
PALETTE = BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE, BLACK, YELLOW, GREY, WINE
# One marker less than colours, so that pairs of both repeat after 90 classes.
MARKERS = "o", "s", "^", "D", "v", "P", "X", "*", "<"
FAINT = "0.75"  # grey of curves and bars without a legend entry


def pyplot():
    """Import matplotlib's pyplot, with installation advice in the error."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "Displays require matplotlib, which is not installed. "
            'Run pip install "skae[plot]".'
        ) from error
    return pyplot


def make_panels(
    ax, size: tuple[float, float], n_lines: int = 1, n_columns: int = 1, **spaces
) -> np.ndarray:
    """Return a flattened grid of axes, in a new figure or in the area of ``ax``.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes that several panels subdivide; its own frame is switched off. None makes a
        figure.

    size : tuple of float
        Width and height of that figure, in inches.

    n_lines, n_columns : int, default=1
        Shape of the grid.

    **spaces : dict
        ``height_ratios`` and ``width_ratios`` of the grid.
    """
    if ax is None:
        figure = pyplot().figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n_lines, n_columns, **spaces)
    elif n_lines * n_columns == 1:
        return np.array([ax])
    else:
        figure, place = ax.figure, ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"ax={ax} must have a place in a grid, to be subdivided into "
                f"{n_lines * n_columns} panels. Pass axes of plt.subplots(), or ax=None."
            )
        ax.set_axis_off()
        grid = place.subgridspec(n_lines, n_columns, **spaces)
    places = [(line, column) for line in range(n_lines) for column in range(n_columns)]
    return np.array([figure.add_subplot(grid[place]) for place in places])


def clear_frame(ax) -> None:
    """Hide the top and the right spine."""
    ax.spines[["top", "right"]].set_visible(False)


def legend_beside(ax, handles=None, **options):
    """Put a legend to the right of the axes, outside the data."""
    if handles is not None:
        options["handles"] = handles
    return ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=9, **options
    )


def class_style(place: int) -> dict:
    """Colour and marker of a class, by its number."""
    return {
        "color": PALETTE[place % len(PALETTE)],
        "marker": MARKERS[place % len(MARKERS)],
    }
