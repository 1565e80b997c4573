"""Peers of VQVAE: product quantisation, and simple densities of code indices."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

SMOOTHING = (1, 3, 10, 30, 100, 300)


class ProductQuantiser:
    """Product quantisation, k-means by block of features: Jégou, Douze & Schmid, 2011.

    Parameters
    ----------
    n_blocks, n_codes : int
        Number of blocks, and of codebook entries of each.

    rotated : bool
        Whether blocks are of principal components with balanced products of variances,
        the initialisation of Ge et al., "Optimized product quantization", 2014.
    """

    def __init__(self, n_blocks: int, n_codes: int, seed: int, rotated: bool = False):
        self.n_blocks = n_blocks
        self.n_codes = n_codes
        self.seed = seed
        self.rotated = rotated

    def fit(self, X: np.ndarray):
        if self.rotated:
            self.pca = PCA().fit(X)
            self.blocks = balance_variances(self.pca.explained_variance_, self.n_blocks)
            X = self.pca.transform(X)
        else:
            self.blocks = np.array_split(np.arange(X.shape[1]), self.n_blocks)
        k_means = KMeans(self.n_codes, n_init=3, random_state=self.seed)
        self.codebooks = [
            KMeans(**k_means.get_params()).fit(X[:, block]).cluster_centers_
            for block in self.blocks
        ]
        return self

    def error(self, X: np.ndarray) -> float:
        """Sum of squared errors."""
        total = 0.0
        if self.rotated:
            codes = self.pca.transform(X)
            total += np.square(X - self.pca.inverse_transform(codes)).sum()
            X = codes
        for block, codebook in zip(self.blocks, self.codebooks, strict=True):
            part = X[:, block]
            distances = np.square(codebook).sum(axis=1) - 2 * part @ codebook.T
            total += distances.min(axis=1).sum() + np.square(part).sum()
        return total


def balance_variances(variances: np.ndarray, n_blocks: int) -> list[list[int]]:
    """Assign each component to the block of the smallest product that is not full."""
    blocks: list[list[int]] = [[] for _ in range(n_blocks)]
    logs = np.zeros(n_blocks)
    gains = np.log(np.maximum(variances / (1e-6 * variances[0]), 1.0))
    for component, gain in enumerate(gains):
        room = [len(block) < -(-len(variances) // n_blocks) for block in blocks]
        place = int(np.argmin(np.where(room, logs, np.inf)))
        blocks[place].append(component)
        logs[place] += gain
    return [block for block in blocks if block]


# Densities of code indices, in nats per sample.


def unigram(codes: np.ndarray, held_out: np.ndarray, n_codes: int) -> float:
    """Negative log-likelihood of independent code indices."""
    shares = _shares(codes, n_codes)
    return -sum(np.log(s[c]) for s, c in zip(shares, held_out.T, strict=True)).mean()


def bigram(codes: np.ndarray, held_out: np.ndarray, n_codes: int) -> float:
    """Negative log-likelihood of a bigram model, smoothed towards the marginals.

    The smoothing is the best on the held-out samples, in its favour.
    """
    shares = _shares(codes, n_codes)
    first = -np.log(shares[0][held_out[:, 0]])
    nats = {weight: first.copy() for weight in SMOOTHING}
    for position in range(1, codes.shape[1]):
        pairs = np.zeros((n_codes, n_codes))
        np.add.at(pairs, (codes[:, position - 1], codes[:, position]), 1)
        seen = held_out[:, position - 1], held_out[:, position]
        for weight in SMOOTHING:
            given = pairs + weight * shares[position]
            nats[weight] -= np.log((given / given.sum(axis=1, keepdims=True))[seen])
    return min(values.mean() for values in nats.values())


def _shares(codes: np.ndarray, n_codes: int) -> np.ndarray:
    counts = [np.bincount(indices, minlength=n_codes) + 0.5 for indices in codes.T]
    return np.array([count / count.sum() for count in counts])
