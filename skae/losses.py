"""Reconstruction losses: one number per sample, whatever the units of the data.

Each takes a reconstruction and a target of shape (n_samples, n_features), both
standardised, and one weight per feature. The weights undo the standardisation, so that
``squared_error`` is the squared error in the units of X over its total variance
(1 - R2), which is what PCA minimises.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def squared_error(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return (reconstruction - target).square() @ weight


def absolute_error(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return (reconstruction - target).abs() @ weight


def huber(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared up to one standard deviation of the feature, linear beyond."""
    # torch's definition is half the square; twice it meets squared_error at small errors.
    return 2 * F.huber_loss(reconstruction, target, reduction="none", delta=1.0) @ weight


def bernoulli(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Negative log-likelihood of targets in [0, 1], the reconstruction being a logit."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none") @ weight


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "bernoulli": bernoulli,
}

# Their derivatives by the reconstruction, for a weight of 1, written out because autograd
# costs several times as much (see _gradients.py).
SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "absolute_error": lambda x, target: (x - target).sign_(),
    "huber": lambda x, target: (x - target).clamp_(-1.0, 1.0).mul_(2.0),
    "bernoulli": lambda logits, target: logits.sigmoid().sub_(target),
}

# The weight of a feature is this power of its standard deviation: an error of one unit
# of X costs the same in every column, whatever the standardisation did.
SCALE_POWERS = {"squared_error": 2, "absolute_error": 1, "huber": 2, "bernoulli": 0}


class ReconstructionLoss(nn.Module):
    """The criterion of the classes that only reconstruct.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}
        The name of the per-sample loss.

    spread : Tensor of shape (n_features,)
        Standard deviation of each target feature, in the units of X.
    """

    def __init__(self, loss: str, spread: Tensor):
        super().__init__()
        self.loss = loss
        weight = spread.double() ** SCALE_POWERS[loss]
        total = weight.sum()
        # Constant X has nothing to explain: any weight will do, so long as it is finite.
        weight = weight / total if total > 0 else torch.ones_like(weight) / len(weight)
        self.register_buffer("weight", weight.float())

    def forward(self, output, target: Tensor) -> Tensor:
        return LOSSES[self.loss](output.reconstruction, target, self.weight)

    def with_slope(self, reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss, and its gradient by the reconstruction, written out."""
        weight = self.weight / target.shape[-2]
        if self.loss == "squared_error":  # a third of the operations
            error = reconstruction - target
            slope = error * weight
            return (error * slope).sum((-2, -1)), slope.mul_(2.0)
        loss = LOSSES[self.loss](reconstruction, target, weight).sum(-1)
        return loss, SLOPES[self.loss](reconstruction, target).mul_(weight)
