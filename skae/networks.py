"""Network architectures: builders ``(n_in, n_out) -> nn.Module``.

Pass one as ``encoder=`` or ``decoder=`` of any estimator, with its other arguments fixed
by :func:`functools.partial`. The estimator sets the widths of input and output. Samples
are flat, so an image is a vector of ``channels * height * width`` values.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log2, prod

from torch import Tensor, nn

from skae._utils import images

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
    """Multilayer perceptron (MLP): fully connected layers with an activation between.

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.

    hidden_layer_sizes : sequence of int, default=(128, 128)
        Widths of the hidden layers, from input to output. ``()`` is one linear layer.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        Activation function after each hidden layer.

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
    """Residual MLP: fully connected blocks with skip connections.

    Prefer it to :func:`mlp` for more than about four hidden layers. The blocks normalise
    their input over its features (layer norm), never over the batch.

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.

    width : int, default=128
        Width of every block.

    n_blocks : int, default=2
        Number of blocks of two layers each.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        Activation function between the two layers of a block.

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


# Convolutions halve an image until its shorter side is at most this.
SMALL = 4
FIRST_CHANNELS, MOST_CHANNELS = 32, 128


def _resolve_channels(
    image_shape: images.ImageShape, channels: str | Sequence[int]
) -> tuple[int, ...]:
    """Channels after each convolution, from the image to the code."""
    if not isinstance(channels, str):
        return tuple(channels)
    if channels != "auto":
        raise ValueError(
            f"channels={channels!r} must be 'auto' or a sequence of integers, one for "
            "each convolution."
        )
    n_layers = max(2, ceil(log2(min(image_shape.height, image_shape.width) / SMALL)))
    return tuple(min(FIRST_CHANNELS * 2**n, MOST_CHANNELS) for n in range(n_layers))


def _sizes(height: int, width: int, n_layers: int) -> list[tuple[int, int]]:
    """Image sizes before and after each layer, which halves them, rounding up."""
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
    """Convolutional (CNN) encoder: strided convolutions, then one linear layer.

    Prefer it to :func:`mlp` for images of objects at different positions: it reconstructs
    them better with as many weights, and takes ten times as long or more; the guide's
    page on images has the figures. Nothing is normalised over the batch.

    Parameters
    ----------
    n_in : int
        Number of values of a flat image; must be the product of ``image_shape``.

    n_out : int
        Width of the output.

    image_shape : (channels, height, width), (height, width, channels) or (height, width)
        Shape of one image, as its values are ordered in X. Channels are taken to be last
        if the last number is at most 4 and both others are larger, as in (12, 12, 3).

    channels : "auto" or sequence of int, default="auto"
        Channels after each convolution; each halves height and width, rounding up.
        "auto" has as many as leave a shorter side of at most 4, and at least two: 32,
        64, then 128 channels. Half the channels take about half the time.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        Activation function after each convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_in`` values, or for an invalid ``channels``.

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
    shape = images.read_image_shape(image_shape, n_in)
    channels = _resolve_channels(shape, channels)
    layers = _shrinking(shape, channels, activation)
    last = prod(_sizes(*shape[1:3], len(channels))[-1]) * [shape.channels, *channels][-1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(last, n_out))


def _shrinking(
    image_shape: images.ImageShape, channels: Sequence[int], activation: str
) -> list[nn.Module]:
    """Convolutions from flat samples to a small image of many channels."""
    n_channels, height, width, channels_last = image_shape
    layers: list[nn.Module] = [nn.Unflatten(1, (n_channels, height, width))]
    if channels_last:
        layers = [nn.Unflatten(1, (height, width, n_channels)), _MoveAxis(-1, 1)]
    for before, after in pairwise([n_channels, *channels]):
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
    """Convolutional (CNN) decoder: one linear layer, then transposed convolutions that
    double the image, as the mirror of :func:`conv_encoder`.

    Parameters
    ----------
    n_in : int
        Width of the input, which is the code.

    n_out : int
        Number of values of a flat image; must be the product of ``image_shape``.

    image_shape : (channels, height, width), (height, width, channels) or (height, width)
        Shape of one image, as its values are ordered in X. Channels are taken to be last
        if the last number is at most 4 and both others are larger, as in (12, 12, 3).

    channels : "auto" or sequence of int, default="auto"
        Channels before each transposed convolution, from the code to the image. "auto"
        is the reverse of the encoder's.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        Activation function before each transposed convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_out`` values, or for an invalid ``channels``.

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> from skae.networks import conv_decoder
    >>> decoder = partial(conv_decoder, image_shape=(1, 7, 5))
    >>> decoder(3, 35)(torch.zeros(2, 3)).shape
    torch.Size([2, 35])
    """
    shape = images.read_image_shape(image_shape, n_out)
    if isinstance(channels, str):
        channels = _resolve_channels(shape, channels)[::-1]
    small = _sizes(*shape[1:3], len(channels))[-1]
    first = ([*channels, shape.channels][0], *small)
    layers = [nn.Linear(n_in, prod(first)), nn.Unflatten(1, first)]
    return nn.Sequential(*layers, *_growing(shape, channels, activation))


