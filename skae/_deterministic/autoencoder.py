"""The undercomplete autoencoder: PCA's objective, a curved subspace.

Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks",
Science 313, 2006.
"""

import numpy as np
import torch
from torch import nn

from skae._base.estimator import AT_LEAST_ONE, BaseAutoencoder
from skae._data.statistics import Statistics
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import StrOptions
from skae._utils.warnings import warn_caller
from skae.exceptions import OvercompleteWarning
from skae.losses import LOSSES, ReconstructionLoss


@documented
class AutoencoderTransformer(BaseAutoencoder):
    """Autoencoder that reduces dimensions as PCA does, along curves.

    Prefer it to :class:`sklearn.decomposition.PCA` when a few numbers should say as much
    of each row as possible. It minimises what PCA minimises, the squared error in the
    units of X, starts as PCA, and keeps only what does better on rows held out. As PCA,
    it is sensitive to the units of the columns: scale them first if they differ.

    Codes are centred, uncorrelated on the training data, and ordered by variance, with
    fixed signs. Scaling X by a factor scales codes and reconstructions by the same.

    Parameters
    ----------
    n_components : int, default=2
        Number of components of a code. With as many as there are features or more, an
        autoencoder may copy its input, and ``fit`` warns.

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        What training minimises, per row, in the units of X. "huber" is linear beyond one
        standard deviation of a feature; "bernoulli" is the negative log-likelihood of X
        in [0, 1], and reconstructions are then probabilities. Only "squared_error"
        promises an error at most PCA's.

    n_init : int, default=1
        Number of networks that are trained, each from its own random weights. The one
        with the least loss on the rows held out is kept (on the training rows with
        ``early_stopping=False``), as in :class:`sklearn.cluster.KMeans`. They are
        trained side by side, which costs much less than as many fits.

    {parameters}

    Attributes
    ----------
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Gain in R2 on the training data (2,000 rows at most) when a component joins those
        before it, the others at their mean. May be negative.

    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : The linear case.
    sklearn.decomposition.KernelPCA : Another nonlinear one, for small data.

    References
    ----------
    Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks",
    Science 313, 2006, https://doi.org/10.1126/science.1127647

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer
    >>> from skae.metrics import reconstruction_r2
    >>> X, _ = load_digits(return_X_y=True)
    >>> ae = AutoencoderTransformer(8, max_iter=20, random_state=0).fit(X[:1000])
    >>> ae.transform(X[1000:]).shape
    (797, 8)
    >>> pca = PCA(8).fit(X[:1000])
    >>> reconstruction_r2(ae, X[1000:]) > reconstruction_r2(pca, X[1000:])
    True
    """

    _orders_codes = True

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "loss": [StrOptions(set(LOSSES))],
        "n_init": [AT_LEAST_ONE],
    }

    def __init__(
        self,
        n_components=2,
        *,
        hidden_layer_sizes="auto",
        activation="silu",
        encoder=None,
        decoder=None,
        loss="squared_error",
        init="pca",
        n_init=1,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.init = init
        self.n_init = n_init
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

    @property
    def _n_initializations(self) -> int:
        return self.n_init

    def _make_criterion(self, statistics: Statistics) -> nn.Module:
        return ReconstructionLoss(self.loss, torch.as_tensor(statistics.target_spread))

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        if self.n_components >= X.shape[1]:
            warn_caller(
                f"n_components={self.n_components} is not less than n_features="
                f"{X.shape[1]}: the code can hold a copy of the input. Lower it, or use "
                "a class that keeps wide codes from copying: DenoisingAE, SparseAE or "
                "ContractiveAE.",
                OvercompleteWarning,
            )
