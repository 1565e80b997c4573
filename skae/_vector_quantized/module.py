"""Module and loss of the vector-quantised autoencoder."""

from typing import NamedTuple

from torch import Tensor, nn

from skae._data.dataset import Batch
from skae._nn.autoencoder import AutoencoderModule
from skae._vector_quantized.codebook import VectorQuantizer
from skae.losses import ReconstructionLoss


class QuantizedOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs)
    code: Tensor  # (n_samples, n_positions * code_dim), code vectors
    encoding: Tensor  # (n_samples, n_positions * code_dim), output of the encoder
    perplexity: Tensor  # effective number of code vectors in use, a moving average


class QuantizedModule(AutoencoderModule):
    """Encoder, quantisation to the nearest code vector at each position, decoder.

    Parameters
    ----------
    quantizer : VectorQuantizer
        The codebooks.

    n_positions : int
        Number of code indices per sample.

    **components : dict
        Arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.
    """

    def __init__(self, *, quantizer: VectorQuantizer, n_positions: int, **components):
        super().__init__(**components)
        self.quantizer = quantizer
        self.n_positions = n_positions
        self.done = 0.0  # fraction of the training, set by the training loop
        self._last_batch: tuple[Tensor, Tensor] | None = None

    def by_position(self, code: Tensor) -> Tensor:
        return code.unflatten(-1, (self.n_positions, -1))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> QuantizedOutput:
        encoding = self.encoder(x)
        by_position = self.by_position(encoding).detach()
        code_vectors, indices = self.quantizer(by_position)
        if self.training:
            self._last_batch = by_position, indices
        code_vectors = code_vectors.flatten(1)
        # Straight-through estimator: the gradient of the code is that of the encoding.
        code = encoding + (code_vectors - encoding).detach()
        return QuantizedOutput(
            self.decoder(code), code_vectors, encoding, self.quantizer.perplexity
        )

    def after_step(self) -> None:
        if self._last_batch is not None:
            self.quantizer.update(*self._last_batch, self.done, self.generator)
            self._last_batch = None

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.quantizer(self.by_position(self.encoder(x)))[0].flatten(1)

    def to_code_indices(self, x: Tensor) -> Tensor:
        """Code indices (n_samples, n_positions) of standardised samples."""
        return self.quantizer.nearest(self.by_position(self.encoder(x)))

    def from_code_indices(self, indices: Tensor) -> Tensor:
        """Decode code indices to the units of the data."""
        code_vectors = self.quantizer.look_up(indices.long()).flatten(1)
        return self.outputs.inverse(self.from_code(code_vectors))


class QuantizedLoss(nn.Module):
    """Reconstruction loss plus commitment loss.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        The validation loss.

    commitment : float
        Weight of the squared distance of encodings to their code vectors.

    unit : float
        Scale of the squared distance, as a fraction of the variance of X: both terms are
        such fractions, whatever the number of features.
    """

    def __init__(
        self, reconstruction: ReconstructionLoss, commitment: float, unit: float
    ):
        super().__init__()
        self.reconstruction = reconstruction
        self.commitment = commitment
        self.unit = unit
        self.terms: dict[str, Tensor] = {}  # for the history

    def forward(self, output: QuantizedOutput, target: Tensor) -> Tensor:
        loss = self.reconstruction(output, target)
        if not self.training:
            return loss
        distance = (output.encoding - output.code).square().sum(dim=-1) * self.unit
        self.terms = {
            "reconstruction": loss.detach().mean(),
            "commitment": distance.detach().mean(),
            "perplexity": output.perplexity,
        }
        return loss + self.commitment * distance


def compute_code_indices(module: QuantizedModule, batch: Batch) -> Tensor:
    return module.to_code_indices(module.standardize(batch.x))


def decode_code_indices(module: QuantizedModule, batch: Batch) -> Tensor:
    return module.from_code_indices(batch.x)
