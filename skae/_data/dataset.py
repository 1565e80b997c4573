"""Data sets and whole batches of them: one index operation per batch."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

CHUNK, CHUNK_BYTES = 8192, 2**24  # of a pass over all samples
BLOCK, BLOCKS_AT_ONCE = 256, 64


class Batch(NamedTuple):
    x: Tensor  # (n_samples, n_features)
    target: Tensor | None  # (n_samples, n_outputs); None is x itself
    condition: Tensor | None  # (n_samples, n_conditions); None where a class has none


def chunk_size(n_values: int) -> int:
    """Number of dense float64 samples to hold at once."""
    return max(1, min(CHUNK, CHUNK_BYTES // (8 * n_values)))


class Dataset:
    """Arrays that share their first axis, and an index of the samples in use.

    Nothing is copied until a batch is taken, so that memory maps stay on disk and sparse
    data sparse. Without an index, even a slice is not copied.

    Parameters
    ----------
    x : ndarray or sparse matrix of shape (n_samples, n_features)
        The data, in the caller's units and dtype.

    target : ndarray or sparse matrix of shape (n_samples, n_outputs), default=None
        What to reconstruct; None is x.

    condition : ndarray of shape (n_samples, n_conditions), default=None
        Condition on which encoder and decoder depend.

    index : ndarray of int, default=None
        Places of the samples in use, in this order; None is all of them.
    """

    def __init__(self, x, target=None, condition=None, index: np.ndarray | None = None):
        self.x = x
        self.target = target
        self.condition = condition
        self.index = index

    def __len__(self) -> int:
        return self.x.shape[0] if self.index is None else len(self.index)

    @property
    def n_features(self) -> int:
        return self.x.shape[1]

    @property
    def n_values(self) -> int:
        """Number of values of a sample, and of its target if that is another."""
        return self.n_features + (0 if self.target is None else self.target.shape[1])

    def subset(self, index: np.ndarray) -> "Dataset":
        index = index if self.index is None else self.index[index]
        return Dataset(self.x, self.target, self.condition, index)

    def in_storage_order(self) -> "Dataset":
        """The same samples, in the order in which they are stored."""
        if self.index is None:
            return self
        return Dataset(self.x, self.target, self.condition, np.sort(self.index))

    def __getitem__(self, index) -> Batch:
        dataset = index if self.index is None else self.index[index]
        fields = (self.x, self.target, self.condition)
        return Batch(*(None if c is None else _take(c, dataset) for c in fields))

    def features(self, block: slice) -> Tensor:
        """All samples in use, of some features."""
        samples = slice(None) if self.index is None else self.index
        return _take(self.x[:, block], samples)

    def chunks(self, size: int | None = None) -> Iterator[Batch]:
        size = size or chunk_size(self.n_values)
        for start in range(0, len(self), size):
            yield self[start : start + size]


def _take(values, dataset: np.ndarray | slice) -> Tensor:
    if issparse(values):
        if isinstance(dataset, slice):
            return torch.from_numpy(values[dataset].toarray())
        dense = values[dataset.ravel()].toarray()
        return torch.from_numpy(dense.reshape(*dataset.shape, -1))
    part = values[dataset]
    # torch refuses read-only arrays, and strides that are negative or no multiple of an
    # item, which a single sample may have although numpy calls it contiguous.
    regular = all(s >= 0 and s % part.itemsize == 0 for s in part.strides)
    if not (part.flags.carray and regular):
        part = np.array(part, order="C")
    return torch.from_numpy(part)


class ShuffledBatches:
    """Every sample once, in a new random order at each pass.

    The batches differ in size by at most one and have at most ``batch_size`` samples: no
    sample is dropped, and there is no last batch of one sample, which would carry as much
    weight as a full one and break batch statistics.

    Parameters
    ----------
    dataset : Dataset
        The data.

    prepare : callable, Batch -> Batch
        Moves a batch to the device and standardises it.

    batch_size : int
        Largest number of samples in a batch.

    generator : torch.Generator
        Source of the orders.

    cache : bool
        Prepare all samples at the start instead of batch by batch: faster, and as large
        as a float32 copy of the data.
    """

    def __init__(
        self,
        dataset: Dataset,
        prepare: Callable[[Batch], Batch],
        batch_size: int,
        generator: torch.Generator,
        cache: bool,
    ):
        self.dataset = dataset if cache else dataset.in_storage_order()
        self.prepare = prepare
        self.n_batches = -(-len(dataset) // batch_size)
        self.generator = generator
        self.cached = _prepare_all(dataset, prepare) if cache else None

    def __len__(self) -> int:
        return self.n_batches

    def _order(self) -> Tensor:
        if self.cached is None:
            return nearby_order(len(self.dataset), self.generator)
        return torch.randperm(len(self.dataset), generator=self.generator, device="cpu")

    def __iter__(self) -> Iterator[Batch]:
        for index in self._order().tensor_split(self.n_batches, dim=-1):
            if self.cached is None:
                yield self.prepare(self.dataset[index.sort().values.numpy()])
            else:
                yield select(self.cached, index)

    def in_order(self) -> Iterator[Batch]:
        """Every sample once, prepared, in chunks."""
        size = chunk_size(self.dataset.n_values)
        for start in range(0, len(self.dataset), size):
            dataset = slice(start, start + size)
            if self.cached is None:
                yield self.prepare(self.dataset[dataset])
            else:
                yield select(self.cached, dataset)


class MemberBatches(ShuffledBatches):
    """Batches with a leading axis of members, each with a random order of its own.

    Parameters
    ----------
    dataset, prepare, batch_size, cache : as in :class:`ShuffledBatches`

    generators : sequence of torch.Generator
        One per member.

    samples : ndarray of int of shape (n_members, n_sampled), default=None
        Training set of each member; None is all samples.
    """

    def __init__(self, dataset, prepare, batch_size, generators, cache, samples=None):
        super().__init__(dataset, prepare, batch_size, generators[0], cache)
        self.dataset = dataset  # not in storage order: samples index this one
        self.generators = generators
        self.samples = None if samples is None else torch.as_tensor(samples)
        if samples is not None:
            self.n_batches = -(-self.samples.shape[1] // batch_size)

    def _order(self) -> Tensor:
        samples, n_samples = self.samples, len(self.dataset)
        n_samples = n_samples if samples is None else samples.shape[1]
        orders = torch.stack(
            [
                torch.randperm(n_samples, generator=g, device="cpu")
                for g in self.generators
            ]
        )
        return orders if samples is None else samples.gather(1, orders)


def nearby_order(n_samples: int, generator: torch.Generator) -> Tensor:
    """A random order that is local: it reads each page of a file once per pass.

    Contiguous blocks are put in random order, and samples are shuffled within a few
    successive blocks.
    """
    blocks = torch.arange(n_samples, device="cpu").split(BLOCK)
    shuffle = torch.randperm(len(blocks), generator=generator, device="cpu")
    order = torch.cat([blocks[i] for i in shuffle])
    for part in order.split(BLOCK * BLOCKS_AT_ONCE):
        part.copy_(part[torch.randperm(len(part), generator=generator, device="cpu")])
    return order


def _prepare_all(dataset: Dataset, prepare: Callable[[Batch], Batch]) -> Batch:
    """Prepare all samples, chunk by chunk, into one array each."""
    prepared: list[Tensor] | None = None
    size = chunk_size(dataset.n_values)
    for start in range(0, len(dataset), size):
        batch = prepare(dataset[start : start + size])
        shares = batch.target is batch.x
        if prepared is None:
            prepared = [
                None if part is None else part.new_empty(len(dataset), part.shape[1])
                for part in batch._replace(target=None if shares else batch.target)
            ]
        for whole, part in zip(prepared, batch, strict=True):
            if whole is not None:
                whole[start : start + len(part)] = part
    x, target, condition = prepared
    return Batch(x, x if shares else target, condition)


def select(batch: Batch, index: Tensor | slice) -> Batch:
    """Select samples of a prepared batch; a target that is x stays x."""
    if isinstance(index, Tensor):
        index = index.to(batch.x.device)
    x = _rows_of(batch.x, index)
    target = x if batch.target is batch.x else _rows_of(batch.target, index)
    condition = None if batch.condition is None else _rows_of(batch.condition, index)
    return Batch(x, target, condition)


def _rows_of(values: Tensor, index: Tensor | slice) -> Tensor:
    if isinstance(index, slice):
        return values[index]
    # A third of the time of values[index].
    dataset = values.index_select(0, index.flatten())
    return dataset if index.dim() == 1 else dataset.view(*index.shape, -1)
