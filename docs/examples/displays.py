"""Draw all displays, on digits and on scikit-learn's wine.

Writes ``docs/images/displays.png``.
"""

from pathlib import Path

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

IMAGE = Path(__file__).parents[1] / "images" / "displays.png"
VALUES = np.linspace(-2, 2, 7)
AS_IMAGES = {"image_shape": (8, 8), "cmap": "gray_r"}


def draw_digits(axes) -> None:
    X, y = load_digits(return_X_y=True)
    vae = VAETransformer(8, random_state=0).fit(X)
    some = slice(0, 500)
    TrainingDisplay.from_estimator(vae, ax=axes[0])
    LatentDisplay.from_estimator(vae, X[some], y[some], method="tsne", ax=axes[1])
    ComponentsDisplay.from_estimator(vae, ax=axes[2])
    ReconstructionDisplay.from_estimator(vae, X, n_rows=7, ax=axes[3], **AS_IMAGES)
    TraversalDisplay.from_estimator(vae, range(4), VALUES, ax=axes[4], **AS_IMAGES)
    InterpolationDisplay.from_estimator(
        vae, X[:4], X[5:9], n_steps=7, ax=axes[5], **AS_IMAGES
    )


def draw_wine(axes) -> None:
    X, _ = load_wine(return_X_y=True, as_frame=True)
    vae = VAETransformer(2, random_state=0).fit(X)
    detector = AEOutlierDetector(random_state=0).fit(X)
    ReconstructionDisplay.from_estimator(vae, X, n_rows=2, ax=axes[0])
    TraversalDisplay.from_estimator(vae, [0, 1], VALUES, ax=axes[1])
    row = int(detector.score_samples(X).argmin())
    OutlierDisplay.from_estimator(detector, X, row=row, ax=axes[2], max_features=8)


def main() -> None:
    figure, axes = plt.subplots(3, 3, figsize=(21, 14), layout="constrained")
    draw_digits(axes[:2].ravel())
    draw_wine(axes[2])
    figure.savefig(IMAGE, dpi=70)


if __name__ == "__main__":
    main()
