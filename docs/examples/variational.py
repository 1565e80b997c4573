"""Draw what VAETransformer makes of scikit-learn's digits.

Writes ``docs/images/variational.png``: rows sampled from the prior, paths between
digits, a sweep of each component, and the two parts of the loss over training.
"""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skae import VAETransformer

IMAGE = Path(__file__).parents[1] / "images" / "variational.png"


def tile(images: np.ndarray, n_columns: int) -> np.ndarray:
    """Lay rows of 64 values out as 8 x 8 images, so many in a line."""
    lines = images.reshape(-1, n_columns, 8, 8).transpose(0, 2, 1, 3)
    return lines.reshape(-1, 8 * n_columns)


def main() -> None:
    X, y = load_digits(return_X_y=True)
    vae = VAETransformer(8, random_state=0).fit(X)
    starts = np.array([X[y == c][0] for c in range(8)])
    ends = np.array([X[y == c][1] for c in (3, 5, 9, 8, 7, 6, 0, 1)])
    values = np.linspace(-2.5, 2.5, 10)
    panels = {
        "sample(80, noise=False)": vae.sample(80, random_state=0, noise=False),
        "interpolate(X_from, X_to)": vae.interpolate(starts, ends, 10).reshape(80, 64),
        "traverse(0 to 7, values)": np.vstack(
            [vae.traverse(j, values) for j in range(8)]
        ),
    }
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    for panel, (title, images) in zip(axes, panels.items(), strict=False):
        panel.imshow(tile(images, 10), cmap="gray_r", vmin=0, vmax=16)
        panel.set_title(title)
        panel.axis("off")
    history = vae.history_.query("stage == 'validate'")
    for part in ("train_reconstruction", "train_kl"):
        axes[3].plot(history["epoch"], history[part], label=part)
    axes[3].set(xlabel="epoch", ylabel="nats a row", title="history_")
    axes[3].legend()
    figure.savefig(IMAGE, dpi=110)


if __name__ == "__main__":
    main()
