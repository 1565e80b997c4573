"""The flat AdamW takes torch's steps."""

import copy

import pytest
import torch
from torch import nn

from skae._training.adamw import FlatAdamW
from skae.networks import conv_encoder, mlp


def train(module, optimizer, n_steps=20, before_step=lambda: None):
    x = torch.randn(64, 12, generator=torch.Generator().manual_seed(1))
    for _ in range(n_steps):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        before_step()
        optimizer.step()


@pytest.mark.parametrize(
    "module",
    [
        mlp(12, 5, hidden_layer_sizes=(7,)),
        conv_encoder(12, 5, image_shape=(1, 3, 4)).to(memory_format=torch.channels_last),
    ],
)
def test_steps_are_those_of_torch(module):
    reference = copy.deepcopy(module)
    flat = FlatAdamW(module.parameters(), lr=1e-2, weight_decay=0.1)
    flat.gather()
    torchs = torch.optim.AdamW(
        reference.parameters(), lr=1e-2, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.1
    )

    train(module, flat)
    train(
        reference,
        torchs,
        before_step=lambda: nn.utils.clip_grad_norm_(reference.parameters(), 1.0),
    )

    for ours, theirs in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_frozen_parameters_stay_as_they_are():
    module = mlp(12, 5, hidden_layer_sizes=(7,))
    before = copy.deepcopy(module.state_dict())
    flat = FlatAdamW(module.parameters(), lr=1e-2, weight_decay=0.1)
    flat.gather()
    train(module, flat, n_steps=2)
    first = {name: values.clone() for name, values in module.state_dict().items()}
    module[0].requires_grad_(False)
    flat.gather()
    train(module, flat, n_steps=2)

    assert not torch.equal(first["0.weight"], before["0.weight"])
    torch.testing.assert_close(module[0].weight, first["0.weight"], rtol=0, atol=0)
    assert not torch.equal(module[2].weight, first["2.weight"])


def test_release_gives_each_parameter_its_own_memory():
    module = mlp(12, 5)
    flat = FlatAdamW(module.parameters(), lr=1e-2)
    flat.gather()
    train(module, flat, n_steps=1)
    flat.release()

    sizes = {p.untyped_storage().nbytes() - 4 * p.numel() for p in module.parameters()}
    assert sizes == {0}


def test_torch_schedulers_accept_it():
    flat = FlatAdamW(mlp(12, 5).parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(flat, gamma=0.5)
    flat.gather()
    flat.step()
    schedule.step()

    assert flat.param_groups[0]["lr"] == 0.5


def test_one_group_only():
    flat = FlatAdamW(mlp(2, 2).parameters(), lr=1.0)
    with pytest.raises(ValueError, match="one group"):
        flat.add_param_group({"params": []})


def test_parameters_that_are_views_keep_their_values():
    layer = nn.Linear(5, 3)
    layer.weight = nn.Parameter(torch.randn(20, 20)[:3, :5])
    before = copy.deepcopy(layer)
    optimizer = FlatAdamW(layer.parameters(), lr=0.1)

    optimizer.gather()

    torch.testing.assert_close(layer.weight, before.weight)
    torch.testing.assert_close(layer.bias, before.bias)
