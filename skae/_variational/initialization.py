"""Where variational training starts: at probabilistic PCA.

Tipping & Bishop, "Probabilistic principal component analysis", Journal of the Royal
Statistical Society B 61, 1999. With a noise for each feature it is a factor analysis
whose loadings are PCA's, rotated so that the exact posterior is diagonal and the bound is
tight.
"""

import numpy as np
import torch
from torch import Tensor, nn

from skae._base.initialization import (
    LinearInitialization,
    make_sides,
    make_units,
    to_logits,
)
from skae._data.statistics import Statistics
from skae._nn.autoencoder import CodeBasis
from skae._variational.module import NOISE_FLOOR, Bernoulli, Gaussian, Noise

# Draws from the prior lie in here, and the decoder learns to decode them.
PRIOR_RANGE = 4.0


def make_variational_components(estimator, statistics: Statistics) -> dict:
    """Return the arguments of :class:`skae._variational.module.VariationalModule`."""
    bernoulli = estimator.likelihood == "bernoulli"
    inputs, outputs = make_units(statistics, bernoulli)
    offsets = torch.as_tensor(statistics.offsets)  # a condition moves the mean
    condition_range = torch.as_tensor(statistics.condition_range)
    if bernoulli:
        loadings = torch.as_tensor(statistics.components * statistics.deviations)
        maps, bias = to_logits(torch.cat([loadings.T, offsets]), inputs.mean)
        noise = None
        # The slope of a logit makes the likelihood normal, of this precision.
        mean = inputs.mean.clamp(0.01, 0.99)
        precision, per_input = mean * (1 - mean), inputs.spread
    else:
        loadings, deviation = principal_factors(statistics, estimator.noise)
        maps = torch.cat([torch.as_tensor(loadings.T), offsets / inputs.divisor])
        noise, bias = Noise(deviation, isinstance(estimator.noise, str)), None
        precision = per_input = torch.exp(-2 * noise().detach().double())
    n_components = statistics.n_components
    back, given = maps[:n_components], maps[n_components:]
    into, back, log_variance = tight_posterior(back, precision, per_input)
    # What is encoded is the distance from the mean that the condition gives.
    into = torch.cat([into, -(offsets / inputs.divisor) @ into])
    training_range = inputs(torch.as_tensor(statistics.training_range))
    code_range = torch.tensor([[-PRIOR_RANGE], [PRIOR_RANGE]]).repeat(1, n_components)
    start = LinearInitialization(
        into=torch.cat([into, torch.zeros_like(into)], dim=1),
        into_bias=torch.cat([torch.zeros_like(log_variance), log_variance]),
        back=torch.cat([back, given]),
        back_bias=bias,
        training_range=torch.cat([training_range, condition_range], dim=1),
        code_range=torch.cat([code_range, condition_range], dim=1),
    )
    unit = torch.ones(n_components, dtype=torch.float64)
    return {
        **make_sides(estimator, statistics.n_features, start),
        "inputs": inputs,
        "outputs": outputs,
        "basis": CodeBasis(unit),
        "likelihood": make_likelihood(estimator.likelihood, statistics),
        "noise": noise,
    }


def make_likelihood(likelihood: str, statistics: Statistics) -> nn.Module:
    if likelihood == "bernoulli":
        return Bernoulli()
    return Gaussian(torch.as_tensor(statistics.target_spread))


def principal_factors(
    statistics: Statistics, noise: str | float
) -> tuple[np.ndarray, Tensor]:
    """Return loadings and the noise's standard deviation, in standardised units.

    They are those of probabilistic PCA, but that the noise of a feature is what the
    loadings leave of its variance. A noise that is learned knows no units, and so the
    components are those of standardised rows; one that is fixed is in the units of X.
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
    n_left = np.count_nonzero(varies) - len(principal)
    left = max(variance.sum() - principal.sum(), 0.0)
    isotropic = left / n_left if n_left > 0 else 0.0
    loadings = statistics.components * np.sqrt(np.maximum(principal - isotropic, 0.0))
    left = np.maximum(variance - (loadings**2).sum(axis=1), NOISE_FLOOR**2)
    if noise == "shared":
        return loadings, torch.as_tensor(
            [np.sqrt(left[varies].mean() if varies.any() else 1.0)]
        )
    return loadings, torch.as_tensor(np.sqrt(np.where(varies, left, 1.0)))


def tight_posterior(
    back: Tensor, precision: Tensor, per_input: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the exact posterior of a linear decoder, and the decoder, rotated.

    Parameters
    ----------
    back : Tensor of shape (n_components, n_features)
        The decoder.

    precision : Tensor of shape (n_features,) or (1,)
        Of the noise.

    per_input : Tensor of shape (n_features,) or (1,)
        What a unit of the standardised input counts for, in units of noise precision.

    Returns
    -------
    into : Tensor of shape (n_features, n_components)
        Maps standardised inputs to the posterior's mean.

    back : Tensor of shape (n_components, n_features)
        The decoder in a basis where the posterior's components are independent, the
        best known first.

    log_variance : Tensor of shape (n_components,)
        Of the posterior.
    """
    values, rotation = torch.linalg.eigh((back * precision) @ back.T)
    back = rotation.flip(1).T @ back
    strongest = back.gather(1, back.abs().argmax(dim=1, keepdim=True))
    back = back * torch.where(strongest < 0, -1.0, 1.0)
    known = 1.0 + values.flip(0).clamp(min=0.0)
    return (back * per_input).T / known, back, -known.log()
