"""Training that diverges leaves what it began with, and says so."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import skae

TRANSFORMERS = [n for n in skae.__all__ if hasattr(getattr(skae, n), "reconstruct")]


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("learning_rate", [10.0, 1e3, 1e30])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_weights_are_no_worse_than_the_initial_ones(name, learning_rate, early_stopping):
    random_state = np.random.RandomState(0)
    X = np.exp(random_state.normal(size=(160, 5))) * [1, 5, 1, 1e3, 0.1]
    y = random_state.randint(3, size=len(X)) if name == "ConditionalVAE" else None
    model = getattr(skae, name)(max_iter=2, early_stopping=early_stopping, random_state=0)
    start = clone(model).set_params(learning_rate=1e-30)
    model.set_params(learning_rate=learning_rate)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        start.fit(X, y)  # thresholds and codebooks change without gradients
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y)
    if not early_stopping:
        assert "weights of step 0 were kept" in str(caught[0].message)
    scores, initial = (m.score(X) if y is None else m.score(X, y) for m in (model, start))
    # The threshold of a SparseAE, a running mean, is another in the fit to compare with.
    margin = 0.2 if name == "SparseAE" else 0.05
    assert scores >= initial - margin * abs(initial)
