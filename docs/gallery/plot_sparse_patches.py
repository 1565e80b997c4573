"""
Sparse coding of image patches
==============================

A sparse autoencoder represents each sample as a sum of few directions of an overcomplete
dictionary. For patches of photographs Olshausen and Field (1996) found that such
directions are edges, each at one position and orientation. This example uses one
photograph and seconds of training.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA

from skae import SparseAE
from skae.metrics import reconstruction_r2

image = load_sample_image("china.jpg").mean(axis=2) / 255
windows = np.lib.stride_tricks.sliding_window_view(image, (8, 8))
corners = np.random.RandomState(0).randint(windows.shape[:2], size=(30_000, 2))
patches = windows[tuple(corners.T)].reshape(-1, 64)
patches = patches - patches.mean(axis=1, keepdims=True)
patches = patches[patches.std(axis=1) > 0.05]  # half of the photograph is sky
patches /= patches.std(axis=1, keepdims=True)
X_train, X_test = patches[:-2000], patches[-2000:]
print(X_train.shape)

# %%
# 128 directions for 64 pixels, five of them active on average. The figure has the most
# active ones; directions that are rarely active are trained by few samples and are noisy.

sparse = SparseAE(n_active=5, random_state=0).fit(X_train)
codes = sparse.transform(X_test)
pca = PCA(5).fit(X_train)
print("active components per sample:", (codes > 0).sum(axis=1).mean().round(2))
print("dead units:", sparse.dead_units_)
print(f"R2, PCA(5)  : {reconstruction_r2(pca, X_test):.3f}")
print(f"R2, SparseAE: {reconstruction_r2(sparse, X_test):.3f}")

most_used = np.argsort(-codes.sum(axis=0))[:48]
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
panels[0].imshow(
    shared.tile(sparse.components_[most_used], (8, 8), 8),
    cmap="RdBu_r",
    vmin=-0.4,
    vmax=0.4,
)
panels[0].set_title("48 of 128 components_", fontsize="medium")
panels[0].axis("off")
counts = np.bincount((codes > 0).sum(axis=1))
panels[1].bar(np.arange(len(counts)), counts, color=shared.BLUE)
panels[1].axvline(5, color=shared.BLACK, linestyle="--", label="n_active=5")
panels[1].set(xlabel="active components in a patch", ylabel="held-out patches")
panels[1].legend()
plt.show()

# %%
# A reconstruction is the sum of its directions, weighted by the code, plus a constant.

busy = np.argsort((codes > 0).sum(axis=1))[-600]
used = np.argsort(codes[busy])[::-1][:6]
terms = codes[busy, used, None] * sparse.components_[used]
shown = np.vstack([X_test[busy], sparse.reconstruct(X_test[[busy]])[0], *terms])
titles = ["patch", "reconstruction", *[f"{codes[busy, j]:.2f} of {j}" for j in used]]
figure, panels = plt.subplots(1, 8, figsize=(9, 1.6), layout="constrained")
limit = np.abs(shown).max()
for axes, values, title in zip(panels, shown, titles, strict=True):
    axes.imshow(values.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set_title(title, fontsize="small")
    axes.axis("off")
plt.show()
