"""Encoder, decoder, and the linear path that makes them start as PCA.

An :class:`AutoencoderModule` has two faces. ``forward`` is what is trained: standardised
rows in, standardised reconstruction out, in float32. ``encode``, ``decode`` and
``reconstruct`` are what users meet: rows in the units of X, codes centred, rotated and
ordered. A variant overrides ``forward``, ``to_code`` or ``from_code``; the second face
follows.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn


class AutoencoderOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs), standardised; a logit for bernoulli
    code: Tensor  # (n_samples, n_components), as the decoder takes it


class Standardizer(nn.Module):
    """Between the units of the data and columns of mean 0 and variance 1.

    The statistics stay in float64, and centring happens before the cast to float32, so
    that a large offset costs no precision.
    """

    def __init__(self, mean: Tensor, spread: Tensor):
        super().__init__()
        self.register_buffer("mean", mean.double())
        self.register_buffer("spread", spread.double())
        # A constant column tells a network nothing, whatever it may hold later: it goes
        # in as 0, and comes back as its mean.
        constant = torch.full_like(spread, torch.inf)
        divisor = torch.where(spread > 0, spread, constant)
        self.register_buffer("divisor", divisor.double())
        # For float32 rows the mean is split in two: the first difference is exact where
        # the offset is large, which is where it matters.
        coarse = self.mean.float()
        self.register_buffer("coarse", coarse)
        self.register_buffer("fine", (self.mean - coarse.double()).float())
        self.register_buffer("divisor32", self.divisor.float())
        finite = self.divisor[self.divisor.isfinite()]
        sizes = torch.cat([finite, self.mean.abs()])
        self.fits_float32 = bool(((finite > 1e-30).all() & (sizes < 1e30).all()).item())

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32 and self.fits_float32:
            return (x - self.coarse).sub_(self.fine).div_(self.divisor32)
        return (x - self.mean) / self.divisor

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.spread + self.mean


class Probability(nn.Module):
    """Between targets in [0, 1], which are trained on as they are, and logits."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def inverse(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()


def zero_initialize(network: nn.Sequential) -> nn.Sequential:
    """Let a stack that ends in a linear layer start at zero."""
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
    return network


