"""Regularised autoencoder that generates, as an example of a generative variant.

Ghosh et al., "From variational to deterministic autoencoders", ICLR 2020.
"""

from numbers import Real

from torch import nn

from skae._base.estimator import BaseAutoencoder
from skae._base.sampling import GenerativeMixin
from skae._utils.sklearn_compat import Interval
from skae.losses import ReconstructionLoss


class PenalizedLoss(nn.Module):
    """Reconstruction loss plus the mean square of the code."""

    def __init__(self, reconstruction, penalty):
        super().__init__()
        self.reconstruction = reconstruction
        self.penalty = penalty

    def forward(self, output, target):
        loss = self.reconstruction(output, target)
        if not self.training:  # the validation loss is the reconstruction's
            return loss
        return loss + self.penalty * output.code.square().mean(dim=-1)


class ToyGenerator(GenerativeMixin, BaseAutoencoder):
    """Autoencoder that samples from a normal density of its codes."""

    _orders_codes = True

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "penalty": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=2,
        *,
        penalty=1e-3,
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
        self.penalty = penalty
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

    def _make_criterion(self, module):
        reconstruction = ReconstructionLoss("squared_error", module.target_spread)
        return PenalizedLoss(reconstruction, self.penalty)

    def _store(self, trained, trainer):
        super()._store(trained, trainer)
        # The codes of the training data are uncorrelated, with mean 0.
        self.code_deviation_ = self._encode(trainer.dataset).std(axis=0)

    def _provisional(self, net):
        return {**super()._provisional(net), "code_deviation_": 1.0}

    def sample(self, n_samples=1, *, random_state=None):
        return self._sample(n_samples, None, random_state)

    def _generate(self, n_samples, condition, random_state):
        codes = random_state.normal(size=(n_samples, self._n_features_out))
        return self._decode(codes * self.code_deviation_, condition)
