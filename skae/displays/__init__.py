"""Figures of fitted autoencoders, as scikit-learn's displays make them.

Each has ``from_estimator``, most have ``from_predictions`` for what was computed already,
and ``plot`` draws once more. Figures are made with matplotlib, in a constrained layout;
given ``ax=``, they are drawn there, and those of several panels divide its place.
Nothing is shown until ``plt.show()``, as always.
"""

from skae.displays._components import ComponentsDisplay
from skae.displays._interpolation import InterpolationDisplay
from skae.displays._latent import LatentDisplay
from skae.displays._outlier import OutlierDisplay
from skae.displays._reconstruction import ReconstructionDisplay
from skae.displays._training import TrainingDisplay
from skae.displays._traversal import TraversalDisplay

__all__ = [
    "ComponentsDisplay",
    "InterpolationDisplay",
    "LatentDisplay",
    "OutlierDisplay",
    "ReconstructionDisplay",
    "TrainingDisplay",
    "TraversalDisplay",
]
