"""
Recognising posterior collapse
==============================

A variational autoencoder may learn to ignore its code: every row gets the same
posterior, the prior, and every reconstruction is the mean. The loss looks well-behaved
all the while. What shows it, what causes it, and what helps.
"""

import warnings
from functools import partial

import gallery_data as shared
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skae import VAETransformer
from skae.exceptions import CollapseWarning
from skae.networks import mlp

X = load_digits().data
X = X[np.random.RandomState(0).permutation(len(X))]
X_train, X_test = X[:1000], X[1000:]

# %%
# A healthy fit, and two that collapse
# ------------------------------------
# The weight ``beta`` of the divergence is the plainest cause. The second is hidden: a
# noise that is fixed at a large value, here sixteen grey levels, more than digits vary in
# any direction. Whoever minimises "mean squared error plus divergence" has fixed such a
# noise without saying so: a mean over 64 pixels in the place of half the sum is a
# deviation of the square root of 32, in whatever units the pixels happen to be. Both
# warn.

settings = {
    "defaults": {},
    "beta=1000": {"beta": 1000.0, "init": "random"},
    "noise=16": {"noise": 16.0, "init": "random"},
}
models = {}
for name, setting in settings.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        models[name] = VAETransformer(8, random_state=0, **setting).fit(X_train)
    print(name, "->", caught[0].message if caught else "no warning", "\n")

# %%
# Three signs: the divergence of components (``kl_per_component_``) is next to 0, so none
# is active (``active_units_``); posterior deviations are all 1; reconstructions do not
# differ from each other.

figure, panels = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for offset, (name, model), colour in zip(
    (-0.27, 0, 0.27),
    models.items(),
    (shared.BLUE, shared.ORANGE, shared.PINK),
    strict=True,
):
    place = np.arange(8) + offset
    panels[0].bar(place, model.kl_per_component_, 0.27, color=colour, label=name)
    deviation = model.posterior(X_test)[1]
    panels[1].bar(place, deviation.mean(axis=0), 0.27, color=colour)
panels[0].set(ylabel="kl_per_component_, nats", xlabel="component")
panels[0].legend()
panels[1].set(ylabel="mean deviation of the posterior", xlabel="component")
images = [X_test[:6], *[model.reconstruct(X_test[:6]) for model in models.values()]]
shared.show(panels[2], np.vstack(images), (8, 8), 6, "digits, and their reconstructions")
plt.show()

# %%
# ``diagnose`` measures it on any rows.

figures = {name: model.diagnose(X_test) for name, model in models.items()}
pd.DataFrame(figures).round(3)

# %%
# The divergence while training
# -----------------------------
# ``history_`` has the two parts of the loss apart. A divergence that falls to nothing in
# the first epochs and stays there is the sign to look for.

figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
lines = zip(
    models.items(),
    (shared.BLUE, shared.ORANGE, shared.PINK),
    ("-", "--", ":"),
    strict=True,
)
for (name, model), colour, line in lines:
    history = model.history_.query("stage == 'validate'")
    axes.plot(
        history["epoch"], history["train_kl"], color=colour, linestyle=line, label=name
    )
axes.set_yscale("log")
axes.set(xlabel="epoch", ylabel="train_kl, nats a row")
axes.legend()
plt.show()

# %%
# A stronger decoder makes it likelier
# ------------------------------------
# Articles suggest a stronger decoder as the remedy. It is the other way round: the more a
# decoder can say without the code, the less the code is worth what it costs (Bowman et
# al., 2016, describe collapse for strong decoders), and a deep one takes longer to let
# anything through. Everything is equal here but the decoder, and random at the start.

depths = {"linear": (), "1 x 64": (64,), "4 x 256": (256,) * 4, "8 x 256": (256,) * 8}
settings = {"init": "random", "max_iter": 30, "random_state": 0}
active, said = [], []
for widths in depths.values():
    decoder = partial(mlp, hidden_layer_sizes=widths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = VAETransformer(8, decoder=decoder, **settings).fit(X_train)
    active.append(model.active_units_)
    said.append(model.kl_per_component_.sum())

figure, panels = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
panels[0].bar(list(depths), active, color=shared.BLUE)
panels[0].set(ylabel="active_units_ of 8", xlabel="hidden layers of the decoder")
panels[1].bar(list(depths), said, color=shared.ORANGE)
panels[1].set(
    ylabel="sum of kl_per_component_, nats", xlabel="hidden layers of the decoder"
)
plt.show()

# %%
# What helps
# ----------
# From a fit that says next to nothing (``beta=8``, random start), one change at a time.
# A noise that is learned is on already. The plainest remedy is not to ask for it: a
# smaller ``beta``.

remedies = {
    "as it is": {},
    "beta=1": {"beta": 1.0},
    "kl_warm_up=0.4": {"kl_warm_up": 0.4},
    "free_bits=0.1": {"free_bits": 0.1},
    "init='pca'": {"init": "pca"},
}
settings = {"beta": 8.0, "init": "random", "max_iter": 40, "random_state": 0}
rows = {}
for name, change in remedies.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = VAETransformer(8, **{**settings, **change}).fit(X_train)
    rows[name] = {
        "active units": model.active_units_,
        "kl, nats": model.kl_per_component_.sum(),
    }
pd.DataFrame(rows).T.round(2)
