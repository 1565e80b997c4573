"""Vector quantisation: each position of a code is replaced by the nearest code vector.

van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", NeurIPS
2017: code vectors are moving averages of the encodings, which is mini-batch k-means.
Patané & Russo, "The enhanced LBG algorithm", Neural Networks 14(9), 2001: code vectors
of low utility are relocated: none is dead, and the initialisation hardly matters.
"""

import torch
from torch import Tensor, nn

# Window of the moving averages, in steps, at the beginning and at the end of training:
# encodings change fast at first.
FIRST_WINDOW, LAST_WINDOW = 10.0, 100.0
# Steps between updates of the removal cost, and the weight of each update.
COST_INTERVAL, COST_WEIGHT = 4, 0.25
# Number of encodings of a batch that are tried as new places of code vectors ...
N_CANDIDATES = 8
# ... least ratio of the gain to the removal cost (estimates from a batch are noisy) ...
MIN_GAIN_RATIO = 2.0
# ... and fraction of the training after which no code vector is relocated.
RELOCATE_UNTIL = 0.7


class VectorQuantizer(nn.Module):
    """Codebooks for the positions of a code: one per position, or one for all.

    Parameters
    ----------
    codebooks : Tensor of shape (n_codebooks, n_codes, code_dim)
        The initial code vectors.
    """

    def __init__(self, codebooks: Tensor):
        super().__init__()
        shape = codebooks.shape[:2]
        self.register_buffer("codebooks", codebooks.float())
        # Fraction of the encodings assigned to each code vector, and the mean increase of
        # their squared distance if it were removed.
        self.register_buffer("usage", torch.full(shape, 1.0 / codebooks.shape[1]))
        self.register_buffer("removal_cost", torch.zeros(shape))
        self.n_updates = 0

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest code vectors (n_samples, n_positions, code_dim), and their indices."""
        index = self.nearest(code)
        return self.look_up(index), index

    def nearest(self, code: Tensor) -> Tensor:
        """(n_samples, n_positions, code_dim) -> (n_samples, n_positions)."""
        index = self._half_distance(self._by_codebook(code)).argmin(dim=-1)
        if len(self.codebooks) == 1:
            return index[0].unflatten(0, (-1, code.shape[1]))
        return index.T

    def look_up(self, index: Tensor) -> Tensor:
        """(n_samples, n_positions) -> (n_samples, n_positions, code_dim)."""
        return self.codebooks[
            torch.arange(len(self.codebooks), device=index.device), index
        ]

    @property
    def perplexity(self) -> Tensor:
        """Effective number of code vectors in use, averaged over codebooks."""
        return torch.special.entr(self.usage).sum(dim=-1).exp().mean()

    def _by_codebook(self, values: Tensor) -> Tensor:
        """Group values by codebook: (n_codebooks, n, ...)."""
        if len(self.codebooks) == 1:
            return values.flatten(0, 1)[None]
        return values.transpose(0, 1)

    def _half_distance(self, code: Tensor) -> Tensor:
        """Half the squared distance, up to a constant of all code vectors."""
        half_norm = self.codebooks.square().sum(dim=-1)[:, None] / 2
        return torch.baddbmm(half_norm, code, self.codebooks.mT, alpha=-1.0)

    # Training.

    @torch.no_grad()
    def initialize_statistics(self, code: Tensor) -> None:
        """Set usage and removal cost from the encodings of the training data."""
        self.usage.copy_(self._usage(self._by_codebook(self.nearest(code))))
        self._update_removal_cost(self._by_codebook(code), 1.0)

    @torch.no_grad()
    def update(
        self,
        code: Tensor,
        index: Tensor,
        done: float,
        generator: torch.Generator | None,
    ) -> None:
        """Update the moving averages: each code vector is the mean of its encodings.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_positions, code_dim)
            Encodings of a batch.

        index : Tensor of shape (n_samples, n_positions)
            Index of the code vector nearest to each.

        done : float
            Fraction of the training steps done.

        generator : torch.Generator
            Draws the candidates for relocation.
        """
        code, index = self._by_codebook(code), self._by_codebook(index)
        step = 1 / (FIRST_WINDOW + (LAST_WINDOW - FIRST_WINDOW) * done)
        usage = self._usage(index)
        self.usage.lerp_(usage, step)
        total = torch.zeros_like(self.codebooks)
        total.scatter_add_(1, index[..., None].expand_as(code), code).div_(code.shape[1])
        # Moving sum over moving count, written as an update of their ratio.
        rate = step / self.usage.clamp(min=1e-12)
        self.codebooks += rate[..., None] * (total - usage[..., None] * self.codebooks)
        self.n_updates += 1
        if self.n_updates % COST_INTERVAL == 0:
            error = self._update_removal_cost(code, COST_WEIGHT)
            if done < RELOCATE_UNTIL and code.shape[1] > 1:
                self._relocate(code, error, generator)

    def _usage(self, index: Tensor) -> Tensor:
        """Fraction of the encodings that are assigned to each code vector."""
        ones = torch.ones_like(index, dtype=self.usage.dtype)
        count = torch.zeros_like(self.usage).scatter_add_(1, index, ones)
        return count / index.shape[1]

    def _update_removal_cost(self, code: Tensor, weight: float) -> Tensor:
        """Update the removal costs by a batch; return the squared errors."""
        distance = 2 * self._half_distance(code)
        n_nearest = min(2, distance.shape[-1])
        nearest, indices = distance.topk(n_nearest, dim=-1, largest=False)
        index = indices[..., 0]
        cost = torch.zeros_like(self.removal_cost)
        cost.scatter_add_(1, index, nearest[..., -1] - nearest[..., 0])
        count = self._usage(index) * index.shape[1]
        weight = weight * (count > 0).to(count)
        self.removal_cost.lerp_(cost / count.clamp(min=1.0), weight)
        return (nearest[..., 0] + code.square().sum(dim=-1)).clamp_(min=0.0)

    def _relocate(
        self, code: Tensor, error: Tensor, generator: torch.Generator | None
    ) -> None:
        """Move the code vectors of least utility to encodings of large error."""
        n_samples, n_codes = code.shape[1], self.codebooks.shape[1]
        # Drawn in proportion to the error, as in k-means++. No error means no gain.
        weights = error + error.amax(dim=1, keepdim=True).clamp(min=1e-30) * 1e-12
        n_candidates = min(N_CANDIDATES, n_samples)
        drawn = torch.multinomial(weights, n_candidates, generator=generator)
        candidate = code.gather(1, drawn[..., None].expand(-1, -1, code.shape[2]))
        gain = (error[..., None] - torch.cdist(code, candidate).square()).clamp_(min=0.0)
        # Excluding the candidate itself, whose error any code vector there reduces to 0.
        gain = (gain.sum(dim=1) - error.gather(1, drawn)) / (n_samples - 1)
        n_moved = min(n_candidates, max(1, n_codes // 32))
        gain, best = gain.topk(n_moved, dim=1)
        # Utility: increase of the mean error without the code vector.
        utility = self.usage * self.removal_cost
        utility, least_useful = utility.topk(n_moved, dim=1, largest=False)
        codebook, rank = (gain > MIN_GAIN_RATIO * utility).nonzero(as_tuple=True)
        index = least_useful[codebook, rank]
        self.codebooks[codebook, index] = candidate[codebook, best[codebook, rank]]
        usage = 0.1 / n_codes  # small, so that the first updates are large
        self.usage[codebook, index] = usage
        self.removal_cost[codebook, index] = gain[codebook, rank] / usage
