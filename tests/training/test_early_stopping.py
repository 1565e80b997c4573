"""The weights of the least validation loss are kept, whatever its number of samples."""

import numpy as np
import pytest
import torch

from skae._training.early_stopping import EarlyStopping


@pytest.mark.parametrize("n_valid", [1, 50, 199, 200, 5000])
@pytest.mark.parametrize("patience", [None, 2])
def test_the_best_weights_are_restored(n_valid, patience):
    weights = {"weight": torch.zeros(1)}
    stopper = EarlyStopping(lambda: weights, patience)
    spread = np.linspace(-0.1, 0.1, n_valid) if n_valid > 1 else np.zeros(1)
    for step, loss in enumerate([3.0, 2.0, 1.0, 1.5, 1.25, 0.5]):
        weights["weight"].fill_(step)
        stopper.check(step, True, loss + spread)
    best = 5 if patience is None else 2  # patience ends at the second miss
    stopper.restore()
    assert stopper.kept_step == best and weights["weight"].item() == best
    stopper.restore_initial()
    assert weights["weight"].item() == 0.0


@pytest.mark.parametrize("losses", [None, np.ones(300)])
def test_weights_from_before_a_divergence_are_kept(losses):
    weights = {"weight": torch.zeros(1)}
    stopper = EarlyStopping(lambda: weights, None)
    for step, finite in enumerate([True, True, False]):
        weights["weight"].fill_(step)
        checked = None if losses is None else losses / (step + 1)
        stopper.check(step, finite, checked)
    stopper.restore()
    assert stopper.diverged and stopper.is_over
    assert weights["weight"].item() == 1.0
