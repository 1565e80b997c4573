"""Jacobian penalty of the contractive autoencoder, with its gradient written out.

The penalty is the mean squared Frobenius norm of the Jacobian of whitened codes by the
standardised sample. Whitening makes it invariant to linear maps of the code: it cannot be
lowered by shrinking the code or mixing components while the decoder undoes that.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae._nn.autoencoder import AutoencoderModule
from skae._nn.backprop import KNOWN, Layer, Path, PlainGradient, Stack, side_of
from skae.losses import ReconstructionLoss

# Up to so many components the norm is exact; beyond, random directions estimate it.
EXACT = 2
# Relative ridge of a covariance matrix of enough samples, in float32.
RIDGE = 1e-5


class ContractiveOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs)
    code: Tensor  # (n_samples, n_components)
    sensitivity: Tensor  # (n_samples,)


def directions(code: Tensor, generator: torch.Generator | None) -> Tensor:
    """Directions whose squared vjps sum to the squared norm, exactly or in the mean.

    Returns
    -------
    directions : Tensor of shape (n_directions, n_samples, n_components)
        One of random signs for each sample, or all unit vectors of few components.
    """
    n_components = code.shape[-1]
    if n_components <= EXACT:
        units = torch.eye(n_components, device=code.device, dtype=code.dtype)
        return units[:, None].expand(-1, *code.shape)
    draw = torch.empty_like(code).bernoulli_(0.5, generator=generator)
    return draw.mul_(2).sub_(1)[None]


def whitener(code: Tensor) -> Tensor:
    """The matrix whose product with a centred code has covariance I / n_components."""
    n_samples, n_components = code.shape
    unit = torch.eye(n_components, device=code.device, dtype=code.dtype)
    centred = code - code.mean(dim=0)
    # The covariance of few samples is unreliable, and singular.
    few = n_samples <= 2 * n_components
    ridge = (1 + n_components) / n_samples if few else RIDGE
    # One sample has no variance; that of raw codes is near 1 at first.
    least = 1.0 if n_samples == 1 else 1e-9
    products = (centred.T @ centred) * (1 + ridge * unit) + least * unit
    factor = torch.linalg.cholesky_ex(products).L
    scale = (n_samples / n_components) ** 0.5
    return torch.linalg.solve_triangular(factor, scale * unit, upper=False)


class ContractiveModule(AutoencoderModule):
    """Autoencoder that returns the Jacobian's norm, too."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> ContractiveOutput:
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():  # by the samples, in validation, too
            x = x.detach().requires_grad_()
            code = self.to_code(x, condition)
        with torch.set_grad_enabled(wanted):
            squares = torch.zeros(len(x), dtype=x.dtype, device=x.device)
            for direction in self.draw(code) @ whitener(code):
                (slopes,) = torch.autograd.grad(
                    code, x, direction, create_graph=wanted, retain_graph=True
                )
                squares = squares + slopes.square().sum(dim=-1)
            return ContractiveOutput(self.from_code(code, condition), code, squares)

    def draw(self, code: Tensor) -> Tensor:
        generator = self.generator
        if not self.training:  # the same at each validation check
            generator = torch.Generator(code.device).manual_seed(0)
        return directions(code, generator)


class ContractiveLoss(nn.Module):
    """A reconstruction loss, and a penalty on the Jacobian of the code.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        The loss without penalty.

    penalty : float
        Weight of the squared norm.
    """

    def __init__(self, reconstruction: ReconstructionLoss, penalty: float):
        super().__init__()
        self.reconstruction = reconstruction
        self.penalty = penalty
        self.terms: dict[str, Tensor] = {}  # for the history

    def forward(self, output: ContractiveOutput, target: Tensor) -> Tensor:
        loss = self.reconstruction(output, target)
        self.terms = {"sensitivity": output.sensitivity.detach().mean()}
        return loss + self.penalty * output.sensitivity


def _silu(x: Tensor, y: Tensor) -> Tensor:
    s = x.sigmoid()
    return s * (1 - s) * (2 + x * (1 - 2 * s))


def _gelu(x: Tensor, y: Tensor) -> Tensor:
    return (2 - x * x) * torch.exp(-x * x / 2) / (2 * torch.pi) ** 0.5


