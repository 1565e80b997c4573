"""
Denoising images
================

A denoising autoencoder is trained on rows that are spoilt anew at every step, and judged
by the clean ones. What it has learned mends rows that are noisy when they come.
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
# Noise of seven tenths of a pixel's own deviation
# ------------------------------------------------
# A code for denoising may be as wide as the rows: the noise is what keeps the network
# from copying. PCA mends, too, by leaving components out; it gets the number of
# components that does best on these very test rows.

deviation = X_train.std(axis=0)
spoilt = X_test + 0.7 * deviation * np.random.RandomState(1).normal(size=X_test.shape)


def psnr(X_mended: np.ndarray) -> float:
    """Decibels of the range 0 to 16 over the error; 3 more halve its square."""
    return float(10 * np.log10(16**2 / np.square(X_mended - X_test).mean()))


def project(k: int, X: np.ndarray) -> np.ndarray:
    pca = PCA(k).fit(X_train)
    return pca.inverse_transform(pca.transform(X))


best_k = max(range(2, 40, 2), key=lambda k: psnr(project(k, spoilt)))
denoiser = DenoisingAE(64, noise_level=0.7, random_state=0).fit(X_train)
plain = AutoencoderTransformer(16, random_state=0).fit(X_train)

mended = {
    "clean": X_test,
    "spoilt": spoilt,
    f"PCA({best_k}), the best": project(best_k, spoilt),
    "AutoencoderTransformer(16)": plain.reconstruct(spoilt),
    "DenoisingAE(64)": denoiser.reconstruct(spoilt),
}
figure, panels = plt.subplots(5, 1, figsize=(7, 5), layout="constrained")
for axes, (name, images) in zip(panels, mended.items(), strict=True):
    title = name if name == "clean" else f"{name}: {psnr(images):.1f} dB"
    shared.show(axes, images[:12], (8, 8), 12, title)
plt.show()

# %%
# At other levels of noise
# ------------------------
# The level in training decides how hard rows are smoothed. A range of levels, of which
# one is drawn for each row, makes one model for all of them.

levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.1])
ranged = DenoisingAE(64, noise_level=(0.1, 1.1), random_state=0).fit(X_train)
noise = np.random.RandomState(2).normal(size=X_test.shape)
curves = {
    f"PCA({best_k})": lambda X: project(best_k, X),
    "DenoisingAE, noise_level=0.7": denoiser.reconstruct,
    "DenoisingAE, noise_level=(0.1, 1.1)": ranged.reconstruct,
}
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
colours = shared.BLACK, shared.BLUE, shared.ORANGE
for (name, mend), colour, marker in zip(curves.items(), colours, "sov", strict=True):
    values = [psnr(mend(X_test + level * deviation * noise)) for level in levels]
    axes.plot(levels, values, color=colour, marker=marker, label=name)
axes.set(xlabel="noise, in standard deviations of a pixel", ylabel="PSNR, dB")
axes.legend()
plt.show()
