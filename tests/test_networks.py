"""Builders return networks of the requested widths."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skae._utils.images import read_image_shape
from skae.networks import (
    ACTIVATIONS,
    conv_decoder,
    conv_encoder,
    grid_decoder,
    grid_encoder,
    mlp,
    residual_mlp,
)

sizes = st.integers(1, 9)
GRIDS = grid_encoder, grid_decoder
channel_lists = st.lists(st.integers(1, 3), max_size=3)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), sizes, sizes, channel_lists)
def test_convolutions_take_images_of_any_size(channels, height, width, hidden):
    shape, n_flat = (channels, height, width), channels * height * width
    x = torch.zeros(2, n_flat)

    encoder = conv_encoder(n_flat, 3, image_shape=shape, channels=hidden)
    decoder = conv_decoder(3, n_flat, image_shape=shape, channels=hidden or [2])

    assert encoder(x).shape == (2, 3)
    assert decoder(encoder(x)).shape == (2, n_flat)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70))
def test_auto_convolutions_leave_a_small_image_that_the_decoder_mirrors(
    channels, height, width
):
    shape, n_flat = (channels, height, width), channels * height * width
    encoder = conv_encoder(n_flat, 2, image_shape=shape)
    decoder = conv_decoder(2, n_flat, image_shape=shape)

    inwards = [m.out_channels for m in encoder if isinstance(m, nn.Conv2d)]
    outwards = [m.in_channels for m in decoder if isinstance(m, nn.ConvTranspose2d)]
    assert inwards == outwards[::-1] == [32, 64, 128, 128, 128][: len(inwards)]
    assert len(inwards) >= 2
    small = encoder[:-2](torch.zeros(1, n_flat)).shape[2:]
    assert min(small) <= 4
    assert len(inwards) == 2 or min(small) > 2  # no layer more than that takes


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), sizes, sizes, channel_lists, st.integers(1, 4))
def test_grids_take_images_of_any_size(channels, height, width, hidden, n_values):
    shape, n_flat = (channels, height, width), channels * height * width
    halvings = 2 ** len(hidden)
    places = -(-height // halvings) * -(-width // halvings)

    encoder = grid_encoder(n_flat, places * n_values, image_shape=shape, channels=hidden)
    decoder = grid_decoder(places * n_values, n_flat, image_shape=shape, channels=hidden)

    code = encoder(torch.zeros(2, n_flat))
    assert code.shape == (2, places * n_values)
    assert decoder(code).shape == (2, n_flat)


def test_a_grid_position_depends_on_its_neighbourhood_only():
    encoder = grid_encoder(20 * 20, 25 * 3, image_shape=(1, 20, 20), channels=(4, 4))
    image = torch.zeros(1, 20, 20)
    changed = image.clone()
    changed[0, 0, 0] = 1.0  # the corner of the first of 5 x 5 positions

    difference = encoder(changed.flatten(1)) - encoder(image.flatten(1))
    moved = difference.unflatten(1, (5, 5, 3)).abs().sum(dim=-1)[0]
    assert moved[0, 0] > 0
    assert (moved[2:] == 0).all() and (moved[:, 2:] == 0).all()


def test_widths_that_do_not_divide_into_the_grid_raise():
    with pytest.raises(ValueError, match="grid of 7 x 7 positions.*Use n_components=49"):
        grid_encoder(784, 50, image_shape=(1, 28, 28))
    with pytest.raises(ValueError, match="grid of 7 x 7 positions.*Use n_components=49"):
        grid_decoder(50, 784, image_shape=(1, 28, 28))


@settings(max_examples=20, deadline=None)
@given(sizes, sizes, st.lists(sizes, max_size=3), st.sampled_from(sorted(ACTIVATIONS)))
def test_mlp_has_the_requested_layers(n_in, n_out, hidden, activation):
    network = mlp(n_in, n_out, hidden_layer_sizes=hidden, activation=activation)
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]

    widths = [n_in, *hidden, n_out]
    assert [(x.in_features, x.out_features) for x in linear] == list(
        zip(widths, widths[1:], strict=False)
    )
    between = [type(layer) for layer in network if not isinstance(layer, nn.Linear)]
    assert between == [ACTIVATIONS[activation]] * len(hidden)


def test_residual_blocks_add_to_their_input():
    """With zero branches only the two outer layers are left."""
    network = residual_mlp(4, 3, width=8, n_blocks=2)
    for block in network[1:-1]:
        nn.init.zeros_(block.branch[-1].weight)
        nn.init.zeros_(block.branch[-1].bias)
    x = torch.randn(5, 4)

    torch.testing.assert_close(network(x), network[-1](network[0](x)))


@pytest.mark.parametrize("build", [conv_encoder, partial(conv_decoder)])
def test_wrong_image_shapes_raise(build):
    with pytest.raises(ValueError, match=r"has 12 values.*n_features=10"):
        build(10, 10, image_shape=(1, 3, 4))
    for wrong in ((12,), (1, 1, 3, 4), (-3, -4), (0, 3, 4), (1.0, 3, 4)):
        with pytest.raises(ValueError, match=r"must be \(height, width\), \(channels"):
            build(12, 12, image_shape=wrong)


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((12, 12, 3), (3, 12, 12, True)),
        ((28, 28, 1), (1, 28, 28, True)),
        ((8, 6, 4), (4, 8, 6, True)),
        ((64, 64, 2), (2, 64, 64, True)),
        ((3, 12, 12), (3, 12, 12, False)),
        ((12, 28), (1, 12, 28, False)),
        ((3, 3, 3), (3, 3, 3, False)),
        ((1, 28, 3), (1, 28, 3, False)),
        ((16, 4, 4), (16, 4, 4, False)),  # a small image of many channels
        ((100, 32, 32), (100, 32, 32, False)),
    ],
)
def test_channels_are_read_at_either_end(shape, expected):
    assert read_image_shape(shape, np.prod(shape)) == expected


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "encoder, decoder, n_code", [(conv_encoder, conv_decoder, 3), (*GRIDS, 4 * 2)]
)
def test_channels_last_are_channels_first_in_another_order(
    encoder, decoder, n_code, n_channels
):
    n_flat, small = n_channels * 8 * 6, dict(channels=(4, 4))
    order = np.arange(n_flat).reshape(n_channels, 8, 6).transpose(1, 2, 0).ravel()
    x = torch.randn(5, n_flat)
    codes, images = [], []
    for shape in ((n_channels, 8, 6), (8, 6, n_channels)):
        torch.manual_seed(0)
        codes.append(encoder(n_flat, n_code, image_shape=shape, **small))
        images.append(decoder(n_code, n_flat, image_shape=shape, **small))

    code = codes[0](x)
    torch.testing.assert_close(codes[1](x[:, order]), code)
    torch.testing.assert_close(images[1](code), images[0](code)[:, order])


@pytest.mark.parametrize("build", [conv_encoder, conv_decoder])
def test_channels_that_are_no_numbers_raise(build):
    with pytest.raises(ValueError, match="channels='wide' must be 'auto' or a sequence"):
        build(12, 12, image_shape=(1, 3, 4), channels="wide")


def test_unknown_activation_raises():
    with pytest.raises(ValueError, match="activation='swish' is not one of"):
        mlp(2, 2, activation="swish")
