"""Builds networks and initialises them at the PCA solution."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skae._data.statistics import Statistics
from skae._nn.code_basis import CodeBasis
from skae._nn.linear_path import LinearPath, zero_initialize
from skae._nn.scaling import Probability, Standardizer
from skae.networks import mlp

# From this many features on, the default networks are twice as wide.
WIDE = 50
# Of a decoder's linear map, in standardised units. Where a feature's spread is far below
# that of others, rounding errors of the components divided by it would overflow.
LARGEST_WEIGHT = 1e9


class NetworkSettings(NamedTuple):
    """The shared parameters that decide the networks of encoder and decoder."""

    hidden_layer_sizes: str | int | Sequence[int]
    activation: str
    encoder: Callable | None
    decoder: Callable | None
    init: str


class LinearInitialization(NamedTuple):
    """The linear maps, in standardised units, that ``init="pca"`` begins with."""

    encoder_weight: Tensor  # (n_in, n_out), float64
    encoder_bias: Tensor | None
    decoder_weight: Tensor  # (n_in, n_out), float64
    decoder_bias: Tensor | None
    input_range: Tensor  # (2, n_in) of the encoder: minimum and maximum in training
    code_range: Tensor | None = None  # the decoder's; None updates it in training
    # What corrections are measured in, see LinearPath; None is 1.
    code_correction: Tensor | None = None  # (n_components,)
    output_correction: Tensor | None = None  # (n_outputs,)


def make_components(
    networks: NetworkSettings,
    statistics: Statistics,
    *,
    bernoulli: bool = False,
    code_unit: np.ndarray | None = None,
) -> dict:
    """Return the arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.

    Parameters
    ----------
    networks : NetworkSettings
        Architecture of both sides.

    statistics : Statistics
        Of the samples.

    bernoulli : bool, default=False
        Whether targets are probabilities, and reconstructions logits.

    code_unit : ndarray of shape (n_components,), default=None
        One unit of each of the decoder's codes, in units of X; None gives all codes a
        variance near 1.
    """
    inputs, outputs = make_scaling(statistics, bernoulli)
    if code_unit is None:
        code_unit = _code_unit(statistics, networks.init)
    unit = torch.as_tensor(code_unit)
    components = torch.as_tensor(statistics.components)
    weight, bias = (components * unit).T, None
    if statistics.is_paired:  # principal components do not predict other targets
        weight = unit[:, None] * torch.as_tensor(statistics.regression)
    if bernoulli:
        weight, bias = to_logits(weight, torch.as_tensor(statistics.target_mean))
    else:
        weight = weight / (inputs if outputs is None else outputs).divisor
        weight = weight.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT)
    corrections = {} if bernoulli else _corrections(statistics, unit.numpy())
    initialization = LinearInitialization(
        encoder_weight=inputs.spread[:, None] * components / unit,
        encoder_bias=None,
        decoder_weight=weight,
        decoder_bias=bias,
        input_range=inputs(torch.as_tensor(statistics.training_range)),
        **corrections,
    )
    sides = make_sides(networks, statistics.n_features, initialization)
    return {**sides, "inputs": inputs, "outputs": outputs, "basis": CodeBasis(unit)}


def make_scaling(
    statistics: Statistics, bernoulli: bool
) -> tuple[Standardizer, nn.Module | None]:
    """Return the scaling of the samples, and that of targets other than the samples."""
    mean, spread = torch.as_tensor(statistics.mean), torch.as_tensor(statistics.spread)
    if bernoulli:
        # Values in [0, 1] have a unit in common. Divided by its own deviation, a feature
        # that is nearly always 0 would dominate when it is not.
        return Standardizer(mean, common_spread(spread)), Probability()
    inputs = Standardizer(mean, spread)
    if not statistics.is_paired:
        return inputs, None
    mean = torch.as_tensor(statistics.target_mean)
    return inputs, Standardizer(mean, torch.as_tensor(statistics.target_spread))


def common_spread(spread: Tensor) -> Tensor:
    """One deviation for all features that vary, 0 for those that do not."""
    varies = spread > 0
    common = spread.square().sum().div(varies.sum().clamp(min=1)).sqrt()
    return torch.where(varies, common, spread)


def to_logits(weight: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a linear map to [0, 1] into one to logits, by their slope at the mean."""
    mean = mean.clamp(0.01, 0.99)
    return weight / (mean * (1 - mean)), mean.logit()


