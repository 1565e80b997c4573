"""AdamW over one vector.

Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.

A small network has a dozen parameter tensors, and torch's optimisers spend more time on
the overhead of each than on arithmetic. Here parameters, gradients and moments share one
vector each, so that clearing, clipping and the update are one operation.
"""

from collections.abc import Callable

import torch
from torch import Tensor


class FlatAdamW(torch.optim.Optimizer):
    """AdamW, with the norm of the gradient bounded.

    The gradient is divided by ``unit``, or by its norm if that is larger.

    It is a torch optimiser, so that schedulers and skorch work with it, but it has one
    group, and :meth:`gather` must be called before the first step and whenever
    parameters were frozen or unfrozen.

    Parameters
    ----------
    params : iterable of Parameter
        Parameters to train.

    lr : float
        Step size.

    betas : (float, float), default=(0.9, 0.99)
        Decay of the first and the second moment.

    eps : float, default=1e-6
        Added to the root of the second moment. Where training starts at an optimum of
        the linear map, gradients are rounding noise; a smaller ``eps`` would take them
        at full size.

    weight_decay : float, default=1e-4
        Decay of the parameters per step, times ``lr``.

    n_members : int, default=1
        With more than one, the first axis of every parameter counts members, and the
        gradient of each has a norm of its own.
    """

    def __init__(
        self,
        params,
        lr,
        betas=(0.9, 0.99),
        eps=1e-6,
        weight_decay=1e-4,
        n_members=1,
    ):
        self.n_members = n_members
        self._gathered: list[Tensor] | None = None  # nothing has been gathered yet
        self.unit: Tensor | None = None  # (n_members, 1); None is 1
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
            },
        )

    def add_param_group(self, param_group: dict) -> None:
        # torch's version does the same behind a decorator that imports the compiler,
        # which takes over a second.
        if self.param_groups:
            raise ValueError("FlatAdamW has one group of parameters.")
        group = {**self.defaults, **param_group}
        self.param_groups.append({**group, "params": list(group["params"])})

    def gather(self) -> bool:
        """Let the trained parameters share one vector, and their gradients another.

        Returns whether they were others before.
        """
        parameters = self.param_groups[0]["params"]
        trained = [p for p in parameters if p.requires_grad]
        if self._gathered is not None:
            if [id(p) for p in trained] == [id(p) for p in self._gathered]:
                return False
            self.release()
        self._gathered = trained
        n_members = self.n_members
        width = sum(parameter.numel() for parameter in trained) // n_members
        device = trained[0].device if trained else None
        if self.unit is None:
            self.unit = torch.ones(n_members, 1, device=device, dtype=torch.float32)
        self.values = torch.empty(n_members, width, device=device, dtype=torch.float32)
        layouts, offset = [], 0
        for parameter in trained:
            # Its own layout if that is dense, as channels_last is.
            strides = torch.empty_like(parameter).stride()
            if n_members > 1:
                strides = (width, *strides[1:])
            layout = parameter.size(), strides, offset
            value = self.values.as_strided(*layout)
            value.copy_(parameter.detach())
            parameter.data = value  # frees the earlier memory before more is used
            layouts.append(layout)
            offset += parameter.numel() // n_members
        self.gradient = torch.zeros_like(self.values)
        self.moments = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.n_steps = torch.zeros((), device=device, dtype=torch.float32)
        for parameter, layout in zip(trained, layouts, strict=True):
            parameter.grad = self.gradient.as_strided(*layout)
        return True

    def release(self) -> None:
        """Copy every parameter to memory of its own, and free the vectors."""
        for parameter in self._gathered or []:
            parameter.grad = None
        self.gradient = self.moments = None
        for parameter in self._gathered or []:
            parameter.data = parameter.data.clone()
        self.values = self._gathered = None

    def is_finite(self) -> Tensor:
        """Whether all parameters are finite, for each member."""
        if self._gathered is None:
            device = self.param_groups[0]["params"][0].device
            return torch.ones(self.n_members, dtype=torch.bool, device=device)
        return self.values.sum(dim=1).isfinite()  # without a copy

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.gradient.zero_()

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> None:
        group = self.param_groups[0]
        norm = torch.linalg.vector_norm(self.gradient, dim=1, keepdim=True)
        self.gradient.div_(torch.maximum(norm, self.unit))
        self.n_steps.add_(1)
        # What torch.optim.AdamW(fused=True) ends in. To get there by its public function
        # takes longer than the update.
        torch._fused_adamw_(
            [self.values],
            [self.gradient],
            [self.moments[0]],
            [self.moments[1]],
            [],
            [self.n_steps],
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    # torch wraps a step that does not say so into a profiler's context.
    step.hooked = True
