"""torch's default generators are borrowed for moments, and given back as they were."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from skae import VQVAE, AutoencoderTransformer, ConditionalVAE, DenoisingAE
from skae._utils import random
from skae._utils.random import (
    calls_with_own_draws,
    may_draw,
    seeded_default_generator,
)
from skae.networks import conv_encoder, mlp, residual_mlp

QUICK = dict(max_iter=3, hidden_layer_sizes=(8,), random_state=0)
CPU = torch.device("cpu")


class OwnNoise(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x) if self.training else x


class NoForward(nn.Sequential):
    """A user's class that runs torch's code alone."""


def with_layer(n_in, n_out, layer):
    return nn.Sequential(nn.Linear(n_in, 8), layer(), nn.Linear(8, n_out))


class Attention(nn.Sequential):
    def __init__(self, n_in, n_out):
        attention = nn.TransformerEncoderLayer(n_in, 1, 8, dropout=0.2, batch_first=True)
        super().__init__(nn.Unflatten(1, (1, n_in)), attention, nn.Flatten())
        self.append(nn.Linear(n_in, n_out))


DRAWING = {
    "dropout": partial(with_layer, layer=partial(nn.Dropout, 0.5)),
    "alpha dropout": partial(with_layer, layer=nn.AlphaDropout),
    "rrelu": partial(with_layer, layer=nn.RReLU),
    "user's": partial(with_layer, layer=OwnNoise),
    "transformer": Attention,
}


def test_borrowed_generator_is_seeded_and_given_back():
    before = torch.random.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded_default_generator(7, CPU):
            drawn.append(torch.rand(3))

    assert torch.equal(*drawn)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_own_numbers_continue_from_call_to_call():
    """Whatever others draw between, and as one generator of that seed draws them."""
    draw = calls_with_own_draws(nn.Dropout(0.5), 7, CPU)
    before = torch.random.get_rng_state()
    drawn = []
    for _ in range(3):
        drawn.append(draw(torch.rand, 3))
        torch.rand(5)
    torch.random.set_rng_state(before)

    generator = torch.Generator().manual_seed(7)
    wanted = [torch.rand(3, generator=generator) for _ in range(3)]
    assert torch.equal(torch.stack(drawn), torch.stack(wanted))


def hooked():
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda module, inputs, output: output + torch.rand(()))
    return layer


def patched():
    layer = nn.Linear(2, 2)
    layer.forward = torch.randn_like
    return layer


@pytest.mark.parametrize(
    "module, expected",
    [
        (mlp(3, 2), False),
        (residual_mlp(3, 2), False),
        (conv_encoder(35, 3, image_shape=(1, 7, 5)), False),
        (NoForward(nn.Linear(2, 2), nn.BatchNorm1d(2)), False),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), False),
        (nn.Dropout(0.0), False),
        (nn.MultiheadAttention(4, 2), False),
        (nn.Sequential(nn.Sequential(nn.Dropout1d(0.1))), True),
        (nn.FeatureAlphaDropout(0.1), True),
        (nn.RReLU(), True),
        (nn.FractionalMaxPool2d(2, output_ratio=0.5), True),
        (nn.MultiheadAttention(4, 2, dropout=0.1), True),
        (nn.LSTM(4, 2, num_layers=2, dropout=0.1), True),
        (nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1), True),
        (OwnNoise(), True),
        (hooked(), True),
        (patched(), True),
    ],
    ids=lambda case: type(case).__name__,
)
def test_networks_that_may_draw(module, expected):
    assert may_draw(module) is expected


@pytest.mark.parametrize("n_init", [1, 2])
@pytest.mark.parametrize("builder", DRAWING.values(), ids=DRAWING)
def test_draws_of_a_users_network_change_no_global_state(X, builder, n_init):
    before = torch.random.get_rng_state()
    ae = AutoencoderTransformer(2, **QUICK, encoder=builder, n_init=n_init).fit(X)
    ae.partial_fit(X)
    assert torch.equal(torch.random.get_rng_state(), before)

    torch.manual_seed(1)
    again = AutoencoderTransformer(2, **QUICK, encoder=builder, n_init=n_init).fit(X)
    again.partial_fit(X)
    torch.random.set_rng_state(before)
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))


@pytest.mark.parametrize("warm", [False, True])
def test_draws_of_one_initialisation_do_not_depend_on_others(X, warm):
    """The better of two is the fit of one of their seeds."""
    estimator = AutoencoderTransformer(
        2, **QUICK, encoder=DRAWING["dropout"], early_stopping=False, warm_start=warm
    )
    alone = [fit_of(estimator, X, seed, n_init=1) for seed in range(2)]
    both = fit_of(estimator, X, 0, n_init=2)

    assert any(np.array_equal(both, codes) for codes in alone)


def fit_of(estimator, X, seed, n_init):
    """Codes of a fit with the seed of another initialisation."""
    estimator = clone(estimator)
    first = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))

    class Fixed(np.random.RandomState):
        def randint(self, *args, **kwargs):
            return first + seed

    if estimator.warm_start:
        estimator.fit(X)
    estimator.set_params(random_state=Fixed(0), n_init=n_init)
    return estimator.fit(X).transform(X)


def test_statistics_of_few_distinct_samples_draw_from_their_own_seed(X):
    """The surplus code vectors are random."""
    X = np.tile(X[:3], (20, 1))
    before = torch.random.get_rng_state()
    codes = VQVAE(2, n_codes=8, **QUICK).fit(X).transform(X)
    assert torch.equal(torch.random.get_rng_state(), before)

    torch.manual_seed(1)
    again = VQVAE(2, n_codes=8, **QUICK).fit(X).transform(X)
    torch.random.set_rng_state(before)
    np.testing.assert_array_equal(codes, again)


class FromAnotherThread(Callback):
    """Draws in another thread after each epoch, and sees whether it could borrow."""

    def __init__(self):
        self.drawn, self.free = [], []

    def __deepcopy__(self, memo):
        return self  # fit copies callbacks

    def on_epoch_end(self, net, **kwargs):
        thread = threading.Thread(target=self.draw)
        thread.start()
        thread.join()

    def draw(self):
        self.drawn.append(float(torch.rand(())))
        self.free.append(random._lock.acquire(timeout=1))
        random._lock.release()


@pytest.mark.parametrize("kind", [AutoencoderTransformer, DenoisingAE, ConditionalVAE])
@pytest.mark.parametrize("builder", [mlp, DRAWING["dropout"], None])
def test_other_threads_draw_their_own_numbers_during_a_fit(X, kind, builder):
    callback = FromAnotherThread()
    y = X[:, 0] > 0
    estimator = kind(2, **QUICK, decoder=builder, callbacks=[callback])
    before = torch.random.get_rng_state()
    expected = []
    for _ in range(2):
        torch.manual_seed(3)
        estimator.fit(X, y)
    torch.manual_seed(3)
    expected = [float(torch.rand(())) for _ in range(len(callback.drawn) // 2)]
    torch.random.set_rng_state(before)

    assert all(callback.free)
    assert callback.drawn == expected * 2


def test_known_networks_train_while_another_thread_borrows(X):
    """They neither wait for the lock after construction nor draw."""
    epochs, borrowed = [], threading.Event()

    class Borrow(FromAnotherThread):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(net.step_)
            if len(epochs) == 1:
                thread.start()
                borrowed.wait(10)
            if len(epochs) == 2:
                done.set()
                thread.join()

    def borrow():
        with seeded_default_generator(0, CPU):
            borrowed.set()
            assert done.wait(10)

    done = threading.Event()
    thread = threading.Thread(target=borrow)
    AutoencoderTransformer(
        2, **QUICK, encoder=mlp, decoder=residual_mlp, callbacks=[Borrow()]
    ).fit(X)

    assert len(epochs) >= 2
