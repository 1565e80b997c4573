"""Posterior collapse and mode collapse: diagnostics and warnings."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skae._data.dataset import Batch, Dataset
from skae._training.inference import apply
from skae._utils.threads import libraries_on_one_thread
from skae._utils.warnings import warn_caller
from skae._variational.module import VariationalModule, kl_from_standard_normal
from skae._variational.sample_quality import (
    Neighborhoods,
    are_correlated,
    continuity,
    evenly_spaced,
    n_compared,
)
from skae.exceptions import CollapseWarning

# A component is active if the variance of the posterior's mean exceeds this (Burda et
# al.); the prior's variance is 1.
ACTIVE_VARIANCE = 0.01
# Fractions below which fit warns.
LEAST_CODE_USE, LEAST_COVERAGE = 0.001, 0.2


class Usage(NamedTuple):
    """Statistics of the code's components over some samples, in the user's basis."""

    kl: Tensor  # (n_components,), nats
    variance: Tensor  # (n_components,), of the posterior's mean
    extremes: Tensor  # (2, n_components), least and largest mean, in the decoder's basis

    @property
    def n_active(self) -> int:
        return int((self.variance > ACTIVE_VARIANCE).sum())

    @classmethod
    def of(
        cls, module: VariationalModule, dataset: Dataset, dtype: torch.dtype, chunk: int
    ) -> "Usage":
        totals, extremes = None, None
        for sums, outermost in apply(module, _sum_up, dataset, dtype, chunk):
            totals = sums if totals is None else totals + sums
            seen = outermost if extremes is None else torch.cat([extremes, outermost])
            extremes = torch.stack(seen.aminmax(dim=0))
        kl, mean, square = totals / len(dataset)
        return cls(kl, square - mean.square(), extremes)


def _sum_up(module: VariationalModule, batch: Batch) -> tuple[Tensor, Tensor]:
    mean, log_variance = module.posterior(module.standardize(batch.x), batch.condition)
    kl = kl_from_standard_normal(mean, log_variance)
    sums = torch.stack([kl.sum(dim=0), mean.sum(dim=0), mean.square().sum(dim=0)])
    order = module.basis.rotation.to(sums)
    return (sums @ order).cpu().double(), torch.stack(mean.aminmax(dim=0)).cpu()


def comparable(dataset: Dataset) -> Dataset:
    """A subset small enough for all pairwise distances."""
    return dataset.subset(evenly_spaced(len(dataset), n_compared(dataset.n_features)))


@libraries_on_one_thread
def compare(estimator, dataset: Dataset, random_state) -> dict[str, float]:
    """Compare generated samples with the data, on standardised features."""
    real, decode = _in_one_unit(estimator, dataset)
    codes = estimator._encode(dataset).astype(np.float64)
    neighborhoods = Neighborhoods(real)
    variance = np.var(real, axis=0).sum() * len(real)
    # One set of samples after the other, as each may be large.
    drawn = decode(estimator._draw_codes(len(real), random_state))
    coverage, completeness = neighborhoods.covered(drawn), neighborhoods.containing(drawn)
    partner = random_state.permutation(len(codes))
    midpoints = (codes + codes[partner]) / 2
    drawn = decode(codes)
    reconstruction_coverage = neighborhoods.covered(drawn)
    drawn -= decode(np.zeros_like(codes))
    explained = np.einsum("ij,ij->", drawn, drawn)
    del drawn
    return {
        "code_use": float(explained / variance) if variance > 0 else 0.0,
        "coverage": coverage,
        "reconstruction_coverage": reconstruction_coverage,
        "completeness": completeness,
        "interpolability": neighborhoods.containing(decode(midpoints)),
        "continuity": continuity(decode, codes, random_state),
    }


def _in_one_unit(estimator, dataset: Dataset):
    """Standardised data, and a decoder to the same units under their conditions."""
    unit = estimator.module_.inputs.divisor.cpu().numpy()
    x, _, condition = dataset[:]
    condition = None if condition is None else condition.numpy()

    def decode(codes: np.ndarray) -> np.ndarray:
        decoded = estimator._decode(codes, condition)
        decoded /= unit
        return decoded

    return x.double().numpy() / unit, decode


def warn_of_collapse(estimator, dataset: Dataset, random_state) -> None:
    """Warn of posterior collapse if features are correlated, or of mode collapse."""
    dataset = comparable(dataset)
    found = {"code_use": 0.0}
    if estimator.active_units_ > 0:
        found = compare(estimator, dataset, random_state)
    if found["code_use"] < LEAST_CODE_USE:
        if _has_correlated_features(estimator, dataset):
            problem = "Posterior collapse: no component depends on X."
            if estimator.active_units_ > 0:
                share = f"{found['code_use']:.2%}"
                problem = f"Posterior collapse: codes explain {share} of the variance."
            warn_caller(
                f"{problem} Lower beta={estimator.beta} or raise "
                f"kl_warm_up={estimator.kl_warm_up}, set free_bits=0.1, or freeze layers "
                "of the encoder for some epochs. See diagnose(X).",
                CollapseWarning,
            )
    elif found["coverage"] < LEAST_COVERAGE * found["reconstruction_coverage"]:
        warn_caller(
            "Mode collapse: generated samples cover "
            f"{found['coverage']:.1%} of the neighbourhoods of X, reconstructions "
            f"{found['reconstruction_coverage']:.1%}. Codes do not match the prior: "
            f"raise beta={estimator.beta}, or fit a prior to them, such as "
            "prior=GaussianMixture(10). See diagnose(X).",
            CollapseWarning,
        )


def _has_correlated_features(estimator, dataset: Dataset) -> bool:
    """Whether the features are correlated given the condition."""
    real, decode = _in_one_unit(estimator, dataset)
    return are_correlated(real - decode(np.zeros((len(dataset), estimator.n_components))))
