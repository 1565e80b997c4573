"""
Visualising autoencoders: the seven displays
============================================

The displays show the learning curves, reconstructions, the latent space, latent
traversals, interpolations, the information in each component, and why a sample is an
outlier. They accept images and tables, and draw in given axes.
"""

# %%
# A model of digits, a model of wines, and an outlier detector.
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits, load_wine

from skae import AEOutlierDetector, VAETransformer
from skae.displays import (
    ComponentsDisplay,
    InterpolationDisplay,
    LatentDisplay,
    OutlierDisplay,
    ReconstructionDisplay,
    TrainingDisplay,
    TraversalDisplay,
)

digits, labels = load_digits(return_X_y=True)
wine = load_wine(as_frame=True).data
vae = VAETransformer(8, random_state=0).fit(digits)
vae_of_wine = VAETransformer(2, random_state=0).fit(wine)
detector = AEOutlierDetector(random_state=0).fit(wine)

# %%
# The upper six panels show digits, the lower three wine. Codes of more than two
# dimensions are projected by t-SNE here; the title has the accuracy of a 5-NN classifier.
# The last bars are the feature contributions of the most anomalous wine.
values = np.linspace(-2, 2, 7)
images = {"image_shape": (8, 8), "cmap": "gray_r"}
some = slice(0, 500)
outlier = int(detector.score_samples(wine).argmin())

figure, axes = plt.subplots(3, 3, figsize=(21, 14), layout="constrained")
of_digits, of_wine = axes[:2].ravel(), axes[2]
TrainingDisplay.from_estimator(vae, ax=of_digits[0])
LatentDisplay.from_estimator(
    vae, digits[some], labels[some], method="tsne", ax=of_digits[1]
)
ComponentsDisplay.from_estimator(vae, ax=of_digits[2])
ReconstructionDisplay.from_estimator(vae, digits, n_samples=7, ax=of_digits[3], **images)
TraversalDisplay.from_estimator(vae, range(4), values, ax=of_digits[4], **images)
InterpolationDisplay.from_estimator(
    vae, digits[:4], digits[5:9], n_steps=7, ax=of_digits[5], **images
)

ReconstructionDisplay.from_estimator(vae_of_wine, wine, n_samples=2, ax=of_wine[0])
TraversalDisplay.from_estimator(vae_of_wine, [0, 1], values, ax=of_wine[1])
OutlierDisplay.from_estimator(
    detector, wine, sample=outlier, ax=of_wine[2], max_features=8
)
plt.show()
