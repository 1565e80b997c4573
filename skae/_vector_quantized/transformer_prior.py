"""Autoregressive prior of code indices: a causal Transformer.

Vaswani et al., "Attention is all you need", NeurIPS 2017; over the codes of an
autoencoder, van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation
learning", NeurIPS 2017.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae._data.dataset import Batch
from skae._nn.autoencoder import TrainableModule

WIDTH, N_HEADS, N_LAYERS = 64, 4, 2
# Fraction of the input tokens that are masked in training, against overfitting.
TOKEN_DROPOUT = 0.2


class TransformerPrior(TrainableModule):
    """p(z_1 | c) p(z_2 | z_1, c) ... for code indices z and a condition c.

    It is initialised at the frequencies of the code indices, position by position, as if
    positions were independent.

    Parameters
    ----------
    log_frequency : Tensor of shape (n_positions, n_codes)
        Logarithm of the frequency of each code index.

    n_codebooks : int
        1 if all positions share one codebook, else ``n_positions``.

    n_conditions : int
        Width of the condition, 0 where there is none.
    """

    def __init__(self, log_frequency: Tensor, n_codebooks: int, n_conditions: int):
        super().__init__()
        n_positions, n_codes = log_frequency.shape
        codebook = torch.arange(n_positions) if n_codebooks > 1 else 0
        offset = torch.zeros(n_positions, dtype=torch.long) + codebook * n_codes
        self.register_buffer("offset", offset)  # of each position in the embedding
        self.register_buffer("log_frequency", log_frequency.float())
        self.embedding = nn.Embedding(n_codebooks * n_codes, WIDTH)
        self.positions = nn.Parameter(torch.randn(n_positions, WIDTH) / WIDTH**0.5)
        self.condition = nn.Linear(n_conditions, WIDTH) if n_conditions else None
        layer = nn.TransformerEncoderLayer(
            WIDTH,
            N_HEADS,
            4 * WIDTH,
            dropout=0.0,
            activation=F.silu,
            batch_first=True,
            norm_first=True,
        )
        self.transformer = nn.TransformerEncoder(
            layer, N_LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False
        )
        self.output_weight = nn.Parameter(torch.zeros(n_codebooks * n_codes, WIDTH))
        self.output_bias = nn.Parameter(torch.zeros(n_positions, n_codes))

    @property
    def n_positions(self) -> int:
        return len(self.log_frequency)

    def forward(self, index: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log-probabilities of the code indices, each given the previous ones.

        Parameters
        ----------
        index : Tensor of shape (n_samples, n_given)
            Code indices at the first positions.

        condition : Tensor of shape (n_samples, n_conditions), default=None
            Condition of each sequence.

        Returns
        -------
        log_probabilities : Tensor of shape (n_samples, n_given + 1, n_codes)
            At the given positions and at the next one, if there is one.
        """
        n_next = min(index.shape[1] + 1, self.n_positions)
        tokens = self.embedding(index[:, : n_next - 1] + self.offset[: n_next - 1])
        if self.training:
            uniform = torch.empty_like(tokens[..., 0])
            kept = uniform.uniform_(generator=self.generator) >= TOKEN_DROPOUT
            tokens = tokens * kept[..., None]
        x = F.pad(tokens, (0, 0, 1, 0)) + self.positions[:n_next]
        if self.condition is not None:
            x = x + self.condition(condition)[:, None]
        later = torch.ones(n_next, n_next, dtype=torch.bool, device=x.device).triu(1)
        x = self.transformer(x, mask=later)
        return self._logits(x, n_next).log_softmax(dim=-1)

    def _logits(self, x: Tensor, n_next: int) -> Tensor:
        n_codes = self.log_frequency.shape[1]
        weight = self.output_weight.unflatten(0, (-1, n_codes))[:n_next]
        logits = torch.einsum("npw,pcw->npc", x, weight.expand(n_next, -1, -1))
        return logits + self.output_bias[:n_next] + self.log_frequency[:n_next]

    def nats(self, index: Tensor, condition: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of each sequence, in nats."""
        log_probabilities = self(index, condition).gather(-1, index[..., None])
        return -log_probabilities.flatten(1).sum(dim=1)

    @torch.no_grad()
    def sample(
        self,
        n_samples: int,
        condition: Tensor | None,
        temperature: float,
        top_k: int | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Draw sequences of code indices, position by position."""
        device = self.log_frequency.device
        index = torch.empty(n_samples, 0, dtype=torch.long, device=device)
        for _ in range(self.n_positions):
            logits = self(index, condition)[:, -1] / temperature
            if top_k is not None and top_k < logits.shape[1]:
                smallest = logits.topk(top_k, dim=-1).values[:, -1:]
                logits = logits.masked_fill(logits < smallest, -torch.inf)
            # Drawn on the CPU, so that a seed means the same on every device.
            weights = logits.softmax(dim=-1).cpu().double()
            drawn = torch.multinomial(weights, 1, generator=generator)
            index = torch.cat([index, drawn.to(device)], dim=1)
        return index


def smoothed_log_frequency(counts: Tensor) -> Tensor:
    """Logarithm of frequencies, with half a count added to each code index."""
    counts = counts.double() + 0.5
    return (counts / counts.sum(dim=-1, keepdim=True)).log()


def sequence_nats(prior: TransformerPrior, batch: Batch) -> Tensor:
    """Negative log-likelihood of each sequence of a batch, in nats."""
    condition = batch.condition
    return prior.nats(
        batch.x.long(), None if condition is None else condition.to(prior.output_bias)
    )
