"""The gradient written out is autograd's, and what it does not know goes to autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skae._nn.autoencoder import AutoencoderModule, AutoencoderOutput
from skae._nn.backprop import written_out
from skae._nn.code_basis import CodeBasis
from skae._nn.linear_path import LinearPath, zero_initialize
from skae._nn.scaling import Standardizer
from skae.losses import LOSSES, ReconstructionLoss
from skae.networks import ACTIVATIONS, mlp

D, K = 7, 3


def side(n_in, n_out, activation, kind):
    network = mlp(n_in, n_out, hidden_layer_sizes=(5, 4), activation=activation)
    if kind == "network":
        return network
    weight = torch.randn(n_in, n_out).double()
    bias = torch.randn(n_out) if kind == "gain" else None
    path = LinearPath(zero_initialize(network), weight, bias, gain=kind == "gain")
    path.learning_rate_scale = 0.3 if kind == "gain" else 1.0
    for parameter in path.parameters():
        nn.init.normal_(parameter)
    path.weight.requires_grad_(False)
    return path


def autoencoder(activation="silu", kind="path", cls=AutoencoderModule, k=K):
    units = Standardizer(torch.zeros(D), torch.ones(D))
    sides = side(D, k, activation, kind), side(k, D, activation, kind)
    module = cls(*sides, inputs=units, outputs=units, basis=CodeBasis(torch.ones(k)))
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    return module


def gradients(module):
    return [p.grad.clone() for p in module.parameters() if p.requires_grad]


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(ACTIVATIONS)),
    st.sampled_from(sorted(LOSSES)),
    st.sampled_from(["network", "path", "gain"]),
    st.integers(1, 9),
    st.integers(0, 2**31 - 1),
)
def test_gradient_is_that_of_autograd(activation, loss, kind, n_samples, seed):
    torch.manual_seed(seed)
    module = autoencoder(activation, kind).double()
    criterion = ReconstructionLoss(loss, torch.rand(D)).double()
    x, target = torch.randn(n_samples, D).double(), torch.rand(n_samples, D).double()

    value = written_out(module, criterion)(x, target)
    written = gradients(module)
    module.zero_grad()
    expected = criterion(module(x), target).mean()
    expected.backward()

    torch.testing.assert_close(value, expected.detach())
    for ours, theirs in zip(written, gradients(module), strict=True):
        torch.testing.assert_close(ours, theirs)


class Other(AutoencoderModule):
    def forward(self, x, condition=None):
        code = self.to_code(x)
        return AutoencoderOutput(self.from_code(code), code)


def frozen():
    module = autoencoder()
    module.decoder.network[0].weight.requires_grad_(False)
    return module


def frozen_change():
    module = autoencoder()
    module.encoder.change.requires_grad_(False)
    return module


def hooked():
    module = autoencoder()
    module.decoder.register_forward_hook(lambda *_: None)
    return module


def with_layer(layer):
    module = autoencoder()
    module.encoder.network.append(layer)
    return module


def with_network(*layers):
    module = autoencoder()
    module.encoder.network = nn.Sequential(*layers)
    return module


def twice(layer):
    return layer, layer


class OwnSiLU(nn.SiLU):
    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize(
    "module",
    [
        autoencoder(cls=Other),
        frozen(),
        frozen_change(),
        hooked(),
        with_layer(nn.Dropout()),
        with_layer(nn.Linear(K, K, bias=False)),
        with_layer(OwnSiLU()),
        with_network(nn.Linear(D, 4), nn.SiLU(), nn.Tanh(), nn.Linear(4, K)),
        with_network(nn.Tanh(), nn.Linear(D, K)),
        with_network(nn.Linear(D, 4), nn.GELU("tanh"), nn.Linear(4, K)),
        with_network(
            nn.Linear(D, D), nn.SiLU(), *twice(nn.Linear(D, D)), nn.Linear(D, K)
        ),
        with_network(nn.Identity()),
    ],
    ids=[
        *("forward", "frozen", "change", "hook", "dropout", "bias", "subclass"),
        *("two curves", "leading curve", "other GELU", "shared", "no layer"),
    ],
)
def test_what_is_not_known_is_left_to_autograd(module):
    assert written_out(module, ReconstructionLoss("squared_error", torch.ones(D))) is None


def test_another_criterion_is_left_to_autograd():
    class Penalised(ReconstructionLoss):
        pass

    criterion = Penalised("squared_error", torch.ones(D))

    assert written_out(autoencoder(), criterion) is None
