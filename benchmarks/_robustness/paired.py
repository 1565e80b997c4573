"""Part "paired" of ``robustness.py``: images from edges, and from low resolution.

Inputs are computed from images in [0, 1]: the magnitude of the gradient by Sobel's
filters, and means of blocks of 4 x 4 pixels. ``DenoisingAE(corruption="paired")`` is
fitted to pairs by ``fit(X, Y)``. The penalty of ridge regression is chosen on a fifth of
the training samples.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.ndimage import sobel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.neighbors import KNeighborsRegressor

from _robustness.data import Plan, flatten, load_images, psnr
from skae import DenoisingAE

N_COMPONENTS = 128
ALPHAS = np.geomspace(1e-3, 1e3, 7)
N_SHOWN = 6


def edges(images: np.ndarray) -> np.ndarray:
    # One by one, because the filter smooths along all other axes. After division by 4, a
    # vertical edge from black to white is 1.
    return np.stack([np.hypot(sobel(image, 0), sobel(image, 1)) / 4 for image in images])


def low_resolution(images: np.ndarray) -> np.ndarray:
    n, height, width = images.shape
    return images.reshape(n, height // 4, 4, width // 4, 4).mean(axis=(2, 4))


TASKS = {"edges": edges, "low resolution": low_resolution}


def make_ridge(plan: Plan) -> GridSearchCV:
    held_out = ShuffleSplit(1, test_size=0.2, random_state=0)
    return GridSearchCV(
        Ridge(), {"alpha": ALPHAS}, scoring="neg_mean_squared_error", cv=held_out
    )


def make_denoiser(plan: Plan) -> DenoisingAE:
    return DenoisingAE(
        N_COMPONENTS, corruption="paired", max_iter=plan.max_iter, random_state=0
    )


METHODS: dict[str, Callable] = {
    "ridge": make_ridge,
    "5-NN": lambda plan: KNeighborsRegressor(5),
    "DenoisingAE": make_denoiser,
}


def run(plan: Plan) -> pd.DataFrame:
    """Return scores, and example images of each task in ``attrs``."""
    train, test = load_images(plan.paired, plan)
    rows, examples = [], {}
    for task, make_input in TASKS.items():
        X, X_test = make_input(train), make_input(test)
        examples[task] = {task: X_test[:N_SHOWN]}
        for method, make in METHODS.items():
            model = make(plan)
            start = time.process_time()
            model.fit(flatten(X), flatten(train))
            fitted = time.process_time()
            infer = getattr(model, "reconstruct", None) or model.predict
            images = infer(flatten(X_test)).reshape(test.shape)
            predicted = time.process_time()
            examples[task][method] = images[:N_SHOWN]
            rows.append(
                {
                    **{"set": plan.paired, "task": task, "n_train": len(X)},
                    **{"n_test": len(test), "method": method},
                    "psnr": psnr(images, test),
                    "fit_cpu_seconds": fitted - start,
                    "predict_cpu_seconds": predicted - fitted,
                }
            )
        examples[task]["image"] = test[:N_SHOWN]
    frame = pd.DataFrame(rows)
    frame.attrs["examples"] = examples
    return frame