def _growing(
    image_shape: images.ImageShape, channels: Sequence[int], activation: str
) -> list[nn.Module]:
    """Transposed convolutions from a small image of many channels to flat samples."""
    sizes = _sizes(*image_shape[1:3], len(channels))[::-1]
    layers: list[nn.Module] = []
    for (before, after), (small, large) in zip(
        pairwise([*channels, image_shape.channels]), pairwise(sizes), strict=True
    ):
        # A transposed convolution gives 2 * small - 1; an even size needs one more.
        padding = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
        layers += [
            _activation(activation),
            nn.ConvTranspose2d(
                before, after, 3, stride=2, padding=1, output_padding=padding
            ),
        ]
    if image_shape.channels_last:
        layers.append(_MoveAxis(1, -1))
    return [*layers, nn.Flatten()]


class _MoveAxis(nn.Module):
    """Moves the axis of the channels."""

    def __init__(self, source: int, destination: int):
        super().__init__()
        self.source = source
        self.destination = destination

    def forward(self, x: Tensor) -> Tensor:
        return x.movedim(self.source, self.destination)


class _FlattenGrid(nn.Module):
    """Flatten images (n_samples, channels, height, width), position by position."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mT.flatten(1)


class _UnflattenGrid(nn.Module):
    """Inverse of :class:`_FlattenGrid`."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height = height
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        n_positions = self.height * self.width
        grid = self.height, self.width
        return x.unflatten(1, (n_positions, -1)).mT.unflatten(2, grid)


def _count_positions(
    image_shape: images.ImageShape, n_layers: int, n_values: int
) -> tuple[int, int, int]:
    """Height and width of the grid, and number of values per position."""
    height, width = _sizes(*image_shape[1:3], n_layers)[-1]
    if n_values % (height * width):
        raise ValueError(
            f"The {n_values} values must be a multiple of the grid of {height} x {width} "
            f"positions that {n_layers} convolutions leave. Use "
            f"n_components={height * width}, or other channels."
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
    """Convolutional encoder from an image to a grid of local codes, without dense layer.

    For a :class:`skae.VQVAE` with one code index (token) per grid position,
    ``VQVAE(49, encoder=partial(grid_encoder, image_shape=(1, 28, 28)), ...)``.

    Parameters
    ----------
    n_in : int
        Number of values of a flat image; must be the product of ``image_shape``.

    n_out : int
        Width of the output, a multiple of the number of grid positions.

    image_shape : (channels, height, width), (height, width, channels) or (height, width)
        Shape of one image, as its values are ordered in X. Channels are taken to be last
        if the last number is at most 4 and both others are larger, as in (12, 12, 3).

    channels : sequence of int, default=(32, 64)
        Channels after each convolution; each halves height and width, rounding up.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        Activation function after each convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out), position by position.

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_in`` values, or ``n_out`` is no multiple of
        the number of positions.

    Examples
    --------
    >>> import torch
    >>> from skae.networks import grid_encoder
    >>> encoder = grid_encoder(784, 49 * 8, image_shape=(1, 28, 28))  # 7 x 7 grid
    >>> encoder(torch.zeros(2, 784)).shape
    torch.Size([2, 392])
    """
    shape = images.read_image_shape(image_shape, n_in)
    *_, width = _count_positions(shape, len(channels), n_out)
    last = [shape.channels, *channels][-1]
    return nn.Sequential(
        *_shrinking(shape, channels, activation),
        nn.Conv2d(last, last, kernel_size=3, padding=1),
        _activation(activation),
        nn.Conv2d(last, width, kernel_size=1),
        _FlattenGrid(),
    )


def grid_decoder(
    n_in: int,
    n_out: int,
    *,
    image_shape: Sequence[int],
    channels: Sequence[int] = (64, 32),
    activation: str = "silu",
) -> nn.Sequential:
    """Convolutional decoder from a grid of local codes to an image: the mirror of
    :func:`grid_encoder`.

    Parameters
    ----------
    n_in : int
        Width of the input, a multiple of the number of grid positions.

    n_out : int
        Number of values of a flat image; must be the product of ``image_shape``.

    image_shape : (channels, height, width), (height, width, channels) or (height, width)
        Shape of one image, as its values are ordered in X. Channels are taken to be last
        if the last number is at most 4 and both others are larger, as in (12, 12, 3).

    channels : sequence of int, default=(64, 32)
        Channels before each transposed convolution.

    activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
        Activation function before each transposed convolution.

    Returns
    -------
    network : torch.nn.Sequential
        Maps (n_samples, n_in) to (n_samples, n_out).

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_out`` values, or ``n_in`` is no multiple of
        the number of positions.

    Examples
    --------
    >>> import torch
    >>> from skae.networks import grid_decoder
    >>> decoder = grid_decoder(49 * 8, 784, image_shape=(1, 28, 28))
    >>> decoder(torch.zeros(2, 392)).shape
    torch.Size([2, 784])
    """
    shape = images.read_image_shape(image_shape, n_out)
    height, width, n_values = _count_positions(shape, len(channels), n_in)
    first = [*channels, shape.channels][0]
    return nn.Sequential(
        _UnflattenGrid(height, width),
        nn.Conv2d(n_values, first, kernel_size=3, padding=1),
        *_growing(shape, channels, activation),
    )
