"""Backpropagation through a plain autoencoder, written out.

For small layers torch's autograd costs one to two times the arithmetic. Here forward and
backward are the matrix products and little else, with each gradient written where the
optimiser reads it. Other modules (a user's network, a variant with its own ``forward``,
layers with hooks) use autograd: :func:`written_out` returns None for them.

Tensors may have a leading axis of members that are trained side by side.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae._nn.autoencoder import AutoencoderModule, has_shared_parameters
from skae._nn.linear_path import LinearPath
from skae.losses import ReconstructionLoss

aten = torch.ops.aten

# By activation: the function, and its vjp given that of the output, input and output.
CURVES: dict[type[nn.Module], tuple[Callable, Callable]] = {
    nn.SiLU: (F.silu, lambda g, x, y: aten.silu_backward(g, x)),
    nn.ReLU: (torch.relu, lambda g, x, y: aten.threshold_backward(g, y, 0)),
    nn.GELU: (F.gelu, lambda g, x, y: aten.gelu_backward(g, x)),
    nn.Tanh: (torch.tanh, lambda g, x, y: aten.tanh_backward(g, y)),
    nn.Sigmoid: (torch.sigmoid, lambda g, x, y: aten.sigmoid_backward(g, y)),
    nn.Identity: (lambda x: x, lambda g, x, y: g),
}


def written_out(module: nn.Module, criterion: nn.Module) -> "PlainGradient | None":
    """Return the gradient of ``criterion(module(x), target).mean()`` if it is known.

    Parameters
    ----------
    module : nn.Module
        Module to train; the gradients of its parameters are written in place.

    criterion : nn.Module
        One loss per sample.

    Returns
    -------
    gradient : callable or None
        ``gradient(x, target)`` writes the gradients and returns the mean loss.
    """
    kind = KNOWN.get((type(module), type(criterion)))
    if kind is None or has_shared_parameters(
        module
    ):  # each gradient is written, not added up
        return None
    sides = module.encoder, module.decoder
    if _is_hooked(module) or not all(_is_known(side) for side in sides):
        return None
    return kind(module, criterion)


def _is_known(side: nn.Module) -> bool:
    if type(side) is LinearPath:
        own = (side.change,) if side.gain is None else (side.change, side.gain)
        return all(p.requires_grad for p in own) and _is_known(side.network)
    if type(side) is not nn.Sequential or type(next(iter(side), None)) is not nn.Linear:
        return False
    after_curve = False  # a layer here has one activation
    for layer in side:
        is_exact = getattr(layer, "approximate", "none") == "none"  # GELU has another
        is_curve = type(layer) in CURVES and is_exact
        is_linear = type(layer) is nn.Linear and _is_whole(layer)
        if not (is_linear or (is_curve and not after_curve)):
            return False
        after_curve = is_curve
    return True


def _is_whole(layer: nn.Linear) -> bool:
    """Whether it has a bias, and all its parameters are trained."""
    return layer.bias is not None and all(p.requires_grad for p in layer.parameters())


def _is_hooked(module: nn.Module) -> bool:
    return any(
        part._forward_hooks
        or part._forward_pre_hooks
        or part._backward_hooks
        or part._backward_pre_hooks
        for part in module.modules()
    )


class PlainGradient:
    """Gradient of encoder, decoder and a reconstruction loss."""

    def __init__(self, module: AutoencoderModule, criterion: ReconstructionLoss):
        self.encoder = side_of(module.encoder)
        self.decoder = side_of(module.decoder)
        self.criterion = criterion

    @torch.no_grad()
    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        code = self.encoder.forward(x)
        reconstruction = self.decoder.forward(code)
        loss, gradient = self.criterion.with_slope(reconstruction, target)
        gradient = self.decoder.backward(gradient, wanted=True)
        self.encoder.backward(gradient, wanted=False)
        return loss


# By the exact types of module and criterion. Files of other gradients add theirs.
KNOWN: dict[tuple[type, type], type] = {
    (AutoencoderModule, ReconstructionLoss): PlainGradient
}


class Layer:
    """A linear layer and the activation after it, if any."""

    def __init__(self, linear: nn.Linear, curve: nn.Module | None):
        # Taken once, because a view costs as much as a small product.
        self.weight = linear.weight.detach()
        self.turned = self.weight.mT
        self.bias = linear.bias.detach().unsqueeze(-2)
        self.gradients = linear.weight.grad, linear.bias.grad
        self.curve, self.slope = CURVES[nn.Identity if curve is None else type(curve)]
        self.product, self.add_product = PRODUCTS[self.weight.dim()]

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        self.affine = self.add_product(self.bias, x, self.turned)
        self.y = self.curve(self.affine)
        return self.y

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor | None:
        gradient = self.slope(gradient, self.affine, self.y)
        self.product(gradient.mT, self.x, out=self.gradients[0])
        torch.sum(gradient, -2, out=self.gradients[1])
        return self.product(gradient, self.weight) if wanted else None


class Stack:
    """A network of :func:`skae.networks.mlp`."""

    layer_class = Layer

    def __init__(self, network: nn.Sequential):
        self.layers = []
        for place, layer in enumerate(network):
            if type(layer) is nn.Linear:
                after = network[place + 1] if place + 1 < len(network) else None
                curve = None if type(after) is nn.Linear else after
                self.layers.append(self.layer_class(layer, curve))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor | None:
        first, *others = self.layers
        for layer in reversed(others):
            gradient = layer.backward(gradient, wanted=True)
        return first.backward(gradient, wanted)


class Path:
    """A :class:`LinearPath` around a stack."""

    stack_class = Stack

    def __init__(self, path: LinearPath):
        self.path = path
        self.stack = self.stack_class(path.network)
        self.weight, self.change = path.weight.detach(), path.change.detach()
        self.unit = None if path.unit is None else path.unit.unsqueeze(-2)
        self.rate = path.learning_rate_scale
        if self.unit is not None:
            self.rate = self.rate * self.unit
        self.product, self.add_product = PRODUCTS[self.change.dim()]
        self.gradient = path.change.grad
        self.bias = None if path.bias is None else path.bias.unsqueeze(-2)
        self.training_range = (path.low, path.high) if path.tracks_range else None

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        self.total = self.weight + self.rate * self.change
        self.factor = self.path.factor
        if self.training_range is not None:  # as update_range does, at half its cost
            low, high = x.aminmax(dim=-2)
            torch.minimum(self.training_range[0], low, out=self.training_range[0])
            torch.maximum(self.training_range[1], high, out=self.training_range[1])
        self.curved = curved = self.stack.forward(x)
        if self.factor is not None:
            self.factor = self.factor.detach().unsqueeze(-2)
            curved = curved * self.factor
        if self.bias is not None:
            curved = curved + self.bias
        return self.add_product(curved, x, self.total)

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor | None:
        self.product(self.x.mT, gradient, out=self.gradient)
        self.gradient *= self.rate
        straight = gradient
        if self.path.gain is not None:
            torch.sum(gradient * self.curved, -2, out=self.path.gain.grad)
            if self.unit is not None:
                self.path.gain.grad *= self.path.unit
        if self.factor is not None:
            gradient = gradient * self.factor
        into = self.stack.backward(gradient, wanted)
        return self.add_product(into, straight, self.total.mT) if wanted else None


def side_of(side: nn.Module, path_class: type[Path] = Path) -> Stack | Path:
    """Wrap an encoder or decoder for which the gradient is written out."""
    is_path = type(side) is LinearPath
    return path_class(side) if is_path else path_class.stack_class(side)


# By the number of axes of a weight: a product, and one added to something.
PRODUCTS = {2: (torch.mm, torch.addmm), 3: (torch.bmm, torch.baddbmm)}
