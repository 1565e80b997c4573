"""What is known of the rows before training: means, spreads, principal components.

One pass over chunks, in float64, whatever the dtype and wherever the rows lie. For wide
data the components come from the rows' inner products, for long data from the
covariance, whichever matrix is smaller.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh

from skae._rows import Rows

CHUNK = 4096


@dataclass(frozen=True)
class Statistics:
    """Moments of rows and targets, float64, in the units of the data.

    Attributes
    ----------
    mean, spread : ndarray of shape (n_features,)
        Mean and standard deviation; the spread of a constant feature is exactly 0.

    box : ndarray of shape (2, n_features)
        Least and largest value of the rows that are trained on.

    components : ndarray of shape (n_features, n_components)
        Leading principal directions; columns beyond the rank are 0.

    deviations : ndarray of shape (n_components,)
        Standard deviation of the rows along each direction.

    n_components : int
        Width of the code.

    n_conditions : int
        Width of the condition, 0 where there is none.

    target_mean, target_spread : ndarray of shape (n_outputs,)
        The same of the targets; the rows' own where no target is given.
    """

    mean: np.ndarray
    spread: np.ndarray
    box: np.ndarray
    components: np.ndarray
    deviations: np.ndarray
    n_components: int
    n_conditions: int
    target_mean: np.ndarray
    target_spread: np.ndarray

    @property
    def is_paired(self) -> bool:
        """Whether the targets are other than the rows."""
        return self.target_mean is not self.mean

    @property
    def n_features(self) -> int:
        return len(self.mean)

    @property
    def n_outputs(self) -> int:
        return len(self.target_mean)


def describe(rows: Rows, n_components: int, trained: Rows | None = None) -> Statistics:
    """Take the statistics of rows and of their targets.

    Parameters
    ----------
    rows : Rows
        What to describe.

    n_components : int
        How many principal components to find.

    trained : Rows, default=None
        The rows that the network will see, if not all; the box is theirs.
    """
    mean, spread = _moments(rows, "x")
    targets = (mean, spread) if rows.target is None else _moments(rows, "target")
    components, deviations = _principal(rows, mean, n_components)
    return Statistics(
        mean=mean,
        spread=spread,
        box=_box(rows if trained is None else trained),
        components=components,
        deviations=deviations,
        n_components=n_components,
        n_conditions=0 if rows.condition is None else rows.condition.shape[1],
        target_mean=targets[0],
        target_spread=targets[1],
    )


def _centred_chunks(rows: Rows, field: str, mean: np.ndarray | float):
    for batch in rows.chunks(CHUNK):
        yield getattr(batch, field).double().numpy() - mean


def _moments(rows: Rows, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Two passes, because subtracting the mean late would lose small spreads."""
    total = sum(chunk.sum(axis=0) for chunk in _centred_chunks(rows, field, 0.0))
    mean = total / len(rows)
    # The second pass also mends the rounding of the first mean.
    drift = sum(chunk.sum(axis=0) for chunk in _centred_chunks(rows, field, mean))
    mean = mean + drift / len(rows)
    squares = sum(np.square(c).sum(axis=0) for c in _centred_chunks(rows, field, mean))
    spread = np.sqrt(squares / len(rows))
    # A constant column may be left with rounding noise, which is not to be scaled up.
    noise = 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(spread > noise, spread, 0.0)


def _box(rows: Rows) -> np.ndarray:
    boxes = [torch.stack(batch.x.aminmax(dim=0)) for batch in rows.chunks(CHUNK)]
    low, high = torch.cat(boxes).double().aminmax(dim=0)
    return np.stack([low, high])


def _principal(
    rows: Rows, mean: np.ndarray, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    n_samples, n_features = len(rows), len(mean)
    n_found = min(n_components, n_samples, n_features)
    components = np.zeros((n_features, n_components))
    deviations = np.zeros(n_components)
    if n_features <= n_samples:
        covariance = sum(c.T @ c for c in _centred_chunks(rows, "x", mean))
        values, vectors = _leading(covariance, n_found)
        components[:, :n_found] = vectors
    else:
        centred = np.concatenate(list(_centred_chunks(rows, "x", mean)))
        values, vectors = _leading(centred @ centred.T, n_found)
        directions = centred.T @ vectors
        lengths = np.linalg.norm(directions, axis=0)
        components[:, :n_found] = directions / np.where(lengths > 0, lengths, 1.0)
    # Beyond the rank, numpy's way to tell it, a direction is noise.
    rounding = np.finfo(np.float64).eps * max(n_samples, n_features) * values[0]
    components[:, :n_found] *= values > rounding
    deviations[:n_found] = np.sqrt(np.where(values > rounding, values, 0.0) / n_samples)
    return components, deviations


def _leading(matrix: np.ndarray, n_wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues and their vectors, largest first."""
    last = len(matrix) - 1
    values, vectors = eigh(matrix, subset_by_index=(last - n_wanted + 1, last))
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]