# Second derivatives of activations by their input and output; None where they are 0.
SECOND_DERIVATIVES = {
    nn.SiLU: _silu,
    nn.ReLU: None,
    nn.GELU: _gelu,
    nn.Tanh: lambda x, y: 2 * y * (y * y - 1),
    nn.Sigmoid: lambda x, y: y * (1 - y) * (1 - 2 * y),
    nn.Identity: None,
}


def summed_product(a: Tensor, b: Tensor) -> Tensor:
    """Sum over directions and samples of the outer products of two vectors each."""
    return a.flatten(0, 1).mT @ b.flatten(0, 1)


class JacobianLayer(Layer):
    """A layer whose Jacobian is trained on, too.

    ``vjp`` maps gradients, (n_directions, n_samples, n_out), from the layer's output to
    its input; ``jvp`` maps the gradient of the loss by that result back to the output;
    ``backward`` adds what ``jvp`` found to the gradients of weight and input.
    """

    def __init__(self, linear: nn.Linear, curve: nn.Module | None):
        super().__init__(linear, curve)
        self.second_derivative = SECOND_DERIVATIVES[
            nn.Identity if curve is None else type(curve)
        ]

    def vjp(self, gradient: Tensor) -> Tensor:
        self.output_gradient = gradient
        self.slopes = self.slope(gradient, self.affine, self.y)
        return self.slopes @ self.weight

    def jvp(self, change: Tensor) -> Tensor:
        self.weight_term = summed_product(self.slopes, change)
        change = change @ self.turned
        self.by_affine = None
        if self.second_derivative is not None:
            products = (self.output_gradient * change).sum(dim=0)
            self.by_affine = products.mul_(self.second_derivative(self.affine, self.y))
        return self.slope(change, self.affine, self.y)

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor | None:
        gradient = self.slope(gradient, self.affine, self.y)
        if self.by_affine is not None:
            gradient = gradient + self.by_affine
        self.add_product(self.weight_term, gradient.mT, self.x, out=self.gradients[0])
        torch.sum(gradient, -2, out=self.gradients[1])
        return self.product(gradient, self.weight) if wanted else None


class JacobianStack(Stack):
    layer_class = JacobianLayer

    def vjp(self, gradient: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            gradient = layer.vjp(gradient)
        return gradient

    def jvp(self, change: Tensor) -> Tensor:
        for layer in self.layers:
            change = layer.jvp(change)
        return change


class JacobianPath(Path):
    stack_class = JacobianStack

    def vjp(self, gradient: Tensor) -> Tensor:
        self.output_gradient = gradient
        curved = gradient if self.gain is None else gradient * self.gain
        return self.stack.vjp(curved) + gradient @ self.total.mT

    def jvp(self, change: Tensor) -> Tensor:
        self.by_change = summed_product(change, self.output_gradient)
        curved = self.stack.jvp(change)
        if self.gain is not None:
            self.by_gain = (curved * self.output_gradient).sum((0, 1))
            curved = curved * self.gain
        return curved + change @ self.total

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor | None:
        into = super().backward(gradient, wanted)
        self.gradient.add_(self.by_change, alpha=self.path.learning_rate_scale)
        if self.gain is not None:
            self.path.gain.grad += self.by_gain
        return into


class ContractiveGradient(PlainGradient):
    """Of a :class:`ContractiveModule` and a :class:`ContractiveLoss`."""

    def __init__(self, module: ContractiveModule, criterion: ContractiveLoss):
        super().__init__(module, criterion.reconstruction)
        self.encoder = side_of(module.encoder, JacobianPath)
        self.module = module
        self.whole = criterion

    @torch.no_grad()
    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        n_samples = len(x)
        codes = self.encoder.forward(x)
        with torch.enable_grad():
            code = codes.detach().requires_grad_()
            along = self.module.draw(codes) @ whitener(code)
        slopes = self.encoder.vjp(along.detach())
        sensitivity = slopes.square().sum() / n_samples
        change = self.encoder.jvp(slopes * (2 * self.whole.penalty / n_samples))
        (by_code,) = torch.autograd.grad(along, code, change)

        loss, gradient = self.criterion.with_slope(self.decoder.forward(codes), target)
        by_code = by_code + self.decoder.backward(gradient, wanted=True)
        self.encoder.backward(by_code, wanted=False)
        self.whole.terms = {"sensitivity": sensitivity}
        return loss + self.whole.penalty * sensitivity


KNOWN[ContractiveModule, ContractiveLoss] = ContractiveGradient
