"""Peers of the part "denoising": functions from corrupted to denoised samples.

Each yields pairs of a setting and the denoised samples, for each of its settings. Most
are fitted to clean training samples. Ridge regression is fitted to pairs of corrupted and
clean samples, and is the linear counterpart of DenoisingAE. Total variation and wavelets
are scikit-image's, and skipped if it is not installed.
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
RIDGE_SAMPLES = 2500  # fewer samples are corrupted several times
TV_WEIGHTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6)
WAVELETS = ("BayesShrink", "VisuShrink")
OPTIONAL = {"scikit-image": "skimage", "PyWavelets": "pywt"}  # package: module

Denoiser = Callable[[np.ndarray], Iterable[tuple[str, np.ndarray]]]


def missing() -> list[str]:
    """Return the packages of peers that are not installed."""
    return [name for name in OPTIONAL if not importlib.util.find_spec(OPTIONAL[name])]


def identity(corrupted: np.ndarray) -> Iterable:
    """Return the samples unchanged."""
    yield "", corrupted


def fit_pca(X: np.ndarray) -> Denoiser:
    pca = PCA(min(max(PCA_COMPONENTS), *X.shape)).fit(X)

    def denoise(corrupted: np.ndarray) -> Iterable:
        codes = pca.transform(corrupted)
        for k in PCA_COMPONENTS:
            if k <= pca.n_components_:
                yield f"k={k}", codes[:, :k] @ pca.components_[:k] + pca.mean_

    return denoise


def fit_plain(X: np.ndarray, components: tuple[int, ...], **options) -> Denoiser:
    plain = {k: AutoencoderTransformer(k, **options).fit(X) for k in components}

    def denoise(corrupted: np.ndarray) -> Iterable:
        for k, autoencoder in plain.items():
            yield f"k={k}", autoencoder.reconstruct(corrupted)

    return denoise


def fit_ridge(X: np.ndarray, corrupt: Callable) -> Denoiser:
    """Ridge regression of clean on corrupted samples, which are ``corrupt(X, seed)``."""
    copies = range(-(-RIDGE_SAMPLES // len(X)))
    # Not the seed of the test samples.
    X_corrupted = np.concatenate([corrupt(X, 100 + copy) for copy in copies])
    X = np.concatenate([X for _ in copies])

    def denoise(corrupted: np.ndarray) -> Iterable:
        for alpha in RIDGE_ALPHAS:
            yield f"alpha={alpha}", Ridge(alpha).fit(X_corrupted, X).predict(corrupted)

    return denoise


def filter_images(function: Callable, shape: tuple[int, ...]) -> Denoiser:
    """Apply a function of images to flat samples."""

    def denoise(corrupted: np.ndarray) -> Iterable:
        for setting, denoised in function(corrupted.reshape(shape)):
            yield setting, flatten(denoised)

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
        denoised = denoise_wavelet(
            images, method=method, channel_axis=0, rescale_sigma=True
        )
        yield method, denoised


def make_filters(shape: tuple[int, ...]) -> dict[str, Denoiser]:
    """Return filters of adjacent pixels, which are not trained."""
    filters = {"median": median}
    if "scikit-image" not in missing():
        filters["TV"] = total_variation
    if not missing():  # scikit-image's wavelets are those of PyWavelets
        filters["wavelet"] = wavelets
    return {name: filter_images(function, shape) for name, function in filters.items()}
