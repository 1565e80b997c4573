"""Contractive autoencoder: a penalty on the Jacobian of the encoder.

Rifai et al., "Contractive auto-encoders: explicit invariance during feature extraction",
ICML 2011.
"""

from dataclasses import replace
from numbers import Real

import numpy as np
from torch import nn

from skae._base.reconstruction import ReconstructionAutoencoder
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics
from skae._deterministic.jacobian import ContractiveLoss, ContractiveModule
from skae._nn.autoencoder import AutoencoderModule
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import Interval

# Margin of the training range, in standard deviations of the noise: nearly all of it.
N_DEVIATIONS = 4


@documented
class ContractiveAE(ReconstructionAutoencoder):
    """Contractive autoencoder (CAE): codes that are robust to small input changes.

    Prefer it to :class:`AutoencoderTransformer` when codes are compared with each other
    (nearest neighbours, clustering, distances) and samples are noisy, or when the code is
    overcomplete, where a plain autoencoder could copy its input. The penalty shrinks the
    derivative of the code in all directions; the reconstruction loss preserves it in the
    directions of variation of the data.

    Training minimises the reconstruction loss plus ``penalty`` times the mean squared
    Frobenius norm of the Jacobian of the code with respect to the standardised sample.
    The codes in it are whitened over the batch (and divided by the square root of
    ``n_components``): the penalty cannot be reduced by scaling the code down and the
    decoder up. Up to two components it is exact; beyond, one random sign vector per
    sample gives an unbiased estimate.

    Parameters
    ----------
    n_components : int, default=2
        Number of components of a code. It may exceed the number of features.

    penalty : float, default=0.1
        Weight of the Jacobian penalty; the loss is the fraction of the variance of X that
        is not reconstructed. Larger values make codes less sensitive. To first order, the
        penalty term is the mean squared change of a code, in standard deviations, under
        Gaussian noise of ``penalty ** 0.5`` standard deviations on every feature.

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        Reconstruction loss, as in :class:`AutoencoderTransformer`.

    {parameters}

    Attributes
    ----------
    {variances}

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Autoencoder without the penalty.
    DenoisingAE : Robust to larger changes, of a known kind.

    References
    ----------
    Rifai et al., "Contractive auto-encoders: explicit invariance during feature
    extraction", ICML 2011, https://icml.cc/2011/papers/455_icmlpaper.pdf

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import scale
    >>> from skae import AutoencoderTransformer, ContractiveAE
    >>> X = scale(load_digits().data)
    >>> noisy = X[1500:] + 0.3 * np.random.RandomState(0).normal(size=(297, 64))
    >>> sensitivity = {}
    >>> for autoencoder in (AutoencoderTransformer(8), ContractiveAE(8)):
    ...     autoencoder = autoencoder.set_params(random_state=0).fit(X[:1500])
    ...     codes = autoencoder.transform(X[1500:])
    ...     change = (autoencoder.transform(noisy) - codes) / codes.std(axis=0)
    ...     sensitivity[type(autoencoder).__name__] = np.square(change).mean()
    >>> sensitivity["ContractiveAE"] < 0.5 * sensitivity["AutoencoderTransformer"]
    np.True_
    """

    _orders_codes = True

    _parameter_constraints: dict = {
        **ReconstructionAutoencoder._parameter_constraints,
        "penalty": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=2,
        *,
        penalty=0.1,
        hidden_layer_sizes="auto",
        activation="silu",
        encoder=None,
        decoder=None,
        loss="squared_error",
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
        self.loss = loss
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

    def _describe(self, dataset: Dataset, trained: Dataset) -> Statistics:
        # The penalty is equivalent to small noise, which exceeds the range of clean data.
        statistics = super()._describe(dataset, trained)
        margin = N_DEVIATIONS * self.penalty**0.5 * statistics.spread
        return replace(
            statistics,
            training_range=statistics.training_range + np.stack([-margin, margin]),
        )

    def _make_module(self, statistics: Statistics) -> AutoencoderModule:
        return ContractiveModule(**self._make_components(statistics))

    def _make_criterion(self, module: nn.Module) -> nn.Module:
        reconstruction = super()._make_criterion(module)
        return ContractiveLoss(reconstruction, self.penalty)

    def _describe_architecture(self, dataset: Dataset) -> dict:
        return {**super()._describe_architecture(dataset), "loss": self.loss}
