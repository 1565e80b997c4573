"""Settings of one fit, with every "auto" resolved."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skae._utils.device import resolve_device

N_CHECKS = 50  # of the validation loss, over a run


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    learning_rate : float
        Peak learning rate.

    batch_size : int
        Largest number of samples in a batch.

    n_epochs : int or None
        Length of a run; None is ``n_steps``, whatever the number of training samples.

    n_steps : int
        Length of a run in steps, where ``n_epochs`` is None.

    early_stopping : bool
        Whether samples validate.

    validation_fraction : float
        How many of them do, where it is one set.

    patience : int
        Number of checks without a lower validation loss that end a run.

    seeds : tuple of int
        One per initialisation.

    device : torch.device
        Where to compute.

    callbacks : tuple
        skorch callbacks, copied for each run.

    user_networks : bool
        Whether a network is made by a builder, so that initialisations may have to be
        trained one after the other.

    online : bool
        Whether the samples are one part of the data, whose earlier parts count, too.
    """

    learning_rate: float
    batch_size: int
    n_epochs: int | None
    n_steps: int
    early_stopping: bool
    validation_fraction: float
    patience: int
    seeds: tuple[int, ...]
    device: torch.device
    callbacks: tuple
    user_networks: bool
    online: bool

    @classmethod
    def resolve(
        cls,
        parameters: Mapping[str, Any],
        n_samples: int,
        n_init: int,
        random_state: np.random.RandomState,
        n_new: int | None = None,
    ) -> "TrainingSettings":
        """Resolve the shared parameters of an estimator for a number of samples.

        In online training ``n_new`` of them are new.
        """
        online = n_new is not None
        # One draw, so that more initialisations change neither the first one nor the
        # validation set.
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        n_steps = int(np.clip(600 * math.sqrt(n_samples / 1000), 150, 6000))
        if online:
            # More steps on one part of the data would forget the others, or overfit the
            # earlier samples that every part is trained on with.
            n_steps = min(n_steps // 4, n_new)
        early_stopping = parameters["early_stopping"] and not online
        batch_size, patience = parameters["batch_size"], parameters["n_iter_no_change"]
        if batch_size == "auto":
            # Without a schedule that falls to 0, larger batches reduce the noise.
            wanted = np.clip(n_samples / (8 if online else 16), 32, 512)
            batch_size = 2 ** round(math.log2(wanted))
        builders = parameters["encoder"], parameters["decoder"]
        max_iter = parameters["max_iter"]
        return cls(
            learning_rate=parameters["learning_rate"],
            batch_size=min(batch_size, n_samples),
            n_epochs=None if max_iter == "auto" else max_iter,
            n_steps=n_steps,
            early_stopping=early_stopping,
            validation_fraction=parameters["validation_fraction"],
            # The cosine schedule brings most of the gain in its second half.
            patience=N_CHECKS // 2 if patience == "auto" else patience,
            seeds=tuple((seed + i) % 2**31 for i in range(1 if online else n_init)),
            device=resolve_device(parameters["device"]),
            callbacks=tuple(parameters["callbacks"] or ()),
            user_networks=any(builder is not None for builder in builders),
            online=online,
        )

    def count_steps(self, n_train: int) -> int:
        """Budget of a run on so many training samples."""
        if self.n_epochs is None:
            return self.n_steps
        return self.n_epochs * math.ceil(n_train / self.batch_size)

    def count_epochs(self, n_train: int, n_steps: int) -> int:
        return math.ceil(n_steps / math.ceil(n_train / self.batch_size))
