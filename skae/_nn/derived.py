"""Buffers that are computed from others, and recomputed when a state is loaded."""

from torch import nn


class DerivedBuffers(nn.Module):
    """Module that computes some buffers from its persistent ones.

    The derived buffers are not part of ``state_dict``, so that they never contradict a
    state that was loaded.
    """

    def derive(self) -> None:
        """Compute the derived buffers."""
        raise NotImplementedError

    def _load_from_state_dict(self, *arguments) -> None:
        super()._load_from_state_dict(*arguments)
        self.derive()
