"""Basis of the codes that users see: a scale, a shift and a rotation."""

import torch
from torch import Tensor, nn


class CodeBasis(nn.Module):
    """Invertible affine map from the decoder's codes to the user's.

    The decoder's codes have a variance near 1, which suits a network. The user's are in
    the units of X, centred, and (where the class orders its codes) uncorrelated.

    Parameters
    ----------
    unit : Tensor of shape (n_components,)
        Length of one unit of each of the decoder's codes, in the units of X.

    rotates : bool, default=True
        Whether there is a rotation. It is as large as the square of the code.
    """

    def __init__(self, unit: Tensor, rotates: bool = True):
        super().__init__()
        self.register_buffer("unit", unit.double())
        self.register_buffer("shift", torch.zeros_like(self.unit))
        rotation = torch.eye(len(unit), dtype=torch.float64) if rotates else None
        self.register_buffer("rotation", rotation)

    def forward(self, code: Tensor) -> Tensor:
        code = code * self.unit - self.shift
        return code if self.rotation is None else code @ self.rotation

    def inverse(self, code: Tensor) -> Tensor:
        code = code.to(self.unit.dtype)
        if self.rotation is not None:
            code = code @ self.rotation.T
        return (code + self.shift) / self.unit

    @torch.no_grad()
    def compose(self, shift: Tensor, rotation: Tensor) -> None:
        """Map the user's codes on to ``(codes - shift) @ rotation``."""
        self.shift += shift @ self.rotation.T
        self.rotation.copy_(self.rotation @ rotation)
