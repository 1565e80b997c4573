"""Linear skip connection initialised at the PCA solution, beside a network."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from skae._nn.derived import DerivedBuffers


def zero_initialize(network: nn.Sequential) -> nn.Sequential:
    """Initialise the last linear layer at zero, and with it the network's output."""
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
    return network


class LinearPath(DerivedBuffers):
    """``x @ weight + bias`` plus a correction, initialised at zero.

    The correction is the output of a network and a change of the weight. The weight
    itself is not trained: training begins at the linear map (PCA, say) and adds what the
    map misses. Outside the range of the training inputs the correction is unreliable:
    its input is clipped to a somewhat larger range and its output fades with the
    distance, so that a distant sample is mapped linearly instead of by whatever the
    network extrapolates.

    Parameters
    ----------
    network : nn.Module
        Maps (n_samples, n_in) to (n_samples, n_out).

    weight : Tensor of shape (n_in, n_out), float64
        The linear map.

    bias : Tensor of shape (n_out,), default=None
        Constant added to the output.

    training_range : Tensor of shape (2, n_in), default=None
        Minimum and maximum of the training inputs. None updates it during training.

    gain : bool, default=False
        Multiply the network's output by a trained factor per output, initialised at 0.
        Without it the network must be zero-initialised, see :func:`zero_initialize`.

    unit : Tensor of shape (n_out,), default=None
        What the correction is measured in, in units of the output; None is 1. Steps of
        an optimiser have a given size: it should be that of what the linear map misses.

    keeps_change : bool, default=False
        Map distant samples by the changed weight, and fade the network alone: for an
        encoder whose decoder has no linear map to fall back on.
    """

    # Width of the clipping range over that of the training range, and speed of fading.
    margin = 1.25
    fading = 1.0
    # An optimiser changes all weights of an output by equal steps, which add up. Above
    # this number of inputs the change of the weight has a learning rate that is lower in
    # proportion.
    full_rate_inputs = 64
    derived = "least", "most", "width"

    def __init__(
        self,
        network: nn.Module,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        training_range: Tensor | None = None,
        gain: bool = False,
        unit: Tensor | None = None,
        keeps_change: bool = False,
    ):
        super().__init__()
        self.network = network
        self.keeps_change = keeps_change
        n_in, n_out = weight.shape
        zeros = partial(torch.zeros, dtype=torch.float32)
        self.gain = nn.Parameter(zeros(n_out)) if gain else None
        self.change = nn.Parameter(zeros(n_in, n_out))
        # Not for skae's own networks, whose first layer learns as fast as the change.
        rate_scale = min(1.0, self.full_rate_inputs / max(n_in, 1))
        self.learning_rate_scale = rate_scale if gain else 1.0
        # A buffer, so that no callback that unfreezes layers trains it.
        self.register_buffer("weight", weight.float().contiguous())
        # Rounding error of the cast to float32; float64 inference adds it back.
        remainder = weight.double() - weight.float().double()
        self.register_buffer("remainder", remainder.float().contiguous())
        self.register_buffer("bias", None if bias is None else bias.float())
        self.register_buffer("unit", None if unit is None else unit.float())
        self.register_buffer("low", zeros(n_in))
        self.register_buffer("high", zeros(n_in))
        for name in self.derived:
            self.register_buffer(name, None, persistent=False)
        self.tracks_range = training_range is None
        if training_range is not None:
            self.update_range(training_range.float())

    @torch.no_grad()
    def update_range(self, x: Tensor) -> None:
        """Extend the training range to include ``x``."""
        low, high = x.aminmax(dim=-2)
        self.low.copy_(torch.minimum(self.low, low))
        self.high.copy_(torch.maximum(self.high, high))

    @torch.no_grad()
    def reset_range(self) -> None:
        """Shrink the training range to the mean, 0."""
        self.low.zero_()
        self.high.zero_()

    @torch.no_grad()
    def freeze_range(self) -> None:
        """Precompute the clipping limits from the training range, now final."""
        self.least, self.most, self.width = self._limits()

    def unfreeze_range(self) -> None:
        """Compute the clipping limits at each call, as the training range may change."""
        self.least = self.most = self.width = None

    def derive(self) -> None:
        if self.least is not None:
            self.freeze_range()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if x.dtype == torch.float64:
            weight = weight + self.remainder
        if self.keeps_change:
            weight = weight + self.rate * self.change
        linear = x @ weight if self.bias is None else torch.addmm(self.bias, x, weight)
        if self.training:
            if self.tracks_range:
                self.update_range(x)
            return linear + self._correction(x)
        clipped, trust = self._clip(x)
        return torch.addcmul(linear, self._correction(clipped), trust)

    def _correction(self, x: Tensor) -> Tensor:
        curved = self.network(x)
        if self.factor is not None:
            curved = curved * self.factor
        if self.keeps_change:
            return curved
        return torch.addmm(curved, x, self.rate * self.change)

    @property
    def rate(self) -> Tensor | float:
        """Factor of the weight's change, per output."""
        scale = self.learning_rate_scale
        return scale if self.unit is None else scale * self.unit

    @property
    def factor(self) -> Tensor | None:
        """Factor of the network's output, per output; None is 1."""
        if self.gain is None or self.unit is None:
            return self.unit if self.gain is None else self.gain
        return self.gain * self.unit

    def _limits(self) -> tuple[Tensor, Tensor, Tensor]:
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        # A range of width 0 takes the standard deviation, 1.
        width = torch.where(half > 0, half, torch.ones_like(half))
        width /= math.sqrt(self.fading)
        return middle - self.margin * half, middle + self.margin * half, width

    def _clip(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Clip inputs to the range; return the correction's weight per sample, too."""
        if self.least is None:
            least, most, width = self._limits()
        else:
            least, most, width = self.least, self.most, self.width
        clipped = x.clamp(least, most)
        excess = (x - clipped).div_(width).square().sum(dim=-1, keepdim=True)
        return clipped, excess.add_(1.0).reciprocal_()


def linear_paths(module: nn.Module) -> list[LinearPath]:
    return [part for part in module.modules() if isinstance(part, LinearPath)]
