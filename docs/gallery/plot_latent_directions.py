"""
Latent directions and latent arithmetic
=======================================

The difference between the mean codes of two groups of samples is a latent direction.
Added to the code of a sample, it changes the attribute in which the groups differ.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skae import ConditionalVAE

X, y = load_digits(return_X_y=True)
order = np.random.RandomState(0).permutation(len(X))
X, y = X[order], y[order]
X_train, X_test, y_train, y_test = X[:1400], X[1400:], y[:1400], y[1400:]
model = ConditionalVAE(6, random_state=0).fit(X_train, y_train)

# %%
# A direction from two groups
# ---------------------------
# The slant of a digit is the regression slope of the horizontal on the vertical position
# of its ink. The groups are the fifth of each digit with the most slant to the left, and
# to the right.

v, u = np.mgrid[0:8, 0:8].reshape(2, 64)


def slant(X: np.ndarray) -> np.ndarray:
    """Horizontal shift of the ink to the right per pixel of height."""
    weight = X.clip(0) / X.clip(0).sum(axis=1, keepdims=True)
    height = v - (weight @ v)[:, None]
    place = u - (weight @ u)[:, None]
    return -(weight * height * place).sum(axis=1) / (weight * height**2).sum(axis=1)


slants = slant(X_train)
left, right = [], []
for digit in range(10):
    of_digit = np.flatnonzero(y_train == digit)
    by_slant = of_digit[np.argsort(slants[of_digit])]
    fifth = len(by_slant) // 5
    left.append(by_slant[:fifth])
    right.append(by_slant[-fifth:])
left, right = np.concatenate(left), np.concatenate(right)
codes = model.transform(X_train, y_train)
direction = codes[right].mean(axis=0) - codes[left].mean(axis=0)
print("direction:", direction.round(2))

# %%
# ``direction(X_from, X_to)`` computes it for inferred labels, or one label for all.

sevens = np.flatnonzero(y_train == 7)
sevens = sevens[np.argsort(slants[sevens])]
third = len(sevens) // 3
left, right = X_train[sevens[:third]], X_train[sevens[-third:]]
print("of sevens:", model.direction(left, right, y=7).round(2))

# %%
# Adding the direction
# --------------------

steps = np.linspace(-1.5, 1.5, 9)
some = np.array([np.flatnonzero(y_test == digit)[2] for digit in range(10)])
start = model.transform(X_test[some], y_test[some])
moved = start[:, None] + steps[:, None] * direction
images = model.inverse_transform(
    moved.reshape(-1, 6), np.repeat(y_test[some], len(steps))
)

figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
shared.show(panels[0], images, (8, 8), len(steps), "code + step * direction")
all_codes = model.transform(X_test, y_test)
means = []
for step in steps:
    means.append(slant(model.inverse_transform(all_codes + step * direction, y_test)))
means = np.array(means)
panels[1].plot(steps, means.mean(axis=1), color=shared.BLUE, marker="o")
panels[1].fill_between(
    steps, *np.percentile(means, [25, 75], axis=1), color=shared.SKY, alpha=0.4
)
panels[1].set(
    xlabel="steps along the direction",
    ylabel="slant, pixels per pixel of height",
    title="test digits: mean, middle half",
)
plt.show()

# %%
# Single components
# -----------------
# ``traverse`` varies one component with the others fixed. Single components of a
# (beta-)VAE need not be interpretable; a direction between groups of samples is.

values = np.linspace(-2.5, 2.5, 9)
figure, axes = plt.subplots(figsize=(4.4, 3.2), layout="constrained")
swept = np.vstack([model.traverse(j, values, y=4) for j in range(6)])
shared.show(axes, swept, (8, 8), 9, "traverse(j, values, y=4)")
plt.show()
