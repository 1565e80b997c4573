"""Code books: each part of a code becomes the nearest of a finite number of words.

van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", NeurIPS
2017: words follow the codes as running means, which is k-means a batch at a time.
Patané & Russo, "The enhanced LBG algorithm", Neural Networks 14(9), 2001: a word goes
where it is worth more, so that none is dead and the start hardly matters.
"""

import torch
from torch import Tensor, nn

# Steps that running means look back at, at the beginning and at the end of the training:
# while codes move fast, words have to.
FIRST_WINDOW, LAST_WINDOW = 10.0, 100.0
# What a word spares its codes is taken every so many steps, and weighs a part then.
EVERY, PART = 4, 0.25
# Of so many codes of a batch, the best are where words may go ...
CANDIDATES = 8
# ... if they are worth more there by this factor (a batch's estimates are rough) ...
MARGIN = 2.0
# ... and there is time left to settle.
SETTLED_FROM = 0.7


class Quantiser(nn.Module):
    """Code books for the positions of a code: one for each, or one for all.

    Parameters
    ----------
    books : Tensor of shape (n_books, n_codes, code_dim)
        The words to begin with.
    """

    def __init__(self, books: Tensor):
        super().__init__()
        self.register_buffer("books", books.float())
        # How often each is the nearest, and how much farther the next one is then.
        self.register_buffer("share", torch.full(books.shape[:2], 1.0 / books.shape[1]))
        self.register_buffer("gap", torch.zeros(books.shape[:2]))
        self.n_followed = 0  # batches

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest words (n_rows, n_positions, code_dim), and their numbers."""
        index = self.nearest(code)
        return self.look_up(index), index

    def nearest(self, code: Tensor) -> Tensor:
        """(n_rows, n_positions, code_dim) -> (n_rows, n_positions)."""
        index = self._half_distance(self._by_book(code)).argmin(dim=-1)
        if len(self.books) == 1:
            return index[0].unflatten(0, (-1, code.shape[1]))
        return index.T

    def look_up(self, index: Tensor) -> Tensor:
        """(n_rows, n_positions) -> (n_rows, n_positions, code_dim)."""
        return self.books[torch.arange(len(self.books), device=index.device), index]

    @property
    def perplexity(self) -> Tensor:
        """How many words are in use, were all used alike; the mean over books."""
        return torch.special.entr(self.share).sum(dim=-1).exp().mean()

    def _by_book(self, values: Tensor) -> Tensor:
        """Put what shares a book side by side: (n_books, n, ...)."""
        if len(self.books) == 1:
            return values.flatten(0, 1)[None]
        return values.transpose(0, 1)

    def _half_distance(self, code: Tensor) -> Tensor:
        """Half the squared distance, but for a part that all words have in common."""
        own = self.books.square().sum(dim=-1)[:, None] / 2
        return torch.baddbmm(own, code, self.books.mT, alpha=-1.0)

    # In the course of training.

    @torch.no_grad()
    def weigh(self, code: Tensor) -> None:
        """Begin with what each word is worth for these codes."""
        self.share.copy_(self._count(self._by_book(self.nearest(code))))
        self._estimate(self._by_book(code), 1.0)

    @torch.no_grad()
    def follow(
        self,
        code: Tensor,
        index: Tensor,
        done: float,
        generator: torch.Generator | None,
    ) -> None:
        """Move each word towards the mean of the codes that it is nearest to.

        Parameters
        ----------
        code : Tensor of shape (n_rows, n_positions, code_dim)
            Codes of a batch.

        index : Tensor of shape (n_rows, n_positions)
            The word nearest to each.

        done : float
            How much of the training is done.

        generator : torch.Generator
            Draws where words may go.
        """
        code, index = self._by_book(code), self._by_book(index)
        step = 1 / (FIRST_WINDOW + (LAST_WINDOW - FIRST_WINDOW) * done)
        share = self._count(index)
        self.share.lerp_(share, step)
        total = torch.zeros_like(self.books)
        places = index[..., None].expand_as(code)
        total.scatter_add_(1, places, code).div_(code.shape[1])
        # The running sum over the running count moves by the new codes' part in both.
        part = step / self.share.clamp(min=1e-12)
        self.books += part[..., None] * (total - share[..., None] * self.books)
        self.n_followed += 1
        if self.n_followed % EVERY == 0:
            error = self._estimate(code, PART)
            if done < SETTLED_FROM and code.shape[1] > 1:
                self._relocate(code, error, generator)

    def _count(self, index: Tensor) -> Tensor:
        """Of the codes of a book, the share that is nearest to each word."""
        ones = torch.ones_like(index, dtype=self.share.dtype)
        count = torch.zeros_like(self.share).scatter_add_(1, index, ones)
        return count / index.shape[1]

    def _estimate(self, code: Tensor, part: float) -> Tensor:
        """Update the gaps by a batch; return the squared error of each code."""
        distance = 2 * self._half_distance(code)
        n_found = min(2, distance.shape[-1])
        found, places = distance.topk(n_found, dim=-1, largest=False)
        index = places[..., 0]
        gap = torch.zeros_like(self.gap)
        gap.scatter_add_(1, index, found[..., -1] - found[..., 0])
        count = self._count(index) * index.shape[1]
        part = torch.where(count > 0, part, 0.0)
        self.gap.lerp_(gap / count.clamp(min=1.0), part)
        return (found[..., 0] + code.square().sum(dim=-1)).clamp_(min=0.0)

    def _relocate(
        self, code: Tensor, error: Tensor, generator: torch.Generator | None
    ) -> None:
        """Move words that are worth least to codes where they would be worth more."""
        n_samples, n_codes = code.shape[1], self.books.shape[1]
        # Drawn by their error, as k-means++ does. Where there is none, there is no gain.
        weights = error + error.amax(dim=1, keepdim=True).clamp(min=1e-30) * 1e-12
        n_tried = min(CANDIDATES, n_samples)
        drawn = torch.multinomial(weights, n_tried, generator=generator)
        tried = code.gather(1, drawn[..., None].expand(-1, -1, code.shape[2]))
        gain = (error[..., None] - torch.cdist(code, tried).square()).clamp_(min=0.0)
        # Without the code itself, which any word would meet.
        gain = (gain.sum(dim=1) - error.gather(1, drawn)) / (n_samples - 1)
        n_moved = min(n_tried, max(1, n_codes // 32))
        gain, best = gain.topk(n_moved, dim=1)
        # By so much would the error grow without the word.
        worth, least = (self.share * self.gap).topk(n_moved, dim=1, largest=False)
        book, place = (gain > MARGIN * worth).nonzero(as_tuple=True)
        word = least[book, place]
        self.books[book, word] = tried[book, best[book, place]]
        share = 0.1 / n_codes  # little inertia at first
        self.share[book, word] = share
        self.gap[book, word] = gain[book, place] / share
