"""Units in which a detector compares rows: no column too loud, nothing hidden."""

import numpy as np
import torch
from torch import Tensor, nn

from skae._data.dataset import Dataset
from skae._data.statistics import moments

WIDE = 256  # columns; of more, a detector sees the leading principal components
CLIP = 10.0  # standard deviations
PROJECTED_ROWS = 5_000


class DetectorUnits(nn.Module):
    """Rows in standard deviations, those beyond ten on a logarithmic scale.

    A column that was constant is expected to stay so: another value counts as ten
    deviations. Of more than 256 columns the leading principal components are taken, and
    the length of what they leave, so that no direction is hidden.

    Parameters
    ----------
    mean, spread : Tensor of shape (n_features,), float64
        Of the training rows. A spread of 0 stands for a constant column.

    basis : Tensor of shape (n_features, n_kept), default=None
        Principal components, scaled; None keeps the columns.

    rest : float, default=1.0
        Typical length of what the components leave.
    """

    def __init__(
        self, mean: Tensor, spread: Tensor, basis: Tensor | None = None, rest: float = 1.0
    ):
        super().__init__()
        constant = torch.full_like(spread, torch.inf)
        self.register_buffer("mean", mean)
        self.register_buffer("divisor", torch.where(spread > 0, spread, constant))
        self.register_buffer("basis", basis)
        self.rest = rest
        self.has_constants = not bool((spread > 0).all())

    @property
    def n_out(self) -> int:
        return len(self.mean) if self.basis is None else self.basis.shape[1] + 1

    def forward(self, x: Tensor) -> Tensor:
        x = self.columns(x.to(self.mean.dtype))
        if self.basis is None:
            return x
        scale = self.basis[:, :1].norm()
        parts = x @ self.basis
        left = x.square().sum(-1) - (parts / scale).square().sum(-1)
        return torch.cat([parts, left.clamp(min=0).sqrt()[:, None] / self.rest], dim=-1)

    def columns(self, x: Tensor) -> Tensor:
        """Rows in compressed deviations, all columns of them."""
        difference = x - self.mean
        z = difference / self.divisor
        if z.abs().amax() > CLIP:
            excess = (z.abs() - CLIP).clamp(min=0)
            z = z.clamp(-CLIP, CLIP) + z.sign() * excess.log1p()
        if self.has_constants:
            moved = self.divisor.isinf() & (difference.abs() > 1e-9 * self.mean.abs())
            z = torch.where(moved, CLIP * difference.sign(), z)
        return z


def fit_units(rows: Dataset, random_state: np.random.RandomState) -> DetectorUnits:
    """Take the units from the training rows."""
    found = moments(rows, "x")
    mean, spread = torch.as_tensor(found.mean), torch.as_tensor(found.spread)
    units = DetectorUnits(mean, spread)
    if rows.n_features <= WIDE:
        return units
    sampled = random_state.permutation(len(rows))[:PROJECTED_ROWS]
    z = units(rows[np.sort(sampled)].x).numpy()
    directions = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[2]
    # No more than half of the rows can tell, or nothing would be left to measure.
    directions = directions[: max(1, min(WIDE, len(z) // 2))].T
    rest = np.sqrt(np.mean(np.square(z - z @ directions @ directions.T).sum(axis=1)))
    scale = np.sqrt(max(np.mean(np.var(z @ directions, axis=0)), 1e-12))
    basis = torch.as_tensor(directions / scale)
    return DetectorUnits(mean, spread, basis, float(rest) or 1.0)
