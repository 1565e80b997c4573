"""Encoder and decoder between a standardiser of samples and a basis of codes.

An :class:`AutoencoderModule` has two interfaces. ``forward`` is trained: standardised
samples in, standardised reconstructions out, in float32. ``encode``, ``decode`` and
``reconstruct`` serve users: samples in the units of X, codes centred, rotated and
ordered. A variant overrides ``forward``, ``to_code`` or ``from_code``; the second
interface follows.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae._nn.code_basis import CodeBasis
from skae._nn.linear_path import linear_paths
from skae._nn.scaling import Standardizer


class AutoencoderOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs), standardised; a logit for bernoulli
    code: Tensor  # (n_samples, n_components), as the decoder takes it


class TrainableModule(nn.Module):
    """Interface between a module and the training loop."""

    # The source of every random draw; set by the net during training only.
    generator: torch.Generator | None = None
    # Whether the targets are the standardised inputs.
    reconstructs_inputs = True

    def after_step(self) -> None:
        """Update state that gradients do not change; called after each optimiser step."""

    def validation_input(self, x: Tensor) -> Tensor:
        """Return standardised samples as the validation loss takes them."""
        return x

    @torch.no_grad()
    def calibrate(self, x: Tensor, target: Tensor, condition: Tensor | None) -> Tensor:
        """Return statistics of the validation set after training."""
        return torch.ones(())

    def recalibrate(self, found: Tensor) -> None:
        """Apply what :meth:`calibrate` returned for a module trained on fewer samples."""


class AutoencoderModule(TrainableModule):
    """Encoder and decoder between a standardiser of samples and a basis of codes.

    Parameters
    ----------
    encoder : nn.Module
        Maps standardised samples (n_samples, n_features) to codes.

    decoder : nn.Module
        Maps codes to standardised targets (n_samples, n_outputs).

    inputs : Standardizer
        Scaling of the samples.

    basis : CodeBasis
        Units, order and signs of the codes.

    outputs : Standardizer or Probability, default=None
        Scaling of the targets. None is that of the samples, which then are the targets.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        inputs: Standardizer,
        basis: CodeBasis,
        outputs: nn.Module | None = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.inputs = inputs
        self.reconstructs_inputs = outputs is None
        # A copy, so that no two tensors of the state share memory.
        self.outputs = copy.deepcopy(inputs) if outputs is None else outputs
        self.basis = basis
        # What a builder froze: a layer that was trained elsewhere, say.
        self.frozen = {n for n, p in self.named_parameters() if not p.requires_grad}

    # Training: standardised units, the weights' dtype.

    def forward(self, x: Tensor, condition: Tensor | None = None) -> NamedTuple:
        code = self.to_code(x, condition)
        return AutoencoderOutput(self.from_code(code, condition), code)

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.encoder(self.encoder_input(x, condition))

    def from_code(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.decoder(code)

    def encoder_input(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return x

    def unfreeze(self) -> None:
        """Make all parameters trainable but those that the builder froze."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name not in self.frozen)
        for path in linear_paths(self):
            path.unfreeze_range()

    # Inference: the units of X, the dtype of the caller.

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
    def target_spread(self) -> Tensor:
        """Standard deviation of each target, on the CPU; probabilities have no scale."""
        return getattr(self.outputs, "spread", self.inputs.spread).cpu()

    @property
    def _dtype(self) -> torch.dtype:
        return self.inputs.coarse.dtype  # that of the weights


def has_shared_parameters(module: nn.Module) -> bool:
    """Whether a trained layer or weight occurs in two places."""
    parameters = list(module.named_parameters(remove_duplicate=False))
    return len(parameters) > len(list(module.parameters()))
