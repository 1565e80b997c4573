"""From rows to others, through the space of codes."""

import numpy as np

from skae._base.sampling import lines_between
from skae.displays._data import (
    Units,
    check_at_least_one,
    check_decodes,
    feature_names,
    row_names,
    to_array,
)
from skae.displays._path import PathDisplay, check_paths


class InterpolationDisplay(PathDisplay):
    """Rows decoded on the way from the code of one row to that of another.

    Where codes fill the space between rows, every step looks like a row. Images make a
    line for each pair. For a table there is a panel for each, with a line for each
    feature, of which those that move most are named.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    paths : ndarray of shape (n_pairs, n_steps, n_features)
        The decoded rows.

    places : ndarray of shape (n_steps,)
        Shares of the way.

    path_names, feature_names : list of str
        What pairs and features are called.

    units : callable
        Brings rows to the units of the drawing, and has their name as ``label``.

    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of a row; None is a table.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        One for all images, or one for each pair of rows of a table.

    ax_ : matplotlib Axes
        The first of them.

    image_ : AxesImage or None
        The images, laid out as one.

    lines_ : ndarray of Line2D of shape (n_pairs, n_features) or None
        The features of a table.

    See Also
    --------
    TraversalDisplay : One component at a time.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from skae.displays import InterpolationDisplay
    >>> X, _ = load_wine(return_X_y=True, as_frame=True)
    >>> pca = PCA(2).fit(X)
    >>> display = InterpolationDisplay.from_estimator(
    ...     pca, X[:2], X[-2:], n_steps=5, X=X
    ... )
    >>> [str(ax.get_title()) for ax in display.axes_]
    ['0 to 176', '1 to 177']
    >>> plt.close(display.figure_)
    """

    _x_label = "share of the way"

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X_from,
        X_to,
        *,
        n_steps=10,
        X=None,
        image_shape=None,
        ax=None,
        **kwargs,
    ):
        """Decode points on the lines between codes.

        Parameters
        ----------
        estimator : object
            Fitted, with ``interpolate``, or ``transform`` and ``inverse_transform``.

        X_from, X_to : array-like of shape (n_pairs, n_features)
            Where paths begin, and where they end.

        n_steps : int, default=10
            Rows of a path, both ends included.

        X : array-like of shape (n_samples, n_features), default=None
            Rows whose means and standard deviations are the units of a table. None takes
            those the estimator was trained in, if it has some for each feature.

        image_shape : tuple of int, default=None
            (height, width) or (channels, height, width) of a row; None is a table.

        ax : matplotlib Axes, default=None
            Where to draw; the panels of a table divide its place. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : InterpolationDisplay
            What was drawn.
        """
        check_at_least_one(n_steps, "n_steps")
        paths = _decode_paths(estimator, X_from, X_to, n_steps)
        display = cls(
            paths,
            np.linspace(0, 1, n_steps),
            path_names=_name_paths(X_from, X_to),
            feature_names=feature_names(paths.shape[2], X_from, X, estimator),
            units=Units.of_estimator(estimator, X, paths.shape[2]),
            image_shape=image_shape,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(cls, paths, *, X=None, image_shape=None, ax=None, **kwargs):
        """Draw paths that are there already.

        Parameters
        ----------
        paths : array-like of shape (n_pairs, n_steps, n_features)
            Rows, such as ``vae.interpolate(X_from, X_to)`` returns.

        X : array-like of shape (n_samples, n_features), default=None
            Rows whose means and standard deviations are the units of a table. None draws
            the values as they are.

        image_shape : tuple of int, default=None
            (height, width) or (channels, height, width) of a row; None is a table.

        ax : matplotlib Axes, default=None
            Where to draw; the panels of a table divide its place. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : InterpolationDisplay
            What was drawn.
        """
        paths = check_paths(paths)
        display = cls(
            paths,
            np.linspace(0, 1, paths.shape[1]),
            path_names=[f"path {i}" for i in range(len(paths))],
            feature_names=feature_names(paths.shape[2], X),
            units=Units.of_estimator(None, X, paths.shape[2]),
            image_shape=image_shape,
        )
        return display.plot(ax, **kwargs)


def _name_paths(X_from, X_to) -> list[str]:
    if not hasattr(X_from, "iloc"):  # numbers would be those of the pairs
        return [f"pair {i}" for i in range(np.shape(X_from)[0])]
    ends = zip(row_names(X_from), row_names(X_to), strict=True)
    return [f"{start} to {end}" for start, end in ends]


def _decode_paths(estimator, X_from, X_to, n_steps: int) -> np.ndarray:
    n_from, n_to = np.shape(X_from)[0], np.shape(X_to)[0]
    if n_from != n_to:
        raise ValueError(
            f"X_from has {n_from} rows and X_to has {n_to}. Paths lead from row to row, "
            "so pass as many of both."
        )
    if hasattr(estimator, "interpolate"):
        return check_paths(estimator.interpolate(X_from, X_to, n_steps))
    check_decodes(estimator)
    starts, ends = (to_array(estimator.transform(X)) for X in (X_from, X_to))
    rows = to_array(estimator.inverse_transform(lines_between(starts, ends, n_steps)))
    return rows.reshape(len(starts), n_steps, -1)
