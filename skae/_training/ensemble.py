"""Trains members side by side: one net, one loop, one optimiser step for all of them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vmap

from skae._data.dataset import Batch, MemberBatches
from skae._nn.autoencoder import AutoencoderModule
from skae._nn.stacking import call, can_stack, own_state, stack, unstack
from skae._training.net import AutoencoderNet
from skae._training.trained import TrainedModule


class EnsembleNet(AutoencoderNet):
    """An :class:`AutoencoderNet` of several modules that differ in their weights.

    Each member has its own batches and its own best step, and does not depend on the
    others; the members share only the cost of a step.

    Parameters
    ----------
    modules : sequence of AutoencoderModule
        The members, of one architecture, with the same linear map and scaling.

    seeds : sequence of int
        One per member, for the order of its samples.

    **kwargs : dict
        Parameters of :class:`AutoencoderNet`.
    """

    def __init__(self, modules, criterion, *, seeds, **kwargs):
        kwargs["optimizer__n_members"] = len(modules)
        super().__init__(stack(modules), criterion, seed=seeds[0], **kwargs)
        self.seeds = seeds
        self.n_members = len(modules)

    def get_iterator(self, dataset, training=False):
        generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        return MemberBatches(
            dataset, self.prepare, self.batch_size, generators, self.cache
        )

    def infer(self, batch: Batch, **fit_params) -> NamedTuple:
        condition = () if batch.condition is None else (batch.condition,)
        return call(self.module_, batch.x, *condition)

    def sample_losses(self, batch: Batch) -> Tensor:
        axis = 0 if batch.target.dim() == 3 else None
        criterion = vmap(lambda *pair: self.criterion_(*pair), in_dims=(0, axis))
        return criterion(self.infer(batch), batch.target)

    def _differentiate(self, batch: Batch) -> Tensor:
        trained = [p for p in self.module_.parameters() if p.requires_grad]
        loss = self.sample_losses(batch).mean(dim=-1)
        if not trained:  # callbacks may have frozen everything
            return loss.detach()
        # Not loss.backward(): it warns of gradients that are laid out by members.
        gradients = torch.autograd.grad(loss.sum(), trained, materialize_grads=True)
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad.copy_(gradient)
        return loss.detach()

    def _state(self, member: int) -> dict[str, Tensor]:
        own = own_state(self.module_)
        return {name: values.detach()[member] for name, values in own.items()}

    def _trained(self, member: int) -> TrainedModule:
        trained = super()._trained(member)
        trained.seed = self.seeds[member]
        return trained

    def _module_of(self, member: int) -> nn.Module:
        return unstack(self.module_, member)

    def snapshot(self) -> nn.Module:
        """A copy of the member that validates best, as it is now."""
        best = self._stoppers.index(self._best_stopper())
        return unstack(self.module_, best).eval()


def can_train_together(module: AutoencoderModule, net_class: type) -> bool:
    """Whether several modules like this one fit into an :class:`EnsembleNet`."""
    return net_class is AutoencoderNet and can_stack(module)
