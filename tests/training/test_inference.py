"""float64 inference follows the module: its copy is renewed with every change."""

import copy

import numpy as np
import pytest
import torch

from skae import AutoencoderTransformer
from skae._training.inference import module_for

FAST = dict(n_components=2, hidden_layer_sizes=(8,), max_iter=2, random_state=0)


@torch.no_grad()
def in_place(ae, other, X):
    ae.module_.encoder.weight.mul_(2)


@torch.no_grad()
def a_buffer_in_place(ae, other, X):
    ae.module_.basis.shift.add_(1.0)


def replaced(ae, other, X):
    ae.module_.encoder.weight = 2 * ae.module_.encoder.weight


def other_memory(ae, other, X):
    ae.module_.encoder.change.data = ae.module_.encoder.change.data + 1.0


def another_layer(ae, other, X):
    ae.module_.encoder = copy.deepcopy(other.module_.encoder)


def loaded(ae, other, X):
    ae.module_.load_state_dict(other.module_.state_dict())


def loaded_by_assignment(ae, other, X):
    ae.module_.load_state_dict(copy.deepcopy(other.module_.state_dict()), assign=True)


def trained_on(ae, other, X):
    ae.partial_fit(X)


def trained_on_by_hand(ae, other, X):
    optimizer = torch.optim.SGD(ae.module_.parameters(), lr=0.1)
    x = torch.tensor(X)
    with torch.enable_grad():
        module = ae.module_.train()
        loss = module(module.standardize(x)).reconstruction.square().mean()
        loss.backward()
    optimizer.step()
    ae.module_.eval()


CHANGES = [
    in_place,
    a_buffer_in_place,
    replaced,
    other_memory,
    another_layer,
    loaded,
    loaded_by_assignment,
    trained_on,
    trained_on_by_hand,
]


@pytest.mark.parametrize("change", CHANGES)
def test_float64_codes_are_those_of_the_module_as_it_is(X, change):
    ae = AutoencoderTransformer(**FAST).fit(X)
    other = AutoencoderTransformer(**FAST).fit(3 * X[:, ::-1] + 1)
    before = ae.transform(X)

    change(ae, other, X)

    after = ae.transform(X)
    anew = copy.deepcopy(ae).transform(X)  # there is no earlier copy of this module
    np.testing.assert_array_equal(after, anew)
    assert np.abs(after - before).max() > 1e-6
    in_float32 = ae.transform(X.astype(np.float32))
    np.testing.assert_allclose(in_float32, after, atol=1e-4 * np.abs(after).max())


def test_float64_copy_is_made_once_for_an_unchanged_module(X):
    ae = AutoencoderTransformer(**FAST).fit(X)
    double = module_for(ae.module_, torch.float64)

    ae.transform(X)
    ae.score(X)

    assert module_for(ae.module_, torch.float64) is double
    assert double.encoder.weight.dtype == torch.float64
