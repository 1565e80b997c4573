"""Reconstruction losses per sample, in units that do not depend on the data.

Each takes a reconstruction and a target of shape (n_samples, n_features), both
standardised, and one weight per feature. The weights invert the standardisation, so that
``squared_error`` is the squared error in the units of X over its total variance
(1 - R2), which is what PCA minimises.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def squared_error(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error, weighted and summed over features.

    Parameters
    ----------
    reconstruction : Tensor of shape (n_samples, n_features)
        Standardised.

    target : Tensor of shape (n_samples, n_features)
        Standardised.

    weight : Tensor of shape (n_features,)
        Weight of each feature.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        Loss of each sample.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import squared_error
    >>> output, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    >>> squared_error(output, target, torch.ones(2))
    tensor([5.])
    """
    return (reconstruction - target).square() @ weight


def absolute_error(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Absolute error, weighted and summed over features.

    Parameters
    ----------
    reconstruction : Tensor of shape (n_samples, n_features)
        Standardised.

    target : Tensor of shape (n_samples, n_features)
        Standardised.

    weight : Tensor of shape (n_features,)
        Weight of each feature.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        Loss of each sample.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import absolute_error
    >>> output, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    >>> absolute_error(output, target, torch.ones(2))
    tensor([3.])
    """
    return (reconstruction - target).abs() @ weight


def huber(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Huber loss: squared up to one standard deviation of the feature, then linear.

    Parameters
    ----------
    reconstruction : Tensor of shape (n_samples, n_features)
        Standardised.

    target : Tensor of shape (n_samples, n_features)
        Standardised.

    weight : Tensor of shape (n_features,)
        Weight of each feature.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        Loss of each sample.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import huber
    >>> output, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    >>> huber(output, target, torch.ones(2))
    tensor([4.])
    """
    # torch's loss is half the square; twice it equals squared_error for small errors.
    return 2 * F.huber_loss(reconstruction, target, reduction="none", delta=1.0) @ weight


def bernoulli(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy of targets in [0, 1] with logits as the reconstruction.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_features)
        Log-odds.

    target : Tensor of shape (n_samples, n_features)
        Between 0 and 1.

    weight : Tensor of shape (n_features,)
        Weight of each feature.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        Loss of each sample.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import bernoulli
    >>> output, target = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> bernoulli(output, target, torch.ones(2))
    tensor([1.3863])
    """
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none") @ weight


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "bernoulli": bernoulli,
}

# Derivatives with respect to the reconstruction, for a weight of 1. They are explicit
# because autograd is several times slower (see _nn/backprop.py).
SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "absolute_error": lambda x, target: (x - target).sign_(),
    "huber": lambda x, target: (x - target).clamp_(-1.0, 1.0).mul_(2.0),
    "bernoulli": lambda logits, target: logits.sigmoid().sub_(target),
}

# The weight of a feature is this power of its standard deviation: an error of one unit
# of X has the same loss in every feature, whatever its standardisation.
SCALE_POWERS = {"squared_error": 2, "absolute_error": 1, "huber": 2, "bernoulli": 0}


class ReconstructionLoss(nn.Module):
    """Reconstruction criterion, for estimators without further terms in their loss.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}
        Name of the per-sample loss.

    spread : Tensor of shape (n_features,)
        Standard deviation of each target feature, in the units of X.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import ReconstructionLoss
    >>> ReconstructionLoss("squared_error", torch.tensor([3.0, 1.0])).weight
    tensor([0.9000, 0.1000])
    """

    # The initial loss is the size of what there is to gain, and of the gradients.
    sizes_gradients = True

    def __init__(self, loss: str, spread: Tensor):
        super().__init__()
        self.loss = loss
        weight = spread.double() ** SCALE_POWERS[loss]
        total = weight.sum()
        # X without variance: the weights are arbitrary but must be finite.
        weight = weight / total if total > 0 else torch.ones_like(weight) / len(weight)
        self.register_buffer("weight", weight.float())

    def forward(self, output, target: Tensor) -> Tensor:
        """Compute the loss of a module's output.

        Parameters
        ----------
        output : NamedTuple
            With a ``reconstruction`` of shape (n_samples, n_features).

        target : Tensor of shape (n_samples, n_features)
            Standardised, but for "bernoulli".

        Returns
        -------
        loss : Tensor of shape (n_samples,)
            Loss of each sample.
        """
        return LOSSES[self.loss](output.reconstruction, target, self.weight)

    def with_slope(self, reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss and its explicit gradient.

        Parameters
        ----------
        reconstruction : Tensor of shape (n_samples, n_features)
            Standardised; a logit for "bernoulli".

        target : Tensor of shape (n_samples, n_features)
            Standardised, but for "bernoulli".

        Returns
        -------
        loss : Tensor of shape ()
            Mean over samples.

        slope : Tensor of shape (n_samples, n_features)
            Derivative with respect to the reconstruction.
        """
        weight = self.weight / target.shape[-2]
        if self.loss == "squared_error":  # a third of the operations
            error = reconstruction - target
            slope = error * weight
            return (error * slope).sum((-2, -1)), slope.mul_(2.0)
        loss = LOSSES[self.loss](reconstruction, target, weight).sum(-1)
        return loss, SLOPES[self.loss](reconstruction, target).mul_(weight)
