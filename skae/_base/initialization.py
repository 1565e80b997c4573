"""From an estimator's parameters to the parts of its module."""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skae._data.dataset import Dataset
from skae._data.statistics import Statistics
from skae._nn.autoencoder import (
    CodeBasis,
    LinearPath,
    Probability,
    Standardizer,
    zero_initialize,
)
from skae.networks import mlp

# From this many features on, the default networks are twice as wide.
WIDE = 50


class LinearInitialization(NamedTuple):
    """The linear maps, in standardised units, that training begins at with ``"pca"``."""

    into: Tensor  # (n_in, n_out) of the encoder, float64
    into_bias: Tensor | None
    back: Tensor  # (n_in, n_out) of the decoder, float64
    back_bias: Tensor | None
    training_range: Tensor  # (2, n_in) of the encoder: least and largest training inputs
    code_range: Tensor | None = None  # the decoder's; None finds it in training


def make_components(
    estimator, statistics: Statistics, code_unit: np.ndarray | None = None
) -> dict:
    """Return the arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.

    ``code_unit`` is what one unit of each of the decoder's codes is, in units of X; None
    gives all codes a variance near 1.
    """
    bernoulli = getattr(estimator, "loss", None) == "bernoulli"
    inputs, outputs = make_units(statistics, bernoulli)
    if code_unit is None:
        code_unit = _code_unit(statistics, estimator.init)
    unit = torch.as_tensor(code_unit)
    components = torch.as_tensor(statistics.components)
    back, bias = (components * unit).T, None
    if statistics.is_paired:  # principal components say nothing of other targets
        back = unit[:, None] * torch.as_tensor(statistics.regression)
    if bernoulli:
        back, bias = to_logits(back, torch.as_tensor(statistics.target_mean))
    else:
        back = back / outputs.divisor
    start = LinearInitialization(
        into=inputs.spread[:, None] * components / unit,
        into_bias=None,
        back=back,
        back_bias=bias,
        training_range=inputs(torch.as_tensor(statistics.training_range)),
    )
    sides = make_sides(estimator, statistics.n_features, start)
    return {**sides, "inputs": inputs, "outputs": outputs, "basis": CodeBasis(unit)}


def make_units(statistics: Statistics, bernoulli: bool) -> tuple[Standardizer, nn.Module]:
    """Return the units of the rows, and those of the targets."""
    mean, spread = torch.as_tensor(statistics.mean), torch.as_tensor(statistics.spread)
    if bernoulli:
        # Values in [0, 1] have a unit in common. By its own deviation, a feature that is
        # nearly always 0 would shout when it is not.
        return Standardizer(mean, common_spread(spread)), Probability()
    inputs = Standardizer(mean, spread)
    if not statistics.is_paired:
        return inputs, inputs
    mean = torch.as_tensor(statistics.target_mean)
    return inputs, Standardizer(mean, torch.as_tensor(statistics.target_spread))


def common_spread(spread: Tensor) -> Tensor:
    """One deviation for all features that vary, 0 for those that do not."""
    varies = spread > 0
    common = spread.square().sum().div(varies.sum().clamp(min=1)).sqrt()
    return torch.where(varies, common, spread)


def to_logits(back: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a linear map to [0, 1] into one to logits, by their slope at the mean."""
    mean = mean.clamp(0.01, 0.99)
    return back / (mean * (1 - mean)), mean.logit()


def make_sides(
    estimator, n_features: int, start: LinearInitialization
) -> dict[str, nn.Module]:
    """Build encoder and decoder, with their linear paths if the estimator wants them.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Whose parameters say how.

    n_features : int
        Which the width of the default networks depends on.

    start : Start
        The linear maps, whose shapes are those of the networks.
    """
    maps = {
        "encoder": (start.into, start.into_bias, start.training_range),
        "decoder": (start.back, start.back_bias, start.code_range),
    }
    sides = {}
    for side, (weight, bias, training_range) in maps.items():
        network = make_network(estimator, side, *weight.shape, n_features)
        if estimator.init == "pca":
            gain = getattr(estimator, side) is not None
            network = LinearPath(
                network, weight, bias, training_range=training_range, gain=gain
            )
        sides[side] = network
    return sides


def make_network(
    estimator, side: str, n_in: int, n_out: int, n_features: int
) -> nn.Module:
    """Build one side, by the user's builder if there is one.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Whose parameters say how.

    side : {"encoder", "decoder"}
        Which of them.

    n_in, n_out : int
        Widths that the network must have.

    n_features : int
        Which the width of the default networks depends on.
    """
    builder = getattr(estimator, side)
    if builder is not None:
        network = builder(n_in, n_out)
        _check_network(network, side, n_in, n_out)
        return network
    widths = resolve_widths(estimator.hidden_layer_sizes, n_features)
    if side == "decoder":
        widths = widths[::-1]
    network = mlp(n_in, n_out, hidden_layer_sizes=widths, activation=estimator.activation)
    # Beside a linear path a network starts at zero. A user's may be of any kind and is
    # silenced from outside, by a gain.
    return (zero_initialize(network) if estimator.init == "pca" else network).float()


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
    """What one unit of the decoder's codes is, in units of X."""
    overall = np.sqrt(np.mean(np.square(statistics.spread))) or 1.0
    if init == "random":
        return np.full(statistics.n_components, overall)
    # Directions beyond the rank, which only the network can use, get a unit, too.
    floor = 1e-3 * (statistics.deviations[0] or overall)
    return np.maximum(statistics.deviations, floor)


def describe_module(estimator, dataset: Dataset) -> dict:
    """What a module was made for and with, as far as it can be compared.

    Functions compare by name only: the same one is another object after unpickling.
    """
    names = ["n_components", "hidden_layer_sizes", "activation", "init", "loss"]
    names += ["likelihood", "noise", "sparsity", "n_active", "encoder", "decoder"]
    names += ["n_codes", "code_dim", "shared_codebook"]
    made = {n: getattr(estimator, n) for n in names if hasattr(estimator, n)}
    for name, value in made.items():
        if callable(value):
            function = getattr(value, "func", value)
            made[name] = getattr(function, "__name__", type(function).__name__)
    widths = made["hidden_layer_sizes"]
    made["hidden_layer_sizes"] = list(resolve_widths(widths, dataset.n_features))
    made["n_features"] = dataset.n_features
    made["n_outputs"] = None if dataset.target is None else dataset.target.shape[1]
    return made
