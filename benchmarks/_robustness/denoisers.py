"""Peers of the part "denoising": functions of spoilt rows that yield mended ones.

They yield a setting and the rows, once for each setting that they may be used with.
Most are made from clean training rows; ridge regression learns from spoilt ones beside
them, and is the linear counterpart of DenoisingAE. Total variation and wavelets are
scikit-image's, and left out where that is not installed.
"""

import importlib.util
from collections.abc import Callable, Iterable

import numpy as np
from scipy.ndimage import median_filter
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from _robustness.data import flatten
from skae import AutoencoderTransformer

PCA_COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
RIDGE_ALPHAS = (10, 100, 1000)
RIDGE_ROWS = 2500  # fewer rows are spoilt several times
TV_WEIGHTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6)
WAVELETS = ("BayesShrink", "VisuShrink")
OPTIONAL = {"scikit-image": "skimage", "PyWavelets": "pywt"}  # and their modules

Denoiser = Callable[[np.ndarray], Iterable[tuple[str, np.ndarray]]]


def missing() -> list[str]:
    """Return the packages of peers that are not installed."""
    return [name for name in OPTIONAL if not importlib.util.find_spec(OPTIONAL[name])]


def keep(spoilt: np.ndarray) -> Iterable:
    """Leave rows as they are."""
    yield "", spoilt


def fit_pca(X: np.ndarray) -> Denoiser:
    pca = PCA(min(max(PCA_COMPONENTS), *X.shape)).fit(X)

    def denoise(spoilt: np.ndarray) -> Iterable:
        codes = pca.transform(spoilt)
        for k in PCA_COMPONENTS:
            if k <= pca.n_components_:
                yield f"k={k}", codes[:, :k] @ pca.components_[:k] + pca.mean_

    return denoise


def fit_plain(X: np.ndarray, components: tuple[int, ...], **options) -> Denoiser:
    plain = {k: AutoencoderTransformer(k, **options).fit(X) for k in components}

    def denoise(spoilt: np.ndarray) -> Iterable:
        for k, autoencoder in plain.items():
            yield f"k={k}", autoencoder.reconstruct(spoilt)

    return denoise


def fit_ridge(X: np.ndarray, spoil: Callable) -> Denoiser:
    """The best linear map from spoilt to clean rows; ``spoil`` takes rows and a seed."""
    copies = range(-(-RIDGE_ROWS // len(X)))
    # Seeds other than that of the test rows.
    X_spoilt = np.concatenate([spoil(X, 100 + copy) for copy in copies])
    X = np.concatenate([X for _ in copies])

    def denoise(spoilt: np.ndarray) -> Iterable:
        for alpha in RIDGE_ALPHAS:
            yield f"alpha={alpha}", Ridge(alpha).fit(X_spoilt, X).predict(spoilt)

    return denoise


def filter_rows(function: Callable, shape: tuple[int, ...]) -> Denoiser:
    """Apply a function of images to their rows."""

    def denoise(spoilt: np.ndarray) -> Iterable:
        for setting, mended in function(spoilt.reshape(shape)):
            yield setting, flatten(mended)

    return denoise


def median(images: np.ndarray) -> Iterable:
    yield "3x3", median_filter(images, size=(1, 3, 3))


def total_variation(images: np.ndarray) -> Iterable:
    from skimage.restoration import denoise_tv_chambolle

    for weight in TV_WEIGHTS:
        yield f"weight={weight}", denoise_tv_chambolle(images, weight, channel_axis=0)


def wavelets(images: np.ndarray) -> Iterable:
    from skimage.restoration import denoise_wavelet

    for method in WAVELETS:
        mended = denoise_wavelet(
            images, method=method, channel_axis=0, rescale_sigma=True
        )
        yield method, mended


def make_filters(shape: tuple[int, ...]) -> dict[str, Denoiser]:
    """Return what knows of neighbouring pixels and of no training rows."""
    filters = {"median": median}
    if "scikit-image" not in missing():
        filters["TV"] = total_variation
    if not missing():  # scikit-image's wavelets are those of PyWavelets
        filters["wavelet"] = wavelets
    return {name: filter_rows(function, shape) for name, function in filters.items()}
