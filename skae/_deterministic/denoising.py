"""Denoising autoencoder: reconstructs clean samples from corrupted ones.

Vincent et al., "Extracting and composing robust features with denoising autoencoders",
ICML 2008.
"""

from numbers import Real

import numpy as np
import torch
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skae._base import code_basis
from skae._base.reconstruction import ReconstructionAutoencoder
from skae._data.checks import check_table
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics, describe_basis, describe_pairs
from skae._deterministic.corruption import KINDS, SHARES, CorruptedDataset, Corruption
from skae._nn.autoencoder import AutoencoderModule
from skae._nn.scaling import Standardizer
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import Interval, StrOptions

# Number of corrupted copies of small data, to which the linear denoiser is fitted.
N_COPIES = 20


class DenoisingModule(AutoencoderModule):
    """Autoencoder whose input is corrupted in training and validation.

    Parameters
    ----------
    corruption : Corruption
        Corruption of the input.

    **components : dict
        Arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.
    """

    def __init__(self, *, corruption: Corruption, **components):
        super().__init__(**components)
        self.corruption = corruption

    def forward(self, x: Tensor, condition: Tensor | None = None):
        if self.training:  # codes and scores never depend on a draw
            x = self.corruption(x, self.generator)
        return super().forward(x, condition)

    def validation_input(self, x: Tensor) -> Tensor:
        # The same at each check, so that checks are comparable.
        return self.corruption(x, torch.Generator(x.device).manual_seed(0))


