"""Autoencoders as scikit-learn estimators."""

from skae._adversarial import AdversarialAE
from skae._autoencoder import AutoencoderTransformer
from skae._conditional import ConditionalVAE
from skae._contractive import ContractiveAE
from skae._denoising import DenoisingAE
from skae._outlier import AEOutlierDetector
from skae._sparse import SparseAE
from skae._vae import VAETransformer
from skae._vq import VQVAE

__all__ = [
    "AEOutlierDetector",
    "AdversarialAE",
    "AutoencoderTransformer",
    "ConditionalVAE",
    "ContractiveAE",
    "DenoisingAE",
    "SparseAE",
    "VAETransformer",
    "VQVAE",
]
__version__ = "0.1.0"
