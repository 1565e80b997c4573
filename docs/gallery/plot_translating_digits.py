"""
Style transfer between digits with a conditional VAE
====================================================

Encoder and decoder of a conditional variational autoencoder are conditioned on the label,
so the code contains only what the label does not determine: slant, width, stroke weight.
A digit that is decoded with another label keeps its handwriting style.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ConditionalVAE, VAETransformer

X, y = load_digits(return_X_y=True)
order = np.random.RandomState(0).permutation(len(X))
X, y = X[order], y[order]
X_train, X_test, y_train, y_test = X[:1400], X[1400:], y[:1400], y[1400:]

model = ConditionalVAE(6, random_state=0).fit(X_train, y_train)

# %%
# ``translate(X, y_from, y_to)`` encodes with one label and decodes with another. The
# leftmost images are the originals; each line should keep its style.

some = np.array([np.flatnonzero(y_test == digit)[0] for digit in range(8)])
translated = [X_test[some]]
translated += [model.translate(X_test[some], y_test[some], digit) for digit in range(10)]
images = np.stack(translated, axis=1).reshape(-1, 64)

figure, axes = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
shared.show(axes, images, (8, 8), 11, "original | translated to 0 ... 9")
plt.show()

# %%
# Does a translation have the requested label, and the style of the original? The amount
# of ink is one property of the style; it should correlate with that of the original among
# translations to the same digit.

classifier = KNeighborsClassifier(3).fit(X_train, y_train)
targets = (y_test + 1 + np.random.RandomState(0).randint(9, size=len(y_test))) % 10
translations = model.translate(X_test, y_test, targets)
accuracy = (classifier.predict(translations) == targets).mean()
print(f"accuracy on translations: {accuracy:.3f}")


def ink(X: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Mean grey value, minus the mean over all images of the digit."""
    means = np.array([X_train[y_train == digit].mean() for digit in range(10)])
    return X.mean(axis=1) - means[digits]


before, after = ink(X_test, y_test), ink(translations, targets)
shuffled = np.random.RandomState(1).permutation(len(before))
print(f"ink before and after, correlation: {np.corrcoef(before, after)[0, 1]:.2f}")
print(f"the same of random pairs: {np.corrcoef(before[shuffled], after)[0, 1]:.2f}")

figure, axes = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
axes.scatter(before, after, s=12, color=shared.BLUE)
axes.set(
    xlabel="ink of the original, relative to its digit, grey levels",
    ylabel="ink of the translation, relative to its digit",
)
plt.show()

# %%
# The code does not contain the label
# -----------------------------------
# A linear classifier predicts the digit from the codes of an unconditional VAE, and much
# less accurately from those of the conditional one. The rest is what the encoder does not
# remove.

plain = VAETransformer(6, random_state=0).fit(X_train)
codes = {
    "VAETransformer": (plain.transform(X_train), plain.transform(X_test)),
    "ConditionalVAE": (
        model.transform(X_train, y_train),
        model.transform(X_test, y_test),
    ),
}
for name, (Z_train, Z_test) in codes.items():
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    share = probe.fit(Z_train, y_train).score(Z_test, y_test)
    print(f"accuracy from codes of {name}: {share:.2f} (chance 0.10)")
print(f"accuracy of predict: {(model.predict(X_test) == y_test).mean():.3f}")
