"""Targets, conditions and ``after_step`` reach what they are for, through a whole fit."""

import numpy as np
import torch
from torch import nn

from skae._data.dataset import Dataset
from skae._nn.autoencoder import AutoencoderModule
from tests.toy import ToyDenoiser


class WatchfulModule(AutoencoderModule):
    """Adds the condition to the code, and counts its steps."""

    def __init__(self, **parts):
        super().__init__(**parts)
        self.mix = nn.Linear(1, 3)
        self.n_steps = 0

    def forward(self, x, condition=None):
        output = super().forward(x, condition)
        code = output.code + self.mix(condition)
        return output._replace(reconstruction=self.from_code(code), code=code)

    def after_step(self):
        self.n_steps += 1


class Watchful(ToyDenoiser):
    """Trains on y as the target, and on a condition that is needed to reach it."""

    def _make_dataset(self, X, y):
        return Dataset(X, target=y[:, :3], condition=y[:, 3:])

    def _make_module(self, statistics):
        return WatchfulModule(**self._make_components(statistics))


def test_targets_of_another_width_and_unit_are_learned_given_the_condition(X):
    condition = np.random.RandomState(1).normal(size=(200, 1))
    target = 1000 + 50 * (X[:, :3] + condition)
    watchful = Watchful(3, max_iter=60, early_stopping=False, random_state=0)

    watchful.fit(X, np.column_stack([target, condition]))

    module = watchful.module_
    with torch.no_grad():
        output = module(
            module.standardize(torch.tensor(X)), torch.tensor(condition).float()
        )
    learned = module.outputs.inverse(output.reconstruction).numpy()
    unexplained = (
        np.square(learned - target).sum() / np.square(target - target.mean(axis=0)).sum()
    )
    assert unexplained < 0.2
    assert module.n_steps == 60 * np.ceil(200 / 32)
