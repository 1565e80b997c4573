"""
PCA against an autoencoder
==========================

Dimensionality reduction by PCA and by an autoencoder: both encode each sample in a few
numbers and decode them. PCA reconstructs in a linear subspace, the autoencoder on a
nonlinear manifold. How much more variance of held-out digits does it retain?
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_r2

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# The same number of components
# -----------------------------
# ``reconstruction_r2`` is the share of the variance that is reconstructed, for any
# transformer with ``inverse_transform``. Grey values share a unit, so nothing is scaled.
# The autoencoder is initialised at the PCA solution; early stopping (the default) keeps
# the weights of the lowest validation loss.

sizes = [1, 2, 4, 8, 16]
pcas = [PCA(k).fit(X_train) for k in sizes]
autoencoders = [AutoencoderTransformer(k, random_state=0).fit(X_train) for k in sizes]

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, models, colour, marker in (
    ("PCA", pcas, shared.BLACK, "s"),
    ("AutoencoderTransformer", autoencoders, shared.BLUE, "o"),
):
    values = [reconstruction_r2(model, X_test) for model in models]
    axes.plot(sizes, values, color=colour, marker=marker, label=name)
    print(name, np.round(values, 3))
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, sizes)
axes.set(xlabel="components", ylabel="R2 on held-out digits", ylim=(0, 1))
axes.legend()
plt.show()

# %%
# Two components
# --------------
# Codes are centred, uncorrelated and ordered, as in PCA. The accuracy of a nearest-
# neighbour classifier measures how well they separate digits; training used no labels.

figure, panels = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for axes, model in zip(panels, (pcas[1], autoencoders[1]), strict=True):
    codes, codes_test = model.transform(X_train), model.transform(X_test)
    classifier = KNeighborsClassifier(5).fit(codes, y_train)
    accuracy = classifier.score(codes_test, y_test)
    for digit in range(10):
        axes.scatter(
            *codes_test[y_test == digit].T,
            s=14,
            color=shared.COLOURS[digit],
            marker=shared.MARKERS[digit],
            label=digit,
        )
    name = type(model).__name__
    axes.set(xlabel="component 0", ylabel="component 1")
    axes.set_title(f"{name}: 5-NN accuracy {accuracy:.2f}")
figure.legend(
    *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=10
)
plt.show()

# %%
# Reconstructions
# ---------------
# Eight components for sixty-four pixels.

some = X_test[:10]
figure, panels = plt.subplots(3, 1, figsize=(7, 3), layout="constrained")
shared.show(panels[0], some, (8, 8), 10, "held-out digits")
reconstructed = pcas[3].inverse_transform(pcas[3].transform(some))
shared.show(panels[1], reconstructed, (8, 8), 10, "PCA(8)")
reconstructed = autoencoders[3].reconstruct(some)
shared.show(panels[2], reconstructed, (8, 8), 10, "AutoencoderTransformer(8)")
plt.show()
