"""Several small denoisers of many noise levels, trained side by side as one.

They have no bottleneck: what they cannot mend is what their training rows never showed.
The level of the noise is one of their inputs, so that one network knows them all.

Vincent et al., "Extracting and composing robust features with denoising autoencoders",
ICML 2008.
"""

import copy
import math

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.nn.functional import silu

from skae._data.dataset import Batch, Dataset, MemberBatches
from skae._outliers.scaling import DetectorUnits
from skae._training.adamw import FlatAdamW
from skae._training.net import AutoencoderNet
from skae._training.trainer import CACHE_BELOW
from skae._utils.runtime import borrowed_generator, count_weights, suitable_threads
from skae._utils.warnings import warn_caller

silu_backward = torch.ops.aten.silu_backward

WIDTH = 128
LEVELS = 0.02, 0.6  # standard deviations of a column


class Denoisers(nn.Module):
    """Networks that differ in their weights, with a leading axis of members.

    Parameters
    ----------
    units : DetectorUnits
        Units of the rows.

    n_members : int
        How many networks.
    """

    # The source of every random draw; the net lends one while it trains.
    generator: torch.Generator | None = None

    def __init__(self, units: DetectorUnits, n_members: int):
        super().__init__()
        self.inputs = self.outputs = units
        sizes = [units.n_out + 1, WIDTH, WIDTH, units.n_out]
        weights, biases = [], []
        for n_in, n_out in zip(sizes, sizes[1:], strict=False):
            draws = torch.randn(n_members, n_in, n_out, dtype=torch.float32)
            weights.append(nn.Parameter(draws / math.sqrt(n_in)))
            zeros = torch.zeros(n_members, 1, n_out, dtype=torch.float32)
            biases.append(nn.Parameter(zeros))
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)

    @property
    def n_members(self) -> int:
        return len(self.weights[0])

    def standardize(self, x: Tensor) -> Tensor:
        return self.inputs(x).to(self.weights[0].dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Spoil rows, (n_members, n_rows, n_columns), and mend them."""
        return self._layers(self._spoil(x))[-1]

    def residuals(self, x: Tensor, level: float, members: slice) -> Tensor:
        """What members change in rows as they are, taken for spoilt so much."""
        n_members = len(range(self.n_members)[members])
        x = x.expand(n_members, *x.shape)
        log_level = x.new_full((*x.shape[:-1], 1), math.log(level))
        return x - self._layers(torch.cat([x, log_level / 2], dim=-1), members)[-1]

    @torch.no_grad()
    def differentiate(self, x: Tensor, target: Tensor) -> Tensor:
        """Write the gradients of :class:`DenoisingError`'s mean, and return it.

        Autograd would cost as much again as the arithmetic.
        """
        inputs = self._spoil(x)
        *linear, output = self._layers(inputs)
        curved = [inputs, *map(silu, linear)]
        error = output - target
        gradient = error * (2 / (error.shape[-1] * error.shape[-2]))
        for layer in reversed(range(len(self.weights))):
            weight, bias = self.weights[layer], self.biases[layer]
            torch.bmm(curved[layer].mT, gradient, out=weight.grad)
            torch.sum(gradient, dim=1, keepdim=True, out=bias.grad)
            if layer:
                gradient = torch.bmm(gradient, weight.mT)
                gradient = silu_backward(gradient, linear[layer - 1])
        return error.square().mean(dim=(-2, -1)).sum()

    def _spoil(self, x: Tensor) -> Tensor:
        """Noisy rows, and the logarithm of how noisy they are."""
        low, high = (math.log(level) for level in LEVELS)
        shape = (*x.shape[:-1], 1)
        draws = torch.rand(shape, generator=self.generator, device=x.device)
        log_level = draws * (high - low) + low
        noise = torch.randn(x.shape, generator=self.generator, device=x.device)
        spoilt = torch.addcmul(x, noise, log_level.exp())
        return torch.cat([spoilt, log_level / 2], dim=-1)

    def _layers(self, x: Tensor, members: slice = slice(None)) -> list[Tensor]:
        """What each layer gives before its activation."""
        outputs: list[Tensor] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = silu(outputs[-1]) if outputs else x
            outputs.append(torch.baddbmm(bias[members], x, weight[members]))
        return outputs

    def after_step(self) -> None:
        """Nothing: all that changes is moved by gradients."""


class DenoisingError(nn.Module):
    """Mean squared error, the sum over members: each has its own gradient."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().mean(dim=-1).sum(dim=0)


class DenoiserNet(AutoencoderNet):
    """Trains :class:`Denoisers`, each member on its own share of the rows.

    Parameters
    ----------
    module, criterion : nn.Module
        :class:`Denoisers` and :class:`DenoisingError`.

    samples : ndarray of int of shape (n_members, n_sampled)
        Which of the training rows each member sees.

    **kwargs : dict
        Parameters of :class:`AutoencoderNet`.
    """

    def __init__(self, module, criterion, *, samples: np.ndarray, **kwargs):
        super().__init__(module, criterion, **kwargs)
        self.samples = samples

    def get_iterator(self, dataset, training=False):
        seeds = range(self.seed, self.seed + len(self.samples))
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        arguments = dataset, self.prepare, self.batch_size, generators, self.cache
        return MemberBatches(*arguments, samples=self.samples)

    def _differentiate(self, batch: Batch) -> Tensor:
        return self.module_.differentiate(batch.x, batch.target)


def train_denoisers(
    rows: Dataset,
    units: DetectorUnits,
    samples: np.ndarray,
    max_iter: int | str,
    seed: int,
    device: torch.device,
) -> DenoiserNet:
    """Return a trained net, ready for inference.

    Parameters
    ----------
    rows : Rows
        All training rows.

    units : DetectorUnits
        Their units, of which the module gets a copy: it may live on another device.

    samples : ndarray of int of shape (n_members, n_sampled)
        Which of the rows each member sees.

    max_iter : int or "auto"
        Number of epochs. "auto" is 400 to 2,000 steps.

    seed : int
        Of weights, noise and batches.

    device : torch.device
        Where to train.
    """
    n_members, n_sampled = samples.shape
    with borrowed_generator(seed, device), torch.device("cpu"):
        module = Denoisers(copy.deepcopy(units), n_members)
    if device.type == "mps":  # has no float64
        module = module.float()
    batch_size = min(128, n_sampled)
    n_steps = int(np.clip(400 * math.sqrt(n_sampled / 1000), 400, 2000))
    if max_iter != "auto":
        n_steps = max_iter * math.ceil(n_sampled / batch_size)
    net = DenoiserNet(
        module,
        DenoisingError(),
        samples=samples,
        n_steps=n_steps,
        check_every=max(1, n_steps // 20),
        seed=seed,
        cache=4 * units.n_out * len(rows) <= CACHE_BELOW,
        optimizer=FlatAdamW,
        lr=2e-3,
        batch_size=batch_size,
        callbacks=[],
        device=str(device),
        train_split=None,
        verbose=0,
    )
    # Each operation is split by members already, and small.
    with suitable_threads(count_weights(module) // n_members, batch_size):
        net.fit((rows, None))
    if net.diverged_:
        warn_caller(
            f"The loss was no longer finite after step {net.step_}; the weights of "
            f"step {net.kept_step_} were kept. Look for extreme values in X.",
            ConvergenceWarning,
        )
    net.finish(list(net.history))
    return net
