"""Priors of the codes, with mean 0 and variance about 1.

A prior may consist of parts (components of a mixture, sections of a roll). Each draw can
be restricted to a given part, so that classes are assigned to parts.
"""

import math

import torch
from torch import Tensor

# Standard deviations of a component along and across the radius, in units of the circle's
# radius, the latter times the number of components. Makhzani et al. use 0.5 and 0.1 for
# 10 components at 1.4.
LENGTH, BREADTH = 0.36, 0.7
TURNS, THICKNESS = 2, 0.05  # of the roll


class Normal:
    """Independent standard normal components.

    Parameters
    ----------
    n_components : int
        Width of the code.
    """

    n_parts = 1

    def __init__(self, n_components: int):
        self.n_components = n_components

    def draw(
        self,
        n_samples: int,
        generator: torch.Generator,
        part: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw codes, on the generator's device.

        Parameters
        ----------
        n_samples : int
            Number of samples.

        generator : torch.Generator
            Source of the draws.

        part : Tensor of int of shape (n_samples,), default=None
            Part of each code; None draws parts with equal probabilities.

        dtype : torch.dtype
            Data type of the codes.

        Returns
        -------
        codes : Tensor of shape (n_samples, n_components)
        """
        device = generator.device
        shape = n_samples, self.n_components
        codes = torch.empty(shape, device=device, dtype=dtype).normal_(
            generator=generator
        )
        if self.n_parts > 1:
            if part is None:
                part = torch.randint(
                    self.n_parts, (n_samples,), generator=generator, device=device
                )
            self._transform(codes, part.to(dtype), generator)
        return codes

    def _transform(self, codes: Tensor, part: Tensor, generator: torch.Generator) -> None:
        """Transform standard normal codes to those of the parts, in place."""


class Mixture(Normal):
    """Normal components on a circle in the first two dimensions, elongated radially.

    Further dimensions are standard normal. In one dimension the components are on a line.

    Parameters
    ----------
    n_components : int
        Width of the code.

    n_parts : int
        Number of the mixture's components. A single one is the standard normal.
    """

    def __init__(self, n_components: int, n_parts: int):
        super().__init__(n_components)
        self.n_parts = n_parts

    def _transform(self, codes: Tensor, part: Tensor, generator: torch.Generator) -> None:
        if self.n_components == 1:
            self._transform_on_line(codes, part)
            return
        breadth = min(LENGTH, BREADTH / self.n_parts)
        # With this radius both dimensions have variance 1, from three components on.
        radius = math.sqrt(2 / (1 + LENGTH**2 + breadth**2))
        radial = radius * (1 + LENGTH * codes[:, 0])
        tangential = radius * breadth * codes[:, 1]
        angle = part * (2 * math.pi / self.n_parts)
        codes[:, 0] = radial * angle.cos() - tangential * angle.sin()
        codes[:, 1] = radial * angle.sin() + tangential * angle.cos()

    def _transform_on_line(self, codes: Tensor, part: Tensor) -> None:
        """Components six standard deviations apart, with a total variance of 1."""
        deviation = 1 / math.sqrt(1 + 3 * (self.n_parts**2 - 1))
        means = 6 * deviation * (part - (self.n_parts - 1) / 2)
        codes[:, 0] = means + deviation * codes[:, 0]


class SwissRoll(Normal):
    """Uniform density on a spiral of two turns, divided into sections.

    Parameters
    ----------
    n_parts : int, default=1
        Number of sections, of equal length.
    """

    def __init__(self, n_parts: int = 1):
        super().__init__(2)
        self.n_parts = n_parts

    def draw(self, n_samples, generator, part=None, dtype=torch.float32) -> Tensor:
        codes = super().draw(n_samples, generator, part, dtype)
        if self.n_parts == 1:
            self._transform(codes, torch.zeros_like(codes[:, 0]), generator)
        return codes

    def _transform(self, codes: Tensor, part: Tensor, generator: torch.Generator) -> None:
        within = torch.empty_like(part).uniform_(generator=generator)
        share = ((part + within) / self.n_parts).sqrt()
        radius = 2 * share  # with a mean square of 2, 1 in each dimension
        angle = 2 * math.pi * TURNS * share
        spiral = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
        # Mean of the spiral, by integration by parts.
        rate = 2 * math.pi * TURNS
        mean = 2 * codes.new_tensor([4 / rate**2, -2 / rate])
        codes.mul_(THICKNESS).add_(spiral - mean)
