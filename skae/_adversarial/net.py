"""Trains an autoencoder whose codes are pulled towards a prior.

The loss is the reconstruction error in units of its own running mean, plus a divergence
of the codes. So the balance is the same whether PCA leaves half of the variance or a
millionth of it. The divergence only needs codes, and its gradient by them joins that of
the decoder on its way to the encoder.
"""

import torch
from torch import Tensor, nn

from skae._adversarial.divergences import DIVERGENCES, judge
from skae._adversarial.priors import Normal
from skae._data.dataset import Batch
from skae._nn.backprop import written_out
from skae._training.net import AutoencoderNet
from skae.losses import ReconstructionLoss

MEMORY = 0.02  # how fast the running mean of the error follows
LEAST_ERROR = 1e-6  # of the variance; below, an error is rounding
# Of the whole gradient, which the optimiser bounds by 1.
SCALE = 0.1
# What the energy distance counts for where rows held out judge, in shares of PCA's error.
JUDGING = 10.0


def weight(divergence: str, n_components: int) -> float:
    """How much a divergence counts beside the relative error."""
    # The more directions a discriminator looks in, the more it sees and the harder it
    # pushes; kernels see less.
    return 20.0 if divergence == "mmd" else 45.0 * n_components**-1.5


class MatchingLoss(nn.Module):
    """The reconstruction loss, and what codes are to look like.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        One loss per row.

    prior : Normal
        What codes are matched to.

    divergence : {"adversarial", "mmd"}
        By what they are.

    linear_error : float
        Error of PCA, as a share of the variance; the unit of the judgement.
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
        self.linear_error = max(linear_error, LEAST_ERROR)
        self.terms: dict[str, Tensor] = {}  # for the history

    def forward(self, output, target: Tensor) -> Tensor:
        return self.reconstruction(output, target)

    def judge(self, code: Tensor, condition: Tensor | None) -> Tensor:
        """What a row's code counts for where rows held out judge."""
        return JUDGING * self.linear_error * judge(self.prior, code, condition)


class AdversarialNet(AutoencoderNet):
    """An :class:`AutoencoderNet` with a divergence, which may have to learn, too."""

    def _run_epochs(self, batches, train, valid) -> None:
        criterion, generator = self.criterion_, self.module_.generator
        n_conditions = 0 if train.condition is None else train.condition.shape[1]
        kind = DIVERGENCES[criterion.divergence]
        self._divergence = kind(criterion.prior, n_conditions, generator)
        self._weight = weight(criterion.divergence, criterion.prior.n_components)
        self._error = None
        super()._run_epochs(batches, train, valid)

    def run_single_epoch(self, *arguments, **fit_params) -> None:
        self.optimizer_.gather()
        self._plain = written_out(self.module_, self.criterion_.reconstruction)
        super().run_single_epoch(*arguments, **fit_params)

    def _differentiate(self, batch: Batch) -> Tensor:
        if self._plain is None:
            loss = self._by_autograd(batch)
        else:
            loss = self._by_hand(batch)
        # All of the gradient is in units of the error by now, but for this.
        self.optimizer_.gradient.mul_(SCALE / self._error)
        return loss

    def _by_autograd(self, batch: Batch) -> Tensor:
        self.optimizer_.zero_grad()
        output = self.infer(batch)
        loss = self.criterion_(output, batch.target).mean()
        pull = self._pull(output.code.detach(), batch.condition, loss.detach())
        if loss.requires_grad:  # callbacks may have frozen everything
            (loss + (pull * output.code).sum()).backward()
        return loss.detach()

    @torch.no_grad()
    def _by_hand(self, batch: Batch) -> Tensor:
        encoder, decoder = self._plain.encoder, self._plain.decoder
        code = encoder.forward(batch.x)
        reconstruction = decoder.forward(code)
        loss, slope = self._plain.criterion.with_slope(reconstruction, batch.target)
        slope = decoder.backward(slope, wanted=True)
        encoder.backward(slope + self._pull(code, batch.condition, loss), wanted=False)
        return loss

    def _pull(self, code: Tensor, condition: Tensor | None, loss: Tensor) -> Tensor:
        """The gradient of the divergence by the codes, weighed by the error."""
        error = loss if self._error is None else torch.lerp(self._error, loss, MEMORY)
        self._error = error.clamp(min=LEAST_ERROR)
        with torch.enable_grad():
            code = code.requires_grad_()
            divergence = self._divergence(code, condition, self._done())
            (slope,) = torch.autograd.grad(divergence, code)
        self.criterion_.terms = self._divergence.terms
        return self._weight * self._error * slope

    def sample_losses(self, batch: Batch) -> Tensor:
        output = self.infer(batch)
        losses = self.criterion_(output, batch.target)
        return losses + self.criterion_.judge(output.code, batch.condition)

    def _check(self, loss: Tensor | None = None) -> None:
        super()._check(loss)
        if self.step_ < self.n_steps / 2:
            # Codes circle around the prior until the rate falls: patience begins then.
            for stopper in self._stoppers:
                stopper.n_misses = 0
