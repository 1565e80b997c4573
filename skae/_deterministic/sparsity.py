"""Module and loss of the sparse autoencoder.

Bussmann, Leask & Nanda, "BatchTopK sparse autoencoders", 2024, for the number of active
components; Gao et al., "Scaling and evaluating sparse autoencoders", 2024, for the
auxiliary loss of dead ones; Ng, "Sparse autoencoder", 2011, for the L1 and KL penalties.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae._nn.autoencoder import AutoencoderModule
from skae.losses import ReconstructionLoss

SPARSITIES = ("batch_topk", "topk", "l1", "kl")
PENALTIES = ("l1", "kl")
# A component is dead after so many steps without activation ...
DEAD_AFTER = 30
# ... and is trained to reconstruct the residual, by an auxiliary loss of this weight.
AUXILIARY_WEIGHT = 1 / 8
# Fraction of the training after which the penalty, which shrinks codes, is dropped and
# the largest activations are kept instead: Meinshausen, "Relaxed lasso", 2007.
PENALTY_UNTIL = 0.4
# Initial weight of a penalty, and the rate of its adaptation to ``n_active``.
INITIAL_WEIGHT, ADAPTATION_RATE = 0.03, 0.02


def is_penalized(sparsity: str, done: float) -> bool:
    """Whether codes are sparse by a penalty, at this fraction of the training."""
    # Online training has no end: all of it counts as done.
    return sparsity in PENALTIES and not PENALTY_UNTIL <= done < 1


class SparseOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs)
    code: Tensor  # (n_samples, n_components)
    activation: Tensor  # (n_samples, n_components), before sparsification
    dead_reconstruction: Tensor | None  # (n_samples, n_outputs), of dead components
    penalty_weight: Tensor  # scalar of the module, adapted by the loss


def keep_largest(activation: Tensor, n_active: float) -> tuple[Tensor, Tensor]:
    """Keep the positive values that are among the ``n_active * n_samples`` largest.

    Returns
    -------
    code : Tensor
        As the activation, 0 where it is not kept.

    threshold : Tensor of shape ()
        Midpoint of the smallest value kept and the largest value dropped.
    """
    values = activation.flatten()
    n_kept = min(round(n_active * len(activation)), len(values) - 1)
    if n_kept == 0:  # one value in all
        return activation.relu(), values.new_zeros(())
    largest = values.detach().topk(n_kept + 1).values
    threshold = ((largest[-1] + largest[-2]) / 2).clamp(min=0.0)
    return torch.where(activation > threshold, activation, 0.0), threshold


def keep_largest_per_sample(activation: Tensor, n_active: int) -> Tensor:
    """Keep the positive values among the ``n_active`` largest of each sample."""
    values, indices = activation.topk(n_active, dim=-1)
    return torch.zeros_like(activation).scatter(-1, indices, values.relu())


class SparseModule(AutoencoderModule):
    """Encodes samples as sparse non-negative combinations of unit directions.

    Parameters
    ----------
    sparsity : {"batch_topk", "topk", "l1", "kl"}
        Sparsity constraint.

    n_active : int
        Number of active components, on average or (for "topk") in each sample.

    **components : dict
        Arguments of :class:`skae._nn.autoencoder.AutoencoderModule`. The decoder is one
        linear layer.
    """

    def __init__(self, *, sparsity: str, n_active: int, **components):
        super().__init__(**components)
        self.sparsity = sparsity
        self.n_active = n_active
        self.done = 0.0  # fraction of the training, set by the training loop
        weight = torch.tensor(INITIAL_WEIGHT, dtype=torch.float32)
        self.register_buffer("penalty_weight", weight)
        # A component is active in inference above it.
        self.register_buffer("threshold", torch.zeros((), dtype=torch.float32))
        self.calibrated = False  # on samples that were not trained on
        steps = torch.zeros(len(self.basis.unit), dtype=torch.int32)
        self.register_buffer("steps_inactive", steps)  # since the last activation
        self.after_step()

    @torch.no_grad()
    def after_step(self) -> None:
        # Unit norm, so that no penalty is reduced by small codes and large directions.
        weight = self.decoder.weight
        weight /= weight.norm(dim=0).clamp(min=1e-12)

    def unfreeze(self) -> None:
        super().unfreeze()
        self.calibrated = False

    def forward(self, x: Tensor, condition: Tensor | None = None) -> SparseOutput:
        activation = self.encoder(x)
        if self.sparsity == "topk":
            code = keep_largest_per_sample(activation, self.n_active)
        elif self.training and is_penalized(self.sparsity, self.done):
            code = activation.relu()
        else:
            code, threshold = keep_largest(activation, self.n_active)
            if self.training:  # an estimate for inference before calibration
                self.threshold.lerp_(threshold, 0.1)
        dead = self._reconstruct_by_dead(activation, code) if self.training else None
        reconstruction = self.decoder(code)
        return SparseOutput(reconstruction, code, activation, dead, self.penalty_weight)

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        activation = self.encoder(x)
        if self.sparsity == "topk":
            return keep_largest_per_sample(activation, self.n_active)
        return torch.where(activation > self.threshold, activation, 0.0)

    def _reconstruct_by_dead(self, activation: Tensor, code: Tensor) -> Tensor | None:
        """Reconstruction by the dead components of largest activation, without bias."""
        with torch.no_grad():
            self.steps_inactive += 1
            self.steps_inactive.masked_fill_((code > 0).any(dim=0), 0)
            dead = self.steps_inactive > DEAD_AFTER
        n_dead = int(dead.sum())
        if n_dead == 0:
            return None
        n_kept = min(n_dead, max(1, len(self.inputs.mean) // 2))
        activation = activation.masked_fill(~dead, -torch.inf)
        return F.linear(keep_largest_per_sample(activation, n_kept), self.decoder.weight)

    @torch.no_grad()
    def calibrate(self, x: Tensor, target: Tensor, condition: Tensor | None) -> Tensor:
        self.set_threshold(self.encoder(x))
        self.calibrated = True
        return self.threshold.cpu()

    @torch.no_grad()
    def recalibrate(self, found: Tensor) -> None:
        self.threshold.copy_(found)
        self.calibrated = True

    def set_threshold(self, activation: Tensor) -> None:
        """Set the threshold at which ``n_active`` components are active on average."""
        self.threshold.copy_(keep_largest(activation, self.n_active)[1])


class SparseLoss(nn.Module):
    """Reconstruction loss, auxiliary loss of dead components, and L1 or KL penalty.

    The weight of the penalty is adapted: it grows while more components are active than
    ``active_fraction``, and falls while fewer are.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        The loss without penalty. It is the validation loss, of codes with exactly as
        many active components as ``n_active``.

    sparsity : {"batch_topk", "topk", "l1", "kl"}
        Sparsity constraint.

    active_fraction : float
        Target fraction of active components.
    """

    def __init__(
        self, reconstruction: ReconstructionLoss, sparsity: str, active_fraction: float
    ):
        super().__init__()
        self.reconstruction = reconstruction
        self.sparsity = sparsity
        self.active_fraction = active_fraction
        self.done = 0.0  # fraction of the training, set by the training loop
        self.terms: dict[str, Tensor] = {}  # for the history

    def forward(self, output: SparseOutput, target: Tensor) -> Tensor:
        loss = self.reconstruction(output, target)
        if not self.training:
            return loss
        active = (output.code > 0).float().mean()
        self.terms = {"active_fraction": active}
        if output.dead_reconstruction is not None:
            residual = (target - output.reconstruction).detach()
            squares = (residual - output.dead_reconstruction).square()
            loss = loss + AUXILIARY_WEIGHT * (squares @ self.reconstruction.weight)
        if is_penalized(self.sparsity, self.done):
            penalty = self._l1(output) if self.sparsity == "l1" else self._kl(output)
            loss = loss + output.penalty_weight.clone() * penalty
            excess = (active / self.active_fraction - 1).clamp(-1.0, 1.0)
            output.penalty_weight.mul_((ADAPTATION_RATE * excess).exp())
        return loss

    def _l1(self, output: SparseOutput) -> Tensor:
        return output.code.mean(dim=-1) / self.active_fraction**0.5

    def _kl(self, output: SparseOutput) -> Tensor:
        """KL divergence of the soft activation frequencies from ``active_fraction``."""
        target = min(self.active_fraction, 1 - 1e-6)
        frequency = output.activation.sigmoid().mean(dim=0).clamp(1e-6, 1 - 1e-6)
        divergence = target * torch.log(target / frequency)
        divergence += (1 - target) * torch.log((1 - target) / (1 - frequency))
        return divergence.mean()
