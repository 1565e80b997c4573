"""Corruptions of samples, for denoising autoencoders.

Vincent et al., "Stacked denoising autoencoders", JMLR 11, 2010.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from skae._data.dataset import Batch, Dataset
from skae._nn.scaling import Standardizer


class Corruption(nn.Module):
    """One kind of corruption, at a noise level drawn for each sample.

    Parameters
    ----------
    kind : {"gaussian", "masking", "salt_pepper", "swap"} or callable
        A callable takes samples in the units of X and a generator, and returns the
        corrupted samples.

    noise_levels : (float, float)
        Lowest and highest noise level.

    spread : Tensor of shape (n_features,)
        Standard deviation of each clean feature, in the units of X.

    training_range : Tensor of shape (2, n_features)
        Minimum and maximum of each clean feature.

    units : Standardizer
        Scaling of the samples that will be corrupted.
    """

    def __init__(
        self,
        kind: str | Callable,
        noise_levels: tuple[float, float],
        spread: Tensor,
        training_range: Tensor,
        units: Standardizer,
    ):
        super().__init__()
        self.units = copy.deepcopy(units)  # tensors of a state share no memory
        self.register_buffer("spread", spread / units.divisor)
        self.register_buffer("training_range", units(training_range))
        self.register_buffer("zero", units(torch.zeros_like(spread)))
        self.set(kind, noise_levels)

    def set(self, kind: str | Callable, noise_levels: tuple[float, float]) -> None:
        # In a tuple, so that a callable which is a module is not registered.
        self.kind = (kind,)
        self.noise_levels = noise_levels

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        (kind,) = self.kind
        if callable(kind):
            with torch.no_grad():
                corrupted = kind(self.units.inverse(x), generator)
            shape = tuple(corrupted.shape) if isinstance(corrupted, Tensor) else None
            if shape != tuple(x.shape):
                got = type(corrupted).__name__ if shape is None else f"shape {shape}"
                raise ValueError(
                    f"corruption returned {got} for X of shape {tuple(x.shape)}. It "
                    "must return a tensor of that shape."
                )
            return self.units(corrupted).to(x.dtype)
        low, high = self.noise_levels
        level = torch.full_like(x[..., :1], high)
        if low < high:
            level.uniform_(low, high, generator=generator)
        return KINDS[kind](self, x, level, generator)


def gaussian(corruption: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Add Gaussian noise of ``level`` standard deviations of the feature."""
    noise = torch.empty_like(x).normal_(generator=generator)
    return x + level * corruption.spread.to(x.dtype) * noise


def masking(corruption: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Set a fraction of the values to 0 in the units of X."""
    replaced = torch.empty_like(x).uniform_(generator=generator) < level
    return torch.where(replaced, corruption.zero.to(x.dtype), x)


def salt_pepper(corruption: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Set a fraction of the values to the feature's minimum or maximum."""
    draw = torch.empty_like(x).uniform_(generator=generator)
    minimum, maximum = corruption.training_range.to(x.dtype)
    extreme = torch.where(draw < level / 2, minimum, maximum)
    return torch.where(draw < level, extreme, x)


def swap(corruption: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Replace a fraction of the values by those of other samples of the batch."""
    replaced = torch.empty_like(x).uniform_(generator=generator) < level
    other = torch.empty_like(x).uniform_(generator=generator)
    other = (other * len(x)).long().clamp_(max=len(x) - 1)
    return torch.where(replaced, x.gather(0, other), x)


KINDS: dict[str, Callable[..., Tensor]] = {
    "gaussian": gaussian,
    "masking": masking,
    "salt_pepper": salt_pepper,
    "swap": swap,
}
# Those whose noise level is the fraction of replaced values.
SHARES = set(KINDS) - {"gaussian"}


class CorruptedDataset(Dataset):
    """Corrupted samples, with the clean ones as targets.

    Parameters
    ----------
    dataset : Dataset
        The clean samples.

    corruption : Corruption
        In the units of the samples.

    seed : int, default=0
        Seed of the corruption.
    """

    def __init__(self, dataset: Dataset, corruption: Corruption, seed: int = 0):
        super().__init__(dataset.x, dataset.x, dataset.condition, dataset.index)
        self.corruption = corruption
        self.seed = seed

    def subset(self, index: np.ndarray) -> "CorruptedDataset":
        return CorruptedDataset(super().subset(index), self.corruption, self.seed)

    def __getitem__(self, index) -> Batch:
        batch = super().__getitem__(index)
        first = index.start or 0 if isinstance(index, slice) else int(index[0])
        # Different draws for different chunks.
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + first)
        corrupted = self.corruption(batch.x.double(), generator)
        if not corrupted.isfinite().all():
            raise ValueError(
                "corruption must return finite values, but some are NaN or infinite. "
                "Correct the callable."
            )
        return batch._replace(x=corrupted)
