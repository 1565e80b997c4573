"""Standardisation of samples and targets, in float64."""

import torch
from torch import Tensor, nn

from skae._nn.derived import DerivedBuffers

# Squares of so many standard deviations can be summed in float32.
FLOAT32_DEVIATIONS = 1e12


class Standardizer(DerivedBuffers):
    """Scales features to mean 0 and variance 1, and back.

    The statistics stay in float64, and centring happens before the cast to float32, so
    that a large offset costs no precision.

    Parameters
    ----------
    mean, spread : Tensor of shape (n_features,)
        Mean and standard deviation of each feature, in the units of X. A constant
        feature has a standard deviation of 0; it is scaled to 0, and back to its mean.
    """

    derived = "divisor", "coarse", "fine", "divisor32"

    def __init__(self, mean: Tensor, spread: Tensor):
        super().__init__()
        self.register_buffer("mean", mean.double())
        self.register_buffer("spread", spread.double())
        for name in self.derived:
            self.register_buffer(name, None, persistent=False)
        self.derive()

    @torch.no_grad()
    def derive(self) -> None:
        # A constant feature carries no information for a network, whatever its value.
        constant = torch.full_like(self.spread, torch.inf)
        self.divisor = torch.where(self.spread > 0, self.spread, constant)
        # For float32 samples the mean is split in two: the first difference is exact
        # where the offset is large, which is where precision would be lost.
        self.coarse = self.mean.float()
        self.fine = (self.mean - self.coarse.to(self.mean)).float()
        self.divisor32 = self.divisor.float()
        finite = self.divisor[self.divisor.isfinite()]
        sizes = torch.cat([finite, self.mean.abs()])
        self.fits_float32 = bool(((finite > 1e-30).all() & (sizes < 1e30).all()).item())
        # Values beyond this may overflow in float32 once they are scaled and squared.
        limit = FLOAT32_DEVIATIONS * float(self.divisor.min())
        self.float32_limit = min(limit, torch.finfo(torch.float32).max)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32 and self.fits_float32:
            return (x - self.coarse).sub_(self.fine).div_(self.divisor32)
        return (x - self.mean) / self.divisor

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.spread + self.mean


class Probability(nn.Module):
    """Scaling of targets in [0, 1]: none to train on, the logistic function back."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def inverse(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()
