"""
Generating synthetic digits, and conditional generation
=======================================================

A variational autoencoder (VAE) is a density model, from which synthetic data are sampled.
A conditional VAE samples data of a given label.
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
# Samples and log-likelihoods
# ---------------------------
# ``sample`` draws a code from the prior, decodes it, and adds the learned noise;
# ``noise=False`` omits the noise, which looks cleaner but is not a sample of the density.
# ``score`` is a log-likelihood in nats, comparable with that of PCA. The codes of real
# digits are not normally distributed: a mixture that is fitted to them after training
# improves both samples and scores.

plain = VAETransformer(8, random_state=0).fit(X_train)
mixed = VAETransformer(8, prior=GaussianMixture(10), random_state=0).fit(X_train)

figure, panels = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
drawn = {
    "digits": X_train[:64],
    "sample(64)": plain.sample(64, random_state=0),
    "sample(64, noise=False)": plain.sample(64, random_state=0, noise=False),
    "noise=False, mixture prior": mixed.sample(64, random_state=0, noise=False),
}
for axes, (title, images) in zip(panels, drawn.items(), strict=True):
    shared.show(axes, images, (8, 8), 8, title)
plt.show()
# The density of constant pixels is not defined: PCA is fitted to the others.
varies = X_train.std(axis=0) > 0
pca = PCA(8).fit(X_train[:, varies])
print(f"log-likelihood of a held-out digit, PCA: {pca.score(X_test[:, varies]):.1f} nats")
print(f"VAE: {plain.score(X_test):.1f}, with a mixture: {mixed.score(X_test):.1f}")

# %%
# Interpolation, traversal and the two terms of the loss
# ------------------------------------------------------
# ``interpolate`` decodes the straight line between two codes, ``traverse`` varies one
# component. Components are sorted by their KL divergence (``kl_per_component_``).

starts = np.array([X_test[y_test == digit][0] for digit in range(8)])
ends = np.array([X_test[y_test == digit][1] for digit in (3, 5, 9, 8, 7, 6, 0, 1)])
swept = [plain.traverse(j, np.linspace(-2.5, 2.5, 8)) for j in range(8)]

figure, panels = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
paths = plain.interpolate(starts, ends, 8).reshape(-1, 64)
shared.show(panels[0], paths, (8, 8), 8, "interpolate(X_from, X_to, 8)")
shared.show(panels[1], np.vstack(swept), (8, 8), 8, "traverse(0 to 7, -2.5 to 2.5)")
history = plain.history_.query("stage == 'validate'")
for term, colour, line in (
    ("train_reconstruction", shared.BLUE, "-"),
    ("train_kl", shared.ORANGE, "--"),
):
    panels[2].plot(
        history["epoch"], history[term], color=colour, linestyle=line, label=term
    )
panels[2].set(xlabel="epoch", ylabel="nats per sample", title="history_")
panels[2].legend()
plt.show()
print("nats per component:", plain.kl_per_component_.round(2))

# %%
# Choosing the class
# ------------------
# ``ConditionalVAE`` is conditioned on labels, in ``fit`` and in ``sample``. A nearest-
# neighbour classifier that is trained on real digits predicts the class of the samples.

conditional = ConditionalVAE(8, random_state=0).fit(X_train, y_train)
labels = np.repeat(np.arange(10), 10)
images = conditional.sample(100, y=labels, random_state=0, noise=False)

figure, axes = plt.subplots(figsize=(3.6, 3.9), layout="constrained")
shared.show(axes, images, (8, 8), 10, "sample(100, y=0 ... 9)")
plt.show()

classifier = KNeighborsClassifier(3).fit(X_train, y_train)
labels = np.repeat(np.arange(10), 100)
predicted = classifier.predict(conditional.sample(1000, y=labels, random_state=1))
print(f"accuracy on real test digits: {classifier.score(X_test, y_test):.3f}")
print(f"accuracy on samples: {(predicted == labels).mean():.3f}")
