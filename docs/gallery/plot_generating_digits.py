"""
Generating digits, and choosing which
=====================================

A variational autoencoder has a density of rows, from which new ones are drawn. Given
labels in training, it draws rows of the label you ask for.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from skae import ConditionalVAE, VAETransformer

X, y = load_digits(return_X_y=True)
order = np.random.RandomState(0).permutation(len(X))
X, y = X[order], y[order]
X_train, X_test, y_train, y_test = X[:1400], X[1400:], y[:1400], y[1400:]

# %%
# Samples, and how good the density is
# ------------------------------------
# ``sample`` draws a code from the prior, decodes it, and adds the noise that the model
# has learned; ``noise=False`` leaves that out, which looks cleaner but is no draw from
# the density. ``score`` is a log-likelihood in nats and so compares with PCA's. The
# codes of real rows do not fill a normal density evenly: a mixture fitted to them
# afterwards makes both samples and scores better.

plain = VAETransformer(8, random_state=0).fit(X_train)
mixed = VAETransformer(8, prior=GaussianMixture(10), random_state=0).fit(X_train)

figure, panels = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
drawn = {
    "digits": X_train[:64],
    "sample(64)": plain.sample(64, random_state=0),
    "sample(64, noise=False)": plain.sample(64, random_state=0, noise=False),
    "the same, mixture prior": mixed.sample(64, random_state=0, noise=False),
}
for axes, (title, images) in zip(panels, drawn.items(), strict=True):
    shared.show(axes, images, (8, 8), 8, title)
plt.show()
# The density of constant pixels is not defined: PCA gets the others.
varies = X_train.std(axis=0) > 0
pca = PCA(8).fit(X_train[:, varies])
print(f"log-likelihood of a held-out digit, PCA: {pca.score(X_test[:, varies]):.1f} nats")
print(f"VAE: {plain.score(X_test):.1f}, with a mixture: {mixed.score(X_test):.1f}")

# %%
# Paths, components and the two parts of the loss
# -----------------------------------------------
# ``interpolate`` decodes the straight line between two codes, ``traverse`` sweeps one
# component. Components come in the order of how much they say
# (``kl_per_component_``).

starts = np.array([X_test[y_test == digit][0] for digit in range(8)])
ends = np.array([X_test[y_test == digit][1] for digit in (3, 5, 9, 8, 7, 6, 0, 1)])
swept = [plain.traverse(j, np.linspace(-2.5, 2.5, 8)) for j in range(8)]

figure, panels = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
paths = plain.interpolate(starts, ends, 8).reshape(-1, 64)
shared.show(panels[0], paths, (8, 8), 8, "interpolate(X_from, X_to, 8)")
shared.show(panels[1], np.vstack(swept), (8, 8), 8, "traverse(0 to 7, -2.5 to 2.5)")
history = plain.history_.query("stage == 'validate'")
for part, colour, line in (
    ("train_reconstruction", shared.BLUE, "-"),
    ("train_kl", shared.ORANGE, "--"),
):
    panels[2].plot(
        history["epoch"], history[part], color=colour, linestyle=line, label=part
    )
panels[2].set(xlabel="epoch", ylabel="nats a row", title="history_")
panels[2].legend()
plt.show()
print("nats a component:", plain.kl_per_component_.round(2))

# %%
# Choosing the class
# ------------------
# ``ConditionalVAE`` is fitted to labels, and ``sample`` takes one. A nearest-neighbour
# classifier that learned from real digits says how often the class is the one asked for.

conditional = ConditionalVAE(8, random_state=0).fit(X_train, y_train)
wanted = np.repeat(np.arange(10), 10)
images = conditional.sample(100, y=wanted, random_state=0, noise=False)

figure, axes = plt.subplots(figsize=(3.6, 3.9), layout="constrained")
shared.show(axes, images, (8, 8), 10, "sample(100, y=0 ... 9)")
plt.show()

judge = KNeighborsClassifier(3).fit(X_train, y_train)
asked = np.repeat(np.arange(10), 100)
recognised = judge.predict(conditional.sample(1000, y=asked, random_state=1))
print(f"real test digits recognised: {judge.score(X_test, y_test):.3f}")
print(f"samples recognised as what was asked for: {(recognised == asked).mean():.3f}")
