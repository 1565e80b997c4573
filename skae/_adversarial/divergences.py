"""Divergences between codes and a prior: discriminator, kernels, energy distance.

Makhzani et al., "Adversarial autoencoders", 2015, for the discriminator; Mescheder,
Geiger & Nowozin, "Which training methods for GANs do actually converge?", ICML 2018, for
its penalty; Tolstikhin et al., "Wasserstein auto-encoders", ICLR 2018, for the kernels;
Szekely & Rizzo, "Energy statistics", Journal of Statistical Planning and Inference 143,
2013, for the distances.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae._adversarial.priors import Normal
from skae._training.adamw import FlatAdamW

WIDTH, LEAK = 128, 0.2  # of the discriminator: hidden units, slope of the leaky ReLU
# Weight of the penalty on the discriminator's gradient. The penalty bounds the gradient
# of the codes, which oscillate around the prior with a smaller weight.
PENALTY = 3.0
# Learning rate of the discriminator, and the fraction of it that is reached at the end.
RATE, FINAL_FRACTION = 2e-3, 0.05
MIN_DRAWS = 256  # from the prior in a step: more than a small batch, to reduce variance
# Scales of the kernels, in units of the mean squared distance of two draws.
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
VALIDATION_DRAWS = 1000


class Discriminator(nn.Module):
    """Classifier of draws from the prior (positive) against codes (negative).

    Parameters
    ----------
    n_inputs : int
        Number of code components and conditions.

    generator : torch.Generator
        Source of the initial weights, which are on its device.
    """

    def __init__(self, n_inputs: int, generator: torch.Generator):
        super().__init__()
        widths = n_inputs, WIDTH, WIDTH, 1
        options = {"device": generator.device, "dtype": torch.float32}
        self.layers = nn.ModuleList(
            # Without torch's default initialisation, which uses its global generator.
            nn.utils.skip_init(nn.Linear, n_in, n_out, **options)
            for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
        )
        for layer in self.layers:
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, codes: Tensor) -> Tensor:
        first, second, last = self.layers
        hidden = F.leaky_relu(first(codes), LEAK)
        return last(F.leaky_relu(second(hidden), LEAK)).squeeze(-1)

    def with_slope(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Output and its gradient by the codes, differentiable by the weights.

        The network is piecewise linear, so that its gradient is a product of matrices
        and no second pass through autograd is needed.
        """
        first, second, last = self.layers
        inner = first(codes)
        outer = second(F.leaky_relu(inner, LEAK))
        slope = _leaky_slope(outer) * last.weight
        slope = _leaky_slope(inner) * (slope @ second.weight)
        output = last(F.leaky_relu(outer, LEAK)).squeeze(-1)
        return output, slope @ first.weight


def _leaky_slope(affine: Tensor) -> Tensor:
    return (affine.detach() > 0).to(affine.dtype).mul_(1 - LEAK).add_(LEAK)


class Adversary:
    """Discriminator that is trained by one step in each call.

    Parameters
    ----------
    prior : Normal
        Distribution that codes are matched to.

    n_conditions : int
        Width of the condition, which is another input of the discriminator.

    generator : torch.Generator
        Source of weights and draws, on the device of the codes.
    """

    def __init__(self, prior: Normal, n_conditions: int, generator: torch.Generator):
        self.prior = prior
        self.generator = generator
        n_inputs = prior.n_components + n_conditions
        self.discriminator = Discriminator(n_inputs, generator)
        self.optimizer = FlatAdamW(
            self.discriminator.parameters(), RATE, betas=(0.5, 0.99), weight_decay=0.0
        )
        self.optimizer.gather()
        self.terms: dict[str, Tensor] = {}  # for the history

    def __call__(self, code: Tensor, condition: Tensor | None, done: float) -> Tensor:
        """Train the discriminator by one step; return the adversarial loss of the codes.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_components)
            Codes; the loss is differentiable by them.

        condition : Tensor of shape (n_samples, n_conditions) or None
            One-hot labels.

        done : float
            Fraction of the training that is done; the learning rate decays with it.
        """
        n_draws = max(len(code), MIN_DRAWS)
        draws = draw_like(self.prior, n_draws, condition, self.generator)
        rate = RATE * max(1 - done, FINAL_FRACTION)
        self.optimizer.param_groups[0]["lr"] = rate
        self._train(draws, join(code.detach(), condition))
        # Non-saturating: codes that are classified correctly get the full gradient.
        loss = F.softplus(-self.discriminator(join(code, condition))).mean()
        self.terms["adversarial"] = loss.detach()
        return loss

    def _train(self, draws: Tensor, codes: Tensor) -> None:
        of_draws, slope = self.discriminator.with_slope(draws)
        of_codes = self.discriminator(codes)
        loss = F.softplus(-of_draws).mean() + F.softplus(of_codes).mean()
        penalty = slope[:, : self.prior.n_components].square().mean()
        self.optimizer.zero_grad()
        (loss + PENALTY * penalty).backward()
        self.optimizer.step()
        right = (of_draws > 0).float().mean() + (of_codes < 0).float().mean()
        self.terms = {"discriminator": loss.detach(), "accuracy": right / 2}


