"""Base class of variational autoencoders: posterior, prior and log-likelihood."""

import copy
import inspect
from functools import partial
from numbers import Real

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.utils import check_random_state
from torch import Tensor, nn

from skae._base.estimator import AT_LEAST_ONE, BaseAutoencoder
from skae._base.sampling import GenerativeMixin
from skae._base.transformer import torch_dtype
from skae._data.dataset import Batch, Dataset
from skae._data.statistics import Statistics, describe
from skae._nn.linear_path import LinearPath, linear_paths
from skae._training.net import AutoencoderNet
from skae._training.trained import TrainedModule
from skae._training.trainer import Trainer
from skae._utils.sklearn_compat import HasMethods, Interval, StrOptions
from skae._utils.threads import libraries_on_one_thread
from skae._variational.initialization import make_variational_components
from skae._variational.likelihoods import LIKELIHOODS
from skae._variational.module import (
    NegativeELBO,
    VariationalModule,
    log_evidence,
    posterior_moments,
)
from skae._variational.posterior_collapse import (
    Usage,
    comparable,
    compare,
    warn_of_collapse,
)
from skae._variational.sample_quality import evenly_spaced

# Codes that a prior is fitted to. Some densities store all of them; mixtures do not.
MAX_CODES, MAX_MIXED_CODES = 5_000, 50_000


