"""What users do with a posterior and a prior: the part that variational classes share."""

import copy
import inspect
from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.utils import check_random_state
from torch import Tensor, nn

from skae import _codes
from skae._base import (
    AT_LEAST_ONE,
    BaseAutoencoder,
    check_probabilities,
    torch_dtype,
)
from skae._diagnosis import (
    Neighborhoods,
    continuity,
    have_in_common,
    n_compared,
    spread_out,
)
from skae._fitting import Fitting
from skae._modules import LinearPath, paths
from skae._net import AutoencoderNet
from skae._rows import Batch, Rows
from skae._sklearn import HasMethods, Interval, StrOptions
from skae._statistics import Statistics, describe
from skae._variational import (
    NegativeELBO,
    VariationalModule,
    kl_from_standard_normal,
    log_evidence,
    posterior_moments,
)
from skae._variational_parts import make_likelihood, make_variational_parts
from skae.exceptions import CollapseWarning, warn_caller

# A component is in use where the posterior's mean varies by more than this (Burda et
# al.); the prior's variance is 1.
ACTIVE_VARIANCE = 0.01
# A density may keep all codes that it is fitted to; mixtures do not.
MAX_CODES, MAX_MIXED_CODES = 5_000, 50_000
# Shares below which fit warns.
LEAST_CODE_USE, LEAST_COVERAGE = 0.001, 0.2


