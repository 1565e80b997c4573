"""Peers of ``speed.py`` and its parts (a) and (b), which compare with them.

In (a) the layers are d-64-8-64-d and the loss is the squared error:

bare loop
    A plain torch loop: SiLU, batches indexed from one tensor, fused AdamW, a cosine
    schedule. The networks of skorch and pythae have the same layers.
skorch
    ``NeuralNetRegressor`` with torch's default AdamW, and again with the fused one.
PyOD
    ``AutoEncoder(hidden_neuron_list=[64, 8])`` without batch norm, dropout and scaling.
    It has no SiLU, and applies its activation to the code, too: here a ReLU, which costs
    less; "skae, ReLU" is the equal network. Its ``fit`` also scores the training samples.
pythae
    ``AE`` with encoder and decoder of the same layers, trained by ``BaseTrainer`` without
    its progress bar and log. It writes the best model to a folder.
MLPRegressor
    Hidden layers (64, 8, 64) with ReLU, after the code, too.

In (b) only the width of the code is set: ``hidden_neuron_list=[64, 8]`` in PyOD and
``latent_dim=8`` in pythae. The output of pythae's default decoder is a sigmoid, so
samples are scaled to [0, 1] for it, and its reconstructions are scaled back.
"""

import importlib.util
import logging
import math
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from _shared import datasets
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch import NeuralNetRegressor
from torch import nn

from _speed.report import make_row
from skae import AutoencoderTransformer

K = 8
N_FEATURES = 50
WIDTH = 64
RATE = 1e-3
OPTIONAL = {"PyOD": "pyod", "pythae": "pythae"}  # peer: package


def make_samples(n_samples: int, n_features: int = N_FEATURES) -> np.ndarray:
    """Return samples near a curved surface of 10 dimensions, float32, standardised."""
    generator = np.random.default_rng(0)
    codes = generator.standard_normal((n_samples, 10), dtype=np.float32)
    directions = generator.standard_normal((10, n_features), dtype=np.float32)
    noise = generator.standard_normal((n_samples, n_features), dtype=np.float32)
    return StandardScaler().fit_transform(np.tanh(codes @ directions) + 0.3 * noise)


def missing() -> list[str]:
    """Return the peers that are not installed."""
    return [name for name in OPTIONAL if not importlib.util.find_spec(OPTIONAL[name])]


def without_missing(fits: dict[str, Callable]) -> dict[str, Callable]:
    return {name: fit for name, fit in fits.items() if name not in missing()}


# Fits with equal networks.


def equal_fits() -> dict[str, Callable]:
    """Return by name ``fit(X, batch_size, epochs)``; the first is the reference."""
    return without_missing(
        {
            "skae": fit_skae,
            'skae, init="pca"': partial(fit_skae, init="pca"),
            "skae, ReLU": partial(fit_skae, activation="relu"),
            "bare loop": fit_bare_loop,
            "skorch": fit_skorch,
            "skorch, fused AdamW": partial(fit_skorch, optimizer__fused=True),
            "PyOD": fit_pyod,
            "pythae": fit_pythae,
            "MLPRegressor": fit_mlp,
        }
    )


def fit_skae(X: np.ndarray, batch_size: int, epochs: int, **options) -> None:
    options = {"init": "random", **options}
    AutoencoderTransformer(
        K,
        hidden_layer_sizes=(WIDTH,),
        batch_size=batch_size,
        max_iter=epochs,
        early_stopping=False,
        random_state=0,
        **options,
    ).fit(X)


def fit_bare_loop(X: np.ndarray, batch_size: int, epochs: int) -> None:
    x = torch.from_numpy(X)
    network = nn.Sequential(make_encoder(X.shape[1]), make_decoder(X.shape[1]))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, fused=True)
    n_steps = epochs * math.ceil(len(x) / batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / n_steps)) / 2
    )
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(batch_size):
            batch = x[index]
            optimizer.zero_grad()
            nn.functional.mse_loss(network(batch), batch).backward()
            optimizer.step()
            schedule.step()


def make_encoder(n_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_features, WIDTH), nn.SiLU(), nn.Linear(WIDTH, K))


def make_decoder(n_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(K, WIDTH), nn.SiLU(), nn.Linear(WIDTH, n_features))


def fit_skorch(X: np.ndarray, batch_size: int, epochs: int, **options) -> None:
    NeuralNetRegressor(
        nn.Sequential(make_encoder(X.shape[1]), make_decoder(X.shape[1])),
        optimizer=torch.optim.AdamW,
        lr=RATE,
        batch_size=batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **options,
    ).fit(X, X)


def fit_pyod(X: np.ndarray, batch_size: int, epochs: int) -> None:
    from pyod.models.auto_encoder import AutoEncoder

    AutoEncoder(
        hidden_neuron_list=[WIDTH, K],
        batch_norm=False,
        dropout_rate=0,
        preprocessing=False,
        lr=RATE,
        batch_size=batch_size,
        epoch_num=epochs,
        verbose=0,
    ).fit(X)


def fit_pythae(X: np.ndarray, batch_size: int, epochs: int) -> None:
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = make_encoder(X.shape[1])

        def forward(self, x):
            return ModelOutput(embedding=self.layers(x))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = make_decoder(X.shape[1])

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    train_pythae(
        *(torch.from_numpy(X), K, Encoder(), Decoder()),
        learning_rate=RATE,
        per_device_train_batch_size=batch_size,
        num_epochs=epochs,
    )


def train_pythae(x: torch.Tensor, k: int, encoder=None, decoder=None, **options):
    """Return the trained model; None is the encoder or decoder of pythae."""
    from pythae.models import AE, AEConfig

    config = AEConfig(input_dim=(x.shape[1],), latent_dim=k)
    model = AE(config, encoder=encoder, decoder=decoder)
    run_pythae(model, x, **options)
    return model.eval()


