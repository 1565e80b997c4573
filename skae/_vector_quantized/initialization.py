"""Initialisation of vector quantisation: a linear map to positions, k-means on each.

Two maps are compared. Components allocated so that positions have equal products of
variances are optimal for normal data: Ge, He, Ke & Sun, "Optimized product
quantization", IEEE TPAMI 36(4), 2014. Blocks of adjacent features suit images and
sequences: Jégou, Douze & Schmid, "Product quantization for nearest neighbor search",
IEEE TPAMI 33(1), 2011.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from skae._data.dataset import Dataset
from skae._data.statistics import Statistics, describe
from skae._nn.scaling import Standardizer
from skae._vector_quantized.codebook import VectorQuantizer

MAX_SAMPLES, MAX_VALUES = 10_000, 2**26
COMPARED_SAMPLES = 4_000  # to compare the two maps: one half fits, the other evaluates
NEGLIGIBLE = 1e-6  # a variance, relative to the largest


@dataclass(frozen=True, kw_only=True)
class SampledStatistics(Statistics):
    """Statistics of the training data, and some of the samples.

    Attributes
    ----------
    sample : ndarray of shape (n_sampled, n_features)
        Training samples, in the units of the data.

    n_codes, code_dim : int
        Number and dimension of the code vectors in a codebook.
    """

    sample: np.ndarray
    n_codes: int
    code_dim: int

    @property
    def code_unit(self) -> float:
        """One unit of the code, in units of X.

        It is the same for all components, so that distances of codes are distances of
        samples.
        """
        unit = np.sqrt(np.mean(np.square(self.deviations)))
        return float(unit or np.sqrt(np.mean(np.square(self.spread))) or 1.0)


def describe_sampled(
    dataset: Dataset,
    trained: Dataset,
    *,
    n_positions: int,
    n_codes: int,
    code_dim: int,
    shared: bool,
) -> SampledStatistics:
    """Compute statistics with the components in the order of the positions.

    Parameters
    ----------
    dataset, trained : Dataset
        The samples to describe, and the training set.

    n_positions, n_codes, code_dim : int
        Number of code indices per sample, and number and dimension of code vectors.

    shared : bool
        Whether there is one codebook for all positions.
    """
    statistics = describe(dataset, n_positions * code_dim, trained)
    n_samples = min(len(trained), MAX_SAMPLES, max(1, MAX_VALUES // dataset.n_features))
    index = np.linspace(0, len(trained) - 1, n_samples).astype(int)
    sample = trained.subset(index)[:].x.numpy()
    maps = [allocate_components(statistics, n_positions)]
    if n_positions > 1 and not shared:
        maps.append(feature_blocks(statistics, sample, n_positions))
        errors = [quantization_error(m, sample, n_positions, n_codes) for m in maps]
        maps = [maps[int(np.argmin(errors))]]
    return SampledStatistics(
        **vars(maps[0]), sample=sample, n_codes=n_codes, code_dim=code_dim
    )


def allocate_components(statistics: Statistics, n_positions: int) -> Statistics:
    """Order components so that positions have about equal products of variances."""
    variances = np.square(statistics.deviations)
    floor = max(NEGLIGIBLE * variances[0], np.finfo(np.float64).tiny)
    log_variances = np.log(np.maximum(variances / floor, 1.0))
    allocated: list[list[int]] = [[] for _ in range(n_positions)]
    log_products = np.zeros(n_positions)
    for component, log_variance in enumerate(log_variances):
        is_full = [len(own) * n_positions == len(variances) for own in allocated]
        position = int(np.argmin(np.where(is_full, np.inf, log_products)))
        allocated[position].append(component)
        log_products[position] += log_variance
    order = np.concatenate(allocated)
    return replace(
        statistics,
        components=statistics.components[:, order],
        deviations=statistics.deviations[order],
    )


def feature_blocks(
    statistics: Statistics, sample: np.ndarray, n_positions: int
) -> Statistics:
    """Components of one block of adjacent features for each position."""
    components = np.zeros_like(statistics.components)
    deviations = np.zeros_like(statistics.deviations)
    blocks = np.array_split(np.arange(len(statistics.mean)), n_positions)
    positions = np.array_split(np.arange(len(deviations)), n_positions)
    for features, position in zip(blocks, positions, strict=True):
        if len(features) > 0:
            block = Dataset(np.ascontiguousarray(sample[:, features]))
            principal = describe(block, len(position))
            components[np.ix_(features, position)] = principal.components
            deviations[position] = principal.deviations
    return replace(statistics, components=components, deviations=deviations)


def quantization_error(
    statistics: Statistics, sample: np.ndarray, n_positions: int, n_codes: int
) -> float:
    """Squared error of one half of the sample, with codebooks fitted to the other."""
    centred = sample[:: -(-len(sample) // COMPARED_SAMPLES)] - statistics.mean
    half = -(-len(centred) // 2)
    code = centred @ statistics.components
    error = np.square(centred[half:]).sum() - np.square(code[half:]).sum()
    for position in np.split(code, n_positions, axis=1):
        train, test = position[:half], position[half:]
        codebook = kmeans_codebook(torch.as_tensor(train), n_codes, seed=0).numpy()
        distances = np.square(codebook).sum(axis=1) - 2 * test @ codebook.T
        error += (distances.min(axis=1) + np.square(test).sum(axis=1)).sum()
    return float(error)


def make_quantizer(
    encoder: nn.Module,
    inputs: Standardizer,
    statistics: SampledStatistics,
    *,
    n_positions: int,
    shared: bool,
    codebook_init: str,
) -> VectorQuantizer:
    """Initialise codebooks from the encodings of the sample by the untrained encoder."""
    with torch.no_grad():
        x = inputs(torch.as_tensor(statistics.sample)).float()
        code = encoder.eval()(x).unflatten(1, (n_positions, -1))
        encoder.train()
    by_codebook = code.transpose(0, 1)
    if shared:
        by_codebook = by_codebook.flatten(0, 1)[None]
    initialize = CODEBOOK_INITS[codebook_init]
    codebooks = [initialize(encodings, statistics.n_codes) for encodings in by_codebook]
    quantizer = VectorQuantizer(torch.stack(codebooks))
    quantizer.initialize_statistics(code)
    return quantizer


def kmeans_codebook(code: Tensor, n_codes: int, seed: int | None = None) -> Tensor:
    """Code vectors at the k-means centres of the encodings."""
    if seed is None:
        seed = int(torch.randint(2**31 - 1, ()))
    code = code.contiguous()
    n_clusters = min(n_codes, len(code.unique(dim=0)))
    kmeans = KMeans(n_clusters, n_init=1, max_iter=50, random_state=seed)
    code_vectors = torch.as_tensor(kmeans.fit(code.numpy()).cluster_centers_)
    # Surplus code vectors are random, so that they differ.
    draws = torch.Generator().manual_seed(seed)
    surplus = random_codebook(code, n_codes - n_clusters, draws)
    return torch.cat([code_vectors, surplus])


def random_codebook(
    code: Tensor, n_codes: int, generator: torch.Generator | None = None
) -> Tensor:
    """Normal draws with the mean and standard deviation of the encodings."""
    spread = code.std(dim=0, correction=0)
    shape = n_codes, code.shape[1]
    noise = torch.randn(shape, dtype=code.dtype, generator=generator)
    return code.mean(dim=0) + spread * noise


CODEBOOK_INITS = {"kmeans": kmeans_codebook, "random": random_codebook}
