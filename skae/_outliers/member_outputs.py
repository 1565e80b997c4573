"""Outputs of the members of a detector: residuals, codes, log-likelihoods."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from skae._data.dataset import Dataset
from skae._outliers.denoiser_ensemble import DenoiserEnsemble
from skae._outliers.scaling import FeatureScaler
from skae._training.inference import module_for, to_device
from skae._utils.threads import one_thread
from skae._utils.torch_modes import inference

# Residuals are computed at two noise levels, in standard deviations of a feature: at the
# lowest of training, and at a higher one, where the denoiser smooths more.
RESIDUAL_NOISE_LEVELS = 0.02, 0.1


class MemberOutput(NamedTuple):
    residual: np.ndarray  # (n_samples, n_features_out), in scaled units
    high_noise_residual: np.ndarray | None  # at the higher noise level, if there is one
    code: np.ndarray  # (n_samples, n_components); scaled X without a bottleneck
    log_likelihood: np.ndarray | None  # (n_samples,); None for deterministic classes


class DenoiserOutputs:
    """Outputs of a :class:`DenoiserEnsemble`, in float64.

    Parameters
    ----------
    module : DenoiserEnsemble
        The trained module.
    """

    def __init__(self, module: DenoiserEnsemble):
        self.module = module_for(module, torch.float64)

    def __call__(self, X: np.ndarray) -> list[MemberOutput]:
        return self._compute(X, slice(None))

    def of_member(self, member: int, X: np.ndarray) -> MemberOutput:
        return self._compute(X, slice(member, member + 1))[0]

    def _compute(self, X: np.ndarray, members: slice) -> list[MemberOutput]:
        module, levels = self.module, RESIDUAL_NOISE_LEVELS
        with inference():
            chunks = (to_device(module, batch.x) for batch in Dataset(X).chunks())
            x = torch.cat([module.standardize(chunk) for chunk in chunks])
            residuals = [module.residuals(x, level, members) for level in levels]
            # To the CPU first: MPS has no float64.
            code = x.cpu().double().numpy()
            at_levels = [residual.cpu().double().numpy() for residual in residuals]
        return [MemberOutput(*pair, code, None) for pair in zip(*at_levels, strict=True)]


class EstimatorOutputs:
    """Outputs of fitted autoencoders of any class.

    Parameters
    ----------
    estimators : list of BaseAutoencoder
        One per member.

    scaler : FeatureScaler
        Scaling of the residuals.
    """

    def __init__(self, estimators: list, scaler: FeatureScaler):
        self.estimators = estimators
        self.scaler = scaler

    def __call__(self, X: np.ndarray) -> list[MemberOutput]:
        return [self.of_member(member, X) for member in range(len(self.estimators))]

    def of_member(self, member: int, X: np.ndarray) -> MemberOutput:
        estimator = self.estimators[member]
        residual = self._scale(X) - self._scale(estimator.reconstruct(X))
        likelihood = estimator.score_samples(X) if has_likelihood(estimator) else None
        # Codes are compared with codes, so they stay unscaled.
        code = np.asarray(estimator.transform(X), dtype=np.float64)
        return MemberOutput(residual, None, code, likelihood)

    def _scale(self, X: np.ndarray) -> np.ndarray:
        with inference():
            return self.scaler.standardize(Dataset(X)[:].x).numpy()


def has_likelihood(estimator) -> bool:
    """Whether ``score_samples`` is a log-likelihood, as in the variational classes."""
    return hasattr(estimator, "likelihood") and hasattr(estimator, "sample")


def map_chunks(
    function: Callable, X: np.ndarray, size: int, n_workers: int = 1
) -> np.ndarray:
    """Apply a function to chunks of samples, and concatenate the results.

    Parameters
    ----------
    function : callable
        Takes samples, returns an array whose first axis has the same length.

    X : ndarray of shape (n_samples, n_features)
        The samples.

    size : int
        Largest number of samples in a chunk.

    n_workers : int, default=1
        Number of threads that share the chunks. The operations on a chunk are too small
        for several threads each.
    """
    chunks = [X[start : start + size] for start in range(0, len(X), size)]
    if n_workers == 1 or len(chunks) < 2 * n_workers:
        return np.concatenate([function(chunk) for chunk in chunks])
    with ThreadPoolExecutor(n_workers) as pool:
        return np.concatenate(list(pool.map(one_thread(function), chunks)))
