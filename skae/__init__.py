"""Autoencoders as scikit-learn estimators."""

from skae._adversarial.adversarial import AdversarialAE
from skae._deterministic.autoencoder import AutoencoderTransformer
from skae._deterministic.contractive import ContractiveAE
from skae._deterministic.denoising import DenoisingAE
from skae._deterministic.sparse import SparseAE
from skae._outliers.detector import AEOutlierDetector
from skae._variational.conditional import ConditionalVAE
from skae._variational.vae import VAETransformer
from skae._vector_quantized.vqvae import VQVAE

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
