"""Autoencoders whose codes are words of code books."""

from typing import NamedTuple

from torch import Tensor, nn

from skae._data.dataset import Batch
from skae._nn.autoencoder import AutoencoderModule
from skae._vector_quantized.codebook import Quantiser
from skae.losses import ReconstructionLoss


class QuantisedOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs)
    code: Tensor  # (n_samples, n_positions * code_dim), words of the code books
    encoding: Tensor  # (n_samples, n_positions * code_dim), what the encoder gave
    perplexity: Tensor  # number of words in use, a running mean


class QuantisedModule(AutoencoderModule):
    """Encoder, the nearest word for each position, decoder.

    Parameters
    ----------
    quantiser : Quantiser
        The code books.

    n_positions : int
        How many words a code has.

    **parts : dict
        Arguments of :class:`skae._nn.autoencoder.AutoencoderModule`.
    """

    def __init__(self, *, quantiser: Quantiser, n_positions: int, **parts):
        super().__init__(**parts)
        self.quantiser = quantiser
        self.n_positions = n_positions
        self.done = 0.0  # of the training; the net sets it
        self._seen: tuple[Tensor, Tensor] | None = None

    def by_position(self, code: Tensor) -> Tensor:
        return code.unflatten(-1, (self.n_positions, -1))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> QuantisedOutput:
        encoding = self.encoder(x)
        parts = self.by_position(encoding).detach()
        words, numbers = self.quantiser(parts)
        if self.training:
            self._seen = parts, numbers
        words = words.flatten(1)
        # Straight through: the decoder sees words, their gradient goes to the encoder.
        code = encoding + (words - encoding).detach()
        return QuantisedOutput(
            self.decoder(code), words, encoding, self.quantiser.perplexity
        )

    def after_step(self) -> None:
        if self._seen is not None:
            self.quantiser.follow(*self._seen, self.done, self.generator)
            self._seen = None

    def to_code(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.quantiser(self.by_position(self.encoder(x)))[0].flatten(1)

    def to_numbers(self, x: Tensor) -> Tensor:
        """Standardised rows to numbers of words (n_samples, n_positions)."""
        return self.quantiser.nearest(self.by_position(self.encoder(x)))

    def from_numbers(self, numbers: Tensor) -> Tensor:
        """Numbers of words to rows in the units of the data."""
        words = self.quantiser.look_up(numbers.long()).flatten(1)
        return self.outputs.inverse(self.from_code(words))


class QuantisedLoss(nn.Module):
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

    def forward(self, output: QuantisedOutput, target: Tensor) -> Tensor:
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


def number_words(module: QuantisedModule, batch: Batch) -> Tensor:
    return module.to_numbers(module.standardize(batch.x))


def decode_numbers(module: QuantisedModule, batch: Batch) -> Tensor:
    return module.from_numbers(batch.x)