class LinearPath(nn.Module):
    """``x @ weight + bias``, plus a correction that starts at zero: a network's output
    and a change of the weight.

    Training begins at the linear map (PCA, say), which stays as it is, and adds what the
    map misses. Outside the box of inputs that it was trained on, the correction has
    learned nothing: its input is clamped to a somewhat larger box and its output fades
    with the distance, so that far rows are treated as the linear map treats them, instead
    of being sent wherever the network happens to extrapolate.

    Parameters
    ----------
    network : nn.Module
        Maps (n_samples, n_in) to (n_samples, n_out).

    weight : Tensor of shape (n_in, n_out), float64
        The linear map.

    bias : Tensor of shape (n_out,), default=None
        Constant added to the output.

    box : Tensor of shape (2, n_in), default=None
        Least and largest training inputs. None finds them in the course of training.

    gain : bool, default=False
        Silence the network by a factor per output that starts at 0. Without it the
        network must be one that starts at zero by itself, see :func:`silence`.

    keeps_change : bool, default=False
        Treat far rows as the changed map does, and let only the network fade: for
        encoders whose decoder has left the linear map behind, too.
    """

    # How much wider than the box of training inputs, and how fast the fading.
    margin = 1.25
    fading = 1.0
    # An optimiser moves all weights of a row alike, so that the steps of many add up.
    # Beyond this many inputs a change of the map is slowed down in proportion.
    full_rate_inputs = 64

    def __init__(
        self,
        network: nn.Module,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        training_range: Tensor | None = None,
        gain: bool = False,
        keeps_change: bool = False,
    ):
        super().__init__()
        self.network = network
        self.keeps_change = keeps_change
        n_in, n_out = weight.shape
        zeros = partial(torch.zeros, dtype=torch.float32)
        self.gain = nn.Parameter(zeros(n_out)) if gain else None
        self.change = nn.Parameter(zeros(n_in, n_out))
        # For skae's own networks it makes no difference: their first layer is as fast.
        self.learning_rate_scale = (
            min(1.0, self.full_rate_inputs / max(n_in, 1)) if gain else 1.0
        )
        # Not a parameter: no callback that thaws layers may set it in motion.
        self.register_buffer("weight", weight.float().contiguous())
        # What float32 cannot hold of the weight; float64 inference adds it back.
        remainder = weight.double() - weight.float().double()
        self.register_buffer("remainder", remainder.float())
        self.register_buffer("bias", None if bias is None else bias.float())
        self.register_buffer("low", zeros(n_in))
        self.register_buffer("high", zeros(n_in))
        # Derived from low and high once these are final.
        for name in ("least", "most", "width"):
            self.register_buffer(name, None, persistent=False)
        self.tracks_range = training_range is None
        if training_range is not None:
            self.update_range(training_range.float())

    @torch.no_grad()
    def update_range(self, x: Tensor) -> None:
        """Widen the box of known inputs to hold ``x``."""
        low, high = x.aminmax(dim=-2)
        self.low.copy_(torch.minimum(self.low, low))
        self.high.copy_(torch.maximum(self.high, high))

    @torch.no_grad()
    def reset_range(self) -> None:
        """Forget the box of known inputs; the mean, 0, is always known."""
        self.low.zero_()
        self.high.zero_()

    @torch.no_grad()
    def freeze_range(self) -> None:
        """Take the box for final, which saves deriving its limits at each call."""
        self.least, self.most, self.width = self._limits()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if x.dtype == torch.float64:
            weight = weight + self.remainder
        if self.keeps_change:
            weight = weight + self.learning_rate_scale * self.change
        linear = x @ weight if self.bias is None else torch.addmm(self.bias, x, weight)
        if self.training:  # what is trained on makes the box
            if self.tracks_range:
                self.update_range(x)
            return linear + self._correction(x)
        inside, trust = self._inside(x)
        return torch.addcmul(linear, self._correction(inside), trust)

    def _correction(self, x: Tensor) -> Tensor:
        curved = self.network(x)
        if self.gain is not None:
            curved = curved * self.gain
        if self.keeps_change:
            return curved
        return torch.addmm(curved, x, self.change, alpha=self.learning_rate_scale)

    def _limits(self) -> tuple[Tensor, Tensor, Tensor]:
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        # A box without width takes the standard deviation, 1.
        width = torch.where(half > 0, half, torch.ones_like(half))
        width /= math.sqrt(self.fading)
        return middle - self.margin * half, middle + self.margin * half, width

    def _inside(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Clamp inputs to the box, and say by a factor per row how far they were."""
        if self.least is None:
            least, most, width = self._limits()
        else:
            least, most, width = self.least, self.most, self.width
        inside = x.clamp(least, most)
        excess = (x - inside).div_(width).square().sum(dim=-1, keepdim=True)
        return inside, excess.add_(1.0).reciprocal_()


def has_shared(module: nn.Module) -> bool:
    """Whether a trained layer or weight stands in two places."""
    parameters = list(module.named_parameters(remove_duplicate=False))
    return len(parameters) > len(list(module.parameters()))


def paths(module: nn.Module) -> list[LinearPath]:
    return [part for part in module.modules() if isinstance(part, LinearPath)]


class CodeBasis(nn.Module):
    """Between the decoder's codes and the user's: a scale, a shift and a rotation.

    The decoder's codes have variance near 1, which suits a network. The user's are in
    the units of X, centred, and (where the class orders its codes) uncorrelated.
    """

    def __init__(self, unit: Tensor, turns: bool = True):
        super().__init__()
        self.register_buffer("unit", unit.double())
        self.register_buffer("shift", torch.zeros_like(self.unit))
        # As large as the square of the code, so only where it may be needed.
        rotation = torch.eye(len(unit), dtype=torch.float64) if turns else None
        self.register_buffer("rotation", rotation)

    def forward(self, code: Tensor) -> Tensor:
        code = code * self.unit - self.shift
        return code if self.rotation is None else code @ self.rotation

    def inverse(self, code: Tensor) -> Tensor:
        code = code.to(self.unit.dtype)
        if self.rotation is not None:
            code = code @ self.rotation.T
        return (code + self.shift) / self.unit

    def turn(self, shift: Tensor, rotation: Tensor) -> None:
        """Move the user's codes by ``(codes - shift) @ rotation``, on top of what is."""
        self.shift += shift @ self.rotation.T
        self.rotation.copy_(self.rotation @ rotation)


class TrainableModule(nn.Module):
    """What a net asks of the module that it trains."""

    # The source of every random draw; the net lends one while it trains.
    generator: torch.Generator | None = None

    def after_step(self) -> None:
        """Called after each optimiser step, for state that gradients do not move."""

    def held_out(self, x: Tensor) -> Tensor:
        """Standardised rows as the module is judged by them: clean, unless it mends."""
        return x

    @torch.no_grad()
    def calibrate(self, x: Tensor, target: Tensor, condition: Tensor | None) -> Tensor:
        """Say what rows held out tell that training rows do not, once it is trained."""
        return torch.ones(())

    def recalibrate(self, found: Tensor) -> None:
        """Be told what they said of the like of this module, trained on fewer rows."""


class AutoencoderModule(TrainableModule):
    """Encoder and decoder between a standardiser of rows and a basis for codes.

    Parameters
    ----------
    encoder : nn.Module
        Maps standardised rows (n_samples, n_features) to codes.

    decoder : nn.Module
        Maps codes to standardised targets (n_samples, n_outputs).

    inputs : Standardizer
        Units of the rows.

    outputs : Standardizer or Probability
        Units of the targets; for most classes those of the rows.

    basis : CodeBasis
        Units, order and signs of the codes.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        inputs: Standardizer,
        outputs: nn.Module,
        basis: CodeBasis,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.inputs = inputs
        self.outputs = outputs
        self.basis = basis
        # What a builder froze, a layer that was trained elsewhere, say.
        self.frozen = {n for n, p in self.named_parameters() if not p.requires_grad}

    # What is trained: standardised units, the weights' dtype.

    def forward(self, x: Tensor, condition: Tensor | None = None) -> NamedTuple:
        code = self.to_code(x, condition)
        return AutoencoderOutput(self.from_code(code, condition), code)

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.encoder(self.encoder_input(x, condition))

    def from_code(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.decoder(code)

    def encoder_input(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the encoder is called with."""
        return x

    def thaw(self) -> None:
        """Let everything be trained, but what its builder froze."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name not in self.frozen)
        for path in paths(self):
            path.least = path.most = path.width = None

    # What users meet: the units of X, the dtype of the caller.

    def standardize(self, x: Tensor) -> Tensor:
        return self.inputs(x).to(self._dtype)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.basis(self.to_code(self.standardize(x), condition))

    def decode(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        raw = self.basis.inverse(code).to(self._dtype)
        return self.outputs.inverse(self.from_code(raw, condition))

    def reconstruct(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        code = self.to_code(self.standardize(x), condition)
        return self.outputs.inverse(self.from_code(code, condition))

    @property
    def _dtype(self) -> torch.dtype:
        return self.inputs.coarse.dtype  # as the weights', and at hand
