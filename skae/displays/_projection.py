"""Projection of codes to two dimensions, and nearest-neighbour scores of labels."""

import importlib

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from skae._utils.threads import libraries_on_one_thread

METHODS = "auto", "pca", "tsne", "umap"
N_NEIGHBORS = 5
MAX_LABELS = 20  # more distinct numbers than this are a continuous target


@libraries_on_one_thread
def project(codes: np.ndarray, method: str) -> tuple[np.ndarray, list[str]]:
    """Project codes to two dimensions at most; return them and the names of the axes."""
    if method not in METHODS:
        raise ValueError(f"method={method!r} must be one of {', '.join(METHODS)}.")
    n_components = codes.shape[1]
    if n_components <= 2:
        return codes, [f"component {i}" for i in range(n_components)]
    if method == "tsne":
        perplexity = min(30.0, (len(codes) - 1) / 3)
        places = TSNE(2, perplexity=perplexity, random_state=0).fit_transform(codes)
        return places, ["t-SNE 0", "t-SNE 1"]
    if method == "umap":
        return _umap(codes), ["UMAP 0", "UMAP 1"]
    pca = PCA(2).fit(codes)
    shares = enumerate(100 * pca.explained_variance_ratio_)
    names = [f"PCA {i} of codes ({share:.0f} % of variance)" for i, share in shares]
    return pca.transform(codes), names


def _umap(codes: np.ndarray) -> np.ndarray:
    try:
        umap = importlib.import_module("umap")
    except ImportError as error:
        raise ImportError(
            "method='umap' requires the package umap-learn, which is not installed. "
            "Run pip install umap-learn, or pass method='tsne' or 'pca'."
        ) from error
    return umap.UMAP(n_components=2, random_state=0).fit_transform(codes)


def is_quantity(y: np.ndarray) -> bool:
    """Whether y is a continuous target, rather than class labels."""
    if y.dtype.kind not in "fiu":
        return False
    whole = bool((y == np.floor(y)).all())
    return not whole or len(np.unique(y)) > MAX_LABELS


@libraries_on_one_thread
def neighbor_score(codes: np.ndarray, y: np.ndarray) -> float | None:
    """Five-fold accuracy, or R2, of y predicted by the five nearest codes.

    None if there are too few samples.
    """
    if len(codes) < 2 * N_NEIGHBORS:
        return None
    folds = KFold(5, shuffle=True, random_state=0)
    if not is_quantity(y):
        model = KNeighborsClassifier(N_NEIGHBORS)
        predicted = cross_val_predict(model, codes, _to_numbers(y), cv=folds)
        return float((predicted == _to_numbers(y)).mean())
    predicted = cross_val_predict(KNeighborsRegressor(N_NEIGHBORS), codes, y, cv=folds)
    total = np.square(y - y.mean()).sum()
    return float(1 - np.square(y - predicted).sum() / total) if total > 0 else None


def _to_numbers(y: np.ndarray) -> np.ndarray:
    return pd.factorize(y, sort=False)[0]
