"""Jacobian penalty of the contractive autoencoder, with its gradient written out.

The penalty is the mean squared Frobenius norm of the Jacobian of the whitened code with
respect to the standardised sample. Whitening makes it invariant to linear maps of the
code: it is not reduced by a small or collinear code that the decoder rescales.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae._nn.autoencoder import AutoencoderModule
from skae._nn.backprop import KNOWN, Layer, Path, PlainGradient, Stack, side_of
from skae.losses import ReconstructionLoss

# Up to so many components the norm is exact; beyond, random signs estimate it.
MAX_EXACT = 2
# Relative ridge of a covariance matrix of enough samples, in float32.
RIDGE = 1e-5


class ContractiveOutput(NamedTuple):
    reconstruction: Tensor  # (n_samples, n_outputs)
    code: Tensor  # (n_samples, n_components)
    sensitivity: Tensor  # (n_samples,), squared Frobenius norm of the Jacobian


def probe_directions(code: Tensor, generator: torch.Generator | None) -> Tensor:
    """Directions whose squared vjps sum to the squared norm, exactly or on average.

    Returns
    -------
    directions : Tensor of shape (n_directions, n_samples, n_components)
        One random sign vector per sample, or all unit vectors up to ``MAX_EXACT``.
    """
    n_components = code.shape[-1]
    if n_components <= MAX_EXACT:
        units = torch.eye(n_components, device=code.device, dtype=code.dtype)
        return units[:, None].expand(-1, *code.shape)
    draw = torch.empty_like(code).bernoulli_(0.5, generator=generator)
    return draw.mul_(2).sub_(1)[None]


def whitening_matrix(code: Tensor) -> Tensor:
    """Matrix that maps a centred code to one with covariance I / n_components."""
    n_samples, n_components = code.shape
    unit = torch.eye(n_components, device=code.device, dtype=code.dtype)
    centred = code - code.mean(dim=0)
    # The covariance of few samples is inaccurate, and may be singular.
    few = n_samples <= 2 * n_components
    ridge = (1 + n_components) / n_samples if few else RIDGE
    # One sample has no variance; the initial variance of raw codes is near 1.
    floor = 1.0 if n_samples == 1 else 1e-9
    products = (centred.T @ centred) * (1 + ridge * unit) + floor * unit
    factor = torch.linalg.cholesky_ex(products).L
    scale = (n_samples / n_components) ** 0.5
    return torch.linalg.solve_triangular(factor, scale * unit, upper=False)


class ContractiveModule(AutoencoderModule):
    """Autoencoder that also returns the squared norm of its Jacobian."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> ContractiveOutput:
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():  # with respect to the samples, also in validation
            x = x.detach().requires_grad_()
            code = self.to_code(x, condition)
        with torch.set_grad_enabled(wanted):
            squares = torch.zeros(len(x), dtype=x.dtype, device=x.device)
            for direction in self.draw_directions(code) @ whitening_matrix(code):
                (vjp,) = torch.autograd.grad(
                    code, x, direction, create_graph=wanted, retain_graph=True
                )
                squares = squares + vjp.square().sum(dim=-1)
            return ContractiveOutput(self.from_code(code, condition), code, squares)

    def draw_directions(self, code: Tensor) -> Tensor:
        generator = self.generator
        if not self.training:  # the same at each validation check
            generator = torch.Generator(code.device).manual_seed(0)
        return probe_directions(code, generator)


class ContractiveLoss(nn.Module):
    """Reconstruction loss plus a penalty on the Jacobian of the code.

    Parameters
    ----------
    reconstruction : ReconstructionLoss
        The loss without penalty.

    penalty : float
        Weight of the squared norm.
    """

    sizes_gradients = True

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


def summed_outer_product(a: Tensor, b: Tensor) -> Tensor:
    """Sum of outer products over directions and samples."""
    return a.flatten(0, 1).mT @ b.flatten(0, 1)


