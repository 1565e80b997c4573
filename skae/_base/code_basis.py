"""The codes that users see: centred, uncorrelated, ordered by variance, with fixed signs.

PCA's codes are so by construction. Ours become so after training, by a shift and a
rotation that the module carries, which changes no reconstruction.
"""

import numpy as np
import torch
from torch import Tensor

from skae._data.dataset import Batch, Dataset
from skae._nn.autoencoder import AutoencoderModule, LinearPath
from skae._training.net import AutoencoderNet

# From so many rows on, the most extreme code on each side may be an outlier's: the
# decoder has not learned what lies between it and the others.
OUTLIER_ROWS = 2_000
MAX_RATIO_ROWS = 2_000
MAX_RATIO_DECODINGS = 64_000


def finalize_codes(
    net: AutoencoderNet, dataset: Dataset, dtype: torch.dtype, chunk: int, order: bool
) -> None:
    """Tell the decoder which codes it has learned; centre and order them if asked."""
    # Put together as they come: small tensors kept from every chunk would pin down the
    # memory of all that was freed between them.
    sums, known = [0.0, 0.0, 0.0], None
    for extremes, *parts in net.apply(_summary, dataset, dtype, chunk):
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
        known = extremes if known is None else _outermost(torch.cat([known, extremes]))
    decoder = net.module_.decoder
    if isinstance(decoder, LinearPath):
        known = known.sort(dim=0).values
        n_ignored = 1 if len(dataset) >= OUTLIER_ROWS else 0
        decoder.reset_range()
        decoder.update_range(known[n_ignored : len(known) - n_ignored].to(decoder.low))
    if order:
        total, squares, with_features = sums
        mean = total / len(dataset)
        covariance = squares / len(dataset) - torch.outer(mean, mean)
        rotation = ordering(covariance, with_features)
        basis = net.module_.basis
        basis.turn(mean.to(basis.shift), rotation.to(basis.rotation))


def widen_code_range(
    net: AutoencoderNet, dataset: Dataset, dtype: torch.dtype, chunk: int
) -> None:
    """Tell the decoder that it has learned these rows, too.

    The basis stays as it is, so that codes mean the same after every part.
    """
    decoder = net.module_.decoder
    if isinstance(decoder, LinearPath):
        for codes in net.apply(_to_code, dataset, dtype, chunk):
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
    """Two codes of each side, enough to know the last but one of all."""
    if len(codes) <= 4:
        return codes
    sides = (codes.topk(2, dim=0, largest=largest).values for largest in (True, False))
    return torch.cat(list(sides))


def ordering(covariance: Tensor, with_features: Tensor) -> Tensor:
    """Return the rotation to codes that are uncorrelated, largest variance first.

    A code's sign is such that the feature it covaries with most does so positively,
    which for a linear model is scikit-learn's rule for PCA.

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
    net: AutoencoderNet, dataset: Dataset, dtype: torch.dtype, chunk: int
) -> np.ndarray:
    """Gain in R2 when a code joins those before it, the rest being at their mean, 0."""
    n_components = len(net.module_.basis.unit)
    n_samples = min(
        len(dataset), MAX_RATIO_ROWS, max(200, MAX_RATIO_DECODINGS // n_components)
    )
    dataset = dataset.subset(np.linspace(0, len(dataset) - 1, n_samples).astype(int))
    batch = dataset[:]
    target = (batch.x if batch.target is None else batch.target).double().numpy()
    total = np.square(target - target.mean(axis=0)).sum()
    if total == 0:
        return np.zeros(n_components)
    codes = net.map_batches(encode, dataset, dtype, chunk)
    errors = []
    for n_kept in range(n_components + 1):
        kept = np.where(np.arange(n_components) < n_kept, codes, 0.0)
        kept = Dataset(kept, condition=dataset.condition)
        decoded = net.map_batches(decode, kept, dtype, chunk)
        errors.append(np.square(decoded - target).sum())
    return -np.diff(errors) / total


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
