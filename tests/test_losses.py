"""Losses per sample, against their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skae._nn.autoencoder import AutoencoderOutput
from skae.losses import LOSSES, ReconstructionLoss


def output(reconstruction):
    return AutoencoderOutput(reconstruction, code=torch.zeros(len(reconstruction), 1))


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31 - 1))
def test_squared_error_is_one_minus_r2(n_samples, n_features, seed):
    """Standardised residuals, weighted, are squared error over variance in X's units."""
    rng = np.random.RandomState(seed)
    spread = np.exp(rng.normal(size=n_features))
    target, guess = rng.normal(size=(2, n_samples, n_features))
    loss = ReconstructionLoss("squared_error", torch.as_tensor(spread))

    actual = loss(output(torch.tensor(guess).float()), torch.tensor(target).float())

    in_units = np.square((guess - target) * spread).sum(axis=1) / np.square(spread).sum()
    np.testing.assert_allclose(actual, in_units, rtol=1e-4, atol=1e-6)


def test_absolute_error_is_in_the_units_of_x():
    loss = ReconstructionLoss("absolute_error", torch.tensor([1.0, 3.0]))

    actual = loss(output(torch.tensor([[1.0, 1.0]])), torch.zeros(1, 2))

    assert actual.item() == pytest.approx((1.0 * 1 + 3.0 * 1) / (1 + 3))


def test_huber_is_squared_near_and_linear_far():
    weight = torch.ones(1)
    near, far = torch.tensor([[0.5]]), torch.tensor([[10.0], [11.0]])

    squared = LOSSES["squared_error"](near, torch.zeros(1, 1), weight)
    torch.testing.assert_close(LOSSES["huber"](near, torch.zeros(1, 1), weight), squared)
    step = LOSSES["huber"](far, torch.zeros(2, 1), weight).diff()
    assert step.item() == pytest.approx(2.0)


def test_bernoulli_is_the_negative_log_likelihood():
    logits, target = torch.tensor([[0.3, -2.0]]), torch.tensor([[1.0, 0.0]])
    likelihood = torch.distributions.Bernoulli(logits=logits).log_prob(target)

    actual = ReconstructionLoss("bernoulli", torch.ones(2))(output(logits), target)

    torch.testing.assert_close(actual, -likelihood.mean(dim=1))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_one_number_per_sample_and_independent_of_the_batch(loss):
    criterion = ReconstructionLoss(loss, torch.tensor([1.0, 2.0, 0.0]))
    guess, target = torch.randn(7, 3), torch.rand(7, 3)

    together = criterion(output(guess), target)
    alone = [criterion(output(guess[i : i + 1]), target[i : i + 1]) for i in range(7)]

    assert together.shape == (7,)
    torch.testing.assert_close(together, torch.cat(alone))


def test_weights_stay_finite_without_variance():
    assert ReconstructionLoss("squared_error", torch.zeros(3)).weight.isfinite().all()


def test_the_criterion_is_a_module_with_a_buffer():
    assert isinstance(ReconstructionLoss("huber", torch.ones(2)), nn.Module)
    assert "weight" in ReconstructionLoss("huber", torch.ones(2)).state_dict()
