"""Which rows are held out, and how many steps they call for."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skae import AutoencoderTransformer
from skae._data.dataset import Dataset
from skae._training.early_stopping import Validation
from skae._training.validation import (
    FOLDS_BELOW,
    REFIT_BELOW,
    count_valid,
    hold_out,
    pool,
    significant_share,
    train,
    train_sizes,
)


class FakeNet:
    """The later a start, the better it does."""

    n_steps = 10
    kept_step_ = 5
    calibration_ = torch.tensor(1.5)

    def __init__(self, start):
        self.start = start
        self.module_ = self
        self.allowed = 1.0
        before = np.linspace(2.0, 2.2, 10)
        losses = [before, before - 1.0 - 0.1 * start]
        self.validation_ = Validation([0, 5], losses, [x.mean() for x in losses])

    def mean_loss(self, rows):
        return 1.0 - 0.1 * self.start

    def recalibrate(self, found):
        self.allowed = found


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2 * REFIT_BELOW), st.booleans(), st.floats(0.05, 0.5))
def test_runs_use_every_row_and_never_train_on_what_judges_them(n, stopping, fraction):
    runs = []
    n_valid = count_valid(n, fraction)

    def execute(run):
        runs.append(run)
        return [FakeNet(start) for start in run.starts]

    rows, random_state = Dataset(np.zeros((n, 1))), np.random.RandomState(0)
    net = train(rows, stopping, n_valid, random_state, execute, starts=range(3))

    assert net.start == 2  # the best, and nothing else is trained again
    assert [list(run.starts) for run in runs if run.stage == "refit"] in ([], [[2]])

    assert [len(run.train) for run in runs] == train_sizes(n, stopping, n_valid)
    validated = [run for run in runs if run.valid is not None]
    for run in validated:
        together = np.concatenate([run.train.index, run.valid.index])
        assert sorted(together) == list(range(n))
    if 1 < n < FOLDS_BELOW and stopping:
        held_out = np.concatenate([run.valid.index for run in validated])
        assert sorted(held_out) == list(range(n))
    if stopping and n < REFIT_BELOW:  # the last run has seen every row
        assert len(runs[-1].train) == n
    assert len(runs[-1].described) == n


def test_some_rows_are_held_out_but_never_most():
    assert count_valid(3, 0.1) == 1
    assert count_valid(120, 0.1) == 40
    assert count_valid(300, 0.1) == 50
    assert count_valid(3000, 0.1) == 300
    assert count_valid(10**6, 0.1) == 5000
    with pytest.raises(ValueError, match="validation_fraction=0.95 holds out 5 of"):
        count_valid(5, 0.95)


def validation(gain, noise, n_samples=100):
    rng = np.random.RandomState(0)
    start = rng.uniform(1, 2, n_samples)
    losses = [start, start - gain + noise * rng.normal(size=n_samples)]
    return Validation([0, 7], losses, [loss.mean() for loss in losses])


def test_a_gain_must_stand_out_from_its_noise():
    assert significant_share(validation(gain=0.5, noise=0.1), 14, n_errors=2) == 0.5
    assert significant_share(validation(gain=0.01, noise=1.0), 14, n_errors=2) == 0
    assert significant_share(validation(gain=-0.5, noise=0.1), 14, n_errors=2) == 0


def test_rows_that_are_alike_count_once():
    """A gain in one of five runs of neighbours is one observation, not a fifth of all."""
    losses = [np.ones(100), np.where(np.arange(100) < 20, 0.0, 0.95)]
    lucky = Validation([0, 7], losses, [loss.mean() for loss in losses])

    assert significant_share(lucky, 14, n_errors=2) == 0.5
    assert significant_share(lucky, 14, n_errors=2, n_parts=5) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(FOLDS_BELOW, 5000), st.floats(0.01, 0.9), st.integers(0, 1000))
def test_rows_are_held_out_in_few_runs_of_neighbours(n, fraction, seed):
    n_valid = count_valid(n, fraction)

    train, valid = hold_out(n, n_valid, np.random.RandomState(seed))

    assert len(valid) == n_valid
    assert sorted([*train, *valid]) == list(range(n))
    assert (np.diff(valid) > 1).sum() < 5


def test_folds_are_pooled_as_far_as_all_of_them_went():
    whole = validation(0.5, 0.1, n_samples=3)
    short = Validation([0], whole.losses[:1], whole.means[:1])

    pooled = pool([whole, short])

    assert pooled.steps == [0]
    assert len(pooled.losses[0]) == 6


def test_noise_without_structure_is_left_to_pca():
    """Nothing but luck can beat PCA on white noise, in any regime of row numbers."""
    rng = np.random.RandomState(0)
    for n_samples in (40, 400):
        X = rng.normal(size=(n_samples, 8))
        ae = AutoencoderTransformer(2, random_state=0).fit(X)
        assert ae.n_iter_ == 1
        assert ae.history_[ae.history_["stage"] == "refit"].empty


@pytest.mark.parametrize("n_samples", [100, 300, 2500])
@pytest.mark.parametrize("n_init", [1, 2])
def test_a_value_that_overflows_leaves_pca_and_a_warning(n_samples, n_init):
    """9.97e36 is what NetCDF files have where a value is missing."""
    X = np.random.RandomState(0).normal(size=(n_samples, 5))
    X[7, 2] = X[60, 2] = 9.97e36
    ae = AutoencoderTransformer(2, n_init=n_init, max_iter=3, random_state=0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ae.fit(X)

    assert np.isfinite(ae.transform(X)).all()


def test_callbacks_that_read_the_history_bear_a_fit_that_trains_nothing():
    from skorch.callbacks import EarlyStopping

    X = np.random.RandomState(0).normal(size=(400, 5))
    stop = EarlyStopping(load_best=True)

    ae = AutoencoderTransformer(2, callbacks=[stop], random_state=0).fit(X)

    assert ae.n_iter_ == 1


def test_warm_start_knows_the_rows_that_it_is_given_later():
    y = np.random.RandomState(0).uniform(-3, 3, (1000, 1))
    X = np.hstack([y, np.sin(2 * y), np.cos(2 * y)])
    near = X[np.abs(y[:, 0]) < 1]
    ae = AutoencoderTransformer(1, warm_start=True, early_stopping=False, random_state=0)

    ae.fit(near).fit(X)

    assert -ae.score(X) < 0.1 * X.var(axis=0).mean()
