"""Display of latent interpolation between samples."""

import numpy as np

from skae._base.sampling import lines_between
from skae._utils.reconstruction import decode, to_dense
from skae.displays._data import (
    Units,
    check_at_least_one,
    check_decodes,
    feature_names,
    sample_names,
)
from skae.displays._path import PathDisplay, check_paths


class InterpolationDisplay(PathDisplay):
    """Latent interpolation: samples decoded on the line between two codes.

    In a well-filled latent space every step resembles a sample. Images form a line for
    each pair. A table has a panel for each pair with a curve for each feature; the
    features that change most are in the legend.

    Prefer :meth:`from_estimator` or :meth:`from_predictions` to the constructor.

    Parameters
    ----------
    paths : ndarray of shape (n_pairs, n_steps, n_features)
        The decoded samples.

    places : ndarray of shape (n_steps,)
        Interpolation weights, from 0 to 1.

    path_names, feature_names : list of str
        Names of the pairs and of the features.

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
        One panel for all images, or one for each pair of samples of a table.

    ax_ : matplotlib Axes
        The first panel.

    image_ : AxesImage or None
        The images, tiled into one.

    lines_ : ndarray of Line2D of shape (n_pairs, n_features) or None
        A curve for each feature of a table.

    See Also
    --------
    TraversalDisplay : Decoded samples while one component varies.

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

    _x_label = "interpolation weight"

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
        """Decode points on the lines between codes and draw them.

        Parameters
        ----------
        estimator : object
            Fitted, with ``interpolate``, or ``transform`` and ``inverse_transform``.

        X_from, X_to : array-like of shape (n_pairs, n_features)
            First and last samples of the paths.

        n_steps : int, default=10
            Number of samples of a path, both ends included.

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
        display : InterpolationDisplay
            The display, already drawn.
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
        """Draw paths that are computed already.

        Parameters
        ----------
        paths : array-like of shape (n_pairs, n_steps, n_features)
            Decoded samples, as returned by ``vae.interpolate(X_from, X_to)``.

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
        display : InterpolationDisplay
            The display, already drawn.
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
    if not hasattr(X_from, "iloc"):  # without an index, the pairs are numbered
        return [f"pair {i}" for i in range(np.shape(X_from)[0])]
    ends = zip(sample_names(X_from), sample_names(X_to), strict=True)
    return [f"{start} to {end}" for start, end in ends]


def _decode_paths(estimator, X_from, X_to, n_steps: int) -> np.ndarray:
    n_from, n_to = np.shape(X_from)[0], np.shape(X_to)[0]
    if n_from != n_to:
        raise ValueError(
            f"X_from with n_samples={n_from} and X_to with n_samples={n_to} must have "
            "the same length. Pass pairs of samples."
        )
    if hasattr(estimator, "interpolate"):
        return check_paths(estimator.interpolate(X_from, X_to, n_steps))
    check_decodes(estimator)
    starts, ends = (to_dense(estimator.transform(X)) for X in (X_from, X_to))
    decoded = to_dense(decode(estimator, lines_between(starts, ends, n_steps)))
    return decoded.reshape(len(starts), n_steps, -1)
