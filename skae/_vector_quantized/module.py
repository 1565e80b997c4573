"""Autoencoders whose codes are words of code books."""

from typing import NamedTuple

from torch import Tensor, nn

from skae._data.dataset import Batch
from skae._nn.autoencoder import AutoencoderModule
from skae._vector_quantized.codebook import VectorQuantizer
from skae.losses import ReconstructionLoss


class QuantizedOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs)
    code: Tensor  # (n_samples, n_positions * code_dim), words of the code books
    encoding: Tensor  # (n_samples, n_positions * code_dim), what the encoder gave
    perplexity: Tensor  # number of words in use, a running mean


class QuantizedModule(AutoencoderModule):
    """Encoder, the nearest word for each position, decoder.

    Parameters
    ----------
    quantizer : VectorQuantizer
        The code books.

    n_positions : int
        How many words a code has.

    **parts : dict
        Arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.
    """

    def __init__(self, *, quantizer: VectorQuantizer, n_positions: int, **parts):
        super().__init__(**parts)
        self.quantizer = quantizer
        self.n_positions = n_positions
        self.done = 0.0  # of the training; the net sets it
        self._last_batch: tuple[Tensor, Tensor] | None = None

    def by_position(self, code: Tensor) -> Tensor:
        return code.unflatten(-1, (self.n_positions, -1))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> QuantizedOutput:
        encoding = self.encoder(x)
        parts = self.by_position(encoding).detach()
        words, numbers = self.quantizer(parts)
        if self.training:
            self._last_batch = parts, numbers
        words = words.flatten(1)
        # Straight through: the decoder sees words, their gradient goes to the encoder.
        code = encoding + (words - encoding).detach()
        return QuantizedOutput(
            self.decoder(code), words, encoding, self.quantizer.perplexity
        )

    def after_step(self) -> None:
        if self._last_batch is not None:
            self.quantizer.update(*self._last_batch, self.done, self.generator)
            self._last_batch = None

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.quantizer(self.by_position(self.encoder(x)))[0].flatten(1)

    def to_code_indices(self, x: Tensor) -> Tensor:
        """Standardised rows to numbers of words (n_samples, n_positions)."""
        return self.quantizer.nearest(self.by_position(self.encoder(x)))

    def from_code_indices(self, numbers: Tensor) -> Tensor:
        """Numbers of words to rows in the units of the data."""
        words = self.quantizer.look_up(numbers.long()).flatten(1)
        return self.outputs.inverse(self.from_code(words))


class QuantizedLoss(nn.Module):
    """A reconstruction loss, and the distance of encodings to their words.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        The loss by which rows held out are judged.

    commitment : float
        Weight of the distance.

    unit : float
        Share of the rows' variance that a squared distance of 1 is, so that both terms
        are shares, whatever the number of features.
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
