"""Where the correction ends: known answers of a path with the identity as its network."""

import numpy as np
import pytest
import torch
from torch import nn

from skae import AutoencoderTransformer
from skae._nn.linear_path import LinearPath, zero_initialize
from skae.networks import mlp


def make_path(unit=None, keeps_change=False):
    """Codes 0, corrections x: what comes out is the correction."""
    path = LinearPath(
        nn.Identity(),
        torch.zeros(2, 2, dtype=torch.float64),
        training_range=torch.tensor([[-1.0, -4.0], [3.0, 4.0]]),
        gain=True,
        unit=unit,
        keeps_change=keeps_change,
    )
    with torch.no_grad():
        path.gain.fill_(1.0)
    path.eval()
    return path


def test_inputs_are_clipped_to_a_range_wider_by_a_quarter():
    """[-1, 3] becomes [-1.5, 3.5]; beyond, the distance in half widths fades it."""
    path = make_path()
    x = torch.tensor([[3.5, 0.0], [-1.5, 5.0], [5.5, 0.0], [1.0, -9.0]])
    expected = torch.tensor(
        [[3.5, 0.0], [-1.5, 5.0], [3.5 / 2, 0.0], [1.0 / 2, -5.0 / 2]]
    )
    torch.testing.assert_close(path(x), expected)
    path.freeze_range()
    torch.testing.assert_close(path(x), expected)


def test_in_training_nothing_is_clipped():
    path = make_path().train()
    x = torch.tensor([[50.0, -70.0]])
    torch.testing.assert_close(path(x), x)


def test_a_frozen_range_does_not_change_until_it_is_unfrozen():
    path = make_path()
    path.freeze_range()
    path.update_range(torch.tensor([[11.0, 0.0]]))
    x = torch.tensor([[9.0, 0.0]])
    assert path(x)[0, 0] < 1.0
    path.unfreeze_range()
    torch.testing.assert_close(path(x), x)


@pytest.mark.parametrize("keeps_change", [False, True])
def test_corrections_are_measured_in_the_unit(keeps_change):
    """Equal weights correct each output by so many of its units."""
    unit = torch.tensor([1e-3, 2.0])
    path = make_path(unit, keeps_change)
    x = torch.tensor([[1.0, 1.0]])
    torch.testing.assert_close(path(x), unit[None])
    with torch.no_grad():
        path.gain.zero_()
        path.change.fill_(0.5)
    torch.testing.assert_close(path(x), unit[None])


def test_a_module_that_resumes_has_no_frozen_range():
    X = np.random.RandomState(0).normal(size=(60, 4))
    module = AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X).module_
    assert module.encoder.least is not None and module.decoder.least is not None
    module.unfreeze()
    assert module.encoder.least is None and module.decoder.least is None


def test_the_default_network_corrects_nothing_at_first():
    weight = torch.randn(3, 2, dtype=torch.float64)
    path = LinearPath(zero_initialize(mlp(3, 2, hidden_layer_sizes=(5,))), weight)
    x = torch.randn(7, 3)
    torch.testing.assert_close(path.train()(x), x @ weight.float())
