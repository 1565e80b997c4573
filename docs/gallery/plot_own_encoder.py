"""
Your own PyTorch network
========================

``encoder=`` and ``decoder=`` take a builder, a function ``(n_in, n_out) -> nn.Module``.
The estimator calls it with the widths that the data require, so a builder works with
``clone``, a grid search and other data; a module instance would not.
"""

import pickle
from functools import partial

import gallery_data as shared
from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from torch import nn

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_r2
from skae.networks import conv_decoder, conv_encoder, mlp, residual_mlp

X, _ = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, random_state=0)

# %%
# A custom builder
# ----------------
# The input is standardised and flat, and the network must return ``n_out`` values. The
# linear skip connection initialised at the PCA solution is added to it, so an unsuitable
# architecture results in PCA at worst.


def wavy(n_in, n_out, *, width=64):
    """Two linear layers with layer norm and GELU between them."""
    return nn.Sequential(
        nn.Linear(n_in, width), nn.LayerNorm(width), nn.GELU(), nn.Linear(width, n_out)
    )


ours = AutoencoderTransformer(8, encoder=wavy, max_iter=60, random_state=0).fit(X_train)
print(f"R2 on held-out digits: {reconstruction_r2(ours, X_test):.3f}")
clone(ours)  # a function can be cloned; at the top level of a module also pickled

# %%
# The builders of skae.networks
# -----------------------------
# Fix a builder's other arguments with :func:`functools.partial`; a search can vary them.
# Images are flat samples, so convolutional networks require ``image_shape``.

shape = {"image_shape": (1, 8, 8)}
networks = {
    "default": (None, None),
    "mlp (32,)": (
        partial(mlp, hidden_layer_sizes=(32,)),
        partial(mlp, hidden_layer_sizes=(32,)),
    ),
    "residual_mlp": (residual_mlp, residual_mlp),
    "conv": (partial(conv_encoder, **shape), partial(conv_decoder, **shape)),
}
results = {}
for name, (encoder, decoder) in networks.items():
    model = AutoencoderTransformer(
        8, encoder=encoder, decoder=decoder, max_iter=40, random_state=0
    )
    results[name] = reconstruction_r2(model.fit(X_train), X_test)

figure, axes = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
axes.barh(list(results), list(results.values()), color=shared.BLUE)
for place, value in enumerate(results.values()):
    axes.text(value - 0.01, place, f"{value:.3f}", ha="right", va="center", color="white")
axes.invert_yaxis()
axes.set(xlabel="R2 on held-out digits, 8 components, at most 40 epochs", xlim=(0, 1))
plt.show()

# %%
# Grid search and pickle
# ----------------------

grid = {"encoder": [partial(mlp, hidden_layer_sizes=(w,)) for w in (16, 64)]}
search = GridSearchCV(
    AutoencoderTransformer(8, max_iter=10, random_state=0),
    grid,
    scoring=reconstruction_r2,
    cv=2,
).fit(X_train[:600])
print(search.best_params_["encoder"].keywords)
model = search.best_estimator_
print(f"pickled: {len(pickle.dumps(model)) / 1e3:.0f} kB, without training data")
