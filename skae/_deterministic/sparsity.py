"""Codes of which few components are active, each with a direction of its own.

Bussmann, Leask & Nanda, "BatchTopK sparse autoencoders", 2024, for the number of active
components; Gao et al., "Scaling and evaluating sparse autoencoders", 2024, for the
revival of dead ones; Ng, "Sparse autoencoder", 2011, for the classical penalties.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae._nn.autoencoder import AutoencoderModule
from skae.losses import ReconstructionLoss

SPARSITIES = ("batch_topk", "topk", "l1", "kl")
PENALTIES = ("l1", "kl")
# A component that was in no code for so many steps is dead ...
PATIENCE = 30
# ... and learns to reconstruct what the others leave, with this weight.
REVIVAL = 1 / 8
# A penalty shapes directions in the first part of training and shrinks codes meanwhile;
# the rest goes without it: Meinshausen, "Relaxed lasso", 2007.
RELAXED_FROM = 0.4
# What a penalty weighs at first, and how fast that follows the number of active ones.
FIRST_WEIGHT, PURSUIT = 0.03, 0.02


def is_penalised(sparsity: str, done: float) -> bool:
    """Whether a penalty makes codes sparse, when so much of the training is done."""
    # Online training has no end: all of it counts as done.
    return sparsity in PENALTIES and not RELAXED_FROM <= done < 1


class SparseOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs)
    code: Tensor  # (n_samples, n_components)
    activation: Tensor  # (n_samples, n_components), before anything was set to 0
    from_dead: Tensor | None  # (n_samples, n_outputs), what dead components would add
    penalty_weight: Tensor  # scalar of the module, adapted by the loss


def keep_largest(activation: Tensor, n_active: float) -> tuple[Tensor, Tensor]:
    """Keep the positive values that are among the ``n_active * n_samples`` largest.

    Returns
    -------
    code : Tensor
        As the activation, 0 where it is not kept.

    threshold : Tensor of shape ()
        Half way between the least value kept and the largest that was not.
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
    values, places = activation.topk(n_active, dim=-1)
    return torch.zeros_like(activation).scatter(-1, places, values.relu())


class SparseModule(AutoencoderModule):
    """Encodes samples as sparse non-negative combinations of unit directions.

    Parameters
    ----------
    sparsity : {"batch_topk", "topk", "l1", "kl"}
        What makes codes sparse.

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
        self.done = 0.0  # of the training; the net sets it
        weight = torch.tensor(FIRST_WEIGHT, dtype=torch.float32)
        self.register_buffer("penalty_weight", weight)
        # Above it a component is active in inference.
        self.register_buffer("threshold", torch.zeros((), dtype=torch.float32))
        self.calibrated = False  # on samples that were not trained on
        idle = torch.zeros(len(self.basis.unit), dtype=torch.int32)
        self.register_buffer("idle", idle)  # steps since each was active
        self.after_step()

    @torch.no_grad()
    def after_step(self) -> None:
        # Else the code shrinks, and a penalty on it with it, while directions grow.
        weight = self.decoder.weight
        weight /= weight.norm(dim=0).clamp(min=1e-12)

    def unfreeze(self) -> None:
        super().unfreeze()
        self.calibrated = False

    def forward(self, x: Tensor, condition: Tensor | None = None) -> SparseOutput:
        activation = self.encoder(x)
        if self.sparsity == "topk":
            code = keep_largest_per_sample(activation, self.n_active)
        elif self.training and is_penalised(self.sparsity, self.done):
            code = activation.relu()
        else:
            code, threshold = keep_largest(activation, self.n_active)
            if self.training:  # looked at by those who use the module before its time
                self.threshold.lerp_(threshold, 0.1)
        from_dead = self._from_dead(activation, code) if self.training else None
        reconstruction = self.decoder(code)
        return SparseOutput(
            reconstruction, code, activation, from_dead, self.penalty_weight
        )

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        activation = self.encoder(x)
        if self.sparsity == "topk":
            return keep_largest_per_sample(activation, self.n_active)
        return torch.where(activation > self.threshold, activation, 0.0)

    def _from_dead(self, activation: Tensor, code: Tensor) -> Tensor | None:
        """Contribution of the most active of the dead components."""
        with torch.no_grad():
            self.idle += 1
            self.idle.masked_fill_((code > 0).any(dim=0), 0)
            dead = self.idle > PATIENCE
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
    """A reconstruction loss, the revival of dead components, and a penalty if any.

    A penalty's weight follows the codes: it grows while more components are active than
    were asked for, and falls while fewer are.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        The loss without penalty. It is the validation loss, of codes with exactly as
        many active components as ``n_active``.

    sparsity : {"batch_topk", "topk", "l1", "kl"}
        What makes codes sparse.

    share : float
        Share of the components that is to be active.
    """

    def __init__(self, reconstruction: ReconstructionLoss, sparsity: str, share: float):
        super().__init__()
        self.reconstruction = reconstruction
        self.sparsity = sparsity
        self.share = share
        self.done = 0.0  # of the training; the net sets it
        self.terms: dict[str, Tensor] = {}  # for the history

    def forward(self, output: SparseOutput, target: Tensor) -> Tensor:
        loss = self.reconstruction(output, target)
        if not self.training:
            return loss
        active = (output.code > 0).float().mean()
        self.terms = {"active_fraction": active}
        if output.from_dead is not None:
            left = (target - output.reconstruction).detach()
            squares = (left - output.from_dead).square()
            loss = loss + REVIVAL * (squares @ self.reconstruction.weight)
        if is_penalised(self.sparsity, self.done):
            penalty = self._l1(output) if self.sparsity == "l1" else self._kl(output)
            loss = loss + output.penalty_weight.clone() * penalty
            excess = (active / self.share - 1).clamp(-1.0, 1.0)
            output.penalty_weight.mul_((PURSUIT * excess).exp())
        return loss

    def _l1(self, output: SparseOutput) -> Tensor:
        return output.code.mean(dim=-1) / self.share**0.5

    def _kl(self, output: SparseOutput) -> Tensor:
        """Divergence of how often each is active, softly counted, from the share."""
        share = min(self.share, 1 - 1e-6)
        often = output.activation.sigmoid().mean(dim=0).clamp(1e-6, 1 - 1e-6)
        divergence = share * torch.log(share / often)
        divergence += (1 - share) * torch.log((1 - share) / (1 - often))
        return divergence.mean()
