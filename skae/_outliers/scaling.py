"""Robust feature scaling for a detector; wide data are reduced by PCA."""

import numpy as np
import torch
from torch import Tensor, nn

from skae._data.checks import LARGEST
from skae._data.dataset import Dataset
from skae._data.statistics import moments

MAX_FEATURES = 256  # of wider data, the leading principal components are used
CLIP = 10.0  # standard deviations
MAX_PCA_SAMPLES, MAX_PCA_VALUES = 5_000, 2**24


class FeatureScaler(nn.Module):
    """Standardisation with a logarithmic scale beyond ten standard deviations.

    Another value of a feature that was constant in training counts as ten standard
    deviations. Of more than 256 features, the leading principal components are used,
    and the norm of the remainder, so that deviations in all directions are visible.

    Parameters
    ----------
    mean, spread : Tensor of shape (n_features,), float64
        Mean and standard deviation of the training samples; 0 for a constant feature.

    basis : Tensor of shape (n_features, n_kept), default=None
        Principal components, scaled; None keeps the features.

    remainder_scale : float, default=1.0
        Typical norm of the remainder, by which it is divided.
    """

    def __init__(
        self,
        mean: Tensor,
        spread: Tensor,
        basis: Tensor | None = None,
        remainder_scale: float = 1.0,
    ):
        super().__init__()
        constant = torch.full_like(spread, torch.inf)
        self.register_buffer("mean", mean)
        self.register_buffer("divisor", torch.where(spread > 0, spread, constant))
        self.register_buffer("basis", basis)
        self.remainder_scale = remainder_scale
        self.has_constants = not bool((spread > 0).all())

    @property
    def n_features_out(self) -> int:
        return len(self.mean) if self.basis is None else self.basis.shape[1] + 1

    def forward(self, x: Tensor) -> Tensor:
        x = self.standardize(x.to(self.mean.dtype))
        if self.basis is None:
            return x
        scale = self.basis[:, :1].norm()
        scores = x @ self.basis
        remainder = x.square().sum(-1) - (scores / scale).square().sum(-1)
        norm = remainder.clamp(min=0).sqrt()[:, None]
        return torch.cat([scores, norm / self.remainder_scale], dim=-1)

    def standardize(self, x: Tensor) -> Tensor:
        """All features in standard deviations, logarithmic beyond ten."""
        difference = x - self.mean
        z = difference / self.divisor
        if z.abs().amax() > CLIP:
            excess = (z.abs() - CLIP).clamp(min=0)
            z = z.clamp(-CLIP, CLIP) + z.sign() * excess.log1p()
        if self.has_constants:
            slight = (1e-9 * self.mean.abs()).clamp(min=1 / LARGEST)
            moved = self.divisor.isinf() & (difference.abs() > slight)
            z = torch.where(moved, CLIP * difference.sign(), z)
        return z


def fit_scaler(dataset: Dataset, random_state: np.random.RandomState) -> FeatureScaler:
    """Fit the scaling, and PCA for wide data, to the training samples."""
    found = moments(dataset, "x")
    mean, spread = torch.as_tensor(found.mean), torch.as_tensor(found.spread)
    scaler = FeatureScaler(mean, spread)
    if dataset.n_features <= MAX_FEATURES:
        return scaler
    n_sampled = min(MAX_PCA_SAMPLES, max(1, MAX_PCA_VALUES // dataset.n_features))
    sampled = random_state.permutation(len(dataset))[:n_sampled]
    z = scaler(dataset[np.sort(sampled)].x).numpy()
    directions = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[2]
    # At most half as many components as samples, or the remainder would be 0.
    directions = directions[: max(1, min(MAX_FEATURES, len(z) // 2))].T
    remainder = z - z @ directions @ directions.T
    remainder_scale = np.sqrt(np.mean(np.square(remainder).sum(axis=1)))
    scale = np.sqrt(max(np.mean(np.var(z @ directions, axis=0)), 1e-12))
    basis = torch.as_tensor(directions / scale)
    return FeatureScaler(mean, spread, basis, float(remainder_scale) or 1.0)