@documented
class DenoisingAE(ReconstructionAutoencoder):
    """Denoising autoencoder (DAE): reconstructs clean samples from corrupted ones.

    Prefer it to :class:`AutoencoderTransformer` when new samples are noisier than the
    training data, to denoise samples (:meth:`reconstruct`), or when the code is
    overcomplete, where a plain autoencoder could copy its input. Samples are corrupted
    during training only: all methods of the fitted estimator are deterministic.

    With ``corruption="paired"`` it is trained on pairs of noisy and clean samples,
    ``fit(X, y)`` with two-dimensional y: measured noise, low and high resolution, edges
    and images. X and y may differ in their number of features.

    Parameters
    ----------
    n_components : int, default=2
        Number of components of a code. It may exceed the number of features.

    corruption : {"gaussian", "masking", "salt_pepper", "swap", "paired"} or callable, \
            default="gaussian"
        Corruption of the training samples. "gaussian" adds noise of ``noise_level``
        standard deviations of each feature. The others replace the fraction
        ``noise_level`` of the values: "masking" by 0 in the units of X, "salt_pepper" by
        the minimum or maximum of the feature, "swap" by the feature's value in another
        sample. A callable ``f(x, generator)`` takes a tensor of samples in the units of X
        and returns a corrupted tensor; all its random draws must use the generator.
        "paired" adds no noise: X is corrupted already, y is clean.

    noise_level : float or (float, float), default=0.3
        Noise level, or the range from which a level is drawn for each sample. Larger
        values regularise more. Ignored with a callable and with "paired".

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        Reconstruction loss, as in :class:`AutoencoderTransformer`.

    {parameters}

    Attributes
    ----------
    n_outputs_ : int
        Number of features of a reconstruction.

    {variances}

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Autoencoder without corruption.

    References
    ----------
    Vincent et al., "Extracting and composing robust features with denoising
    autoencoders", ICML 2008, https://doi.org/10.1145/1390156.1390294

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import DenoisingAE
    >>> X, _ = load_digits(return_X_y=True)
    >>> noise = np.random.RandomState(0).normal(size=X.shape)
    >>> noisy = X + 0.7 * X.std(axis=0) * noise
    >>> denoiser = DenoisingAE(16, noise_level=0.7, random_state=0).fit(X[:1500])
    >>> pca = PCA(16).fit(X[:1500])
    >>> denoised = denoiser.reconstruct(noisy[1500:])
    >>> projected = pca.inverse_transform(pca.transform(noisy[1500:]))
    >>> np.square(denoised - X[1500:]).mean() < np.square(projected - X[1500:]).mean()
    np.True_
    """

    _orders_codes = True

    _parameter_constraints: dict = {
        **ReconstructionAutoencoder._parameter_constraints,
        "corruption": [StrOptions({*KINDS, "paired"}), callable],
        "noise_level": [Interval(Real, 0, None, closed="left"), tuple, list],
    }

    def __init__(
        self,
        n_components=2,
        *,
        corruption="gaussian",
        noise_level=0.3,
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
        self.corruption = corruption
        self.noise_level = noise_level
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

    # Fitting.

    def fit(self, X, y=None):
        """Fit the denoising autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units: clean samples, or noisy ones with
            ``corruption="paired"``. Sparse data are made dense a batch at a time.

        y : array-like of shape (n_samples, n_outputs), default=None
            Clean targets, in any units. Required with ``corruption="paired"``, ignored
            otherwise.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X (or a required y) is not a finite numeric table, or if a parameter is
            invalid for it. The fitted attributes of an earlier ``fit`` are kept.
        """
        return super().fit(X, y)

    @property
    def _is_paired(self) -> bool:
        return isinstance(self.corruption, str) and self.corruption == "paired"

    @property
    def _noise_levels(self) -> tuple[float, float]:
        if isinstance(self.noise_level, Real):
            return float(self.noise_level), float(self.noise_level)
        low, high = self.noise_level
        return float(low), float(high)

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        if not isinstance(self.noise_level, Real):
            level = self.noise_level
            is_pair = len(level) == 2 and all(isinstance(v, Real) for v in level)
            if not (is_pair and 0 <= level[0] <= level[1]):
                raise ValueError(
                    f"noise_level={level!r} must be a non-negative number or a pair "
                    "(low, high) of them. Pass 0.3 or (0.1, 0.5), for example."
                )
        is_share = isinstance(self.corruption, str) and self.corruption in SHARES
        if is_share and self._noise_levels[1] > 1:
            raise ValueError(
                f"noise_level={self.noise_level!r} must not exceed 1: it is the fraction "
                f"of values that corruption={self.corruption!r} replaces. Lower it."
            )

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        target = self._validate_target(X, y, "fit") if self._is_paired else None
        self.n_outputs_ = X.shape[1] if target is None else target.shape[1]
        return Dataset(X, target)

    def _validate_target(self, X: np.ndarray, y, method: str) -> np.ndarray:
        if y is None:
            raise ValueError(
                f"corruption='paired' requires y to be passed to {method}, but the "
                "target y is None. Pass the clean samples as a two-dimensional y."
            )
        y = check_table(y, "y")
        check_consistent_length(X, y)
        if method != "fit" and y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {y.shape[1]} features, but {type(self).__name__} reconstructs "
                f"n_outputs_={self.n_outputs_}. Pass y with the features used in fit."
            )
        return y

    def _describe(self, dataset: Dataset, trained: Dataset) -> Statistics:
        if self._is_paired:
            return super()._describe(dataset, trained)
        clean = describe_basis(dataset)
        mean = torch.zeros(dataset.n_features)
        as_given = Standardizer(mean, torch.ones_like(mean))
        corruption = self._make_corruption(clean.spread, clean.training_range, as_given)
        copies = [CorruptedDataset(dataset, corruption, seed) for seed in range(N_COPIES)]
        corrupted = CorruptedDataset(trained, corruption, N_COPIES)
        return describe_pairs(copies, corrupted, clean, self.n_components)

    def _make_module(self, statistics: Statistics) -> AutoencoderModule:
        components = self._make_components(statistics)
        if self._is_paired:
            return AutoencoderModule(**components)
        spread, training_range = statistics.target_spread, statistics.target_range
        corruption = self._make_corruption(spread, training_range, components["inputs"])
        return DenoisingModule(corruption=corruption, **components)

    def _make_corruption(
        self, spread: np.ndarray, training_range: np.ndarray, units: Standardizer
    ) -> Corruption:
        """Return the corruption, given the clean data's spread and range."""
        spread, training_range = torch.as_tensor(spread), torch.as_tensor(training_range)
        levels = self._noise_levels
        return Corruption(self.corruption, levels, spread, training_range, units)

    def _update_hyperparameters(self, module: nn.Module) -> None:
        if not self._is_paired:
            module.corruption.set(self.corruption, self._noise_levels)

    # Inference.

    def score_samples(self, X, y=None):
        """Negative reconstruction error of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data. No noise is added.

        y : array-like of shape (n_samples, n_outputs), default=None
            Clean targets. Required with ``corruption="paired"``, ignored otherwise.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Negative mean squared error of each sample, in the units of X, or of y if
            paired. Higher is better.
        """
        check_is_fitted(self)
        X = self._validate(X)
        target = self._validate_target(X, y, "score_samples") if self._is_paired else None
        dataset = Dataset(X, target)
        return -self._map(code_basis.mean_squared_error, dataset, dtype=np.float64)

    def score(self, X, y=None):
        """Mean of :meth:`score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like of shape (n_samples, n_outputs), default=None
            Clean targets, as in :meth:`score_samples`.

        Returns
        -------
        score : float
            Negative mean squared error. Higher is better.
        """
        return float(np.mean(self.score_samples(X, y), dtype=np.float64))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._is_paired
        return tags
