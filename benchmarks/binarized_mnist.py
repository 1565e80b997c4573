"""Negative log-likelihood (NLL) of VAETransformer and pythae on static binarised MNIST.

The split of Larochelle & Murray has 50,000 / 10,000 / 10,000 samples. Codes have 40
components, the likelihood is Bernoulli; test samples are used once, at the end, with 200
importance samples. The networks are residual: 784-500-500 to the posterior and
40-500-500-500 to the reconstruction, SiLU, with a dropout of 0.2 on the encoder's input.
pythae's VAE has the same networks, without the dropout and with it, the same batch size,
number of epochs and peak learning rate, and its likelihood has the same estimator.
``mixture`` is the likelihood of the same fitted networks with a mixture of 20 Gaussians,
fitted to the codes of training samples, instead of the standard normal prior.

Both libraries run in one process with one thread and with
``torch.set_float32_matmul_precision("medium")``, by which a CPU with bfloat16 products
uses them in training (about half the time where it does); likelihoods are computed in
full float32. CPU seconds are of ``fit`` alone.

Usage::

    python benchmarks/binarized_mnist.py [--quick]

A CSV file is written to ``benchmarks/results``; that of ``--quick``, of a run without
pythae (``pip install pythae``), or without the data folder, to a temporary folder.
"""

import argparse
import importlib.util
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # pythae has no option for its progress bar

import numpy as np
import pandas as pd
import torch
from _pca_vs_ae.report import console, make_table
from _shared import datasets
from _speed.peers import run_pythae
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from torch import nn

from skae import VAETransformer

RESULTS = Path(__file__).with_name("results")
K, BATCH, RATE, N_DRAWS = 40, 256, 2e-3, 200


class Skip(nn.Module):
    """Fully connected layer with a skip connection."""

    def __init__(self, width: int):
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x):
        return x + nn.functional.silu(self.layer(x))


def residual(n_in: int, n_out: int, n_skips: int, dropout: float = 0.0) -> nn.Sequential:
    width = 500
    skips = [Skip(width) for _ in range(n_skips)]
    first = nn.Dropout(dropout), nn.Linear(n_in, width), nn.SiLU()
    return nn.Sequential(*first, *skips, nn.Linear(width, n_out))


def load() -> tuple[np.ndarray, np.ndarray, bool]:
    path = datasets.FOLDER / "binarized_mnist.npz"
    if path.exists():
        file = np.load(path)
        train, test = (file[f"X_{part}"] for part in ("train", "test"))
        return *(X.reshape(len(X), -1).astype(np.float32) for X in (train, test)), True
    console.print("binarized_mnist.npz not found: scikit-learn's digits are used.")
    X = (load_digits().data > 8).astype(np.float32)
    return X[:1400], X[1400:], False


def fit_skae(X: np.ndarray, epochs: int) -> VAETransformer:
    return VAETransformer(
        K,
        likelihood="bernoulli",
        kl_warm_up=0.4,
        encoder=partial(residual, n_skips=1, dropout=0.2),
        decoder=partial(residual, n_skips=2),
        init="random",
        learning_rate=RATE,
        batch_size=BATCH,
        max_iter=epochs,
        early_stopping=False,
        prior=GaussianMixture(20, reg_covar=1e-3),
        n_importance_samples=N_DRAWS,
        random_state=0,
    ).fit(X)


def fit_pythae(X: np.ndarray, epochs: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = residual(X.shape[1], 2 * K, 1, dropout)

        def forward(self, x):
            mean, log_variance = self.layers(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = residual(K, X.shape[1], 2)

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z).sigmoid())

    torch.manual_seed(0)
    config = VAEConfig(input_dim=(X.shape[1],), latent_dim=K, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    options = {
        "learning_rate": RATE,
        "per_device_train_batch_size": BATCH,
        "num_epochs": epochs,
    }
    run_pythae(model, torch.from_numpy(X), **options)
    model.eval()
    return model.encoder.layers, model.decoder.layers


@torch.no_grad()
def evaluate_networks(encoder, decoder, X: np.ndarray) -> tuple[float, int]:
    """NLL and active units of networks, by the estimator of ``score_samples``."""
    draws = torch.as_tensor(np.random.RandomState(0).normal(size=(N_DRAWS, K))).float()
    values, means = [], []
    for x in torch.from_numpy(X).split(1000):
        mean, log_variance = encoder(x).chunk(2, dim=1)
        log_weights = []
        for noise in draws:
            code = mean + (log_variance / 2).exp() * noise
            logits = decoder(code)
            nll = (nn.functional.softplus(logits) - x * logits).sum(dim=1)
            minus_log_q = 0.5 * (noise.square() + log_variance).sum(dim=1)
            log_weights.append(minus_log_q - 0.5 * code.square().sum(dim=1) - nll)
        log_weights = torch.stack(log_weights).double()
        values.append(log_weights.logsumexp(dim=0) - math.log(N_DRAWS))
        means.append(mean)
    active = (torch.cat(means).var(dim=0) > 0.01).sum()
    return -float(torch.cat(values).mean()), int(active)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds")
    parser.add_argument("--epochs", type=int, default=150)
    options = parser.parse_args()
    torch.set_num_threads(1)
    X, X_test, has_data = load()
    epochs = options.epochs
    if options.quick:
        X, X_test, epochs = X[:1000], X_test[:200], 2
    rows = []

    def add(method: str, seconds: float, nll: float, active: int) -> None:
        rows.append((method, epochs, seconds, nll, active))
        console.print(f"{method}: {nll:.2f} nats, {seconds:.0f} s")

    def timed(fit, *arguments):
        torch.set_float32_matmul_precision("medium")
        start = time.process_time()
        try:
            return fit(*arguments), time.process_time() - start
        finally:
            torch.set_float32_matmul_precision("highest")

    vae, seconds = timed(fit_skae, X, epochs)
    add("VAETransformer, mixture", seconds, -vae.score(X_test), vae.active_units_)
    vae.prior_ = None  # the standard normal
    add("VAETransformer", seconds, -vae.score(X_test), vae.active_units_)
    peer = importlib.util.find_spec("pythae") is not None
    if peer:
        for dropout in (0.0, 0.2):
            networks, seconds = timed(fit_pythae, X, epochs, dropout)
            nll, active = evaluate_networks(*networks, X_test)
            add(f"pythae VAE, dropout {dropout:g}", seconds, nll, active)
    else:
        console.print("pythae is not installed: it is skipped.")
    columns = ["method", "epochs", "cpu_seconds", "test_nll", "active_units"]
    frame = pd.DataFrame(rows, columns=columns)
    table = make_table("Static binarised MNIST", *columns)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)
    kept = has_data and peer and not options.quick
    folder = RESULTS if kept else Path(tempfile.mkdtemp(prefix="skae_benchmark_"))
    path = folder / "binarized_mnist.csv"
    frame.to_csv(path, index=False, float_format="%.6g")
    console.print(f"Results: {path}")


if __name__ == "__main__":
    main()
