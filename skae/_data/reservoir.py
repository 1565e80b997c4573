"""Uniform random sample of all samples that an incremental fit has seen.

Every sample gets a random key, and those with the smallest keys are kept, whatever the
order and the sizes of the parts. Vitter, "Random sampling with a reservoir", ACM
Transactions on Mathematical Software 11, 1985.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import issparse, vstack

from skae._data.dataset import Dataset

MAX_SAMPLES, MAX_VALUES = 5000, 2**22
FIELDS = "x", "target", "condition"


class Reservoir:
    """Random sample of at most 5,000 samples, fewer where they are wide.

    Parameters
    ----------
    state : dict, default=None
        :attr:`state` of an earlier reservoir; None is empty.
    """

    def __init__(self, state: dict | None = None):
        state = state or {"n_seen": 0, "keys": np.empty(0)}
        self.n_seen: int = state["n_seen"]
        self.keys: np.ndarray = state["keys"]
        self.dataset = Dataset(*map(state.get, FIELDS)) if self.n_seen else None

    @property
    def state(self) -> dict:
        """Plain numbers and arrays."""
        values = {name: getattr(self.dataset, name) for name in FIELDS}
        return {"n_seen": self.n_seen, "keys": self.keys, **values}

    @property
    def is_complete(self) -> bool:
        """Whether all samples seen are kept."""
        return len(self.keys) == self.n_seen

    def add(self, part: Dataset, random_state: np.random.RandomState) -> None:
        """Sample from these samples and all seen before."""
        n_kept = len(self.keys)
        keys = np.concatenate([self.keys, random_state.uniform(size=len(part))])
        most = min(MAX_SAMPLES, max(1, MAX_VALUES // part.n_values))
        chosen = np.sort(np.argsort(keys)[:most])
        new = part.subset(chosen[chosen >= n_kept] - n_kept)
        old = self.dataset.subset(chosen[chosen < n_kept]) if n_kept else None
        self.dataset = concatenate([new] if old is None else [old, new])
        self.keys = keys[chosen]
        self.n_seen += len(part)


def concatenate(datasets: Sequence[Dataset]) -> Dataset:
    """Copy data sets into one, which is sparse where the last one is."""
    return Dataset(
        *(_concatenate([_field(d, name) for d in datasets]) for name in FIELDS)
    )


def _field(dataset: Dataset, name: str):
    values = getattr(dataset, name)
    return values if values is None or dataset.index is None else values[dataset.index]


def _concatenate(arrays: list):
    if arrays[-1] is None:
        return None
    if issparse(arrays[-1]):
        return vstack(arrays, format="csr")
    return np.concatenate([a.toarray() if issparse(a) else np.asarray(a) for a in arrays])
