"""Shapley values of a score relative to one reference sample, by sampled permutations.

The contribution of a feature is the change of the score when the feature moves from its
value in the reference sample to its own, averaged over orders of the features.

Strumbelj & Kononenko, "Explaining prediction models and individual predictions with
feature contributions", 2014.
"""

from collections.abc import Callable

import numpy as np

N_PAIRS = 4  # permutations, each with its reverse
CHUNK = 8192  # samples to score at once
BLOCK = 1024  # features whose medians are computed at once


def reference_sample(X: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Medians of the features; of binary features, the most frequent combination.

    The medians of three dummy variables for three countries may all be 0, a combination
    that does not occur.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Training samples.

    samples : ndarray of int
        Indices of those to use.
    """
    n_features = X.shape[1]
    reference, is_binary = np.empty(n_features), np.empty(n_features, dtype=bool)
    for start in range(0, n_features, BLOCK):
        block = slice(start, start + BLOCK)
        values = X[:, block][samples]
        is_low, is_high = values == values.min(axis=0), values == values.max(axis=0)
        is_binary[block] = (is_low | is_high).all(axis=0)
        reference[block] = np.median(values, axis=0)
    binary = X[:, is_binary][samples]
    combinations, counts = np.unique(binary, axis=0, return_counts=True)
    reference[is_binary] = combinations[counts.argmax()]
    return reference


def shapley_values(
    score: Callable[[np.ndarray], np.ndarray], X: np.ndarray, reference: np.ndarray
) -> np.ndarray:
    """Return (n_samples, n_features) terms that sum to score(X) - score(reference).

    Parameters
    ----------
    score : callable
        Takes samples, returns one number for each.

    X : ndarray of shape (n_samples, n_features)
        Samples to explain.

    reference : ndarray of shape (n_features,)
        The reference sample.
    """
    n_features = X.shape[1]
    draws = np.random.RandomState(0)  # the same permutations for all samples
    orders = [draws.permutation(n_features) for _ in range(N_PAIRS)]
    orders += [order[::-1] for order in orders]
    size = max(1, CHUNK // (n_features + 1))
    total = np.zeros(X.shape)
    for start in range(0, len(X), size):
        chunk = slice(start, start + size)
        for order in orders:
            total[chunk, order] += _score_changes(score, X[chunk], reference, order)
    return total / len(orders)


def _score_changes(
    score: Callable, X: np.ndarray, reference: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Changes of the score as features take their own values, one after the other."""
    n_features = len(order)
    place = np.empty(n_features, dtype=int)
    place[order] = np.arange(n_features)
    is_own = place < np.arange(n_features + 1)[:, None]
    hybrids = np.where(is_own, X[:, None, :], reference)
    scores = score(hybrids.reshape(-1, n_features)).reshape(len(X), -1)
    return np.diff(scores, axis=1)