class KernelMMD:
    """Maximum mean discrepancy, with the interface of an :class:`Adversary`.

    Parameters
    ----------
    prior, n_conditions, generator : as in :class:`Adversary`
    """

    def __init__(self, prior: Normal, n_conditions: int, generator: torch.Generator):
        self.prior = prior
        self.generator = generator
        self.terms: dict[str, Tensor] = {}

    def __call__(self, code: Tensor, condition: Tensor | None, done: float) -> Tensor:
        n_draws = max(len(code), MIN_DRAWS)
        draws = draw_like(self.prior, n_draws, condition, self.generator)
        loss = squared_mmd(join(code, condition), draws, self.prior.n_components)
        self.terms = {"mmd": loss.detach()}
        return loss


DIVERGENCES = {"adversarial": Adversary, "mmd": KernelMMD}


def squared_mmd(codes: Tensor, draws: Tensor, n_components: int) -> Tensor:
    """Unbiased squared maximum mean discrepancy (MMD), which may be negative.

    Kernels are inverse multiquadratic, ``c / (c + squared distance)``, with c from 0.1
    to 10 times the mean squared distance of two draws from a standard normal.
    """
    unit = 2 * n_components
    n_codes = len(codes)
    # Without the kernel of each code with itself, which is 1.
    of_codes = _kernel(codes, codes, unit).sum() - n_codes
    of_codes = of_codes / max(1, n_codes * (n_codes - 1))
    n_draws = len(draws)
    with torch.no_grad():
        of_draws = _kernel(draws, draws, unit).sum() - n_draws
        of_draws /= max(1, n_draws * (n_draws - 1))
    return of_codes + of_draws - 2 * _kernel(codes, draws, unit).mean()


def _kernel(a: Tensor, b: Tensor, unit: float) -> Tensor:
    squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    squares = squares.clamp(min=0.0) / unit
    return sum(scale / (scale + squares) for scale in SCALES) / len(SCALES)


def energy_distance_terms(codes: Tensor, draws: Tensor) -> Tensor:
    """Term of each code in the energy distance between codes and draws.

    Mean distance of the code to draws minus that to codes, plus the same difference for
    the draws. The mean of the terms is the energy distance, which is near 0 for equal
    distributions. Distances between codes use a subset of the codes.
    """
    others = codes[:: -(-len(codes) // VALIDATION_DRAWS)]
    to_draws = torch.cdist(codes, draws)
    difference = to_draws.mean(dim=1) - torch.cdist(codes, others).mean(dim=1)
    return difference + to_draws.mean() - torch.cdist(draws, draws).mean()


def prior_energy_distance(
    prior: Normal, code: Tensor, condition: Tensor | None
) -> Tensor:
    """Energy distance terms of the codes to a fixed set of draws from the prior."""
    generator = torch.Generator(code.device).manual_seed(0)
    draws = draw_like(prior, VALIDATION_DRAWS, condition, generator)
    return energy_distance_terms(join(code, condition), draws)


def draw_like(
    prior: Normal, n_draws: int, condition: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Draw from the prior, under the given labels, repeated, if there are any."""
    if condition is None:
        return prior.draw(n_draws, generator)
    condition = condition.repeat(-(-n_draws // len(condition)), 1)[:n_draws]
    return join(prior.draw(n_draws, generator, condition.argmax(dim=1)), condition)


def join(code: Tensor, condition: Tensor | None) -> Tensor:
    return code if condition is None else torch.cat([code, condition], dim=1)
