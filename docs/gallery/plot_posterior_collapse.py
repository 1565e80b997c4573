"""
Recognising posterior collapse
==============================

In posterior collapse a variational autoencoder (VAE) ignores its code: the posterior of
every sample equals the prior, and every reconstruction is the mean. The loss does not
show it. Here are its symptoms, its causes and the remedies.
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
# A fit without collapse, and two with it
# ---------------------------------------
# A large weight ``beta`` of the KL divergence is the most direct cause. The second is
# less visible: a noise fixed at a large value, here sixteen grey levels, more than digits
# vary in any direction. The loss "mean squared error plus KL divergence" implies such a
# noise: a mean over 64 pixels instead of half the sum is a standard deviation of the
# square root of 32, whatever the units of the pixels. Both fits warn.

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
# Three symptoms: the KL divergence of the components (``kl_per_component_``) is near 0,
# so none is active (``active_units_``); posterior standard deviations are all 1; all
# reconstructions are the same.

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
panels[1].set(ylabel="mean posterior standard deviation", xlabel="component")
images = [X_test[:6], *[model.reconstruct(X_test[:6]) for model in models.values()]]
shared.show(panels[2], np.vstack(images), (8, 8), 6, "digits, and their reconstructions")
plt.show()

# %%
# ``diagnose`` computes these quantities on any samples.

figures = {name: model.diagnose(X_test) for name, model in models.items()}
pd.DataFrame(figures).round(3)

# %%
# KL divergence during training
# -----------------------------
# ``history_`` has the two terms of the loss. In a collapse the KL divergence falls to
# almost 0 in the first epochs and stays there.

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
axes.set(xlabel="epoch", ylabel="train_kl, nats per sample")
axes.legend()
plt.show()

# %%
# Stronger decoders collapse more often
# -------------------------------------
# A stronger decoder is a common suggestion, but it has the opposite effect: the better a
# decoder models the data without the code, the less the code reduces the loss (Bowman et
# al., 2016, describe collapse for strong decoders), and a deep decoder takes longer to
# transmit any information. Here only the decoder differs, and weights are initialised at
# random.

depths = {"linear": (), "1 x 64": (64,), "4 x 256": (256,) * 4, "8 x 256": (256,) * 8}
settings = {"init": "random", "max_iter": 30, "random_state": 0}
active, information = [], []
for widths in depths.values():
    decoder = partial(mlp, hidden_layer_sizes=widths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = VAETransformer(8, decoder=decoder, **settings).fit(X_train)
    active.append(model.active_units_)
    information.append(model.kl_per_component_.sum())

figure, panels = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
panels[0].bar(list(depths), active, color=shared.BLUE)
panels[0].set(ylabel="active_units_ of 8", xlabel="hidden layers of the decoder")
panels[1].bar(list(depths), information, color=shared.ORANGE)
panels[1].set(
    ylabel="sum of kl_per_component_, nats", xlabel="hidden layers of the decoder"
)
plt.show()

# %%
# Remedies
# --------
# The baseline is an almost collapsed fit (``beta=8``, random initialisation); each remedy
# is a single change. Learned noise is the default. The simplest remedy is a smaller
# ``beta``.

remedies = {
    "baseline": {},
    "beta=1": {"beta": 1.0},
    "kl_warm_up=0.4": {"kl_warm_up": 0.4},
    "free_bits=0.1": {"free_bits": 0.1},
    "init='pca'": {"init": "pca"},
}
settings = {"beta": 8.0, "init": "random", "max_iter": 40, "random_state": 0}
results = {}
for name, change in remedies.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = VAETransformer(8, **{**settings, **change}).fit(X_train)
    results[name] = {
        "active units": model.active_units_,
        "kl, nats": model.kl_per_component_.sum(),
    }
pd.DataFrame(results).T.round(2)
