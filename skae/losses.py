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
    """Squared differences, weighted and summed over features.

    Parameters
    ----------
    reconstruction : Tensor of shape (n_samples, n_features)
        Standardised.

    target : Tensor of shape (n_samples, n_features)
        Standardised.

    weight : Tensor of shape (n_features,)
        What the error of each feature counts.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        One number per row.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import squared_error
    >>> rows, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    >>> squared_error(rows, target, torch.ones(2))
    tensor([5.])
    """
    return (reconstruction - target).square() @ weight


def absolute_error(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Absolute differences, weighted and summed over features.

    Parameters
    ----------
    reconstruction : Tensor of shape (n_samples, n_features)
        Standardised.

    target : Tensor of shape (n_samples, n_features)
        Standardised.

    weight : Tensor of shape (n_features,)
        What the error of each feature counts.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        One number per row.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import absolute_error
    >>> rows, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    >>> absolute_error(rows, target, torch.ones(2))
    tensor([3.])
    """
    return (reconstruction - target).abs() @ weight


def huber(reconstruction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared up to one standard deviation of the feature, linear beyond.

    Parameters
    ----------
    reconstruction : Tensor of shape (n_samples, n_features)
        Standardised.

    target : Tensor of shape (n_samples, n_features)
        Standardised.

    weight : Tensor of shape (n_features,)
        What the error of each feature counts.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        One number per row.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import huber
    >>> rows, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    >>> huber(rows, target, torch.ones(2))
    tensor([4.])
    """
    # torch's definition is half the square; twice it meets squared_error at small errors.
    return 2 * F.huber_loss(reconstruction, target, reduction="none", delta=1.0) @ weight


def bernoulli(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Negative log-likelihood of targets in [0, 1], the reconstruction being a logit.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_features)
        Log-odds.

    target : Tensor of shape (n_samples, n_features)
        Between 0 and 1.

    weight : Tensor of shape (n_features,)
        What the error of each feature counts.

    Returns
    -------
    loss : Tensor of shape (n_samples,)
        One number per row.

    Examples
    --------
    >>> import torch
    >>> from skae.losses import bernoulli
    >>> rows, target = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> bernoulli(rows, target, torch.ones(2))
    tensor([1.3863])
    """
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

    Examples
    --------
    >>> import torch
    >>> from skae.losses import ReconstructionLoss
    >>> ReconstructionLoss("squared_error", torch.tensor([3.0, 1.0])).weight
    tensor([0.9000, 0.1000])
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
        """Compare what a module returned with what it should have been.

        Parameters
        ----------
        output : NamedTuple
            With a ``reconstruction`` of shape (n_samples, n_features).

        target : Tensor of shape (n_samples, n_features)
            Standardised, but for "bernoulli".

        Returns
        -------
        loss : Tensor of shape (n_samples,)
            One number per row.
        """
        return LOSSES[self.loss](output.reconstruction, target, self.weight)

    def with_slope(self, reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss, and its gradient by the reconstruction, written out.

        Parameters
        ----------
        reconstruction : Tensor of shape (n_samples, n_features)
            Standardised; a logit for "bernoulli".

        target : Tensor of shape (n_samples, n_features)
            Standardised, but for "bernoulli".

        Returns
        -------
        loss : Tensor of shape ()
            Mean over rows.

        slope : Tensor of shape (n_samples, n_features)
            Its derivative by the reconstruction.
        """
        weight = self.weight / target.shape[-2]
        if self.loss == "squared_error":  # a third of the operations
            error = reconstruction - target
            slope = error * weight
            return (error * slope).sum((-2, -1)), slope.mul_(2.0)
        loss = LOSSES[self.loss](reconstruction, target, weight).sum(-1)
        return loss, SLOPES[self.loss](reconstruction, target).mul_(weight)