def run_pythae(model, x: torch.Tensor, **options) -> None:
    """Train by pythae's ``BaseTrainer``, without its log."""
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.INFO)  # pythae's modules set their own levels
    with tempfile.TemporaryDirectory() as folder:
        BaseTrainer(
            model,
            BaseDataset(x, labels=torch.zeros(len(x))),
            training_config=BaseTrainerConfig(output_dir=folder, **options),
        ).train()


def fit_mlp(X: np.ndarray, batch_size: int, epochs: int) -> None:
    mlp = MLPRegressor(
        hidden_layer_sizes=(WIDTH, K, WIDTH),
        learning_rate_init=RATE,
        batch_size=batch_size,
        max_iter=epochs,
        # Otherwise a plateau of the training loss ends training before max_iter.
        tol=0,
        n_iter_no_change=epochs,
        random_state=0,
    )
    with warnings.catch_warnings():
        # max_iter is the budget, and reaching it is intended.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp.fit(X, X)


# Fits with defaults.


def default_fits() -> dict[str, Callable]:
    """Return by name ``fit(X, k, seed)``, which returns a reconstruction function."""
    return without_missing({"PyOD": fit_default_pyod, "pythae": fit_default_pythae})


def fit_default_pyod(X: np.ndarray, k: int, seed: int) -> Callable:
    from pyod.models.auto_encoder import AutoEncoder

    detector = AutoEncoder(hidden_neuron_list=[64, k], random_state=seed, verbose=0).fit(
        X
    )
    spread = detector.X_std + 1e-8  # as PyOD itself scales

    def reconstruct(X: np.ndarray) -> np.ndarray:
        x = torch.from_numpy((X - detector.X_mean) / spread).float()
        with torch.inference_mode():
            return detector.model.eval()(x).numpy() * spread + detector.X_mean

    return reconstruct


def fit_default_pythae(X: np.ndarray, k: int, seed: int) -> Callable:
    scaler = MinMaxScaler().fit(X)
    torch.manual_seed(seed)  # the trainer's seed comes after the initial weights
    model = train_pythae(torch.from_numpy(scaler.transform(X)).float(), k, seed=seed)

    def reconstruct(X: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(scaler.transform(X)).float()
        with torch.inference_mode():
            output = model({"data": x}).recon_x
        return scaler.inverse_transform(output.double().numpy())

    return reconstruct


def fit_pca(X: np.ndarray, k: int, seed: int) -> Callable:
    pca = PCA(k, random_state=seed).fit(X)
    return lambda X: pca.inverse_transform(pca.transform(X))


def fit_epochs(X: np.ndarray, k: int, seed: int, max_iter: int | str) -> Callable:
    return (
        AutoencoderTransformer(k, max_iter=max_iter, random_state=seed).fit(X).reconstruct
    )


# The comparisons.


def time_calls(calls: dict, repeats: int, clock: Callable = time.process_time) -> dict:
    """Return by name the median seconds of a call; each repeat calls all of them."""
    seconds = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name].append(clock() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def compare_fits(X: np.ndarray, batch_size: int, epochs: int, repeats: int) -> list[dict]:
    """Time fits with equal networks."""
    fits = equal_fits()
    for fit in fits.values():  # compiles and imports before the timing
        fit(X, batch_size, 1)
    calls = {name: partial(fit, X, batch_size, epochs) for name, fit in fits.items()}
    seconds = time_calls(calls, repeats)
    rows = []
    for method, value in seconds.items():
        setting = f"batch {batch_size}, {epochs} epochs"
        row = partial(make_row, "a", method, setting, X.shape, K)
        rows.append(row("cpu_seconds", value, value / seconds["skae"]))
        rows.append(row("times_bare_loop", value / seconds["bare loop"]))
    return rows


def compare_defaults(name: str, max_iters: tuple, repeats: int) -> list[dict]:
    """Evaluate the peers' defaults, and skae's cheapest fit of at most their error."""
    data = datasets.hold_out(datasets.load(name), seed=0)
    ours = {m: partial(fit_epochs, max_iter=m) for m in max_iters}
    measured = evaluate({"PCA": fit_pca, **default_fits(), **ours}, data, repeats)
    rows = []

    def add(method: str, setting: str, result, ratio: float = np.nan) -> None:
        row = partial(make_row, "b", method, f"{name}{setting}", data.X_train.shape, K)
        rows.append(row("cpu_seconds", result[0], ratio))
        rows.append(row("held_out_mse", result[1]))

    for key, result in measured.items():
        if key in ours:
            add("skae", f", max_iter={key}", result)
        else:
            add(key, ", defaults", result)
    for peer in default_fits():
        enough = [m for m in ours if measured[m][1] <= measured[peer][1]]
        if enough:
            best = min(enough, key=lambda m: measured[m][0])
            ratio = measured[best][0] / measured[peer][0]
            add("skae", f" to {peer}'s error, max_iter={best}", measured[best], ratio)
        else:
            add("skae", f" to {peer}'s error, not reached", (np.nan, np.nan))
    return rows


def evaluate(fits: dict, data: datasets.Split, repeats: int) -> dict:
    """Return by name the medians over seeds of CPU seconds and held-out error."""
    results = {name: [] for name in fits}
    for fit in fits.values():  # compiles and imports before the timing
        fit(data.X_train[:100], K, 0)
    for seed in range(repeats):
        for name, fit in fits.items():
            start = time.process_time()
            reconstruct = fit(data.X_train, K, seed)
            seconds = time.process_time() - start
            error = np.square(reconstruct(data.X_test) - data.X_test).mean()
            results[name].append((seconds, error))
    return {name: np.median(pairs, axis=0) for name, pairs in results.items()}
