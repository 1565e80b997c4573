"""Figures of fitted autoencoders, as scikit-learn's displays make them.

Each has ``from_estimator``, most have ``from_predictions`` for what was computed already,
and ``plot`` draws once more. Figures are made with matplotlib, in a constrained layout;
given ``ax=``, they are drawn there, and those of several panels divide its place.
Nothing is shown until ``plt.show()``, as always.
"""

from skae._display_components import ComponentsDisplay
from skae._display_interpolation import InterpolationDisplay
from skae._display_latent import LatentDisplay
from skae._display_outlier import OutlierDisplay
from skae._display_reconstruction import ReconstructionDisplay
from skae._display_training import TrainingDisplay
from skae._display_traversal import TraversalDisplay

__all__ = [
    "ComponentsDisplay",
    "InterpolationDisplay",
    "LatentDisplay",
    "OutlierDisplay",
    "ReconstructionDisplay",
    "TrainingDisplay",
    "TraversalDisplay",
]
