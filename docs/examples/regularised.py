"""Draw what DenoisingAE, SparseAE and ContractiveAE do with what scikit-learn ships.

Writes ``docs/images/regularised.png``: spoilt digits and what is made of them, the
directions in which patches of a photograph are written, and how far codes of digits move
if they bear noise.
"""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ContractiveAE, DenoisingAE, SparseAE

IMAGE = Path(__file__).parents[1] / "images" / "regularised.png"
N_SHOWN = 10


def tile(images: np.ndarray, n_columns: int) -> np.ndarray:
    """Lay rows of 64 values out as 8 x 8 images, so many in a line, a gap between."""
    framed = np.pad(images.reshape(-1, 8, 8), ((0, 0), (0, 1), (0, 1)))
    lines = framed.reshape(-1, n_columns, 9, 9).transpose(0, 2, 1, 3)
    return lines.reshape(-1, 9 * n_columns)


def mend(X: np.ndarray, X_test: np.ndarray) -> np.ndarray:
    """Clean rows, spoilt ones, what the best PCA makes of them, and what we do."""
    rng = np.random.RandomState(0)
    spoilt = X_test + 0.7 * X.std(axis=0) * rng.normal(size=X_test.shape)
    pca = PCA(16).fit(X)
    denoiser = DenoisingAE(64, noise_level=0.7, random_state=0).fit(X)
    projected = pca.inverse_transform(pca.transform(spoilt))
    rows = X_test, spoilt, projected, denoiser.reconstruct(spoilt)
    return np.vstack([part[:N_SHOWN] for part in rows])


def patches(n_patches: int) -> np.ndarray:
    """Squares of a photograph, each less its mean."""
    image = load_sample_image("china.jpg").mean(axis=2) / 255
    windows = np.lib.stride_tricks.sliding_window_view(image, (8, 8))
    corners = np.random.RandomState(0).randint(windows.shape[:2], size=(n_patches, 2))
    squares = windows[tuple(corners.T)].reshape(n_patches, 64)
    return squares - squares.mean(axis=1, keepdims=True)


def movements(X: np.ndarray, X_test: np.ndarray, levels: np.ndarray) -> dict:
    """How far codes move, in their standard deviations, if rows bear noise."""
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    noise = np.random.RandomState(0).normal(size=X_test.shape)
    moved = {}
    for model in (
        PCA(8),
        AutoencoderTransformer(8, random_state=0),
        ContractiveAE(8, random_state=0),
        ContractiveAE(8, penalty=1.0, random_state=0),
    ):
        codes = model.fit(X).transform(X_test)
        changes = [model.transform(X_test + level * noise) - codes for level in levels]
        name = type(model).__name__
        if isinstance(model, ContractiveAE):
            name += f", penalty={model.penalty}"
        moved[name] = [
            np.sqrt(np.square(change / codes.std(axis=0)).mean()) for change in changes
        ]
    return moved


def main() -> None:
    X = load_digits().data
    X = X[np.random.RandomState(0).permutation(len(X))]
    X, X_test = X[:1400], X[1400:]
    figure, panels = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
    panels[0].imshow(tile(mend(X, X_test), N_SHOWN), cmap="gray_r", vmin=0, vmax=16)
    panels[0].set_title("DenoisingAE: clean, spoilt, PCA(16), reconstruct")

    sparse = SparseAE(n_active=5, random_state=0).fit(patches(20_000))
    panels[1].imshow(tile(sparse.components_, 16), cmap="RdBu_r", vmin=-0.4, vmax=0.4)
    panels[1].set_title("SparseAE: components_ of patches, 5 of 128 active")

    levels = np.linspace(0, 1, 6)
    for name, distances in movements(X, X_test, levels).items():
        panels[2].plot(levels, distances, marker="o", label=name)
    panels[2].set(xlabel="noise, standard deviations", title="ContractiveAE: codes move")
    panels[2].legend()
    for panel in panels[:2]:
        panel.axis("off")
    figure.savefig(IMAGE, dpi=110)


if __name__ == "__main__":
    main()
