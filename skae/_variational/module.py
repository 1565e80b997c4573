"""Posterior, evidence lower bound and importance-weighted log-likelihood.

Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014; for the evidence, Burda,
Grosse & Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae._nn.autoencoder import AutoencoderModule
from skae._variational.likelihoods import HALF_LOG_TAU, Noise

MAX_LOG_VARIANCE = 20.0  # of the posterior, in absolute value, for float32


class VariationalOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs), standardised mean, or logits
    code: Tensor  # (n_samples, n_components), a draw from the posterior
    mean: Tensor  # (n_samples, n_components), of the posterior
    log_variance: Tensor  # (n_samples, n_components), of the posterior
    log_noise: Tensor | None  # (n_outputs,) or (1,), log of its standard deviation


# The module and its criterion.


class VariationalModule(AutoencoderModule):
    """Encoder to a normal posterior, decoder of draws from it.

    The encoder returns the posterior's means and then the logarithms of its variances.

    Parameters
    ----------
    likelihood : Gaussian or Bernoulli
        Distribution of a sample given the reconstruction.

    noise : Noise or None
        Noise of a Gaussian likelihood.

    **components : dict
        Arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.
    """

    def __init__(self, *, likelihood: nn.Module, noise: Noise | None, **components):
        super().__init__(**components)
        self.likelihood = likelihood
        self.noise = noise

    def posterior(
        self, x: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x)."""
        both = self.encoder(self.encoder_input(x, condition))
        mean, log_variance = both.chunk(2, dim=-1)
        return mean, log_variance.clamp(-MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)

    def encoder_input(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return x if condition is None else torch.cat([x, condition.to(x)], dim=-1)

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.posterior(x, condition)[0]

    def from_code(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        if condition is not None:
            code = torch.cat([code, condition.to(code)], dim=-1)
        return self.decoder(code)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> VariationalOutput:
        mean, log_variance = self.posterior(x, condition)
        code = mean + (log_variance / 2).exp() * self._draw_like(mean)
        reconstruction = self.from_code(code, condition)
        return VariationalOutput(reconstruction, code, mean, log_variance, self.log_noise)

    @torch.no_grad()
    def calibrate(self, x: Tensor, target: Tensor, condition: Tensor | None) -> Tensor:
        if self.noise is None or not self.noise.learned:
            return torch.ones(())
        output = self(x, condition)
        error = (target - output.reconstruction) * (-output.log_noise).exp()
        counted = self.likelihood.counted
        misfit = error.square().mean(dim=0) @ counted
        return (misfit / counted.sum().clamp(min=1)).cpu()

    @torch.no_grad()
    def recalibrate(self, found: Tensor) -> None:
        # Errors are smaller on training samples than on new ones, whose density under the
        # training noise would be far too low. Smaller errors on new samples are chance.
        if self.noise is not None and self.noise.learned:
            now = self.noise.log_variance
            wider = now + found.clamp(min=1.0).log().to(now)
            # No feature's noise exceeds its whole variance, 1.
            now.copy_(torch.maximum(now, wider.clamp(max=0.0)))

    def draw(self, code: Tensor, condition: Tensor | None, noise: Tensor) -> Tensor:
        """Samples from the decoder's distribution for the user's codes, in units of X."""
        raw = self.basis.inverse(code).to(self._dtype)
        mean, noise = self.from_code(raw, condition), noise.to(self._dtype)
        return self.outputs.inverse(self.likelihood.sample(mean, self.log_noise, noise))

    @property
    def log_noise(self) -> Tensor | None:
        return None if self.noise is None else self.noise()

    def _draw_like(self, mean: Tensor) -> Tensor:
        generator = self.generator
        if not self.training:  # fixed, so that validation checks are comparable
            generator = torch.Generator(mean.device).manual_seed(0)
        return torch.empty_like(mean).normal_(generator=generator)


def kl_from_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of each component, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


class NegativeELBO(nn.Module):
    """Negative evidence lower bound of each sample, in nats, in the units of X.

    Parameters
    ----------
    likelihood : Gaussian or Bernoulli
        Distribution of a sample given the reconstruction.

    beta : float
        Weight of the divergence from the prior.

    kl_warm_up : float
        Fraction of the training over which the weight increases from 0.

    free_bits : float
        Mean divergence of a component, in nats, that is not penalised.
    """

    # Fraction of the training that is done; set by the net.
    done = 1.0

    def __init__(
        self, likelihood: nn.Module, beta: float, kl_warm_up: float, free_bits: float
    ):
        super().__init__()
        self.likelihood = likelihood
        self.beta = beta
        self.kl_warm_up = kl_warm_up
        self.free_bits = free_bits
        # Means of the last call's terms, for the history.
        self.terms: dict[str, Tensor] = {}

    def forward(self, output: VariationalOutput, target: Tensor) -> Tensor:
        nats = self.likelihood.nats(output.reconstruction, target, output.log_noise)
        kl = kl_from_standard_normal(output.mean, output.log_variance)
        total = kl.sum(dim=-1)
        self.terms = {"reconstruction": nats.detach().mean(), "kl": total.detach().mean()}
        if self.free_bits > 0:
            is_free = kl.detach().mean(dim=0) < self.free_bits
            total = torch.where(is_free, self.free_bits, kl).sum(dim=-1)
        return nats + self._weight() * total

    def _weight(self) -> float:
        # The validation loss is the objective without warm-up.
        if not self.training or self.done >= self.kl_warm_up:
            return self.beta
        return self.beta * self.done / self.kl_warm_up


# The evidence.


def log_evidence(
    module: VariationalModule,
    batch,
    noise: Tensor,
    log_prior: Callable[[Tensor], Tensor] | None = None,
    n_at_once: int = 8192,
) -> Tensor:
    """Importance-weighted log-density of each sample, in nats, in the units of X.

    Parameters
    ----------
    module : VariationalModule
        Module in evaluation mode.

    batch : Batch
        Samples in the units of the data.

    noise : Tensor of shape (n_draws, n_components)
        Standard normal draws, shared, so that a value does not depend on other samples.

    log_prior : callable, default=None
        Log-density of codes, (n_codes, n_components) -> (n_codes,), in the user's basis.
        None is the standard normal.

    n_at_once : int, default=8192
        Number of codes to decode at once; the values do not depend on it.

    Returns
    -------
    values : Tensor of shape (n_samples,), float64
    """
    x = module.standardize(batch.x)
    target = x if module.reconstructs_inputs else module.outputs(batch.x).to(x)
    condition = batch.condition
    mean, log_variance = module.posterior(x, condition)
    deviation, log_noise = (log_variance / 2).exp(), module.log_noise
    total = torch.full((len(x),), -torch.inf, dtype=torch.float64, device="cpu")
    noise = noise.to(x.dtype).to(x.device)  # mps has no float64
    for draws in noise.split(max(1, n_at_once // len(x))):
        code = mean + deviation * draws[:, None]  # (n_draws, n_samples, n_components)
        flat = code.flatten(0, 1)
        repeated = None if condition is None else condition.repeat(len(draws), 1)
        decoded = module.from_code(flat, repeated).unflatten(0, code.shape[:2])
        nats = module.likelihood.nats(decoded, target, log_noise)
        # Constants of the two normal densities cancel, if the prior is normal.
        prior = -0.5 * code.square().sum(dim=-1)
        if log_prior is not None:
            constant = code.shape[-1] * HALF_LOG_TAU
            log_density = log_prior(module.basis(flat)).to(flat.dtype).to(flat.device)
            prior = log_density.unflatten(0, code.shape[:2]) + constant
        proposal = -0.5 * (draws.square().sum(dim=-1)[:, None] + log_variance.sum(dim=-1))
        weights = (prior - proposal - nats).logsumexp(dim=0)
        total = torch.logaddexp(total, weights.cpu().double())
    return total - math.log(len(noise))


def posterior_moments(module: VariationalModule, batch) -> Tensor:
    """Mean and standard deviation of the posterior, concatenated, in the user's basis."""
    x = module.standardize(batch.x)
    mean, log_variance = module.posterior(x, batch.condition)
    # The basis is a permutation, which applies to standard deviations as to means.
    order = module.basis.rotation.to(mean)
    return torch.cat([module.basis(mean), (log_variance / 2).exp() @ order], dim=1)
