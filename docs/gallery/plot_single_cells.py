"""
An embedding of single cells
============================

Gene counts of blood cells have hundreds of features and are mostly zero. How well do
embeddings of a few components separate cell types, by PCA and by an autoencoder? For
small n_samples the results are often the same.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_r2

table, types = shared.cells()
X, y = table.X, table.y
print(table.name)

# %%
# Two components, evaluated on a held-out third of the cells.

order = np.random.RandomState(0).permutation(len(X))
train, test = order[: len(X) * 2 // 3], order[len(X) * 2 // 3 :]
embeddings, names = {}, {}
for model in (PCA(2), AutoencoderTransformer(2, random_state=0)):
    model.fit(X[train])
    name = type(model).__name__
    embeddings[name] = model.transform(X)
    print(f"{name}: R2 on held-out cells {reconstruction_r2(model, X[test]):.3f}")

try:  # preserves neighbourhoods; without reconstruction, and so without R2
    from umap import UMAP
except ImportError:
    print("UMAP is not installed and is omitted.")
else:
    umap = UMAP(random_state=0, n_jobs=1).fit(X[train])
    embeddings["UMAP"] = umap.transform(X)

figure, panels = plt.subplots(
    1, len(embeddings), figsize=(4.6 * len(embeddings), 5.4), layout="constrained"
)
for axes, (name, Z) in zip(panels, embeddings.items(), strict=True):
    accuracy = KNeighborsClassifier(10).fit(Z[train], y[train]).score(Z[test], y[test])
    trust = trustworthiness(X[test], Z[test], n_neighbors=10)
    for kind in range(len(types)):
        cells = test[y[test] == kind]
        axes.scatter(
            *Z[cells].T,
            s=16,
            color=shared.COLOURS[kind],
            marker=shared.MARKERS[kind],
            label=types[kind],
        )
    axes.set(xlabel="component 0", ylabel="component 1")
    axes.set_title(f"{name}\n10-NN accuracy {accuracy:.2f}, trustworthiness {trust:.2f}")
figure.legend(
    *panels[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    fontsize="small",
)
figure.suptitle(f"{table.name}, held-out cells")
plt.show()

# %%
# More components
# ---------------
# Classifiers and neighbour graphs use more than two components. The autoencoder must
# improve on its initial weights, PCA, by two standard errors on the validation set; if a
# few hundred cells do not show such a gain, it *is* PCA.

sizes = [2, 4, 8, 16]
figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for make, colour, marker in (
    (PCA, shared.BLACK, "s"),
    (AutoencoderTransformer, shared.BLUE, "o"),
):
    values = []
    for k in sizes:
        model = make(k, random_state=0).fit(X[train])
        values.append(reconstruction_r2(model, X[test]))
    axes.plot(sizes, values, color=colour, marker=marker, label=make.__name__)
    print(make.__name__, np.round(values, 3))
axes.set_xticks(sizes)
axes.set(xlabel="components", ylabel="R2 on held-out cells", title=table.name)
axes.legend()
plt.show()
