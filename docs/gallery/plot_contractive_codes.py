"""
Noise-robust embeddings with a contractive autoencoder
======================================================

Nearest neighbours, clusters and distances compare samples by their codes. The embedding
should then change little if a sample changes a little. A contractive autoencoder
penalises this change.
"""

import gallery_data as shared
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ContractiveAE

X, y = load_digits(return_X_y=True)
order = np.random.RandomState(0).permutation(len(X))
X, y = X[order], y[order]
scaler = StandardScaler().fit(X[:1400])
X_train, X_test = scaler.transform(X[:1400]), scaler.transform(X[1400:])
y_train, y_test = y[:1400], y[1400:]

# %%
# Change of the codes under noise in the samples, in standard deviations of the code, and
# accuracy of a classifier that is trained on clean samples.

noise_levels = np.linspace(0, 1, 6)
noise = np.random.RandomState(1).normal(size=X_test.shape)
models = {
    "PCA(8)": PCA(8),
    "AutoencoderTransformer(8)": AutoencoderTransformer(8, random_state=0),
    "ContractiveAE(8), penalty=0.1": ContractiveAE(8, random_state=0),
    "ContractiveAE(8), penalty=1": ContractiveAE(8, penalty=1.0, random_state=0),
}
figure, panels = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
colours = shared.BLACK, shared.ORANGE, shared.BLUE, shared.GREEN
for (name, model), colour, marker in zip(models.items(), colours, "svoD", strict=True):
    codes = model.fit(X_train).transform(X_test)
    classifier = KNeighborsClassifier(5).fit(model.transform(X_train), y_train)
    changes, accuracy = [], []
    for level in noise_levels:
        noisy = model.transform(X_test + level * noise)
        changes.append(np.sqrt(np.square((noisy - codes) / codes.std(axis=0)).mean()))
        accuracy.append(classifier.score(noisy, y_test))
    panels[0].plot(noise_levels, changes, color=colour, marker=marker, label=name)
    panels[1].plot(noise_levels, accuracy, color=colour, marker=marker, label=name)
panels[0].set(ylabel="root mean squared change,\nstandard deviations of the code")
panels[1].set(ylabel="5-NN accuracy on codes")
for axes in panels:
    axes.set_xlabel("noise, standard deviations of a pixel")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()
