"""Undercomplete autoencoder for nonlinear dimensionality reduction.

Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks",
Science 313, 2006.
"""

from numbers import Integral

import numpy as np

from skae._base.estimator import AT_LEAST_ONE
from skae._base.reconstruction import ReconstructionAutoencoder
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics, describe
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import Interval, RealNotInt
from skae._utils.warnings import warn_caller
from skae.exceptions import OvercompleteWarning


@documented
class AutoencoderTransformer(ReconstructionAutoencoder):
    """Autoencoder for nonlinear dimensionality reduction, initialised at PCA.

    Prefer it to :class:`sklearn.decomposition.PCA` for a lower reconstruction error from
    a latent representation (embedding) of the same size. As PCA, it minimises the squared
    error in the units of X and depends on these units: scale features of different units
    first. Training keeps only what reduces the error on a validation set.

    Codes are centred, uncorrelated on the training data, and ordered by variance, with
    fixed signs. Scaling X by a factor scales codes and reconstructions by that factor.

    Parameters
    ----------
    n_components : int, float or None, default=2
        Number of components of a code, the width of the bottleneck. From ``n_features``
        on, an autoencoder can copy its input, and ``fit`` warns. A float between 0 and 1
        is the share of the variance that PCA is to explain, with as few components as
        possible; the autoencoder explains at least as much. None is the smaller of
        ``n_samples`` and ``n_features``. See ``n_components_`` for the number.

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        Reconstruction loss of a sample, in the units of X. "huber" is linear beyond one
        standard deviation of a feature; "bernoulli" is the negative log-likelihood of X
        in [0, 1], and reconstructions are then probabilities. Only "squared_error"
        guarantees an error of at most PCA's.

    n_init : int, default=1
        Number of random initialisations, as in :class:`sklearn.cluster.KMeans`. The
        network with the lowest validation loss is kept (training loss with
        ``early_stopping=False``). All are trained simultaneously, which costs much less
        than as many fits.

    {parameters}

    Attributes
    ----------
    {variances}

    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : Linear dimensionality reduction.
    sklearn.decomposition.KernelPCA : Nonlinear dimensionality reduction of small data.

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

    _looks_ahead = True
    _orders_codes = True

    _parameter_constraints: dict = {
        **ReconstructionAutoencoder._parameter_constraints,
        "n_components": [
            AT_LEAST_ONE,
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
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

    def _resolve_architecture(self, dataset: Dataset) -> None:
        self.n_components_ = self._count_components(dataset)

    def _count_components(self, dataset: Dataset) -> int:
        if isinstance(self.n_components, Integral):
            return self.n_components
        most = min(len(dataset), dataset.n_features)
        if self.n_components is None:
            return most
        found = describe(dataset, most)
        explained = np.cumsum(np.square(found.deviations))
        wanted = self.n_components * np.square(found.spread).sum()
        return min(1 + int(np.searchsorted(explained, wanted, side="right")), most)

    def _describe(self, dataset: Dataset, train: Dataset) -> Statistics:
        return describe(dataset, self.n_components_, train)

    def _describe_architecture(self, dataset: Dataset) -> dict:
        own = super()._describe_architecture(dataset)
        if not isinstance(self.n_components, Integral):
            own["n_components"] = self.n_components_
        return own

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        n_components = min(X.shape) if self.n_components is None else self.n_components
        if n_components >= X.shape[1]:
            warn_caller(
                f"n_components={n_components} should be less than n_features="
                f"{X.shape[1]}: an overcomplete code can copy the input. Lower "
                "n_components, or use a regularised class: DenoisingAE, SparseAE or "
                "ContractiveAE.",
                OvercompleteWarning,
            )
