"""Modules of one kind, trained side by side as one with a leading axis of members.

A step of ten small networks costs a few times that of one, because most of the cost is
not arithmetic. The members share what is not trained (scaling, the linear map); each has
its own parameters and buffers.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from skae._nn.autoencoder import AutoencoderModule, has_shared_parameters


def stack(modules: Sequence[AutoencoderModule]) -> AutoencoderModule:
    """Return a module whose trained tensors have a leading axis of members."""
    stacked = copy.deepcopy(modules[0])
    states = [own_state(module) for module in modules]
    for name in states[0]:
        values = torch.stack([state[name].detach() for state in states])
        _replace(stacked, name, values)
    return stacked


def unstack(stacked: AutoencoderModule, member: int) -> AutoencoderModule:
    """Return one member as a module of its own."""
    lent = {id(stacked.generator): None}
    module = copy.deepcopy(stacked, lent)
    for name, values in own_state(stacked).items():
        _replace(module, name, values.detach()[member].clone())
    return module


def own_state(module: AutoencoderModule) -> dict[str, Tensor]:
    """Tensors that members do not share: trained parameters, and networks' buffers."""
    sides = ("encoder.", "decoder.")
    buffers = {n: b for n, b in module.named_buffers() if n.startswith(sides)}
    own = dict(module.named_parameters()) | buffers
    return {name: values for name, values in own.items() if not _is_map(name)}


def _is_map(name: str) -> bool:
    """Whether it is the linear map, the same for all members."""
    return name in ("encoder.weight", "decoder.weight")


def _replace(module: nn.Module, name: str, values: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if leaf in owner._parameters:
        values = nn.Parameter(values, requires_grad=owner._parameters[leaf].requires_grad)
    setattr(owner, leaf, values)


def call(
    stacked: AutoencoderModule, x: Tensor, *condition: Tensor, randomness="different"
):
    """Apply members to (n_members, n_samples, n_features), or to shared samples."""
    axis = 0 if x.dim() == 3 else None

    def one(state, x, *condition):
        return functional_call(stacked, state, (x, *condition))

    state = own_state(stacked)
    in_dims = (0, axis, *(axis for _ in condition))
    return vmap(one, in_dims=in_dims, randomness=randomness)(state, x, *condition)


def can_stack(module: AutoencoderModule) -> bool:
    """Whether copies of a module can be trained side by side."""
    if type(module).after_step is not AutoencoderModule.after_step:
        return False
    if has_shared_parameters(module):  # vmap would leave its tensors in it
        return False
    trial = stack([module, module]).train()
    width = len(module.inputs.mean)
    try:
        # Layers that draw would make a member depend on the number of members.
        call(trial, torch.zeros(2, 3, width), randomness="error")
    except (RuntimeError, NotImplementedError, ValueError):
        return False  # vmap does not support an operation
    return True
