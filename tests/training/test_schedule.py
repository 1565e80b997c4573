"""Learning-rate schedules, by their formulae, and in the history of a fit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skae import AutoencoderTransformer
from skae._training import schedule
from skae._training.net import AutoencoderNet

FAST = dict(n_components=2, hidden_layer_sizes=(8,), random_state=0)


@given(st.integers(40, 10_000))
def test_cosine_warms_up_and_falls_to_a_hundredth(n_steps):
    factors = np.array([schedule.cosine(step, n_steps) for step in range(n_steps)])
    warm_up = int(0.05 * n_steps)

    np.testing.assert_allclose(factors[:warm_up], np.arange(1, warm_up + 1) / warm_up)
    assert factors[warm_up] == 1.0
    assert (np.diff(factors[warm_up:]) < 0).all()
    # Half-way down it is the mean of the peak and the last rate.
    middle = schedule.cosine(warm_up + (n_steps - warm_up) / 2, n_steps)
    assert middle == pytest.approx((1 + 0.01) / 2)
    assert 0.01 < factors[-1] < 0.02 or n_steps < 100


def test_inverse_square_root_rises_stays_and_falls():
    factor = schedule.inverse_square_root

    assert factor(0) == pytest.approx(0.7 / 100)
    assert factor(49) == pytest.approx(0.7 / 2)
    assert factor(99) == factor(499) == pytest.approx(0.7)
    for step in (501, 2_000, 10**6):
        assert factor(step) == pytest.approx(0.7 * math.sqrt(500 / (step + 1)))


def test_fit_follows_the_cosine(X):
    ae = AutoencoderTransformer(**FAST, max_iter=50, early_stopping=False).fit(X)
    n_batches = math.ceil(200 / 32)
    last_steps = n_batches * np.arange(1, 51) - 1

    expected = [7e-3 * schedule.cosine(step, 50 * n_batches) for step in last_steps]
    np.testing.assert_allclose(ae.history_["learning_rate"], expected)


def test_partial_fit_continues_its_schedule_over_the_parts(X):
    X = np.concatenate([X, X, X])
    ae = AutoencoderTransformer(**FAST, max_iter=5, batch_size=20)
    ae.partial_fit(X).partial_fit(X).partial_fit(X)

    # 600 samples at first, and then as many earlier ones, too.
    last_steps = np.cumsum([30] * 5 + [60] * 10) - 1
    rise, fall = np.minimum(1, (last_steps + 1) / 100), np.sqrt(500 / (last_steps + 1))
    expected = 7e-3 * 0.7 * rise * np.minimum(1, fall)
    np.testing.assert_allclose(ae.history_["learning_rate"], expected)
    assert expected[-1] < 0.9 * expected.max()


def test_the_optimisers_moments_continue_over_the_parts(X):
    """With a constant gradient, the moments after n steps are (1 - beta ** n) of it."""
    X = np.concatenate([X, X, X])  # enough to keep the module
    ae = AutoencoderTransformer(
        **FAST, init="random", max_iter=7, batch_size=1200, learning_rate=1e-20
    )
    once = ae.partial_fit(X)._optimizer_state
    twice = ae.partial_fit(X)._optimizer_state

    assert (int(once["n_steps"]), int(twice["n_steps"])) == (7, 14)
    for name, beta in (("first_moment", 0.9), ("second_moment", 0.99)):
        ratio = (1 - beta**14) / (1 - beta**7)
        torch.testing.assert_close(twice[name], ratio * once[name], rtol=1e-4, atol=0)


@pytest.mark.parametrize("worse", [True, False])
def test_a_higher_training_loss_restores_the_initial_weights(X, monkeypatch, worse):
    """One sample may outweigh all others without being in the validation set."""
    losses = iter([1.0, 1.1 if worse else 0.9] * 9)
    monkeypatch.setattr(
        AutoencoderNet, "_train_losses", lambda self, batches: np.array([next(losses)])
    )
    many = np.vstack([X] * 11)  # validated once, without a refit

    ae = AutoencoderTransformer(**FAST, max_iter=5).fit(many)

    assert (ae.best_step_ == 0) == worse
    change = ae.module_.encoder.change.detach()
    assert (change == 0).all() == worse
