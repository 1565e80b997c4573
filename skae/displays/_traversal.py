"""What components stand for, one at a time."""

import numpy as np
import pandas as pd

from skae.displays._data import (
    Units,
    check_decodes,
    count_components,
    feature_names,
    to_array,
)
from skae.displays._path import PathDisplay, check_paths


class TraversalDisplay(PathDisplay):
    """What components stand for: rows decoded while one component changes.

    Images make a line for each component. For a table there is a panel for each, with a
    line for each feature, of which those that move most are named.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    paths : ndarray of shape (n_components, n_values, n_features)
        The decoded rows.

    places : ndarray of shape (n_values,)
        The values of the components.

    path_names, feature_names : list of str
        What components and features are called.

    units : callable
        Brings rows to the units of the drawing, and has their name as ``label``.

    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of a row; None is a table.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        One for all images, or one for each component of a table.

    ax_ : matplotlib Axes
        The first of them.

    image_ : AxesImage or None
        The images, laid out as one.

    lines_ : ndarray of Line2D of shape (n_components, n_features) or None
        The features of a table.

    See Also
    --------
    InterpolationDisplay : From one row to another.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import VAETransformer
    >>> from skae.displays import TraversalDisplay
    >>> X, _ = load_wine(return_X_y=True, as_frame=True)
    >>> vae = VAETransformer(2, random_state=0).fit(X)
    >>> display = TraversalDisplay.from_estimator(vae, [0, 1], [-2, -1, 0, 1, 2])
    >>> display.lines_.shape
    (2, 13)
    >>> plt.close(display.figure_)
    """

    _x_label = "value of the component"

    @classmethod
    def from_estimator(
        cls,
        estimator,
        components,
        values,
        *,
        at=None,
        X=None,
        image_shape=None,
        ax=None,
        **kwargs,
    ):
        """Decode codes in which one component takes each value in turn.

        Parameters
        ----------
        estimator : object
            Fitted, with ``traverse`` or ``inverse_transform``.

        components : int or sequence of int
            Which components, from 0.

        values : array-like of shape (n_values,)
            What each of them becomes. A variational code has standard deviation 1;
            ``transform(X).std(axis=0)`` says what others have.

        at : array-like of shape (n_features,) or (1, n_features), default=None
            The row at whose code the other components stay. None is the code of zeros,
            which is the mean where codes are centred.

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
        display : TraversalDisplay
            What was drawn.
        """
        numbers = np.atleast_1d(components).tolist()
        values = np.asarray(values, dtype=np.float64).ravel()
        at = _one_row(at)
        paths = [to_array(_traverse(estimator, j, values, at)) for j in numbers]
        paths = np.stack(paths)
        display = cls(
            paths,
            values,
            path_names=[f"component {number}" for number in numbers],
            feature_names=feature_names(paths.shape[2], X, estimator),
            units=Units.of_estimator(estimator, X, paths.shape[2]),
            image_shape=image_shape,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        paths,
        values,
        *,
        components=None,
        X=None,
        image_shape=None,
        ax=None,
        **kwargs,
    ):
        """Draw traversals that are there already.

        Parameters
        ----------
        paths : array-like of shape (n_components, n_values, n_features)
            Decoded rows, such as ``[vae.traverse(j, values) for j in components]``.

        values : array-like of shape (n_values,)
            What each component became.

        components : sequence of int, default=None
            Which components; None is the first.

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
        display : TraversalDisplay
            What was drawn.
        """
        paths = check_paths(paths)
        display = cls(
            paths,
            np.asarray(values, dtype=np.float64).ravel(),
            path_names=[f"component {j}" for j in (components or range(len(paths)))],
            feature_names=feature_names(paths.shape[2], X),
            units=Units.of_estimator(None, X, paths.shape[2]),
            image_shape=image_shape,
        )
        return display.plot(ax, **kwargs)


def _one_row(at):
    """A table of one row, of the type that was given."""
    if at is None:
        return None
    if isinstance(at, pd.Series):  # a row of a DataFrame
        return at.to_frame().T
    if len(np.shape(at)) != 2:
        at = np.atleast_2d(at)
    n_rows = np.shape(at)[0]
    if n_rows != 1:
        raise ValueError(
            f"at has {n_rows} rows, and one traversal starts from one. Pass a single row."
        )
    return at


def _traverse(estimator, component: int, values: np.ndarray, at) -> np.ndarray:
    if hasattr(estimator, "traverse"):
        rows = estimator.traverse(component, values, at)
        return rows if at is None else rows[0]
    check_decodes(estimator)
    if at is None:
        code = np.zeros((1, count_components(estimator)))
    else:
        code = to_array(estimator.transform(at))
    if not 0 <= component < code.shape[1]:
        raise ValueError(
            f"component={component!r} must be from 0 to {code.shape[1] - 1}: there are "
            f"{code.shape[1]} components."
        )
    codes = np.repeat(code, len(values), axis=0)
    codes[:, component] = values
    return estimator.inverse_transform(codes)
