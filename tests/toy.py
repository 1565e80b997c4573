"""Denoising autoencoder, as an example of a variant.

Vincent et al., "Extracting and composing robust features with denoising autoencoders",
ICML 2008.
"""

from numbers import Real

import torch

from skae._base.estimator import BaseAutoencoder
from skae._nn.autoencoder import AutoencoderModule
from skae._utils.sklearn_compat import Interval
from skae.losses import ReconstructionLoss


class NoisyModule(AutoencoderModule):
    def __init__(self, *, noise_level, **components):
        super().__init__(**components)
        self.noise_level = noise_level

    def forward(self, x, condition=None):
        if self.training:  # so that codes and scores never depend on a draw
            noise = torch.empty_like(x).normal_(generator=self.generator)
            x = x + self.noise_level * noise
        return super().forward(x, condition)


class ToyDenoiser(BaseAutoencoder):
    """Autoencoder that reconstructs clean samples from noisy ones."""

    _orders_codes = True

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "noise_level": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=2,
        *,
        noise_level=0.1,
        hidden_layer_sizes="auto",
        activation="silu",
        encoder=None,
        decoder=None,
        init="pca",
        learning_rate=7e-3,
        batch_size="auto",
        max_iter="auto",
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change="auto",
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.noise_level = noise_level
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder = encoder
        self.decoder = decoder
        self.init = init
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _make_module(self, statistics):
        components = self._make_components(statistics)
        return NoisyModule(noise_level=self.noise_level, **components)

    def _make_criterion(self, module):
        return ReconstructionLoss("squared_error", module.target_spread)
