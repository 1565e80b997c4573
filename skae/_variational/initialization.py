"""Initialisation of variational training at probabilistic PCA.

Tipping & Bishop, "Probabilistic principal component analysis", Journal of the Royal
Statistical Society B 61, 1999. With a noise for each feature it is a factor analysis
whose loadings are PCA's, rotated so that the exact posterior is diagonal and the bound is
tight.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skae._base.initialization import (
    LinearInitialization,
    NetworkSettings,
    make_scaling,
    make_sides,
    to_logits,
)
from skae._data.statistics import Statistics
from skae._nn.code_basis import CodeBasis
from skae._nn.scaling import Standardizer
from skae._variational.likelihoods import NOISE_FLOOR, Bernoulli, Gaussian, Noise

# Training range of the decoder: nearly all draws from the prior are within it.
PRIOR_RANGE = 4.0


class LinearModel(NamedTuple):
    """A linear decoder with its likelihood, in standardised units."""

    maps: Tensor  # (n_components + n_conditions, n_outputs)
    bias: Tensor | None  # (n_outputs,)
    likelihood: nn.Module
    noise: Noise | None
    precision: Tensor  # (n_outputs,) or (1,), of the noise
    per_input: Tensor  # the same, times the unit of the decoder's output per input


def gaussian_model(
    statistics: Statistics, inputs: Standardizer, noise: str | float
) -> LinearModel:
    loadings, deviation = principal_factors(statistics, noise)
    offsets = torch.as_tensor(statistics.offsets) / inputs.divisor
    noise = Noise(deviation, isinstance(noise, str))
    precision = torch.exp(-2 * noise().detach().double())
    return LinearModel(
        maps=torch.cat([torch.as_tensor(loadings.T), offsets]),
        bias=None,
        likelihood=Gaussian(torch.as_tensor(statistics.target_spread)),
        noise=noise,
        precision=precision,
        per_input=precision,
    )


def bernoulli_model(
    statistics: Statistics, inputs: Standardizer, noise: str | float
) -> LinearModel:
    loadings = torch.as_tensor(statistics.components * statistics.deviations)
    offsets = torch.as_tensor(statistics.offsets)
    maps, bias = to_logits(torch.cat([loadings.T, offsets]), inputs.mean)
    # The slope of a logit makes the likelihood normal, of this precision.
    mean = inputs.mean.clamp(0.01, 0.99)
    return LinearModel(maps, bias, Bernoulli(), None, mean * (1 - mean), inputs.spread)


LINEAR_MODELS = {"gaussian": gaussian_model, "bernoulli": bernoulli_model}


def make_variational_components(
    networks: NetworkSettings,
    statistics: Statistics,
    *,
    likelihood: str,
    noise: str | float,
) -> dict:
    """Return the arguments of :class:`skae._variational.module.VariationalModule`.

    Parameters
    ----------
    networks : NetworkSettings
        Architecture of both sides.

    statistics : Statistics
        Statistics of the training data.

    likelihood : {"gaussian", "bernoulli"}
        Distribution of a sample given its code.

    noise : {"feature", "shared"} or float
        Noise of a Gaussian likelihood.
    """
    inputs, outputs = make_scaling(statistics, likelihood == "bernoulli")
    model = LINEAR_MODELS[likelihood](statistics, inputs, noise)
    n_components = statistics.n_components
    decoder, of_condition = model.maps[:n_components], model.maps[n_components:]
    encoder, decoder, log_variance = tight_posterior(
        decoder, model.precision, model.per_input
    )
    # The encoder is applied to the difference from the conditional mean.
    offsets = torch.as_tensor(statistics.offsets) / inputs.divisor
    encoder = torch.cat([encoder, -offsets @ encoder])
    condition_range = torch.as_tensor(statistics.condition_range)
    input_range = inputs(torch.as_tensor(statistics.training_range))
    code_range = torch.tensor([[-PRIOR_RANGE], [PRIOR_RANGE]]).repeat(1, n_components)
    initialization = LinearInitialization(
        encoder_weight=torch.cat([encoder, torch.zeros_like(encoder)], dim=1),
        encoder_bias=torch.cat([torch.zeros_like(log_variance), log_variance]),
        decoder_weight=torch.cat([decoder, of_condition]),
        decoder_bias=model.bias,
        input_range=torch.cat([input_range, condition_range], dim=1),
        code_range=torch.cat([code_range, condition_range], dim=1),
    )
    unit = torch.ones(n_components, dtype=torch.float64)
    return {
        **make_sides(networks, statistics.n_features, initialization),
        "inputs": inputs,
        "outputs": outputs,
        "basis": CodeBasis(unit),
        "likelihood": model.likelihood,
        "noise": model.noise,
    }


def principal_factors(
    statistics: Statistics, noise: str | float
) -> tuple[np.ndarray, Tensor]:
    """Return loadings and the noise's standard deviation, in standardised units.

    They are those of probabilistic PCA, except that the noise variance of a feature is
    the part of its variance that the loadings do not explain. With learned noise the
    components are those of standardised data; fixed noise is in the units of X.
    """
    spread = statistics.spread
    varies = spread > 0
    variance = statistics.residual_spread**2
    principal = statistics.deviations**2
    if not isinstance(noise, str):
        loadings = statistics.components * np.sqrt(np.maximum(principal - noise**2, 0.0))
        unit = np.where(varies, spread, 1.0)
        return loadings / unit[:, None], torch.as_tensor(noise / unit)
    variance = np.where(varies, variance / np.where(varies, spread, 1.0) ** 2, 0.0)
    n_residual = np.count_nonzero(varies) - len(principal)
    residual = max(variance.sum() - principal.sum(), 0.0)
    isotropic = residual / n_residual if n_residual > 0 else 0.0
    loadings = statistics.components * np.sqrt(np.maximum(principal - isotropic, 0.0))
    residual = np.maximum(variance - (loadings**2).sum(axis=1), NOISE_FLOOR**2)
    if noise == "shared":
        return loadings, torch.as_tensor(
            [np.sqrt(residual[varies].mean() if varies.any() else 1.0)]
        )
    return loadings, torch.as_tensor(np.sqrt(np.where(varies, residual, 1.0)))


def tight_posterior(
    decoder: Tensor, precision: Tensor, per_input: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the exact posterior of a linear decoder, and the decoder, rotated.

    Parameters
    ----------
    decoder : Tensor of shape (n_components, n_features)
        Weight of the decoder.

    precision : Tensor of shape (n_features,) or (1,)
        Precision of the noise.

    per_input : Tensor of shape (n_features,) or (1,)
        Precision times the unit of the decoder's output per standardised input.

    Returns
    -------
    encoder : Tensor of shape (n_features, n_components)
        Maps standardised inputs to the posterior's mean.

    decoder : Tensor of shape (n_components, n_features)
        Weight of the decoder in a basis where the posterior's components are
        independent, in order of increasing posterior variance.

    log_variance : Tensor of shape (n_components,)
        Log-variance of the posterior.
    """
    values, rotation = torch.linalg.eigh((decoder * precision) @ decoder.T)
    decoder = rotation.flip(1).T @ decoder
    largest = decoder.gather(1, decoder.abs().argmax(dim=1, keepdim=True))
    decoder = decoder * torch.where(largest < 0, -1.0, 1.0)
    posterior_precision = 1.0 + values.flip(0).clamp(min=0.0)
    encoder = (decoder * per_input).T / posterior_precision
    return encoder, decoder, -posterior_precision.log()
