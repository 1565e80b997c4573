"""How displays look, and how they come to matplotlib: when something is drawn."""

import numpy as np

# Okabe & Ito, "Color universal design", 2008: told apart with any kind of sight.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, BLACK, YELLOW = "#56B4E9", "#E69F00", "#000000", "#F0E442"
GREY, WINE = "#999999", "#882255"  # not theirs, but so there are ten
PALETTE = BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE, BLACK, YELLOW, GREY, WINE
# One less than colours, so that the pairs of both repeat after 90.
MARKERS = "o", "s", "^", "D", "v", "P", "X", "*", "<"
FAINT = "0.75"  # grey of what is there but not named


def pyplot():
    """Import matplotlib's pyplot, or say how to get it."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "Displays are drawn with matplotlib, which is not installed. "
            'Run pip install "skae[plot]".'
        ) from error
    return pyplot


def make_panels(
    ax, size: tuple[float, float], n_lines: int = 1, n_columns: int = 1, **spaces
) -> np.ndarray:
    """Return a column or a grid of axes, row by row, in the place of ``ax``.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Several panels divide its place among them, and it is switched off. With None
        they get a figure of their own.

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
                f"ax={ax} has no place in a grid that {n_lines * n_columns} panels could "
                "divide. Pass axes made by plt.subplots(), or ax=None."
            )
        ax.set_axis_off()
        grid = place.subgridspec(n_lines, n_columns, **spaces)
    places = [(line, column) for line in range(n_lines) for column in range(n_columns)]
    return np.array([figure.add_subplot(grid[place]) for place in places])


def clear_frame(ax) -> None:
    """Leave the two spines that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)


def legend_beside(ax, handles=None, **options):
    """Put a legend to the right of the axes, where it can cover no data."""
    if handles is not None:
        options["handles"] = handles
    return ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=9, **options
    )


def class_style(place: int) -> dict:
    """Colour and marker of the class with this number."""
    return {
        "color": PALETTE[place % len(PALETTE)],
        "marker": MARKERS[place % len(MARKERS)],
    }
