"""Ensemble of denoising autoencoders, trained side by side as one module.

They have no bottleneck. The noise level is an input, so that one network denoises at
all levels. Structure that is missing in the training samples is not reconstructed.

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
from skae._nn.autoencoder import TrainableModule
from skae._outliers.scaling import FeatureScaler
from skae._training.adamw import FlatAdamW
from skae._training.net import AutoencoderNet, plain_history
from skae._training.trainer import CACHE_BELOW
from skae._utils.threads import count_weights, suitable_threads
from skae._utils.torch_modes import construction
from skae._utils.warnings import warn_caller

silu_backward = torch.ops.aten.silu_backward

WIDTH = 128
NOISE_LEVELS = 0.02, 0.6  # lowest and highest, in standard deviations of a feature


class DenoiserEnsemble(TrainableModule):
    """Denoising networks that differ in their weights; axis 0 counts members.

    Parameters
    ----------
    scaler : FeatureScaler
        Scaling of the samples.

    n_members : int
        Number of networks.
    """

    def __init__(self, scaler: FeatureScaler, n_members: int):
        super().__init__()
        self.inputs = scaler
        sizes = [scaler.n_features_out + 1, WIDTH, WIDTH, scaler.n_features_out]
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
        """Corrupt and denoise samples of shape (n_members, n_samples, n_features)."""
        return self._preactivations(self._corrupt(x))[-1]

    def residuals(self, x: Tensor, noise_level: float, members: slice) -> Tensor:
        """Residuals x - x̂ of uncorrupted samples, denoised at the given noise level."""
        n_members = len(range(self.n_members)[members])
        x = x.expand(n_members, *x.shape)
        log_level = x.new_full((*x.shape[:-1], 1), math.log(noise_level))
        inputs = torch.cat([x, log_level / 2], dim=-1)
        return x - self._preactivations(inputs, members)[-1]

    @torch.no_grad()
    def differentiate(self, x: Tensor, target: Tensor) -> Tensor:
        """Write the gradients of the mean :class:`DenoisingError`, and return the mean.

        Autograd would double the cost.
        """
        inputs = self._corrupt(x)
        *hidden, output = self._preactivations(inputs)
        activations = [inputs, *map(silu, hidden)]
        error = output - target
        gradient = error * (2 / (error.shape[-1] * error.shape[-2]))
        for layer in reversed(range(len(self.weights))):
            weight, bias = self.weights[layer], self.biases[layer]
            torch.bmm(activations[layer].mT, gradient, out=weight.grad)
            torch.sum(gradient, dim=1, keepdim=True, out=bias.grad)
            if layer:
                gradient = torch.bmm(gradient, weight.mT)
                gradient = silu_backward(gradient, hidden[layer - 1])
        return error.square().mean(dim=(-2, -1)).sum()

    def _corrupt(self, x: Tensor) -> Tensor:
        """Add Gaussian noise of a random level; append half the level's logarithm."""
        low, high = (math.log(level) for level in NOISE_LEVELS)
        shape = (*x.shape[:-1], 1)
        options = dict(generator=self.generator, device=x.device, dtype=x.dtype)
        draws = torch.rand(shape, **options)
        log_level = draws * (high - low) + low
        noise = torch.randn(x.shape, **options)
        corrupted = torch.addcmul(x, noise, log_level.exp())
        return torch.cat([corrupted, log_level / 2], dim=-1)

    def _preactivations(self, x: Tensor, members: slice = slice(None)) -> list[Tensor]:
        """Outputs of all layers before the activation function."""
        outputs: list[Tensor] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = silu(outputs[-1]) if outputs else x
            outputs.append(torch.baddbmm(bias[members], x, weight[members]))
        return outputs


class DenoisingError(nn.Module):
    """Squared error per sample, summed over members: their gradients are independent."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().mean(dim=-1).sum(dim=0)


class DenoiserNet(AutoencoderNet):
    """Trains a :class:`DenoiserEnsemble`, each member on its own subset of the samples.

    Parameters
    ----------
    module, criterion : nn.Module
        :class:`DenoiserEnsemble` and :class:`DenoisingError`.

    samples : ndarray of int of shape (n_members, n_sampled)
        Indices of the training samples of each member.

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
    dataset: Dataset,
    scaler: FeatureScaler,
    samples: np.ndarray,
    max_iter: int | str,
    seed: int,
    device: torch.device,
) -> tuple[DenoiserEnsemble, list[dict]]:
    """Return the trained module, in evaluation mode, and one dict per epoch.

    Parameters
    ----------
    dataset : Dataset
        All training samples.

    scaler : FeatureScaler
        Scaling of the samples. The module gets a copy, which may be on another device.

    samples : ndarray of int of shape (n_members, n_sampled)
        Indices of the training samples of each member.

    max_iter : int or "auto"
        Number of epochs. "auto" is 400 to 2,000 steps.

    seed : int
        Seed of weights, noise and batches.

    device : torch.device
        Device to train on.
    """
    n_members, n_sampled = samples.shape
    with construction(seed, device):
        module = DenoiserEnsemble(copy.deepcopy(scaler), n_members)
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
        cache=4 * scaler.n_features_out * len(dataset) <= CACHE_BELOW,
        optimizer=FlatAdamW,
        lr=2e-3,
        batch_size=batch_size,
        callbacks=[],
        device=str(device),
        train_split=None,
        verbose=0,
    )
    # Each operation is batched over members already, and small.
    with suitable_threads(count_weights(module) // n_members, batch_size):
        net.fit((dataset, None))
    (trained,) = net.finish()
    if trained.diverged_at is not None:
        warn_caller(
            f"The loss was no longer finite after step {trained.diverged_at}; the "
            f"weights of step {trained.best_step} were kept. Check X for extreme values.",
            ConvergenceWarning,
        )
    return trained.module, plain_history(net)
