"""Shares of columns in a score: Shapley values against one reference row.

A column is worth what the score changes when it moves from the reference's value to the
row's, on average over orders in which columns may move.

Strumbelj & Kononenko, "Explaining prediction models and individual predictions with
feature contributions", 2014.
"""

from collections.abc import Callable

import numpy as np

N_PAIRS = 4  # orders, each with its reverse
N_AT_ONCE = 8192  # rows to score


def typical_row(X: np.ndarray) -> np.ndarray:
    """Medians, but the commonest combination of the values of two-valued features.

    Of three dummy variables for three countries the medians may all be 0, a row that
    nothing is like.
    """
    typical = np.median(X, axis=0)
    low, high = X.min(axis=0), X.max(axis=0)
    is_binary = ((X == low) | (X == high)).all(axis=0)
    combinations, counts = np.unique(X[:, is_binary], axis=0, return_counts=True)
    typical[is_binary] = combinations[counts.argmax()]
    return typical


def contributions(
    score: Callable[[np.ndarray], np.ndarray], X: np.ndarray, reference: np.ndarray
) -> np.ndarray:
    """Return (n_rows, n_features) shares that sum to ``score(X) - score(reference)``.

    Parameters
    ----------
    score : callable
        Takes rows, returns a number for each.

    X : ndarray of shape (n_rows, n_features)
        Rows to explain.

    reference : ndarray of shape (n_features,)
        The row that they are compared with.
    """
    n_features = X.shape[1]
    draws = np.random.RandomState(0)  # the same orders for any rows
    orders = [draws.permutation(n_features) for _ in range(N_PAIRS)]
    orders += [order[::-1] for order in orders]
    size = max(1, N_AT_ONCE // (n_features + 1))
    shares = np.zeros(X.shape)
    for start in range(0, len(X), size):
        rows = X[start : start + size]
        for order in orders:
            shares[start : start + size, order] += _steps(score, rows, reference, order)
    return shares / len(orders)


def _steps(score: Callable, rows: np.ndarray, reference: np.ndarray, order: np.ndarray):
    """How the scores change as columns move one after the other."""
    n_features = len(order)
    place = np.empty(n_features, dtype=int)
    place[order] = np.arange(n_features)
    has_moved = place < np.arange(n_features + 1)[:, None]
    path = np.where(has_moved, rows[:, None, :], reference)
    values = score(path.reshape(-1, n_features)).reshape(len(rows), -1)
    return np.diff(values, axis=1)