class VariationalAutoencoder(GenerativeMixin, BaseAutoencoder):
    """Abstract base of :class:`VAETransformer` and :class:`ConditionalVAE`."""

    _likelihood_parameter = "likelihood"

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "noise": [
            StrOptions({"feature", "shared"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "prior": [StrOptions({"normal"}), HasMethods(["fit", "sample", "score_samples"])],
        "n_importance_samples": [AT_LEAST_ONE],
    }

    def __init__(
        self,
        n_components=2,
        *,
        beta=1.0,
        kl_warm_up=0.1,
        free_bits=0.0,
        likelihood="gaussian",
        noise="feature",
        prior="normal",
        n_importance_samples=64,
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
        self.beta = beta
        self.kl_warm_up = kl_warm_up
        self.free_bits = free_bits
        self.likelihood = likelihood
        self.noise = noise
        self.prior = prior
        self.n_importance_samples = n_importance_samples
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

    # Fitting.

    @property
    def _standardizes(self) -> bool:
        """Whether the initial components are those of standardised data."""
        return not self._is_bernoulli and isinstance(self.noise, str)

    def _describe(self, dataset: Dataset, trained: Dataset) -> Statistics:
        return describe(dataset, self.n_components, trained, self._standardizes)

    def _make_module(self, statistics: Statistics) -> VariationalModule:
        components = make_variational_components(
            self._networks,
            statistics,
            likelihood=self.likelihood,
            noise=self.noise,
        )
        return VariationalModule(**components)

    def _make_criterion(self, module: VariationalModule) -> nn.Module:
        return NegativeELBO(module.likelihood, self.beta, self.kl_warm_up, self.free_bits)

    def _describe_architecture(self, dataset: Dataset) -> dict:
        own = {"likelihood": self.likelihood, "noise": self.noise}
        return {**super()._describe_architecture(dataset), **own}

    def _provisional(self, net: AutoencoderNet) -> dict:
        return {**super()._provisional(net), "prior_": None}

    def _store(self, trained: TrainedModule, trainer: Trainer) -> None:
        super()._store(trained, trainer)
        vars(self).pop("noise_variance_", None)
        if self.module_.noise is not None:
            self.noise_variance_ = _noise_variance(self.module_)
        self.prior_ = self._fit_prior(trainer.seen, trained.seed)
        if not trainer.settings.online:
            random_state = np.random.RandomState(trained.seed)
            warn_of_collapse(self, trainer.dataset, random_state)

    def _finalize_codes(self, dataset: Dataset, resumes: bool) -> None:
        usage = Usage.of(
            self.module_, dataset, torch_dtype(dataset.x.dtype), self._chunk()
        )
        order = torch.arange(len(usage.kl))
        if not resumes:  # largest KL divergence first
            order = usage.kl.argsort(descending=True, stable=True)
            basis = self.module_.basis
            permutation = torch.eye(len(order), dtype=torch.float64)[:, order]
            basis.compose(torch.zeros_like(basis.shift), permutation.to(basis.shift))
        self.kl_per_component_ = usage.kl[order].numpy()
        self.active_units_ = usage.n_active
        decoder = self.module_.decoder
        if isinstance(decoder, LinearPath):
            known = torch.stack([decoder.low, decoder.high])
            known[:, : len(order)] = usage.extremes  # the condition follows
            decoder.update_range(known)
        for path in linear_paths(self.module_):
            path.freeze_range()

    def _fit_prior(self, dataset: Dataset, seed: int):
        """Fit a ``prior`` that is a density estimator to draws from the posteriors."""
        if isinstance(self.prior, str):
            return None
        mixes = isinstance(self.prior, (GaussianMixture, BayesianGaussianMixture))
        n_codes = MAX_MIXED_CODES if mixes else MAX_CODES
        dataset = dataset.subset(evenly_spaced(len(dataset), n_codes))
        mean, deviation = self._moments(dataset)
        noise = np.random.RandomState(seed).normal(size=mean.shape)
        prior = clone(self.prior)
        if prior.get_params().get("random_state", 0) is None:
            prior.set_params(random_state=seed)
        prior.fit(mean + deviation * noise)
        return prior

    def _moments(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the posterior, in the basis of the codes."""
        moments = self._map(posterior_moments, dataset)
        mean, deviation = np.split(moments, 2, axis=1)
        return mean, deviation

    def _evidence(self, dataset: Dataset, n_draws: int | None = None) -> np.ndarray:
        """Importance-weighted log-likelihood of each sample."""
        self._check_probabilities(dataset)
        # A fixed seed, so that scores are the same in each call.
        shape = n_draws or self.n_importance_samples, self._n_features_out
        draws = torch.from_numpy(np.random.RandomState(0).normal(size=shape))
        log_prior = None if self.prior_ is None else partial(_log_density, self.prior_)
        function = partial(
            log_evidence, noise=draws, log_prior=log_prior, n_at_once=self._chunk()
        )
        return self._map(function, dataset, dtype=np.float64)

    def _draw_codes(self, n_samples: int, random_state) -> np.ndarray:
        if self.prior_ is None:
            return random_state.normal(size=(n_samples, self._n_features_out))
        prior, options = self.prior_, {}
        if "random_state" in inspect.signature(prior.sample).parameters:
            options["random_state"] = random_state
        elif hasattr(prior, "random_state"):
            prior = copy.copy(prior)
            prior.random_state = random_state
        drawn = prior.sample(n_samples, **options)
        if isinstance(drawn, tuple):  # mixtures sort by label, and return labels
            drawn = random_state.permutation(drawn[0])
        return np.asarray(drawn, dtype=np.float64)

    def _generate(
        self, n_samples: int, condition: np.ndarray | None, random_state, noise: bool
    ) -> np.ndarray:
        """Decode draws from the prior to means, or to samples of p(x|z) with noise."""
        codes = self._draw_codes(n_samples, random_state)
        if not noise:
            return self._decode(codes, condition)
        # Drawn for all samples at once, so that samples do not depend on the chunks.
        noises = random_state.normal(size=(n_samples, self.n_features_in_))
        return self._map(_draw, Dataset(codes, noises, condition))

    def _figures(self, dataset: Dataset) -> pd.Series:
        """Return the diagnostics of ``diagnose``."""
        usage = Usage.of(
            self.module_, dataset, torch_dtype(dataset.x.dtype), self._chunk()
        )
        figures = {
            "log_likelihood": float(self._evidence(dataset).mean()),
            "kl": float(usage.kl.sum()),
            "active_units": float(usage.n_active),
        }
        # A fixed seed, so that diagnostics are reproducible.
        compared = compare(self, comparable(dataset), check_random_state(0))
        return pd.Series(figures | compared)


def _draw(module: VariationalModule, batch: Batch) -> Tensor:
    return module.draw(batch.x, batch.condition, noise=batch.target)


def _noise_variance(module: VariationalModule) -> np.ndarray:
    """Noise variance of each feature, in the units of X."""
    with torch.no_grad():
        deviation = module.log_noise.exp().double() * module.outputs.spread
    return deviation.square().cpu().numpy()


@libraries_on_one_thread
def _log_density(prior, codes: Tensor) -> Tensor:
    return torch.as_tensor(prior.score_samples(codes.cpu().double().numpy()))
