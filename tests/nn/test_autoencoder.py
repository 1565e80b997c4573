"""The linear path, the units, and the basis of codes."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skae._nn.code_basis import CodeBasis
from skae._nn.linear_path import LinearPath, zero_initialize
from skae._nn.scaling import Probability, Standardizer
from skae.networks import mlp

seeds = st.integers(0, 2**31 - 1)


def path(n_in=3, n_out=2, **kwargs):
    weight = torch.randn(n_in, n_out, dtype=torch.float64)
    return LinearPath(zero_initialize(mlp(n_in, n_out)), weight, **kwargs), weight


def test_path_starts_as_the_linear_map_in_both_precisions():
    start, weight = path()
    x = torch.randn(5, 3, dtype=torch.float64)

    exact = start.double().eval()(x)

    torch.testing.assert_close(exact, x @ weight, rtol=1e-13, atol=1e-13)
    single = start.float()(x.float())
    torch.testing.assert_close(single, (x @ weight).float(), rtol=1e-5, atol=1e-5)


def test_gain_silences_any_network_yet_lets_it_learn():
    network = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    start = LinearPath(network, torch.zeros(3, 2, dtype=torch.float64), gain=True)
    x = torch.randn(5, 3)

    assert start(x).abs().max() == 0
    start(x).sum().backward()
    assert start.gain.grad.abs().min() > 0
    assert start.change.grad.abs().min() > 0


def test_beside_a_users_network_the_map_moves_no_faster_for_more_inputs():
    """A step of Adam is as large for each weight, so that the steps of many add up."""
    moved = []
    for n_in in (64, 1024):
        weight = torch.zeros(n_in, 2, dtype=torch.float64)
        start = LinearPath(mlp(n_in, 2), weight, gain=True)
        nn.init.constant_(start.change, 0.01)
        moved.append(start(torch.ones(1, n_in)))

    torch.testing.assert_close(moved[0], moved[1])
    torch.testing.assert_close(moved[0], torch.full((1, 2), 0.64))


@settings(max_examples=20)
@given(seeds, st.floats(1e2, 1e6))
def test_far_from_training_inputs_only_the_linear_map_is_left(seed, distance):
    torch.manual_seed(seed)
    learned = LinearPath(mlp(3, 2), torch.randn(3, 2, dtype=torch.float64))
    nn.init.normal_(learned.change)
    learned(torch.randn(50, 3))  # in training mode: makes the box
    learned.eval()
    far = distance * torch.nn.functional.normalize(torch.randn(4, 3))
    clipped, _ = learned._clip(far)

    correction = learned(far) - far @ learned.weight

    # Of what it is at the edge of the box, which these random weights make any size.
    at_the_edge = learned._correction(clipped)
    assert correction.abs().max() < 5e-3 * at_the_edge.abs().max()


def test_inside_the_box_training_and_inference_agree():
    torch.manual_seed(0)
    learned = LinearPath(mlp(3, 2), torch.randn(3, 2, dtype=torch.float64))
    x = torch.randn(50, 3)

    torch.testing.assert_close(learned.train()(x), learned.eval()(x))


def test_a_given_box_stays():
    fixed, _ = path(training_range=torch.tensor([[-1.0, -1, -1], [1, 1, 1]]))

    fixed.train()(100 * torch.randn(9, 3))

    assert fixed.high.max() == 1


@settings(max_examples=30)
@given(seeds, st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_standardizer_inverts(seed, offset, scale):
    rng = np.random.RandomState(seed)
    X = torch.tensor(scale * (offset + rng.normal(size=(50, 4))))
    units = Standardizer(X.mean(dim=0), X.std(dim=0, correction=0))

    z = units(X)

    torch.testing.assert_close(z.std(dim=0, correction=0), torch.ones(4).double())
    torch.testing.assert_close(units.inverse(z), X, rtol=1e-9, atol=1e-8 * scale)


def test_standardizer_gives_a_constant_column_back_as_its_mean():
    units = Standardizer(torch.tensor([7.0]), torch.tensor([0.0]))

    assert units(torch.tensor([[9.0]])).item() == 0
    assert units.inverse(torch.tensor([[123.0]])).item() == 7


def test_probability_inverts_logits_only():
    assert Probability()(torch.tensor(0.3)).item() == torch.tensor(0.3).item()
    assert Probability().inverse(torch.tensor(0.0)).item() == 0.5


@settings(max_examples=30)
@given(seeds, st.integers(1, 5))
def test_turns_of_the_basis_add_up(seed, n_components):
    """Turning twice is turning by the composition, and the inverse undoes it."""
    torch.manual_seed(seed)
    codes = torch.randn(10, n_components, dtype=torch.float64)
    basis = CodeBasis(torch.rand(n_components) + 0.1)
    expected = basis(codes)
    for _ in range(2):
        shift = torch.randn(n_components, dtype=torch.float64)
        rotation, _ = torch.linalg.qr(torch.randn(n_components, n_components).double())
        basis.compose(shift, rotation)
        expected = (expected - shift) @ rotation

    torch.testing.assert_close(basis(codes), expected)
    torch.testing.assert_close(basis.inverse(basis(codes)), codes)
