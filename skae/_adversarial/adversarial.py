"""Adversarial autoencoder.

Makhzani et al., "Adversarial autoencoders", 2015.
"""

import numpy as np
import torch
from torch import nn

from skae._adversarial.divergences import DIVERGENCES
from skae._adversarial.module import PriorMatchedModule
from skae._adversarial.net import AdversarialNet, MatchingLoss
from skae._adversarial.priors import Mixture, Normal, SwissRoll
from skae._base.estimator import AT_LEAST_ONE
from skae._base.reconstruction import ReconstructionAutoencoder
from skae._base.sampling import GenerativeMixin
from skae._data.conditions import fit_labels
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics
from skae._nn.code_basis import CodeBasis
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import StrOptions
from skae._utils.torch_modes import inference


@documented
class AdversarialAE(GenerativeMixin, ReconstructionAutoencoder):
    """Adversarial autoencoder (AAE, Wasserstein autoencoder) for synthetic data.

    Prefer it to :class:`VAETransformer` when the distribution of the codes matters: a
    shape other than the normal one (a mixture, a swiss roll), classes in separate parts
    of the latent space, or deterministic codes, with which reconstructions are about as
    sharp as those of :class:`AutoencoderTransformer`. It has no likelihood.

    Codes have the scale of the prior: mean 0 and variance about 1, for any scale of X.
    They are not ordered. As with PCA, features of different units should be scaled first.
    If the data have fewer degrees of freedom than ``n_components``, codes cannot match
    the prior; lower ``n_components`` then.

    The validation loss is the reconstruction error plus the energy distance between
    codes and prior; ``n_iter_no_change`` counts from the middle of the training.
    ``history_`` has ``train_adversarial`` (the encoder's loss), ``train_discriminator``
    (the discriminator's loss, 1.39 at chance level) and ``train_accuracy`` (its accuracy,
    0.5 where codes match the prior), or ``train_mmd`` with ``divergence="mmd"``.

    Parameters
    ----------
    n_components : int, default=2
        Dimension of the latent representation.

    prior : {"normal", "mixture", "swiss_roll"}, default="normal"
        Distribution that codes are matched to. "mixture" has components on a circle in
        the first two dimensions, elongated radially, the other dimensions being normal;
        "swiss_roll" is a spiral, for ``n_components=2``.

    divergence : {"adversarial", "mmd"}, default="adversarial"
        Divergence between codes and prior: a discriminator that is trained jointly, or
        the kernel maximum mean discrepancy (as in Wasserstein autoencoders), which is
        stable, but less sensitive in many dimensions.

    n_modes : int, default=10
        Number of components of the mixture. With ``conditional=True`` there is one for
        each class instead.

    conditional : bool, default=False
        Match the codes of each class in y to a component of the mixture, or a section of
        the roll. ``fit(X, y)`` requires labels then; y is ignored otherwise. The encoder
        is not conditioned on the class: ``transform(X)`` needs only X.

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        Reconstruction loss, as in :class:`AutoencoderTransformer`.

    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    VAETransformer : Stochastic codes, and a likelihood.
    ConditionalVAE : Conditional generation with codes that are independent of the class.

    References
    ----------
    Makhzani et al., "Adversarial autoencoders", 2015, https://arxiv.org/abs/1511.05644

    Tolstikhin et al., "Wasserstein auto-encoders", ICLR 2018,
    https://arxiv.org/abs/1711.01558

    Mescheder, Geiger & Nowozin, "Which training methods for GANs do actually converge?",
    ICML 2018, https://arxiv.org/abs/1801.04406

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AdversarialAE
    >>> X, y = load_digits(return_X_y=True)
    >>> aae = AdversarialAE(prior="mixture", conditional=True, random_state=0).fit(X, y)
    >>> codes = aae.transform(X)
    >>> bool(abs(codes.mean(axis=0)).max() < 0.3), bool((codes.std(axis=0) > 0.7).all())
    (True, True)
    >>> aae.sample(5, y=3, random_state=0).shape
    (5, 64)
    """

    _net_class = AdversarialNet
    _private_state = (*ReconstructionAutoencoder._private_state, "_labels")

    _parameter_constraints: dict = {
        **ReconstructionAutoencoder._parameter_constraints,
        "prior": [StrOptions({"normal", "mixture", "swiss_roll"})],
        "divergence": [StrOptions(set(DIVERGENCES))],
        "n_modes": [AT_LEAST_ONE],
        "conditional": ["boolean"],
    }

    def __init__(
        self,
        n_components=2,
        *,
        prior="normal",
        divergence="adversarial",
        n_modes=10,
        conditional=False,
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
        self.prior = prior
        self.divergence = divergence
        self.n_modes = n_modes
        self.conditional = conditional
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

    def fit(self, X, y=None, *, groups=None):
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units. Sparse data are made dense a batch at a time.

        y : array-like of shape (n_samples,), default=None
            Labels. Used with ``conditional=True`` only.

        groups : array-like of shape (n_samples,), default=None
            Group of each sample, such as the subject or the machine that it was measured
            on. Whole groups are held out to validate.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not a finite numeric array, a parameter is not valid for it, or y is
            required and not labels. The result of an earlier ``fit`` is kept.
        """
        return super().fit(X, y, groups=groups)

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        if self.prior == "swiss_roll" and self.n_components != 2:
            raise ValueError(
                f"n_components={self.n_components} must be 2 with prior='swiss_roll'. "
                "Use n_components=2, or another prior."
            )
        if self.conditional and self.prior == "normal":
            raise ValueError(
                "conditional=True requires a prior with a component or section for each "
                "class, but prior='normal' has none. Use prior='mixture' or 'swiss_roll'."
            )

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        known = getattr(self, "_labels", None) if self.warm_start else None
        self._labels = None
        if not self.conditional:
            return Dataset(X)
        self._labels = fit_labels(X, y, type(self).__name__, known)
        return Dataset(X, condition=self._labels.encode(y, X.shape[0]))

    def _make_module(self, statistics: Statistics) -> PriorMatchedModule:
        components = self._make_components(statistics)
        # The initial codes have variance 1, so that the basis need not scale them.
        components["basis"] = CodeBasis(torch.ones(self.n_components), rotates=False)
        total = np.square(statistics.spread).sum()
        explained = np.square(statistics.deviations).sum() / total if total > 0 else 1.0
        return PriorMatchedModule(
            prior=self._make_prior(), linear_error=float(1 - explained), **components
        )

    def _make_criterion(self, module: PriorMatchedModule) -> nn.Module:
        return MatchingLoss(
            super()._make_criterion(module),
            module.prior,
            self.divergence,
            float(module.linear_error),
        )

    def _provisional(self, net: AdversarialNet) -> dict:
        return {**super()._provisional(net), "_labels": self._labels}

    def _update_hyperparameters(self, module: PriorMatchedModule) -> None:
        module.prior = self._make_prior()

    def _make_prior(self) -> Normal:
        n_parts = None if self._labels is None else len(self._labels.classes)
        if self.prior == "mixture":
            return Mixture(self.n_components, n_parts or self.n_modes)
        if self.prior == "swiss_roll":
            return SwissRoll(n_parts or 1)
        return Normal(self.n_components)

    # Generating.

    def sample(self, n_samples=1, y=None, *, random_state=None):
        """Generate samples.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.

        y : label or array-like of shape (n_samples,), default=None
            Labels of the samples: one for all or one each. Only with
            ``conditional=True``, where None draws labels by their training frequency.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Decoded draws from the prior, in the units of the training data.
        """
        return self._sample(n_samples, y, random_state)

    def _generate(
        self, n_samples: int, condition: np.ndarray | None, random_state
    ) -> np.ndarray:
        """Decode draws from the prior, or from the parts that belong to the labels."""
        part = None if condition is None else torch.from_numpy(condition.argmax(axis=1))
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        with inference():
            draw = self.module_.prior.draw
            codes = draw(n_samples, generator, part, dtype=torch.float64).numpy()
        return self._decode(codes, None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.conditional
        return tags
