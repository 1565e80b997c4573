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
# Share of the known indices that are masked in training, against overfitting.
DROPPED = 0.2


class TransformerPrior(TrainableModule):
    """p(first index) p(second | first) ..., all conditional on the condition.

    It is initialised at the frequencies of the codes at each position, as if positions
    were independent; training adds their dependence.

    Parameters
    ----------
    log_share : Tensor of shape (n_positions, n_codes)
        Logarithm of the frequency of each code.

    n_books : int
        1 if all positions share one codebook, else ``n_positions``.

    n_conditions : int
        Width of the condition, 0 where there is none.
    """

    def __init__(self, log_share: Tensor, n_books: int, n_conditions: int):
        super().__init__()
        n_positions, n_codes = log_share.shape
        codebook = (
            torch.arange(n_positions) if n_books > 1 else torch.zeros(n_positions).long()
        )
        self.register_buffer("first_index", codebook * n_codes)
        self.register_buffer("log_share", log_share.float())
        self.embedding = nn.Embedding(n_books * n_codes, WIDTH)
        self.places = nn.Parameter(torch.randn(n_positions, WIDTH) / WIDTH**0.5)
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
        self.slope = nn.Parameter(torch.zeros(n_books * n_codes, WIDTH))
        self.shift = nn.Parameter(torch.zeros(n_positions, n_codes))

    @property
    def n_positions(self) -> int:
        return len(self.log_share)

    def forward(self, index: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log-probabilities of each code at the next positions.

        Parameters
        ----------
        index : Tensor of shape (n_rows, n_known)
            Code indices so far.

        condition : Tensor of shape (n_rows, n_conditions), default=None
            What is known besides.

        Returns
        -------
        log_probabilities : Tensor of shape (n_rows, n_known + 1, n_codes)
            For the known positions and the next one, or for all.
        """
        n_next = min(index.shape[1] + 1, self.n_positions)
        known = self.embedding(index[:, : n_next - 1] + self.first_index[: n_next - 1])
        if self.training:
            chance = torch.empty(known.shape[:2], device=known.device)
            kept = chance.uniform_(generator=self.generator) >= DROPPED
            known = known * kept[..., None]
        x = F.pad(known, (0, 0, 1, 0)) + self.places[:n_next]
        if self.condition is not None:
            x = x + self.condition(condition)[:, None]
        later = torch.ones(n_next, n_next, dtype=torch.bool, device=x.device).triu(1)
        x = self.transformer(x, mask=later)
        return self._logits(x, n_next).log_softmax(dim=-1)

    def _logits(self, x: Tensor, n_next: int) -> Tensor:
        n_codes = self.log_share.shape[1]
        slope = self.slope.unflatten(0, (-1, n_codes))[:n_next]
        logits = torch.einsum("npw,pcw->npc", x, slope.expand(n_next, -1, -1))
        return logits + self.shift[:n_next] + self.log_share[:n_next]

    def nats(self, index: Tensor, condition: Tensor | None = None) -> Tensor:
        """Minus the log-likelihood of each sequence."""
        found = self(index, condition).gather(-1, index[..., None])
        return -found.flatten(1).sum(dim=1)

    @torch.no_grad()
    def sample(
        self,
        n_samples: int,
        condition: Tensor | None,
        temperature: float,
        top_k: int | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Draw sequences, one code index after the other."""
        index = torch.empty(n_samples, 0, dtype=torch.long, device=self.log_share.device)
        for _ in range(self.n_positions):
            logits = self(index, condition)[:, -1] / temperature
            if top_k is not None and top_k < logits.shape[1]:
                least = logits.topk(top_k, dim=-1).values[:, -1:]
                logits = logits.masked_fill(logits < least, -torch.inf)
            # Drawn on the CPU, so that a seed means the same on every device.
            weights = logits.softmax(dim=-1).cpu().double()
            drawn = torch.multinomial(weights, 1, generator=generator)
            index = torch.cat([index, drawn.to(index.device)], dim=1)
        return index


def smoothed_log_share(counts: Tensor) -> Tensor:
    """Logarithm of frequencies with half a count added to each code."""
    counts = counts.double() + 0.5
    return (counts / counts.sum(dim=-1, keepdim=True)).log()


def sequence_nats(prior: TransformerPrior, batch: Batch) -> Tensor:
    """Minus the log-likelihood of each sequence of a batch."""
    condition = batch.condition
    return prior.nats(
        batch.x.long(), None if condition is None else condition.to(prior.shift)
    )