def make_sides(
    networks: NetworkSettings, n_features: int, initialization: LinearInitialization
) -> dict[str, nn.Module]:
    """Build encoder and decoder, with their linear paths for ``init="pca"``.

    Parameters
    ----------
    networks : NetworkSettings
        Architecture of both sides.

    n_features : int
        Determines the width of the default networks.

    initialization : LinearInitialization
        The linear maps, whose shapes are those of the networks.
    """
    start = initialization
    maps = {
        "encoder": (
            start.encoder_weight,
            start.encoder_bias,
            start.input_range,
            start.code_correction,
        ),
        "decoder": (
            start.decoder_weight,
            start.decoder_bias,
            start.code_range,
            start.output_correction,
        ),
    }
    sides = {}
    for side, (weight, bias, known, correction) in maps.items():
        network = make_network(networks, side, *weight.shape, n_features)
        if networks.init == "pca":
            gain = getattr(networks, side) is not None
            network = LinearPath(
                network, weight, bias, training_range=known, gain=gain, unit=correction
            )
        sides[side] = network
    return sides


def make_network(
    networks: NetworkSettings, side: str, n_in: int, n_out: int, n_features: int
) -> nn.Module:
    """Build one side, by the user's builder if there is one.

    Parameters
    ----------
    networks : NetworkSettings
        Architecture of both sides.

    side : {"encoder", "decoder"}
        Which of them.

    n_in, n_out : int
        Widths that the network must have.

    n_features : int
        Determines the width of the default networks.
    """
    builder = getattr(networks, side)
    if builder is not None:
        network = builder(n_in, n_out)
        _check_network(network, side, n_in, n_out)
        return network
    widths = resolve_widths(networks.hidden_layer_sizes, n_features)
    if side == "decoder":
        widths = widths[::-1]
    network = mlp(n_in, n_out, hidden_layer_sizes=widths, activation=networks.activation)
    # Beside a linear path a network is initialised at zero. A user's may be of any kind:
    # its linear path multiplies it by a gain instead.
    return (zero_initialize(network) if networks.init == "pca" else network).float()


def resolve_widths(hidden_layer_sizes: str | Sequence[int], n_features: int) -> tuple:
    """Return the widths of the encoder's hidden layers."""
    if isinstance(hidden_layer_sizes, str):
        return (64, 64, 64) if n_features < WIDE else (128, 128, 128)
    widths = tuple(np.atleast_1d(hidden_layer_sizes).tolist())
    if not all(isinstance(width, Integral) and width >= 1 for width in widths):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} must be 'auto' or hold integers "
            "of at least 1, one per hidden layer of the encoder."
        )
    return widths


def _check_network(network: nn.Module, side: str, n_in: int, n_out: int) -> None:
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"{side} must be a function (n_in, n_out) -> torch.nn.Module, but "
            f"{side}({n_in}, {n_out}) returned {type(network).__name__}."
        )
    network.float()
    with torch.no_grad():
        was_training = network.training
        shape = tuple(network.eval()(torch.zeros(2, n_in, dtype=torch.float32)).shape)
        network.train(was_training)
    if shape != (2, n_out):
        raise ValueError(
            f"{side}({n_in}, {n_out}) built a network that maps shape (2, {n_in}) to "
            f"{shape}, not (2, {n_out}). Its last layer must be n_out wide."
        )


def _code_unit(statistics: Statistics, init: str) -> np.ndarray:
    """One unit of the decoder's codes, in units of X."""
    overall = np.sqrt(np.mean(np.square(statistics.spread))) or 1.0
    if init == "random":
        return np.full(statistics.n_components, overall)
    # A code that is a small difference of large terms must not be scaled up: in float32
    # it is their rounding error. Directions beyond the rank, which only the network can
    # use, get a unit, too.
    terms = np.linalg.norm(statistics.spread[:, None] * statistics.components, axis=0)
    found = statistics.deviations > 0
    floor = np.where(found, terms, statistics.deviations[0] or overall)
    return np.maximum(statistics.deviations, 1e-3 * floor)


def _corrections(statistics: Statistics, unit: np.ndarray) -> dict[str, Tensor]:
    """Units of the corrections: as large as what the linear map leaves.

    A step of the optimiser then changes a code or a feature by as much as there is to
    gain, also where the variance of one feature is a million times what is left.
    """
    maps = statistics.regression if statistics.is_paired else statistics.components.T
    variance = statistics.target_spread**2
    explained = np.square(statistics.deviations[:, None] * maps).sum(axis=0)
    left = np.maximum(variance - explained, 0.0)
    total = left.sum()
    if total <= 1e-12 * variance.sum():  # nothing is left
        return {}
    mean = total / np.count_nonzero(variance)
    outputs = np.sqrt(np.maximum(left, mean) / np.where(variance > 0, variance, np.inf))
    return {
        "code_correction": torch.as_tensor(np.minimum(np.sqrt(total) / unit, 1.0)),
        "output_correction": torch.as_tensor(np.minimum(outputs, 1.0)),
    }