class JacobianLayer(Layer):
    """A layer whose Jacobian enters the loss.

    ``vjp`` maps vectors, (n_directions, n_samples, n_out), from the output to the input;
    ``jvp`` maps the gradient of the loss with respect to the result back to the output;
    ``backward`` adds the second-derivative terms to the gradients of weight and input.
    """

    def __init__(self, linear: nn.Linear, curve: nn.Module | None):
        super().__init__(linear, curve)
        self.second_derivative = SECOND_DERIVATIVES[
            nn.Identity if curve is None else type(curve)
        ]

    def vjp(self, gradient: Tensor) -> Tensor:
        self.output_gradient = gradient
        self.affine_vjp = self.slope(gradient, self.affine, self.y)
        return self.affine_vjp @ self.weight

    def jvp(self, tangent: Tensor) -> Tensor:
        self.weight_gradient = summed_outer_product(self.affine_vjp, tangent)
        tangent = tangent @ self.turned
        self.affine_gradient = None
        if self.second_derivative is not None:
            products = (self.output_gradient * tangent).sum(dim=0)
            second_derivative = self.second_derivative(self.affine, self.y)
            self.affine_gradient = products.mul_(second_derivative)
        return self.slope(tangent, self.affine, self.y)

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor | None:
        gradient = self.slope(gradient, self.affine, self.y)
        if self.affine_gradient is not None:
            gradient = gradient + self.affine_gradient
        self.add_product(self.weight_gradient, gradient.mT, self.x, out=self.gradients[0])
        torch.sum(gradient, -2, out=self.gradients[1])
        return self.product(gradient, self.weight) if wanted else None


class JacobianStack(Stack):
    layer_class = JacobianLayer

    def vjp(self, gradient: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            gradient = layer.vjp(gradient)
        return gradient

    def jvp(self, tangent: Tensor) -> Tensor:
        for layer in self.layers:
            tangent = layer.jvp(tangent)
        return tangent


class JacobianPath(Path):
    stack_class = JacobianStack

    def vjp(self, gradient: Tensor) -> Tensor:
        self.output_gradient = gradient
        curved = gradient if self.factor is None else gradient * self.factor
        return self.stack.vjp(curved) + gradient @ self.total.mT

    def jvp(self, tangent: Tensor) -> Tensor:
        self.change_gradient = summed_outer_product(tangent, self.output_gradient)
        curved = self.stack.jvp(tangent)
        if self.path.gain is not None:
            self.gain_gradient = (curved * self.output_gradient).sum((0, 1))
            if self.unit is not None:
                self.gain_gradient *= self.path.unit
        if self.factor is not None:
            curved = curved * self.factor
        return curved + tangent @ self.total

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor | None:
        into = super().backward(gradient, wanted)
        self.gradient.add_(self.change_gradient * self.rate)
        if self.path.gain is not None:
            self.path.gain.grad += self.gain_gradient
        return into


class ContractiveGradient(PlainGradient):
    """Gradient of a :class:`ContractiveModule` and a :class:`ContractiveLoss`."""

    def __init__(self, module: ContractiveModule, criterion: ContractiveLoss):
        super().__init__(module, criterion.reconstruction)
        self.encoder = side_of(module.encoder, JacobianPath)
        self.module = module
        self.loss = criterion

    @torch.no_grad()
    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        n_samples = len(x)
        codes = self.encoder.forward(x)
        with torch.enable_grad():
            code = codes.detach().requires_grad_()
            whitened = self.module.draw_directions(codes) @ whitening_matrix(code)
        vjp = self.encoder.vjp(whitened.detach())
        sensitivity = vjp.square().sum() / n_samples
        jvp = self.encoder.jvp(vjp * (2 * self.loss.penalty / n_samples))
        (code_gradient,) = torch.autograd.grad(whitened, code, jvp)

        loss, gradient = self.criterion.with_slope(self.decoder.forward(codes), target)
        code_gradient = code_gradient + self.decoder.backward(gradient, wanted=True)
        self.encoder.backward(code_gradient, wanted=False)
        self.loss.terms = {"sensitivity": sensitivity}
        return loss + self.loss.penalty * sensitivity


KNOWN[ContractiveModule, ContractiveLoss] = ContractiveGradient
