"""Display of latent traversals."""

import numpy as np
import pandas as pd

from skae._utils.reconstruction import decode, to_dense
from skae.displays._data import (
    Units,
    check_decodes,
    count_components,
    feature_names,
)
from skae.displays._path import PathDisplay, check_paths


class TraversalDisplay(PathDisplay):
    """Latent traversal: samples decoded while one latent component varies.

    Images form a line for each component. A table has a panel for each component with a
    curve for each feature; the features that change most are in the legend.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    paths : ndarray of shape (n_components, n_values, n_features)
        The decoded samples.

    places : ndarray of shape (n_values,)
        The values of the components.

    path_names, feature_names : list of str
        Names of the components and of the features.

    units : callable
        Converts samples to the units of the figure; ``label`` is the name of the units.

    image_shape : tuple of int or None, default=None
        (height, width), (channels, height, width) or (height, width, channels) of a
        sample; None is a table.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes
        One panel for all images, or one for each component of a table.

    ax_ : matplotlib Axes
        The first panel.

    image_ : AxesImage or None
        The images, tiled into one.

    lines_ : ndarray of Line2D of shape (n_components, n_features) or None
        A curve for each feature of a table.

    See Also
    --------
    InterpolationDisplay : Samples decoded between two codes.

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
        """Decode codes in which one component takes each value, and draw them.

        Parameters
        ----------
        estimator : object
            Fitted, with ``traverse`` or ``inverse_transform``.

        components : int or sequence of int
            Components to vary, from 0.

        values : array-like of shape (n_values,)
            Values of each of them. A variational code has standard deviation 1;
            ``transform(X).std(axis=0)`` is that of other codes.

        at : array-like of shape (n_features,) or (1, n_features), default=None
            Sample with the code that the other components are fixed at. None is a code of
            zeros, which is the mean of centred codes.

        X : array-like of shape (n_samples, n_features), default=None
            Samples whose means and standard deviations standardise the values of a table.
            None uses the estimator's feature scaling, if it has one for each feature.

        image_shape : tuple of int, default=None
            (height, width), (channels, height, width) or (height, width, channels) of a
            sample; None is a table.

        ax : matplotlib Axes, default=None
            Axes to draw in; the panels of a table share its area. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : TraversalDisplay
            The display, already drawn.
        """
        numbers = np.atleast_1d(components).tolist()
        values = np.asarray(values, dtype=np.float64).ravel()
        at = _one_sample(at)
        paths = [to_dense(_traverse(estimator, j, values, at)) for j in numbers]
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
        """Draw traversals that are computed already.

        Parameters
        ----------
        paths : array-like of shape (n_components, n_values, n_features)
            Decoded samples, such as ``[vae.traverse(j, values) for j in components]``.

        values : array-like of shape (n_values,)
            Values of each component.

        components : sequence of int, default=None
            Numbers of the components; None counts from 0.

        X : array-like of shape (n_samples, n_features), default=None
            Samples whose means and standard deviations standardise the values of a table.
            None draws the values unchanged.

        image_shape : tuple of int, default=None
            (height, width), (channels, height, width) or (height, width, channels) of a
            sample; None is a table.

        ax : matplotlib Axes, default=None
            Axes to draw in; the panels of a table share its area. None makes a figure.

        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        display : TraversalDisplay
            The display, already drawn.
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


def _one_sample(at):
    """Return one sample as a table, in the container type of ``at``."""
    if at is None:
        return None
    if isinstance(at, pd.Series):  # a row of a DataFrame
        return at.to_frame().T
    if len(np.shape(at)) != 2:
        at = np.atleast_2d(at)
    n_samples = np.shape(at)[0]
    if n_samples != 1:
        raise ValueError(
            f"at with n_samples={n_samples} must be one sample. Pass a single sample."
        )
    return at


def _traverse(estimator, component: int, values: np.ndarray, at) -> np.ndarray:
    if hasattr(estimator, "traverse"):
        decoded = estimator.traverse(component, values, at)
        return decoded if at is None else decoded[0]
    check_decodes(estimator)
    if at is None:
        code = np.zeros((1, count_components(estimator)))
    else:
        code = to_dense(estimator.transform(at))
    if not 0 <= component < code.shape[1]:
        raise ValueError(
            f"component={component!r} must be from 0 to {code.shape[1] - 1}: there are "
            f"{code.shape[1]} components."
        )
    codes = np.repeat(code, len(values), axis=0)
    codes[:, component] = values
    return decode(estimator, codes)
