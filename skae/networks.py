"""Builders of networks: callables ``(n_in, n_out) -> nn.Module``.

Give one as ``encoder=`` or ``decoder=`` of any estimator, with its other arguments fixed
by :func:`functools.partial`. The estimator says how wide input and output are; rows go in
and come out flat, so images are rows of ``channels * height * width`` values.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log2, prod

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={name!r} is not one of {sorted(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


def mlp(
    n_in: int,
    n_out: int,
    *,
    hidden_layer_sizes: Sequence[int] = (128, 128),
    activation: str = "silu",
) -> nn.Sequential:
    """Fully connected layers with an activation between them.

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.

    hidden_layer_sizes : sequence of int, default=(128, 128)
        Widths of the hidden layers, from input to output. ``()`` is one linear layer.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        What follows each hidden layer.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    Examples
    --------
    >>> from skae.networks import mlp
    >>> mlp(64, 2, hidden_layer_sizes=(16,), activation="relu")
    Sequential(
      (0): Linear(in_features=64, out_features=16, bias=True)
      (1): ReLU()
      (2): Linear(in_features=16, out_features=2, bias=True)
    )
    """
    layers: list[nn.Module] = []
    for width in hidden_layer_sizes:
        layers += [nn.Linear(n_in, width), _activation(activation)]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_out))


class _ResidualBlock(nn.Module):
    def __init__(self, width: int, activation: str):
        super().__init__()
        self.branch = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            _activation(activation),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual_mlp(
    n_in: int,
    n_out: int,
    *,
    width: int = 128,
    n_blocks: int = 2,
    activation: str = "silu",
) -> nn.Sequential:
    """Fully connected blocks, each adding to what it was given.

    Prefer it to :func:`mlp` when you want more than about four hidden layers. The blocks
    normalise their input over the row (layer norm), never over the batch.

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.

    width : int, default=128
        Width of every block.

    n_blocks : int, default=2
        Number of blocks of two layers each.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        What stands between the two layers of a block.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    References
    ----------
    He et al., "Identity mappings in deep residual networks", ECCV 2016,
    https://arxiv.org/abs/1603.05027

    Examples
    --------
    >>> import torch
    >>> from skae.networks import residual_mlp
    >>> residual_mlp(30, 4, n_blocks=3)(torch.zeros(5, 30)).shape
    torch.Size([5, 4])
    """
    blocks = [_ResidualBlock(width, activation) for _ in range(n_blocks)]
    return nn.Sequential(nn.Linear(n_in, width), *blocks, nn.Linear(width, n_out))


def _check_image(n_flat: int, image_shape: Sequence[int], side: str) -> tuple[int, ...]:
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(
            f"image_shape={image_shape!r} must be (channels, height, width), each at "
            "least 1."
        )
    if prod(image_shape) != n_flat:
        raise ValueError(
            f"image_shape={tuple(image_shape)} has {prod(image_shape)} values, but the "
            f"{side} has n_features={n_flat}."
        )
    return tuple(image_shape)


# Convolutions halve an image until its shorter side is at most this.
SMALL = 4
FIRST_CHANNELS, MOST_CHANNELS = 32, 128


def _resolve_channels(
    image_shape: Sequence[int], channels: str | Sequence[int]
) -> tuple[int, ...]:
    """Channels after each convolution, from the image inwards."""
    if not isinstance(channels, str):
        return tuple(channels)
    if channels != "auto":
        raise ValueError(
            f"channels={channels!r} must be 'auto' or a sequence of integers, one for "
            "each convolution."
        )
    n_layers = max(2, ceil(log2(min(image_shape[1:]) / SMALL)))
    return tuple(min(FIRST_CHANNELS * 2**n, MOST_CHANNELS) for n in range(n_layers))


def _sizes(height: int, width: int, n_layers: int) -> list[tuple[int, int]]:
    """Image sizes from the full one down; each layer halves them, rounding up."""
    sizes = [(height, width)]
    for _ in range(n_layers):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def conv_encoder(
    n_in: int,
    n_out: int,
    *,
    image_shape: Sequence[int],
    channels: str | Sequence[int] = "auto",
    activation: str = "silu",
) -> nn.Sequential:
    """Convolutions that halve an image at each layer, then one linear layer.

    On images of things that stand in different places they find more than :func:`mlp`
    does with as many weights, and take ten times as long or more; the guide's page on
    images has the figures. Nothing is normalised over the batch.

    Parameters
    ----------
    n_in : int
        Width of the flat rows; must be the product of ``image_shape``.

    n_out : int
        Width of the output.

    image_shape : (channels, height, width)
        Shape of one image. Any size works, odd ones too.

    channels : "auto" or sequence of int, default="auto"
        Channels after each convolution; each halves height and width, rounding up.
        "auto" is as many as leave a shorter side of at most 4, and at least two: 32, 64,
        and 128 from there on. Half of each costs about half the time.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        What follows each convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_in`` values, or ``channels`` is another word.

    References
    ----------
    Masci et al., "Stacked convolutional auto-encoders for hierarchical feature
    extraction", ICANN 2011, https://doi.org/10.1007/978-3-642-21735-7_7

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> from skae.networks import conv_encoder
    >>> encoder = partial(conv_encoder, image_shape=(1, 7, 5))
    >>> encoder(35, 3)(torch.zeros(2, 35)).shape
    torch.Size([2, 3])
    """
    shape = _check_image(n_in, image_shape, "input")
    channels = _resolve_channels(shape, channels)
    layers = _shrinking(shape, channels, activation)
    last = prod(_sizes(*shape[1:], len(channels))[-1]) * [shape[0], *channels][-1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(last, n_out))


def _shrinking(
    image_shape: Sequence[int], channels: Sequence[int], activation: str
) -> list[nn.Module]:
    """Convolutions from flat rows to a small image of many channels."""
    layers: list[nn.Module] = [nn.Unflatten(1, tuple(image_shape))]
    for before, after in pairwise([image_shape[0], *channels]):
        layers += [
            nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1),
            _activation(activation),
        ]
    return layers


def conv_decoder(
    n_in: int,
    n_out: int,
    *,
    image_shape: Sequence[int],
    channels: str | Sequence[int] = "auto",
    activation: str = "silu",
) -> nn.Sequential:
    """One linear layer, then transposed convolutions that double the image: the mirror
    of :func:`conv_encoder`.

    Parameters
    ----------
    n_in : int
        Width of the input, the code.

    n_out : int
        Width of the flat rows; must be the product of ``image_shape``.

    image_shape : (channels, height, width)
        Shape of one image. Any size works, odd ones too.

    channels : "auto" or sequence of int, default="auto"
        Channels before each transposed convolution, from the code outwards. "auto" is
        the reverse of the encoder's.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        What precedes each transposed convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_out`` values, or ``channels`` is another
        word.

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> from skae.networks import conv_decoder
    >>> decoder = partial(conv_decoder, image_shape=(1, 7, 5))
    >>> decoder(3, 35)(torch.zeros(2, 3)).shape
    torch.Size([2, 35])
    """
    shape = _check_image(n_out, image_shape, "output")
    if isinstance(channels, str):
        channels = _resolve_channels(shape, channels)[::-1]
    small = _sizes(*shape[1:], len(channels))[-1]
    first = ([*channels, shape[0]][0], *small)
    layers = [nn.Linear(n_in, prod(first)), nn.Unflatten(1, first)]
    return nn.Sequential(*layers, *_growing(shape, channels, activation))


def _growing(
    image_shape: Sequence[int], channels: Sequence[int], activation: str
) -> list[nn.Module]:
    """Transposed convolutions from a small image of many channels to flat rows."""
    sizes = _sizes(*image_shape[1:], len(channels))[::-1]
    layers: list[nn.Module] = []
    for (before, after), (small, large) in zip(
        pairwise([*channels, image_shape[0]]), pairwise(sizes), strict=True
    ):
        # A doubled image is one short where the large size is even.
        padding = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
        layers += [
            _activation(activation),
            nn.ConvTranspose2d(
                before, after, 3, stride=2, padding=1, output_padding=padding
            ),
        ]
    return [*layers, nn.Flatten()]


class _Places(nn.Module):
    """Images (n_samples, channels, height, width) as rows, one place after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mT.flatten(1)


