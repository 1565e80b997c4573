"""Autoencoder whose codes are matched to a prior."""

import torch

from skae._adversarial.priors import Normal
from skae._nn.autoencoder import AutoencoderModule
from skae._nn.backprop import KNOWN, PlainGradient
from skae.losses import ReconstructionLoss


class PriorMatchedModule(AutoencoderModule):
    """Encoder, decoder and prior of the codes.

    Parameters
    ----------
    prior : Normal
        Distribution that codes are matched to, and samples are drawn from.

    linear_error : float
        Reconstruction error of PCA, as a fraction of the variance.

    **components : dict
        Arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.
    """

    def __init__(self, *, prior: Normal, linear_error: float, **components):
        super().__init__(**components)
        self.prior = prior
        self.register_buffer("linear_error", torch.tensor(linear_error))


KNOWN[PriorMatchedModule, ReconstructionLoss] = PlainGradient
