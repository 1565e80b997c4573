"""What the members of a detector say of rows: what they miss, and where rows lie."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skae._data.dataset import Batch, Dataset
from skae._outliers.denoiser_ensemble import Denoisers
from skae._outliers.scaling import DetectorUnits
from skae._training.net import AutoencoderNet
from skae._utils.runtime import one_thread, suitable_threads

# Standard deviations of noise that residuals are taken at. At the first, rows count as
# clean; at the second, the denoiser looks a little farther around.
LEVELS = 0.02, 0.1


class View(NamedTuple):
    residual: np.ndarray  # (n_rows, n_columns), in the detector's units
    wider: np.ndarray | None  # the same at the second level; None without levels
    code: np.ndarray  # (n_rows, n_components); the row itself without a bottleneck
    log_likelihood: np.ndarray | None  # (n_rows,); None where a class has none


class DenoiserViews:
    """Views of :class:`Denoisers`, which are one network.

    Parameters
    ----------
    net : AutoencoderNet
        The trained net.
    """

    def __init__(self, net: AutoencoderNet):
        self.net = net

    def __len__(self) -> int:
        return self.net.module_.n_members

    def __call__(self, X: np.ndarray) -> list[View]:
        return self._check(X, slice(None))

    def of_member(self, member: int, X: np.ndarray) -> View:
        return self._check(X, slice(member, member + 1))[0]

    def _check(self, X: np.ndarray, members: slice) -> list[View]:
        with suitable_threads(self.net.n_weights, len(X)):
            look = partial(_residuals, members=members)
            chunks = self.net.apply(look, Dataset(X), torch.float64, len(X))
            residuals, code = next(iter(chunks))
        code = code.cpu().double().numpy()  # there: mps has no float64
        at_levels = [residual.cpu().double().numpy() for residual in residuals]
        return [View(*pair, code, None) for pair in zip(*at_levels, strict=True)]


def _residuals(
    module: Denoisers, batch: Batch, members: slice
) -> tuple[list[Tensor], Tensor]:
    x = module.standardize(batch.x)
    return [module.residuals(x, level, members) for level in LEVELS], x


class EstimatorViews:
    """Views of fitted autoencoders, which anyone may have set up.

    Parameters
    ----------
    estimators : list of BaseAutoencoder
        One for each member.

    units : DetectorUnits
        Units to take residuals in.
    """

    def __init__(self, estimators: list, units: DetectorUnits):
        self.estimators = estimators
        self.units = units

    def __len__(self) -> int:
        return len(self.estimators)

    def __call__(self, X: np.ndarray) -> list[View]:
        return [self.of_member(member, X) for member in range(len(self))]

    def of_member(self, member: int, X: np.ndarray) -> View:
        estimator = self.estimators[member]
        writable = np.require(X, requirements="W")  # or torch warns
        rows = self.units.columns(torch.as_tensor(writable)).numpy()
        mended = torch.as_tensor(estimator.reconstruct(X))
        residual = rows - self.units.columns(mended).numpy()
        likelihood = estimator.score_samples(X) if has_likelihood(estimator) else None
        # Codes of detectors are compared with each other, not with columns.
        code = np.asarray(estimator.transform(X), dtype=np.float64)
        return View(residual, None, code, likelihood)


def has_likelihood(estimator) -> bool:
    """Whether scores are log-likelihoods; the variational classes' are."""
    return hasattr(estimator, "likelihood") and hasattr(estimator, "sample")


def in_chunks(
    function: Callable, X: np.ndarray, size: int, n_workers: int = 1
) -> np.ndarray:
    """Apply a function to some rows at a time, and put the results together.

    Parameters
    ----------
    function : callable
        Takes rows, returns an array with a first axis of as many.

    X : ndarray of shape (n_rows, n_features)
        The rows.

    size : int
        How many at a time.

    n_workers : int, default=1
        How many threads share the chunks: better than many threads for each, which are
        small.
    """
    chunks = [X[start : start + size] for start in range(0, len(X), size)]
    if n_workers == 1 or len(chunks) < 2 * n_workers:
        return np.concatenate([function(chunk) for chunk in chunks])

    def work(chunk: np.ndarray) -> np.ndarray:
        with one_thread():
            return function(chunk)

    with ThreadPoolExecutor(n_workers) as pool:
        return np.concatenate(list(pool.map(work, chunks)))
