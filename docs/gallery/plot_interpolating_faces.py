"""
Latent interpolation between faces
==================================

The mean of two images is a double exposure; the mean of their codes is decoded to a third
image. ``interpolate`` decodes the line between two codes.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.neighbors import NearestNeighbors

from skae import VAETransformer

table, shape = shared.faces()
print(table.name, table.X.shape)

# Adjacent frames are alike: the test set is one block, the last fifth of the video.
n_train = len(table.X) * 4 // 5
X_train, X_test = table.X[:n_train:2], table.X[n_train:]
vae = VAETransformer(8, random_state=0).fit(X_train)
print("active units:", vae.active_units_)

# %%
# Paths between held-out frames, and means of their pixels for comparison.

rng = np.random.RandomState(4)
starts, ends = X_test[rng.permutation(len(X_test))[:8]].reshape(2, 4, -1)
paths = vae.interpolate(starts, ends, 9)
share = np.linspace(0, 1, 9)[:, None]
blends = starts[:, None] * (1 - share) + ends[:, None] * share

figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
flat = (-1, table.X.shape[1])
grey = "gray", (0, 1)
shared.show(panels[0], blends.reshape(flat), shape, 9, "means of pixels", *grey)
shared.show(panels[1], paths.reshape(flat), shape, 9, "interpolate(X_from, X_to)", *grey)
figure.suptitle(table.name)
plt.show()

# %%
# Does the middle look like a face?
# ---------------------------------
# The distance from each point of many paths to the nearest frame of the video: a point
# of low distance resembles a real frame. The ends of decoded paths are reconstructions,
# so their distance is not zero.

pairs = rng.randint(len(X_test), size=(2, 60))
paths = vae.interpolate(X_test[pairs[0]], X_test[pairs[1]], 9)
blends = X_test[pairs[0]][:, None] * (1 - share) + X_test[pairs[1]][:, None] * share
frames = NearestNeighbors(n_neighbors=1).fit(table.X)

figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for name, points, colour, marker in (
    ("means of pixels", blends, shared.ORANGE, "s"),
    ("decoded lines between codes", paths, shared.BLUE, "o"),
):
    distance = frames.kneighbors(points.reshape(flat))[0].reshape(60, 9)
    distance = distance / np.sqrt(flat[1])
    axes.plot(share, distance.mean(axis=0), color=colour, marker=marker, label=name)
axes.set(
    xlabel="interpolation weight",
    ylabel="distance to the nearest frame,\nroot mean square of grey values",
    title=table.name,
    ylim=(0, None),
)
axes.legend()
plt.show()
