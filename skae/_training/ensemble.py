"""Trains members side by side: one net, one loop, one optimiser step for all of them."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from skae._data.dataset import Batch, MemberBatches
from skae._nn.autoencoder import AutoencoderModule
from skae._nn.stacking import call, can_stack, own_state, stack, unstack
from skae._training.net import AutoencoderNet


class EnsembleNet(AutoencoderNet):
    """An :class:`AutoencoderNet` of several modules that differ in their weights.

    Each member has its own batches, its own best step, and what it becomes does not
    depend on the others; only what one step costs is shared.

    Parameters
    ----------
    modules : sequence of AutoencoderModule
        The members, of one architecture, with the same linear map and units.

    seeds : sequence of int
        One per member, for the order of its rows.

    samples : ndarray of int of shape (n_members, n_rows), default=None
        Which of the training rows each member sees; None is all of them.

    **kwargs : dict
        Parameters of :class:`AutoencoderNet`.
    """

    def __init__(self, modules, criterion, *, seeds, samples=None, **kwargs):
        kwargs["optimizer__n_members"] = len(modules)
        super().__init__(stack(modules), criterion, seed=seeds[0], **kwargs)
        self.seeds = seeds
        self.samples = samples
        self.n_members = len(modules)

    def get_iterator(self, dataset, training=False):
        generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        arguments = dataset, self.prepare, self.batch_size, generators, self.cache
        return MemberBatches(*arguments, samples=self.samples)

    def infer(self, batch: Batch, **fit_params) -> NamedTuple:
        condition = () if batch.condition is None else (batch.condition,)
        return call(self.module_, batch.x, *condition)

    def row_losses(self, batch: Batch) -> Tensor:
        axis = 0 if batch.target.dim() == 3 else None
        criterion = vmap(lambda *pair: self.criterion_(*pair), in_dims=(0, axis))
        return criterion(self.infer(batch), batch.target)

    def _differentiate(self, batch: Batch) -> Tensor:
        trained = [p for p in self.module_.parameters() if p.requires_grad]
        loss = self.row_losses(batch).mean(dim=-1)
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

    def split(self) -> list[AutoencoderNet]:
        """The members, each as a net of its own."""
        return [self._member(member) for member in range(self.n_members)]

    def _member(self, member: int) -> AutoencoderNet:
        net = self._with_module(unstack(self.module_, member), AutoencoderNet)
        net.n_members = 1
        net._conclude(self._stoppers[member])
        return net

    def snapshot(self) -> AutoencoderNet:
        return self._member(self._stoppers.index(self._best_stopper())).snapshot()


def can_train_together(module: AutoencoderModule, net_class: type) -> bool:
    """Whether several modules like this one fit into an :class:`EnsembleNet`."""
    return net_class is AutoencoderNet and can_stack(module)
