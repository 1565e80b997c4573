"""Training of the Transformer prior on code indices, by the common training loop."""

import numpy as np
import torch
from torch import Tensor, nn

from skae._data.dataset import Batch, Dataset
from skae._training.adamw import FlatAdamW
from skae._training.inference import to_device
from skae._training.net import AutoencoderNet
from skae._training.validation import count_valid, hold_out
from skae._utils.threads import count_weights, suitable_threads
from skae._utils.torch_modes import construction
from skae._vector_quantized.transformer_prior import (
    TransformerPrior,
    sequence_nats,
    smoothed_log_frequency,
)

LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1.0
MIN_BATCH_SIZE, MAX_BATCH_SIZE = 32, 256
N_CHECKS = 50


class PriorNet(AutoencoderNet):
    """An :class:`AutoencoderNet` of sequences of code indices."""

    def prepare(self, batch: Batch) -> Batch:
        index = to_device(self.module_, batch.x)
        return Batch(index, index, to_device(self.module_, batch.condition))

    def sample_losses(self, batch: Batch) -> Tensor:
        return sequence_nats(self.module_, batch)


def fit_prior(
    indices: np.ndarray,
    condition: np.ndarray | None,
    *,
    n_codes: int,
    shared: bool,
    n_epochs: int | None,
    validation_fraction: float | None,
    seed: int,
    device: torch.device,
) -> TransformerPrior:
    """Fit a Transformer prior to sequences of code indices.

    Parameters
    ----------
    indices : ndarray of int of shape (n_samples, n_positions)
        The sequences.

    condition : ndarray of shape (n_samples, n_conditions) or None
        Condition of each sequence.

    n_codes : int
        Number of code vectors in a codebook.

    shared : bool
        Whether there is one codebook for all positions.

    n_epochs : int or None
        Number of epochs. None chooses it by the number of sequences.

    validation_fraction : float or None
        Fraction of the sequences in the validation set. None disables early stopping.

    seed : int
        Seed of all random draws.

    device : torch.device
        Where to compute.
    """
    dataset = Dataset(indices, condition=condition)
    train, valid = dataset, None
    n_valid = 0
    if validation_fraction is not None:
        n_valid = count_valid(len(dataset), validation_fraction)
    if n_valid > 0:  # 0 for one or two samples
        parts = hold_out(len(dataset), n_valid, np.random.RandomState(seed))
        train, valid = map(dataset.subset, parts)
    batch_size = int(np.clip(len(train) // 16, MIN_BATCH_SIZE, MAX_BATCH_SIZE))
    n_steps = int(np.clip(600 * np.sqrt(len(dataset) / 1000), 150, 6000))
    if n_epochs is not None:
        n_steps = n_epochs * -(-len(train) // batch_size)
    with construction(seed, device):
        prior = _build_prior(train, n_codes, shared)
    net = PriorNet(
        prior,
        nn.Identity(),
        n_steps=n_steps,
        check_every=max(1, n_steps // N_CHECKS),
        patience=N_CHECKS // 2,
        seed=seed,
        optimizer=FlatAdamW,
        optimizer__weight_decay=WEIGHT_DECAY,
        lr=LEARNING_RATE,
        batch_size=batch_size,
        callbacks=[],
        device=str(device),
        train_split=None,
        verbose=0,
    )
    with suitable_threads(count_weights(prior) * indices.shape[1], batch_size):
        net.fit((train, valid))
    (trained,) = net.finish()
    return trained.module


def _build_prior(dataset: Dataset, n_codes: int, shared: bool) -> TransformerPrior:
    batch = dataset[:]
    counts = [torch.bincount(position, minlength=n_codes) for position in batch.x.T]
    n_conditions = 0 if batch.condition is None else batch.condition.shape[1]
    log_frequency = smoothed_log_frequency(torch.stack(counts))
    return TransformerPrior(log_frequency, 1 if shared else len(counts), n_conditions)
