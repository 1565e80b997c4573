"""The decoder's training range is that of the codes, less outliers of many."""

import numpy as np
import pytest
import torch

from skae import AutoencoderTransformer


@pytest.mark.parametrize("n_samples", [1999, 2000])
def test_of_many_samples_the_outermost_codes_do_not_count(n_samples):
    """One code on each side may be an outlier's, between which nothing was trained."""
    random_state = np.random.RandomState(0)
    X = random_state.uniform(-1, 1, size=(n_samples, 3)) * [1, 0.01, 0.01]
    X[7, 0], X[-3, 0] = 50.0, -40.0
    model = AutoencoderTransformer(1, max_iter=1, learning_rate=1e-30, random_state=0)
    module = model.fit(X).module_
    low, high = module.decoder.low.item(), module.decoder.high.item()
    codes = np.sort(
        module.basis.inverse(torch.from_numpy(model.transform(X))).numpy().ravel()
    )
    n_ignored = 1 if n_samples >= 2000 else 0
    assert low == pytest.approx(codes[n_ignored], rel=1e-4)
    assert high == pytest.approx(codes[-1 - n_ignored], rel=1e-4)
