"""
PCA against an autoencoder
==========================

Both give each row a few numbers and lead back from them. PCA's way back is a flat
subspace, the autoencoder's is curved. How much more of scikit-learn's digits does that
retain, on rows that neither has seen?
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
# ``reconstruction_r2`` is the share of the variance that comes back, on any transformer
# with ``inverse_transform``. Grey values share a unit, so nothing is scaled. With early
# stopping on (the default) the autoencoder starts as PCA and keeps what does better on
# rows held out.

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
# Codes are centred, uncorrelated and ordered, as PCA's are; a nearest-neighbour
# classifier says how well they part digits that it was never told of in training.

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
# What is left of a digit
# -----------------------
# Eight numbers of sixty-four.

some = X_test[:10]
figure, panels = plt.subplots(3, 1, figsize=(7, 3), layout="constrained")
shared.show(panels[0], some, (8, 8), 10, "held-out digits")
back = pcas[3].inverse_transform(pcas[3].transform(some))
shared.show(panels[1], back, (8, 8), 10, "PCA(8)")
back = autoencoders[3].reconstruct(some)
shared.show(panels[2], back, (8, 8), 10, "AutoencoderTransformer(8)")
plt.show()
