"""Displays: matplotlib figures of fitted autoencoders, in scikit-learn's API.

Each has ``from_estimator``, most have ``from_predictions`` for results that are computed
already, and ``plot`` draws the figure again. Figures have a constrained layout. With
``ax=`` they are drawn in these axes, and figures of several panels subdivide them.
Nothing is shown before ``plt.show()``.
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
