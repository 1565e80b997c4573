"""
Denoising images
================

A denoising autoencoder is trained to reconstruct clean images from inputs with random
corruption, drawn anew at every step. It then denoises images that are noisy themselves.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, DenoisingAE

X = load_digits().data
X = X[np.random.RandomState(0).permutation(len(X))]
X_train, X_test = X[:1400], X[1400:]

# %%
# Noise of 0.7 standard deviations of each pixel
# ----------------------------------------------
# The code of a denoising autoencoder may be as wide as the input, because the noise
# prevents the network from copying. PCA also denoises, by truncation; here it has the
# number of components that is best on these test samples.

deviation = X_train.std(axis=0)
corrupted = X_test + 0.7 * deviation * np.random.RandomState(1).normal(size=X_test.shape)


def psnr(X_denoised: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; 3 dB more halve the squared error."""
    return float(10 * np.log10(16**2 / np.square(X_denoised - X_test).mean()))


def project(k: int, X: np.ndarray) -> np.ndarray:
    pca = PCA(k).fit(X_train)
    return pca.inverse_transform(pca.transform(X))


best_k = max(range(2, 40, 2), key=lambda k: psnr(project(k, corrupted)))
denoiser = DenoisingAE(64, noise_level=0.7, random_state=0).fit(X_train)
plain = AutoencoderTransformer(16, random_state=0).fit(X_train)

denoised = {
    "clean": X_test,
    "corrupted": corrupted,
    f"PCA({best_k}), best": project(best_k, corrupted),
    "AutoencoderTransformer(16)": plain.reconstruct(corrupted),
    "DenoisingAE(64)": denoiser.reconstruct(corrupted),
}
figure, panels = plt.subplots(5, 1, figsize=(7, 5), layout="constrained")
for axes, (name, images) in zip(panels, denoised.items(), strict=True):
    title = name if name == "clean" else f"{name}: {psnr(images):.1f} dB"
    shared.show(axes, images[:12], (8, 8), 12, title)
plt.show()

# %%
# At other noise levels
# ---------------------
# The noise level of the training determines how much samples are smoothed. With a range
# of noise levels, one is drawn for each sample, and one model serves all of them.

noise_levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.1])
ranged = DenoisingAE(64, noise_level=(0.1, 1.1), random_state=0).fit(X_train)
noise = np.random.RandomState(2).normal(size=X_test.shape)
curves = {
    f"PCA({best_k})": lambda X: project(best_k, X),
    "DenoisingAE, noise_level=0.7": denoiser.reconstruct,
    "DenoisingAE, noise_level=(0.1, 1.1)": ranged.reconstruct,
}
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
colours = shared.BLACK, shared.BLUE, shared.ORANGE
for (name, denoise), colour, marker in zip(curves.items(), colours, "sov", strict=True):
    values = [psnr(denoise(X_test + s * deviation * noise)) for s in noise_levels]
    axes.plot(noise_levels, values, color=colour, marker=marker, label=name)
axes.set(xlabel="noise, in standard deviations of a pixel", ylabel="PSNR, dB")
axes.legend()
plt.show()
