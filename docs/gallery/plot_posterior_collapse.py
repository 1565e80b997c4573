"""
Recognising posterior collapse
==============================

A variational autoencoder may learn to ignore its code: every row gets the same
posterior, the prior, and every reconstruction is the mean. The loss looks well-behaved
all the while. What shows it, what causes it, and what does not help.
"""

import warnings

import gallery_data as shared
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skae import VAETransformer
from skae.exceptions import CollapseWarning

X = load_digits().data
X = X[np.random.RandomState(0).permutation(len(X))]
X_train, X_test = X[:1400], X[1400:]

# %%
# A healthy fit, and two that collapse
# ------------------------------------
# The weight ``beta`` of the divergence is the plainest cause. The second is hidden: a
# noise that is fixed at a large value, here eight grey levels, more than pixels vary. It
# is what "the mean squared error plus the divergence" amounts to in units that happen
# not to suit it. Both warn.

settings = {
    "defaults": {},
    "beta=1000": {"beta": 1000.0, "init": "random"},
    "noise=8.0": {"noise": 8.0, "init": "random"},
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
shared.show(
    panels[2], np.vstack(images), (8, 8), 6, "digits, and their reconstructions"
)
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
    models.items(), (shared.BLUE, shared.ORANGE, shared.PINK), ("-", "--", ":"), strict=True
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
# What helps, and what does not
# -----------------------------
# Articles suggest a stronger decoder. It is the other way round: the more a decoder can
# say without the code, the less the code is worth what it costs; strong (autoregressive)
# decoders are where collapse was first described (Bowman et al., 2016). What works is a
# noise that is learned (the default), a smaller ``beta``, a longer ``kl_warm_up``,
# ``free_bits``, and a start at a model that does use its code (``init="pca"``).

sizes = {"decoder as it comes": "auto", "four layers of 256": (256, 256, 256, 256)}
remedies = {name: {"hidden_layer_sizes": size} for name, size in sizes.items()}
remedies["kl_warm_up=0.4"] = {"kl_warm_up": 0.4}
remedies["free_bits=0.5"] = {"free_bits": 0.5}
remedies["beta=1"] = {"beta": 1.0}
remedies["init='pca'"] = {"init": "pca"}
rows = {}
for name, setting in remedies.items():
    setting = {"beta": 30.0, "init": "random", **setting}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = VAETransformer(8, max_iter=40, random_state=0, **setting).fit(X_train)
    rows[name] = {
        "active units": model.active_units_,
        "kl, nats": model.kl_per_component_.sum(),
    }
print("from beta=30, init='random', 40 epochs; one change each:")
pd.DataFrame(rows).T.round(2)
