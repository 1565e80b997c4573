"""The contractive autoencoder: codes that small changes of a row hardly move.

Rifai et al., "Contractive auto-encoders: explicit invariance during feature extraction",
ICML 2011.
"""

from dataclasses import replace
from numbers import Real

import numpy as np
import torch
from torch import nn

from skae._base.estimator import BaseAutoencoder
from skae._base.initialization import make_components
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics
from skae._deterministic.jacobian import SensitiveLoss, SensitiveModule
from skae._nn.autoencoder import AutoencoderModule
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import Interval, StrOptions
from skae.losses import LOSSES, ReconstructionLoss

# Of noise that lie within the box of known rows: nearly all.
N_DEVIATIONS = 4


@documented
class ContractiveAE(BaseAutoencoder):
    """Autoencoder whose codes small changes of a row hardly move.

    Prefer it to :class:`AutoencoderTransformer` when codes are compared with each other
    (by neighbours, clusters or distances) and rows carry noise, or when the code is as
    wide as the rows and a plain network would copy its input. The penalty works along all
    directions, the objective keeps those that rows really differ in.

    Training minimises the reconstruction loss plus ``penalty`` times the mean squared
    Frobenius norm of the Jacobian of the code by the standardised row. The codes in it
    are whitened over the batch (and divided by the square root of ``n_components``), so
    that codes cannot escape by shrinking while the decoder grows. Up to two components
    it is exact; beyond, a direction of random signs for each row estimates it without
    bias.

    Parameters
    ----------
    n_components : int, default=2
        Number of components of a code. It may exceed the number of features.

    penalty : float, default=0.1
        Weight of the penalty, the loss being the share of the variance of X that is not
        reconstructed. To first order it is the mean squared distance, in standard
        deviations, by which a code moves if every feature is moved by normal noise of
        ``penalty ** 0.5`` standard deviations.

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        What training minimises besides, as in :class:`AutoencoderTransformer`.

    {parameters}

    Attributes
    ----------
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Gain in R2 on the training data (2,000 rows at most) when a component joins those
        before it, the others at their mean. May be negative.

    {attributes}

    See Also
    --------
    AutoencoderTransformer : The same without the penalty.
    DenoisingAE : Learns to undo larger changes, of a kind that is known.

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
    >>> moved = {}
    >>> for autoencoder in (AutoencoderTransformer(8), ContractiveAE(8)):
    ...     autoencoder = autoencoder.set_params(random_state=0).fit(X[:1500])
    ...     codes = autoencoder.transform(X[1500:])
    ...     change = (autoencoder.transform(noisy) - codes) / codes.std(axis=0)
    ...     moved[type(autoencoder).__name__] = np.square(change).mean()
    >>> moved["ContractiveAE"] < 0.5 * moved["AutoencoderTransformer"]
    np.True_
    """

    _orders_codes = True

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "penalty": [Interval(Real, 0, None, closed="left")],
        "loss": [StrOptions(set(LOSSES))],
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
        # The penalty stands for small noise, with which rows leave the box of clean ones.
        statistics = super()._describe(dataset, trained)
        margin = N_DEVIATIONS * self.penalty**0.5 * statistics.spread
        return replace(
            statistics,
            training_range=statistics.training_range + np.stack([-margin, margin]),
        )

    def _make_module(self, statistics: Statistics) -> AutoencoderModule:
        return SensitiveModule(**make_components(self, statistics))

    def _make_criterion(self, statistics: Statistics) -> nn.Module:
        spread = torch.as_tensor(statistics.target_spread)
        return SensitiveLoss(ReconstructionLoss(self.loss, spread), self.penalty)

    def _update_hyperparameters(self, module: nn.Module, criterion: nn.Module) -> None:
        criterion.penalty = self.penalty
