"""Likelihoods of a sample given the decoder's output, in nats."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
# Lower bound of the learned noise, in standard deviations of a feature. Without it the
# density of a copy of another feature, or of a recurring value, is unbounded.
NOISE_FLOOR = 1e-3


class Gaussian(nn.Module):
    """Independent normal features with the reconstruction as mean.

    A feature that was constant in training has no density and is ignored.

    Parameters
    ----------
    spread : Tensor of shape (n_outputs,)
        Standard deviation of each feature, in the units of X.
    """

    def __init__(self, spread: Tensor):
        super().__init__()
        varies = spread > 0
        self.register_buffer("counted", varies.float())
        # From standardised units to those of X.
        self.register_buffer("log_unit", spread[varies].double().log().sum())

    def nats(self, reconstruction: Tensor, target: Tensor, log_noise: Tensor) -> Tensor:
        """Negative log-density of each target, in the units of X."""
        error = (target - reconstruction) * (-log_noise).exp()
        each = 0.5 * error.square() + (log_noise + HALF_LOG_TAU)
        return each @ self.counted + self.log_unit

    def sample(self, reconstruction: Tensor, log_noise: Tensor, noise: Tensor) -> Tensor:
        """Draw samples, given standard normal noise."""
        return reconstruction + noise * log_noise.exp() * self.counted


class Bernoulli(nn.Module):
    """Independent features in [0, 1], each the probability of a 1."""

    def nats(self, logits: Tensor, target: Tensor, log_noise: None) -> Tensor:
        # F.binary_cross_entropy_with_logits does not broadcast.
        return (F.softplus(logits) - target * logits).sum(dim=-1)

    def sample(self, logits: Tensor, log_noise: None, noise: Tensor) -> Tensor:
        """Draw samples, given standard normal noise, as logits of 0 and 1."""
        level = torch.special.ndtr(noise)
        return torch.where(level < logits.sigmoid(), torch.inf, -torch.inf)


class Noise(nn.Module):
    """Logarithm of the standard deviation of a sample about its reconstruction.

    Parameters
    ----------
    deviation : Tensor of shape (n_outputs,) or (1,)
        Standard deviation in standardised units; the initial value if it is learned.

    learned : bool
        Whether it is trained.
    """

    def __init__(self, deviation: Tensor, learned: bool):
        super().__init__()
        self.learned = learned
        if learned:
            above = deviation.clamp(min=2 * NOISE_FLOOR).square() - NOISE_FLOOR**2
            self.log_variance = nn.Parameter(above.log().float())
        else:
            self.register_buffer("log_variance", 2 * deviation.log().float())

    def forward(self) -> Tensor:
        if not self.learned:
            return self.log_variance / 2
        floor = torch.full_like(self.log_variance, 2 * math.log(NOISE_FLOOR))
        return torch.logaddexp(self.log_variance, floor) / 2


LIKELIHOODS: dict[str, type[nn.Module]] = {"gaussian": Gaussian, "bernoulli": Bernoulli}
