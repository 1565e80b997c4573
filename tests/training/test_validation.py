"""Which samples validate, and how many steps follow from their losses."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skae import AutoencoderTransformer
from skae._training.early_stopping import Validation
from skae._training.net import TrainedModule
from skae._training.validation import (
    FOLDS_BELOW,
    REFIT_BELOW,
    count_valid,
    hold_out,
    may_refit,
    plan,
    pool,
    select,
    significant_share,
)


def trained(initialization):
    """A result that is better the higher the number of its initialisation."""
    initial = np.linspace(2.0, 2.2, 10)
    losses = [initial, initial - 1.0 - 0.1 * initialization]
    return TrainedModule(
        module=initialization,
        seed=0,
        n_steps=10,
        best_step=5,
        diverged_at=None,
        validation=Validation([0, 5], losses, [x.mean() for x in losses]),
        calibration=torch.tensor(1.0 + initialization),
        train_loss=1.0 - 0.1 * initialization,
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2 * REFIT_BELOW), st.booleans(), st.floats(0.05, 0.5))
def test_plan_uses_every_sample_and_validates_on_others(n, stopping, fraction):
    n_valid = count_valid(n, fraction)

    runs = plan(n, stopping, n_valid, 3, np.random.RandomState(0))
    selection = select(runs, [[trained(i) for i in run.initializations] for run in runs])

    assert all(run.initializations == (0, 1, 2) for run in runs)
    for run in runs:
        if run.valid is not None:
            assert sorted([*run.train, *run.valid]) == list(range(n))
    validates = stopping and n > 1
    assert (runs[0].valid is not None) == validates
    if validates and n < FOLDS_BELOW:
        assert sorted(np.concatenate([run.valid for run in runs])) == list(range(n))
    elif validates:
        assert [len(run.valid) for run in runs] == [n_valid]
    # Either the best one is the result, or it alone is refitted to all samples.
    assert may_refit(runs) == (selection.refit is not None)
    assert may_refit(runs) == (validates and n < REFIT_BELOW)
    if selection.refit is None:
        assert selection.trained.module == 2
        assert runs[0].train is None or runs[0].describes_all
    else:
        assert selection.refit.initializations == (2,)
        assert selection.refit.train is None and selection.refit.share == 0.5
        assert selection.calibration == 3.0


def test_without_a_significant_gain_nothing_is_trained_or_recalibrated():
    for n in (100, 1000):
        runs = plan(n, True, 50, 1, np.random.RandomState(0))
        results = [[trained(0)] for _ in runs]
        for (result,) in results:
            result.validation.losses[1][:] = result.validation.losses[0]

        selection = select(runs, results)

        assert selection.refit.share == 0
        assert selection.calibration is None


def test_the_validation_set_is_never_most_samples():
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


def test_correlated_samples_count_once():
    """A gain in one of five blocks is one observation, not a fifth of all."""
    losses = [np.ones(100), np.where(np.arange(100) < 20, 0.0, 0.95)]
    lucky = Validation([0, 7], losses, [loss.mean() for loss in losses])

    assert significant_share(lucky, 14, n_errors=2) == 0.5
    assert significant_share(lucky, 14, n_errors=2, n_blocks=5) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(FOLDS_BELOW, 5000), st.floats(0.01, 0.9), st.integers(0, 1000))
def test_the_validation_set_is_a_few_contiguous_blocks(n, fraction, seed):
    n_valid = count_valid(n, fraction)

    train, valid = hold_out(n, n_valid, np.random.RandomState(seed))

    assert len(valid) == n_valid
    assert sorted([*train, *valid]) == list(range(n))
    assert (np.diff(valid) > 1).sum() < 5


def test_folds_are_pooled_up_to_the_shortest():
    whole = validation(0.5, 0.1, n_samples=3)
    short = Validation([0], whole.losses[:1], whole.means[:1])

    pooled = pool([whole, short])

    assert pooled.steps == [0]
    assert len(pooled.losses[0]) == 6


def test_noise_without_structure_gives_pca():
    """White noise has no structure beyond PCA, in any regime of sample sizes."""
    rng = np.random.RandomState(0)
    for n_samples in (40, 400):
        X = rng.normal(size=(n_samples, 8))
        ae = AutoencoderTransformer(2, random_state=0).fit(X)
        assert ae.n_iter_ == 1
        assert ae.history_[ae.history_["stage"] == "refit"].empty


@pytest.mark.parametrize("n_samples", [100, 300, 2500])
@pytest.mark.parametrize("n_init", [1, 2])
def test_a_value_that_overflows_leaves_pca_and_a_warning(n_samples, n_init):
    """9.97e36 is the fill value for missing values in NetCDF files."""
    X = np.random.RandomState(0).normal(size=(n_samples, 5))
    X[7, 2] = X[60, 2] = 9.97e36
    ae = AutoencoderTransformer(2, n_init=n_init, max_iter=3, random_state=0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ae.fit(X)

    assert np.isfinite(ae.transform(X)).all()


def test_callbacks_that_read_the_history_accept_a_run_without_steps():
    from skorch.callbacks import EarlyStopping

    X = np.random.RandomState(0).normal(size=(400, 5))
    stop = EarlyStopping(load_best=True)

    ae = AutoencoderTransformer(2, callbacks=[stop], random_state=0).fit(X)

    assert ae.n_iter_ == 1


def test_warm_start_extends_the_training_range():
    y = np.random.RandomState(0).uniform(-3, 3, (1000, 1))
    X = np.hstack([y, np.sin(2 * y), np.cos(2 * y)])
    near = X[np.abs(y[:, 0]) < 1]
    ae = AutoencoderTransformer(1, warm_start=True, early_stopping=False, random_state=0)

    ae.fit(near).fit(X)

    assert -ae.score(X) < 0.1 * X.var(axis=0).mean()
