"""
The same hand, another digit
============================

Encoder and decoder of a conditional variational autoencoder see the label, so the code
needs to hold only what the label does not say: slant, width, weight of the pen. Decoded
under another label, a digit becomes another in the same hand.
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
# ``translate(X, y_from, y_to)`` encodes under one label and decodes under another. The
# first column is the original; each line should keep its hand.

some = np.array([np.flatnonzero(y_test == digit)[0] for digit in range(8)])
columns = [X_test[some]]
columns += [model.translate(X_test[some], y_test[some], digit) for digit in range(10)]
images = np.stack(columns, axis=1).reshape(-1, 64)

figure, axes = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
shared.show(axes, images, (8, 8), 11, "original | translated to 0 ... 9")
plt.show()

# %%
# Is it the digit that was asked for, and is it the same hand? The mass of ink says
# something of the hand; it should go with that of the original among translations to
# one digit.

judge = KNeighborsClassifier(3).fit(X_train, y_train)
targets = (y_test + 1 + np.random.RandomState(0).randint(9, size=len(y_test))) % 10
turned = model.translate(X_test, y_test, targets)
print(
    f"recognised as what was asked for: {(judge.predict(turned) == targets).mean():.3f}"
)


def ink(X: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Mean grey, less what is usual of the digit."""
    usual = np.array([X_train[y_train == digit].mean() for digit in range(10)])
    return X.mean(axis=1) - usual[digits]


before, after = ink(X_test, y_test), ink(turned, targets)
stranger = np.random.RandomState(1).permutation(len(before))
print(f"ink before and after, correlation: {np.corrcoef(before, after)[0, 1]:.2f}")
print(f"with that of a stranger: {np.corrcoef(before[stranger], after)[0, 1]:.2f}")

figure, axes = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
axes.scatter(before, after, s=12, color=shared.BLUE)
axes.set(
    xlabel="ink of the original, less usual, grey levels",
    ylabel="ink of the translation, less usual",
)
plt.show()

# %%
# What the code does not hold
# ---------------------------
# A linear classifier finds the digit in a code of a plain VAE, and much less of it here.
# What is left of it is what the encoder could not avoid.

plain = VAETransformer(6, random_state=0).fit(X_train)
codes = {
    "VAETransformer": (plain.transform(X_train), plain.transform(X_test)),
    "ConditionalVAE": (
        model.transform(X_train, y_train),
        model.transform(X_test, y_test),
    ),
}
for name, (Z_train, Z_test) in codes.items():
    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    share = reader.fit(Z_train, y_train).score(Z_test, y_test)
    print(f"digit read from the code of {name}: {share:.2f} (chance 0.10)")
print(f"predict, by the evidence: {(model.predict(X_test) == y_test).mean():.3f}")
