"""Shapes of images, with the channels first or last."""

from collections.abc import Sequence
from math import prod
from numbers import Integral
from typing import NamedTuple

MAX_CHANNELS_LAST = 4  # more of them are not taken for channels


class ImageShape(NamedTuple):
    channels: int
    height: int
    width: int
    channels_last: bool = False  # as the values of a flat image are ordered


def read_image_shape(image_shape: Sequence[int], n_features: int) -> ImageShape:
    """Read ``(height, width)``, ``(channels, height, width)`` or the channels last.

    Channels are last if the last number is at most 4 and both others are larger; then
    (12, 12, 3) is an RGB image of 12 x 12, and (3, 12, 12) one with channels first.

    Parameters
    ----------
    image_shape : sequence of int
        What the user passed.

    n_features : int
        Number of values of a flat image.
    """
    shape = tuple(image_shape)
    valid = all(isinstance(size, Integral) and size >= 1 for size in shape)
    if len(shape) not in (2, 3) or not valid:
        raise ValueError(
            f"image_shape={image_shape!r} must be (height, width), (channels, height, "
            "width) or (height, width, channels), each at least 1."
        )
    if prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {prod(shape)} values and must have n_features="
            f"{n_features}. Pass the shape of one sample."
        )
    if len(shape) == 2:
        return ImageShape(1, *shape)
    if shape[2] <= MAX_CHANNELS_LAST < min(shape[:2]):
        return ImageShape(shape[2], *shape[:2], channels_last=True)
    return ImageShape(*shape)