class VariationalAutoencoder(BaseAutoencoder):
    """What :class:`VAETransformer` and :class:`ConditionalVAE` share. Abstract."""

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "likelihood": [StrOptions({"gaussian", "bernoulli"})],
        "noise": [
            StrOptions({"feature", "shared"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "prior": [StrOptions({"normal"}), HasMethods(["fit", "sample", "score_samples"])],
        "n_importance_samples": [AT_LEAST_ONE],
    }

    # Fitting.

    @property
    def _standardizes(self) -> bool:
        """Whether training starts at components that do not depend on units."""
        return self.likelihood == "gaussian" and isinstance(self.noise, str)

    def _describe(self, rows: Rows, trained: Rows) -> Statistics:
        return describe(rows, self.n_components, trained, self._standardizes)

    def _make_module(self, statistics: Statistics) -> VariationalModule:
        return VariationalModule(**make_variational_parts(self, statistics))

    def _make_criterion(self, statistics: Statistics) -> nn.Module:
        likelihood = make_likelihood(self.likelihood, statistics)
        return NegativeELBO(likelihood, self.beta, self.kl_warm_up, self.free_bits)

    def _renew_criterion(self, criterion: NegativeELBO) -> None:
        criterion.beta = self.beta
        criterion.kl_warm_up = self.kl_warm_up
        criterion.free_bits = self.free_bits

    def _provisional(self, net: AutoencoderNet) -> dict:
        return {**super()._provisional(net), "prior_": None}

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        if self.likelihood == "bernoulli":
            check_probabilities(X, "likelihood='bernoulli'")

    def _adopt(self, net: AutoencoderNet, fitting: Fitting) -> None:
        super()._adopt(net, fitting)
        vars(self).pop("noise_variance_", None)
        if self.likelihood == "gaussian":
            self.noise_variance_ = _noise_variance(self.module_)
        self.prior_ = self._fit_prior(fitting.rows, net.seed)
        if not fitting.in_parts:
            self._warn_of_collapse(fitting.rows, net.seed)

    def _settle_codes(self, rows: Rows, goes_on: bool) -> None:
        usage = Usage.of(self.net_, rows, torch_dtype(rows.x.dtype), self._chunk())
        order = torch.arange(len(usage.kl))
        if not goes_on:  # most used first
            order = usage.kl.argsort(descending=True, stable=True)
            basis = self.module_.basis
            permutation = torch.eye(len(order), dtype=torch.float64)[:, order]
            basis.turn(torch.zeros_like(basis.shift), permutation.to(basis.shift))
        self.kl_per_component_ = usage.kl[order].numpy()
        self.active_units_ = int((usage.variance > ACTIVE_VARIANCE).sum())
        decoder = self.module_.decoder
        if isinstance(decoder, LinearPath):
            known = torch.stack([decoder.low, decoder.high])
            known[:, : len(order)] = usage.extremes  # what follows is the condition
            decoder.cover(known)
        for path in paths(self.module_):
            path.settle()

    def _fit_prior(self, rows: Rows, seed: int):
        """Fit the density of codes, if one is wanted, to draws from their posteriors."""
        if isinstance(self.prior, str):
            return None
        mixes = isinstance(self.prior, (GaussianMixture, BayesianGaussianMixture))
        n_codes = MAX_MIXED_CODES if mixes else MAX_CODES
        rows = rows.subset(spread_out(len(rows), n_codes))
        mean, deviation = self._moments(rows)
        noise = np.random.RandomState(seed).normal(size=mean.shape)
        prior = clone(self.prior)
        if prior.get_params().get("random_state", 0) is None:
            prior.set_params(random_state=seed)
        prior.fit(mean + deviation * noise)
        return prior

    def _warn_of_collapse(self, rows: Rows, seed: int) -> None:
        random_state = np.random.RandomState(seed)
        used = {"code_use": 0.0}
        if self.active_units_ > 0:
            used = self._compare(rows, random_state)
        remedy = (
            f"Lower beta={self.beta} or raise kl_warm_up={self.kl_warm_up}, set "
            "free_bits=0.1, or freeze parts of the encoder for some epochs; diagnose(X) "
            "tells more."
        )
        if used["code_use"] < LEAST_CODE_USE:
            if not have_in_common(self._left_by_condition(rows)):
                return  # then there is nothing that a code could say
            problem = "The posterior has collapsed: no component says anything of a row."
            if self.active_units_ > 0:
                share = f"{used['code_use']:.2%}"
                problem = f"The decoder ignores the code: it explains {share} of X."
            warn_caller(f"{problem} {remedy}", CollapseWarning)
        elif used["coverage"] < LEAST_COVERAGE * used["reconstruction_coverage"]:
            message = (
                "Samples lack the variety of the data (mode collapse): they reach "
                f"{used['coverage']:.1%} of the rows' neighbourhoods, reconstructions "
                f"{used['reconstruction_coverage']:.1%}. Codes do not follow the prior: "
                f"raise beta={self.beta}, or fit a prior to them, such as "
                "prior=GaussianMixture(10); diagnose(X) tells more."
            )
            warn_caller(message, CollapseWarning)

    # Codes and rows, condition included.

    def _encode(self, rows: Rows) -> np.ndarray:
        return self._map(_codes.encode, rows)

    def _decode(self, codes: np.ndarray, condition: np.ndarray | None) -> np.ndarray:
        return self._map(_codes.decode, Rows(codes, condition=condition))

    def _moments(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the posterior, in the basis of the codes."""
        moments = self._map(posterior_moments, rows)
        mean, deviation = np.split(moments, 2, axis=1)
        return mean, deviation

    def _evidence(self, rows: Rows, n_draws: int | None = None) -> np.ndarray:
        """Importance-weighted log-likelihood of each row."""
        if self.likelihood == "bernoulli":
            check_probabilities(rows.x, "likelihood='bernoulli'")
        # One seed for good, so that a row has one score.
        shape = n_draws or self.n_importance_samples, self._n_features_out
        draws = torch.as_tensor(np.random.RandomState(0).normal(size=shape))
        log_prior = None if self.prior_ is None else partial(_log_density, self.prior_)
        function = partial(
            log_evidence, noise=draws, log_prior=log_prior, n_at_once=self._chunk()
        )
        return self._map(function, rows, dtype=np.float64)

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
        if isinstance(drawn, tuple):  # a mixture's come with labels, sorted by them
            drawn = random_state.permutation(drawn[0])
        return np.asarray(drawn, dtype=np.float64)

    def _generate(
        self, codes: np.ndarray, condition: np.ndarray | None, noise: bool, random_state
    ) -> np.ndarray:
        """Rows for codes: the decoder's mean, or a draw about it."""
        if not noise:
            return self._decode(codes, condition)
        # Drawn for all rows at once: a draw must not depend on how they are chunked.
        noises = random_state.normal(size=(len(codes), self.n_features_in_))
        return self._map(_draw, Rows(codes, noises, condition))

    def _path(
        self, starts: np.ndarray, ends: np.ndarray, n_steps: int, conditions
    ) -> np.ndarray:
        """Decode straight lines: (n_pairs, n_steps, n_outputs)."""
        flat = self._decode(mix(starts, ends, n_steps), conditions)
        return flat.reshape(len(starts), n_steps, -1)

    def _sweep(
        self, component: int, values: np.ndarray, codes: np.ndarray, condition
    ) -> np.ndarray:
        """Decode codes whose one component takes each value in turn."""
        swept = np.repeat(codes[:, None], len(values), axis=1)
        swept[:, :, component] = values
        if condition is not None:
            condition = np.repeat(condition, len(values), axis=0)
        flat = self._decode(swept.reshape(-1, codes.shape[1]), condition)
        return flat.reshape(len(codes), len(values), -1)

    # Diagnosis.

    def _compare(self, rows: Rows, random_state) -> dict[str, float]:
        """Figures of samples beside rows."""
        rows = rows.subset(spread_out(len(rows), n_compared(rows.n_features)))
        real = self._comparable(rows)
        scale = self.module_.inputs.divisor.cpu().numpy()
        condition = rows[:].condition
        condition = None if condition is None else condition.numpy()
        codes = self._encode(rows).astype(np.float64)
        around = Neighborhoods(real)

        def decode(codes: np.ndarray) -> np.ndarray:
            return self._decode(codes, condition) / scale

        again = decode(codes)
        drawn = decode(self._draw_codes(len(real), random_state))
        partner = random_state.permutation(len(codes))
        halfway = decode((codes + codes[partner]) / 2)
        variance = np.square(real - real.mean(axis=0)).sum()
        moved = np.square(again - decode(np.zeros_like(codes))).sum()
        return {
            "code_use": float(moved / variance) if variance > 0 else 0.0,
            "coverage": around.covered(drawn),
            "reconstruction_coverage": around.covered(again),
            "completeness": around.holding(drawn),
            "interpolability": around.holding(halfway),
            "continuity": continuity(decode, codes, random_state),
        }

    def _left_by_condition(self, rows: Rows) -> np.ndarray:
        """The same, less what decodes from the centre of the prior."""
        rows = rows.subset(spread_out(len(rows), n_compared(rows.n_features)))
        condition = rows[:].condition
        centre = np.zeros((len(rows), self._n_features_out))
        decoded = self._decode(centre, None if condition is None else condition.numpy())
        return (
            self._comparable(rows) - decoded / self.module_.inputs.divisor.cpu().numpy()
        )

    def _comparable(self, rows: Rows) -> np.ndarray:
        """At most so many rows, with features in units of their standard deviation."""
        rows = rows.subset(spread_out(len(rows), n_compared(rows.n_features)))
        return rows[:].x.double().numpy() / self.module_.inputs.divisor.cpu().numpy()

    def _figures(self, rows: Rows) -> pd.Series:
        usage = Usage.of(self.net_, rows, torch_dtype(rows.x.dtype), self._chunk())
        evidence = float(self._evidence(rows).mean())
        figures = {
            "log_likelihood": evidence,
            "kl": float(usage.kl.sum()),
            "active_units": float((usage.variance > ACTIVE_VARIANCE).sum()),
        }
        # A seed of its own: the figures of the same rows are the same.
        return pd.Series(figures | self._compare(rows, check_random_state(0)))


class Usage(NamedTuple):
    """What the components of the code do over some rows, in the user's basis."""

    kl: Tensor  # (n_components,), nats
    variance: Tensor  # (n_components,), of the posterior's mean
    extremes: Tensor  # (2, n_components), least and largest mean, in the decoder's basis

    @classmethod
    def of(
        cls, net: AutoencoderNet, rows: Rows, dtype: torch.dtype, chunk: int
    ) -> "Usage":
        totals, extremes = None, None
        for sums, outermost in net.apply(_sum_up, rows, dtype, chunk):
            totals = sums if totals is None else totals + sums
            seen = outermost if extremes is None else torch.cat([extremes, outermost])
            extremes = torch.stack(seen.aminmax(dim=0))
        kl, mean, square = totals / len(rows)
        return cls(kl, square - mean.square(), extremes)


def _sum_up(module: VariationalModule, batch: Batch) -> tuple[Tensor, Tensor]:
    mean, log_variance = module.posterior(module.standardize(batch.x), batch.condition)
    kl = kl_from_standard_normal(mean, log_variance)
    sums = torch.stack([kl.sum(dim=0), mean.sum(dim=0), mean.square().sum(dim=0)])
    order = module.basis.rotation.to(sums)
    return (sums @ order).cpu().double(), torch.stack(mean.aminmax(dim=0)).cpu()


def _draw(module: VariationalModule, batch: Batch) -> Tensor:
    return module.draw(batch.x, batch.condition, noise=batch.target)


def _noise_variance(module: VariationalModule) -> np.ndarray:
    """Of each feature, in the units of X."""
    with torch.no_grad():
        deviation = module.log_noise.exp().double() * module.outputs.spread
    return deviation.square().cpu().numpy()


def _log_density(prior, codes: Tensor) -> Tensor:
    return torch.as_tensor(prior.score_samples(codes.cpu().double().numpy()))


def mix(starts: np.ndarray, ends: np.ndarray, n_steps: int) -> np.ndarray:
    """Points on the lines between rows, one line after the other."""
    share = np.linspace(0, 1, n_steps).astype(starts.dtype)[:, None]
    points = starts[:, None] * (1 - share) + ends[:, None] * share
    return points.reshape(-1, starts.shape[1])


def check_count(value: int, name: str) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1.")


def check_component(component: int, n_components: int) -> None:
    if not isinstance(component, Integral) or not 0 <= component < n_components:
        raise ValueError(
            f"component={component!r} must be an integer from 0 to {n_components - 1}: "
            f"there are n_components={n_components}."
        )


def check_pairs(starts: np.ndarray, ends: np.ndarray) -> None:
    if len(starts) != len(ends):
        raise ValueError(
            f"X_from has {len(starts)} rows and X_to has {len(ends)}. Paths lead from "
            "row to row, so pass as many of both."
        )
