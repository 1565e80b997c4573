"""What one call of ``partial_fit`` trains on: a part of the data, and earlier samples.

A network forgets what it is no longer trained on, and the first part need not resemble
the others. A random sample of all samples seen is therefore kept. Some of it is trained
on again with each part: Rolnick et al., "Experience replay for continual learning",
NeurIPS 2019. A new module is initialised at it where the first one was initialised at too
few samples, or at samples of another location or scale.
"""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor, nn

from skae._data.dataset import Dataset
from skae._data.reservoir import Reservoir, concatenate
from skae._nn.scaling import Standardizer

ENOUGH = 500  # samples, to initialise a module at
REPLAYED = 256  # earlier samples to train on beside a smaller part
# By Chebyshev's inequality at most 1/16 of any distribution is farther from the mean than
# four standard deviations.
FAR, FAR_SHARE = 4.0, 1 / 16


class OnlineData:
    """The samples of a call of ``partial_fit``, and those kept for the next one.

    Parameters
    ----------
    state : dict or None
        :attr:`state` after the last call; None at the first one and after ``fit``.

    random_state : int, RandomState instance or None
        That of the estimator. With an integer, draws depend on it and on the number of
        samples seen, so that they differ from call to call.
    """

    def __init__(self, state: dict | None, random_state):
        self.seen = Reservoir(state)
        # Number of samples that the module was initialised at; None after fit, which
        # keeps none.
        self.n_initial: int | None = None if state is None else state["n_initial"]
        if isinstance(random_state, Integral):
            seeds = [random_state, self.seen.n_seen % 2**32]
            random_state = np.random.RandomState(seeds)
        self.random_state = check_random_state(random_state)

    @property
    def state(self) -> dict:
        """Plain numbers and arrays."""
        return {**self.seen.state, "n_initial": self.n_initial}

    def add(
        self, part: Dataset, module: nn.Module | None
    ) -> tuple[Dataset, nn.Module | None]:
        """Return what to train on, and the module to resume from or None to make one."""
        self.n_new = len(part)
        earlier, is_complete = self.seen.dataset, self.seen.is_complete
        self.seen.add(part, self.random_state)
        if module is None or self._is_superseded(module, is_complete):
            module, self.n_initial, self.n_new = None, self.seen.n_seen, self.seen.n_seen
        elif earlier is not None:
            n_replayed = max(REPLAYED, len(part))
            order = self.random_state.permutation(len(earlier))
            earlier = earlier.subset(order[:n_replayed])
        return (part if earlier is None else concatenate([earlier, part])), module

    def _is_superseded(self, module: nn.Module, has_all: bool) -> bool:
        """Whether to initialise a new module, at the samples that are kept."""
        if self.n_initial is None:
            return False
        is_small = has_all and self.n_initial < ENOUGH
        doubled = is_small and self.seen.n_seen >= 2 * self.n_initial
        return doubled or len(misscaled(module, self.seen.dataset)) > 0


def misscaled(module: nn.Module, dataset: Dataset) -> np.ndarray:
    """Return the features of which the module's mean and deviation cannot be right.

    Those of a target other than x are counted after those of x.
    """
    scalings = {"x": module.inputs}
    if dataset.target is not None and isinstance(module.outputs, Standardizer):
        scalings["target"] = module.outputs
    n_far = 0
    for batch in dataset.chunks():
        far = [_is_far(getattr(batch, field), s) for field, s in scalings.items()]
        n_far = n_far + torch.cat(far, dim=1).sum(dim=0)
    expected = FAR_SHARE * len(dataset)
    # Four standard deviations more, as the samples are drawn at random.
    return np.flatnonzero(n_far.numpy() > expected + 4 * max(1.0, expected**0.5))


def _is_far(x: Tensor, scaling: Standardizer) -> Tensor:
    mean, spread = scaling.mean.cpu(), scaling.spread.cpu()
    rounding = 10 * torch.finfo(torch.float64).eps * mean.abs()
    return (x - mean).abs() > torch.maximum(FAR * spread, rounding)
