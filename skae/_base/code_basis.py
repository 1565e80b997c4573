"""Basis of the codes: centred, uncorrelated, ordered by variance, with fixed signs.

PCA's codes have these properties by construction. Those of an autoencoder get them after
training, by a shift and a rotation that the module holds, which change no reconstruction.
"""

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor, nn

from skae._data.dataset import Batch, Dataset
from skae._data.statistics import moments
from skae._nn.autoencoder import AutoencoderModule
from skae._nn.linear_path import LinearPath
from skae._training.inference import apply, map_batches

# From this many samples on, the extreme code on each side may be an outlier's: the
# decoder has not been trained between it and the others.
OUTLIER_SAMPLES = 2_000
MAX_RATIO_SAMPLES = 2_000
MAX_RATIO_DECODINGS = 64_000


def set_code_basis(
    module: nn.Module, dataset: Dataset, dtype: torch.dtype, chunk: int, order: bool
) -> None:
    """Set the decoder's training range; centre and order the codes if ``order``."""
    # Put together as they come: small tensors kept from every chunk would pin down the
    # memory of all that was freed between them.
    sums, extremes = [0.0, 0.0, 0.0], None
    for outermost, *parts in apply(module, _summary, dataset, dtype, chunk):
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
        if extremes is not None:
            outermost = _outermost(torch.cat([extremes, outermost]))
        extremes = outermost
    decoder = module.decoder
    if isinstance(decoder, LinearPath):
        extremes = extremes.sort(dim=0).values
        n_ignored = 1 if len(dataset) >= OUTLIER_SAMPLES else 0
        decoder.reset_range()
        kept = extremes[n_ignored : len(extremes) - n_ignored]
        decoder.update_range(kept.to(decoder.low))
    if order:
        total, squares, with_features = sums
        mean = total / len(dataset)
        covariance = squares / len(dataset) - torch.outer(mean, mean)
        rotation = ordering(covariance, with_features)
        basis = module.basis
        basis.compose(mean.to(basis.shift), rotation.to(basis.rotation))


def extend_code_range(
    module: nn.Module, dataset: Dataset, dtype: torch.dtype, chunk: int
) -> None:
    """Extend the decoder's training range to the codes of these samples.

    The basis is unchanged, so that codes mean the same after every part of the data.
    """
    decoder = module.decoder
    if isinstance(decoder, LinearPath):
        for codes in apply(module, _to_code, dataset, dtype, chunk):
            decoder.update_range(codes.to(decoder.low))


def _to_code(module: AutoencoderModule, batch: Batch) -> Tensor:
    return module.to_code(module.standardize(batch.x), batch.condition)


def _summary(module: AutoencoderModule, batch: Batch) -> tuple[Tensor, ...]:
    raw = module.to_code(module.standardize(batch.x), batch.condition)
    codes = module.basis(raw).cpu().double()
    centred = (batch.x - module.inputs.mean).cpu().double()
    sums = codes.sum(dim=0), codes.T @ codes, centred.T @ codes
    return _outermost(raw).cpu(), *sums


def _outermost(codes: Tensor) -> Tensor:
    """The two extreme codes of each side, which suffice for the second one of all."""
    if len(codes) <= 4:
        return codes
    sides = (codes.topk(2, dim=0, largest=largest).values for largest in (True, False))
    return torch.cat(list(sides))


def ordering(covariance: Tensor, with_features: Tensor) -> Tensor:
    """Return the rotation to codes that are uncorrelated, largest variance first.

    A code's sign is such that its covariance with the feature of largest covariance is
    positive, which for a linear model is scikit-learn's rule for PCA.

    Parameters
    ----------
    covariance : Tensor of shape (n_components, n_components)
        Of the codes.

    with_features : Tensor of shape (n_features, n_components)
        Covariance of each feature with each code, times a constant.
    """
    rotation = torch.linalg.eigh(covariance).eigenvectors.flip(1)
    loadings = with_features @ rotation
    strongest = loadings.gather(0, loadings.abs().argmax(dim=0, keepdim=True))
    return rotation * torch.where(strongest < 0, -1.0, 1.0)


def explained_variance_ratio(
    module: nn.Module, dataset: Dataset, dtype: torch.dtype, chunk: int
) -> np.ndarray:
    """Shares of the variance that codes explain, each in addition to those before it.

    The first codes are decoded with the later ones at their mean, 0, and each feature is
    regressed on its decoded value and on these codes: a decoder that was trained with all
    codes is wrong without the later ones. More codes explain no less, and all of them
    what the reconstruction does, R2, so that the sums are kept between 0 and R2 and do
    not fall.
    """
    n_components = len(module.basis.unit)
    most = max(200, MAX_RATIO_DECODINGS // n_components)
    n_some = min(len(dataset), MAX_RATIO_SAMPLES, most)
    some = dataset.subset(np.linspace(0, len(dataset) - 1, n_some).astype(int))
    field = "x" if dataset.target is None else "target"
    found = moments(some, field)
    size = np.sqrt(found.squares.sum())  # products of squares may not overflow
    if size == 0:
        return np.zeros(n_components)
    codes = map_batches(module, encode, some, dtype, chunk).astype(np.float64)
    axes = np.linalg.qr(codes - codes.mean(axis=0))[0]
    blocks = list(gen_batches(n_some, chunk))

    def target(block: slice) -> np.ndarray:
        return (getattr(some[block], field).double().numpy() - found.mean) / size

    def decoded(block: slice, n_kept: int) -> np.ndarray:
        kept = np.where(np.arange(n_components) < n_kept, codes[block], 0.0)
        condition = None if some.condition is None else some[block].condition.numpy()
        kept = Dataset(kept, condition=condition)
        values = map_batches(module, decode, kept, dtype, chunk)
        return (values - found.mean) / size

    on_axes = sum(axes[block].T @ target(block) for block in blocks)
    sums = np.zeros(n_components + 1)
    for n_kept in range(1, n_components):
        total = squares = common = of_decoded = 0.0
        for block in blocks:
            x, y = decoded(block, n_kept), target(block)
            total = total + x.sum(axis=0)
            squares = squares + np.einsum("ij,ij->j", x, x)
            common = common + np.einsum("ij,ij->j", x, y)
            of_decoded = of_decoded + axes[block, :n_kept].T @ x
        of_target = on_axes[:n_kept]
        squares -= total**2 / n_some
        left = squares - np.square(of_decoded).sum(axis=0)
        common -= (of_decoded * of_target).sum(axis=0)
        curved = left > 1e-9 * squares
        gain = np.square(common[curved]) / left[curved]
        sums[n_kept] = np.square(of_target).sum() + gain.sum()
    whole = (decoded(block, n_components) - target(block) for block in blocks)
    sums[-1] = 1 - sum(np.square(error).sum() for error in whole)
    last = max(sums[-1], 0.0)
    return np.diff(np.maximum.accumulate(np.clip(sums, 0.0, last)))


# Functions of module and batch, for inference in chunks.


def encode(module: AutoencoderModule, batch: Batch) -> Tensor:
    return module.encode(batch.x, batch.condition)


def decode(module: AutoencoderModule, batch: Batch) -> Tensor:
    return module.decode(batch.x, batch.condition)


def reconstruct(module: AutoencoderModule, batch: Batch) -> Tensor:
    return module.reconstruct(batch.x, batch.condition)


def mean_squared_error(module: AutoencoderModule, batch: Batch) -> Tensor:
    target = batch.x if batch.target is None else batch.target
    error = module.reconstruct(batch.x, batch.condition) - target
    return error.square().mean(dim=1)
