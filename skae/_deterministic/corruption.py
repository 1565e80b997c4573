"""Ways to spoil rows, so that a network learns to mend them.

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
    """One kind of corruption, at a level drawn for each row.

    Parameters
    ----------
    kind : {"gaussian", "masking", "salt_pepper", "swap"} or callable
        What is done. A callable takes rows in the units of X and a generator, and
        returns rows.

    levels : (float, float)
        Least and largest level.

    spread : Tensor of shape (n_features,)
        Standard deviation of each clean feature, in the units of X.

    box : Tensor of shape (2, n_features)
        Least and largest clean value of each.

    units : Standardizer
        Of the rows that will come.
    """

    def __init__(
        self,
        kind: str | Callable,
        levels: tuple[float, float],
        spread: Tensor,
        training_range: Tensor,
        units: Standardizer,
    ):
        super().__init__()
        self.units = copy.deepcopy(units)  # tensors of a state share no memory
        self.register_buffer("spread", spread / units.divisor)
        self.register_buffer("training_range", units(training_range))
        self.register_buffer("zero", units(torch.zeros_like(spread)))
        self.set(kind, levels)

    def set(self, kind: str | Callable, levels: tuple[float, float]) -> None:
        # In a tuple, because a callable may be a module, which is not to be trained here.
        self.kind = (kind,)
        self.levels = levels

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        (kind,) = self.kind
        if callable(kind):
            with torch.no_grad():
                spoilt = kind(self.units.inverse(x), generator)
            shape = tuple(spoilt.shape) if isinstance(spoilt, Tensor) else None
            if shape != tuple(x.shape):
                got = type(spoilt).__name__ if shape is None else f"shape {shape}"
                raise ValueError(
                    f"corruption returned {got} for rows of shape {tuple(x.shape)}. It "
                    "must return a tensor of that shape."
                )
            return self.units(spoilt).to(x.dtype)
        low, high = self.levels
        level = torch.full_like(x[..., :1], high)
        if low < high:
            level.uniform_(low, high, generator=generator)
        return KINDS[kind](self, x, level, generator)


def gaussian(how: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Add normal noise of ``level`` standard deviations of the feature."""
    noise = torch.empty_like(x).normal_(generator=generator)
    return x + level * how.spread.to(x.dtype) * noise


def masking(how: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Set a share of the values to 0 in the units of X."""
    hit = torch.empty_like(x).uniform_(generator=generator) < level
    return torch.where(hit, how.zero.to(x.dtype), x)


def salt_pepper(how: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Set a share of the values to the feature's least or largest."""
    draw = torch.empty_like(x).uniform_(generator=generator)
    least, largest = how.training_range.to(x.dtype)
    extreme = torch.where(draw < level / 2, least, largest)
    return torch.where(draw < level, extreme, x)


def swap(how: Corruption, x: Tensor, level: Tensor, generator) -> Tensor:
    """Give a share of the values those of another row of the batch."""
    hit = torch.empty_like(x).uniform_(generator=generator) < level
    other = torch.empty_like(x).uniform_(generator=generator)
    other = (other * len(x)).long().clamp_(max=len(x) - 1)
    return torch.where(hit, x.gather(0, other), x)


KINDS: dict[str, Callable[..., Tensor]] = {
    "gaussian": gaussian,
    "masking": masking,
    "salt_pepper": salt_pepper,
    "swap": swap,
}
# Whose level is the share of the values that are replaced.
SHARES = set(KINDS) - {"gaussian"}


class CorruptedDataset(Dataset):
    """Rows as a network will see them, beside what they should be.

    Parameters
    ----------
    rows : Rows
        The clean rows.

    corruption : Corruption
        In the units of the rows.

    seed : int, default=0
        Another one spoils them anew.
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
        # Other rows, other draws.
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + first)
        spoilt = self.corruption(batch.x.double(), generator)
        if not spoilt.isfinite().all():
            raise ValueError(
                "corruption returned values that are not finite. It must not do that."
            )
        return batch._replace(x=spoilt)
