"""Training loop of an autoencoder with a divergence between codes and prior.

The loss is the reconstruction error in units of its own running mean, plus the
divergence, so that their balance does not depend on the variance that PCA explains. The
gradient of the divergence by the codes is added to the decoder's.
"""

import torch
from torch import Tensor, nn

from skae._adversarial.divergences import DIVERGENCES, prior_energy_distance
from skae._adversarial.priors import Normal
from skae._data.dataset import Batch
from skae._nn.backprop import written_out
from skae._training.net import AutoencoderNet
from skae.losses import ReconstructionLoss

MOMENTUM = 0.02  # weight of a batch in the running mean of the error
MIN_ERROR = 1e-6  # as a fraction of the variance; smaller errors are rounding errors
# Scale of the whole gradient, whose norm the optimiser clips at 1.
GRADIENT_SCALE = 0.1
# Weight of the energy distance in the validation loss, in units of PCA's error.
VALIDATION_WEIGHT = 10.0


def weight(divergence: str, n_components: int) -> float:
    """Weight of a divergence relative to the reconstruction error."""
    # A discriminator's gradients grow with the dimension; those of kernels are smaller.
    return 20.0 if divergence == "mmd" else 45.0 * n_components**-1.5


class MatchingLoss(nn.Module):
    """Reconstruction loss, with the prior and the divergence of the codes.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        Reconstruction loss of each sample.

    prior : Normal
        Distribution that codes are matched to.

    divergence : {"adversarial", "mmd"}
        Divergence between codes and prior.

    linear_error : float
        Error of PCA, as a fraction of the variance; the unit of the divergence.
    """

    def __init__(
        self,
        reconstruction: ReconstructionLoss,
        prior: Normal,
        divergence: str,
        linear_error: float,
    ):
        super().__init__()
        self.reconstruction = reconstruction
        self.prior = prior
        self.divergence = divergence
        self.linear_error = max(linear_error, MIN_ERROR)
        self.terms: dict[str, Tensor] = {}  # for the history

    def forward(self, output, target: Tensor) -> Tensor:
        return self.reconstruction(output, target)

    def validation_divergence(self, code: Tensor, condition: Tensor | None) -> Tensor:
        """Term of each sample's code in the validation loss."""
        return (
            VALIDATION_WEIGHT
            * self.linear_error
            * prior_energy_distance(self.prior, code, condition)
        )


class AdversarialNet(AutoencoderNet):
    """An :class:`AutoencoderNet` with a divergence, which may have its own training."""

    def _run_epochs(self, batches, train, valid) -> None:
        criterion, generator = self.criterion_, self.module_.generator
        n_conditions = 0 if train.condition is None else train.condition.shape[1]
        kind = DIVERGENCES[criterion.divergence]
        self._divergence = kind(criterion.prior, n_conditions, generator)
        self._weight = weight(criterion.divergence, criterion.prior.n_components)
        self._error = None
        super()._run_epochs(batches, train, valid)

    def _prepare_steps(self) -> None:
        super()._prepare_steps()
        self._plain = written_out(self.module_, self.criterion_.reconstruction)

    def _differentiate(self, batch: Batch) -> Tensor:
        if self._plain is None:
            loss = self._by_autograd(batch)
        else:
            loss = self._by_hand(batch)
        # In units of the running mean of the error.
        self.optimizer_.gradient.mul_(GRADIENT_SCALE / self._error)
        return loss

    def _by_autograd(self, batch: Batch) -> Tensor:
        self.optimizer_.zero_grad()
        output = self.infer(batch)
        loss = self.criterion_(output, batch.target).mean()
        gradient = self._divergence_gradient(
            output.code.detach(), batch.condition, loss.detach()
        )
        if loss.requires_grad:  # callbacks may freeze all weights
            (loss + (gradient * output.code).sum()).backward()
        return loss.detach()

    @torch.no_grad()
    def _by_hand(self, batch: Batch) -> Tensor:
        encoder, decoder = self._plain.encoder, self._plain.decoder
        code = encoder.forward(batch.x)
        reconstruction = decoder.forward(code)
        loss, slope = self._plain.criterion.with_slope(reconstruction, batch.target)
        slope = decoder.backward(slope, wanted=True)
        slope = slope + self._divergence_gradient(code, batch.condition, loss)
        encoder.backward(slope, wanted=False)
        return loss

    def _divergence_gradient(
        self, code: Tensor, condition: Tensor | None, loss: Tensor
    ) -> Tensor:
        """Gradient of the divergence by the codes, weighted by the running error."""
        error = loss if self._error is None else torch.lerp(self._error, loss, MOMENTUM)
        self._error = error.clamp(min=MIN_ERROR)
        with torch.enable_grad():
            code = code.requires_grad_()
            divergence = self._divergence(code, condition, self._done())
            (slope,) = torch.autograd.grad(divergence, code)
        self.criterion_.terms = self._divergence.terms
        return self._weight * self._error * slope

    def _valid_chunks(self) -> list[Batch]:
        return [self._valid]  # the divergence is that of all codes together

    def sample_losses(self, batch: Batch) -> Tensor:
        output = self.infer(batch)
        losses = self.criterion_(output, batch.target)
        return losses + self.criterion_.validation_divergence(
            output.code, batch.condition
        )

    def _check(self, loss: Tensor | None = None) -> None:
        super()._check(loss)
        if self.step_ < self.n_steps / 2:
            # Codes oscillate until the learning rate decays; patience counts from then.
            for stopper in self._stoppers:
                stopper.n_misses = 0