class _Image(nn.Module):
    """The reverse of :class:`_Places`."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height = height
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        n_places = self.height * self.width
        return x.unflatten(1, (n_places, -1)).mT.unflatten(2, (self.height, self.width))


def _count_places(
    image_shape: Sequence[int], n_layers: int, n_values: int
) -> tuple[int, int, int]:
    """Height and width of the grid, and values a place."""
    height, width = _sizes(*image_shape[1:], n_layers)[-1]
    if n_values % (height * width):
        raise ValueError(
            f"{n_layers} convolutions leave a grid of {height} x {width} places, among "
            f"which {n_values} values cannot be shared evenly. Use n_components="
            f"{height * width}, or other channels."
        )
    return height, width, n_values // (height * width)


def grid_encoder(
    n_in: int,
    n_out: int,
    *,
    image_shape: Sequence[int],
    channels: Sequence[int] = (32, 64),
    activation: str = "silu",
) -> nn.Sequential:
    """Convolutions from an image to a smaller grid, place by place: no layer sees all.

    For a :class:`skae.VQVAE` that has one word for each place,
    ``VQVAE(49, encoder=partial(grid_encoder, image_shape=(1, 28, 28)), ...)``.

    Parameters
    ----------
    n_in : int
        Width of the flat rows; must be the product of ``image_shape``.

    n_out : int
        Width of the output, a multiple of the number of places.

    image_shape : (channels, height, width)
        Shape of one image. Any size works, odd ones too.

    channels : sequence of int, default=(32, 64)
        Channels after each convolution; each halves height and width, rounding up.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        What follows each convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out), one place after the other.

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_in`` values, or the places cannot share
        ``n_out``.

    Examples
    --------
    >>> import torch
    >>> from skae.networks import grid_encoder
    >>> encoder = grid_encoder(784, 49 * 8, image_shape=(1, 28, 28))  # 7 x 7 places
    >>> encoder(torch.zeros(2, 784)).shape
    torch.Size([2, 392])
    """
    shape = _check_image(n_in, image_shape, "input")
    *_, width = _count_places(shape, len(channels), n_out)
    last = [shape[0], *channels][-1]
    return nn.Sequential(
        *_shrinking(shape, channels, activation),
        nn.Conv2d(last, last, kernel_size=3, padding=1),
        _activation(activation),
        nn.Conv2d(last, width, kernel_size=1),
        _Places(),
    )


def grid_decoder(
    n_in: int,
    n_out: int,
    *,
    image_shape: Sequence[int],
    channels: Sequence[int] = (64, 32),
    activation: str = "silu",
) -> nn.Sequential:
    """Transposed convolutions from a grid to an image: the mirror of
    :func:`grid_encoder`.

    Parameters
    ----------
    n_in : int
        Width of the input, a multiple of the number of places.

    n_out : int
        Width of the flat rows; must be the product of ``image_shape``.

    image_shape : (channels, height, width)
        Shape of one image. Any size works, odd ones too.

    channels : sequence of int, default=(64, 32)
        Channels before each transposed convolution.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        What precedes each transposed convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_out`` values, or the places cannot share
        ``n_in``.

    Examples
    --------
    >>> import torch
    >>> from skae.networks import grid_decoder
    >>> decoder = grid_decoder(49 * 8, 784, image_shape=(1, 28, 28))
    >>> decoder(torch.zeros(2, 392)).shape
    torch.Size([2, 784])
    """
    shape = _check_image(n_out, image_shape, "output")
    height, width, n_values = _count_places(shape, len(channels), n_in)
    first = [*channels, shape[0]][0]
    return nn.Sequential(
        _Image(height, width),
        nn.Conv2d(n_values, first, kernel_size=3, padding=1),
        *_growing(shape, channels, activation),
    )
