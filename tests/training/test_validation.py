"""Which samples validate, and how many steps follow from their losses."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skae import AutoencoderTransformer
from skae._data.dataset import Dataset
from skae._data.dependence import find_units
from skae._training.early_stopping import Validation
from skae._training.trained import TrainedModule
from skae._training.validation import (
    FOLDS_BELOW,
    REFIT_BELOW,
    Run,
    count_valid,
    hold_out,
    look_ahead,
    loses,
    may_refit,
    plan,
    pool,
    select,
    significant_share,
    untrained,
)


def trained(initialization, run):
    """A result that is better the higher the number of its initialisation."""
    initial = np.linspace(2.0, 2.2, 10 if run.valid is None else len(run.valid))
    losses = [initial, initial - 1.0 - 0.1 * initialization]
    return TrainedModule(
        module=initialization,
        seed=0,
        n_steps=10,
        best_step=5,
        diverged_at=None,
        reverted=False,
        validation=Validation([0, 5], losses, [x.mean() for x in losses]),
        calibration=torch.tensor(1.0 + initialization),
        train_loss=1.0 - 0.1 * initialization,
    )


@settings(max_examples=60)
@given(st.integers(1, 2 * REFIT_BELOW), st.booleans(), st.floats(0.05, 0.5))
def test_plan_uses_every_sample_and_validates_on_others(n, stopping, fraction):
    n_valid = count_valid(n, fraction)

    runs = plan(n, stopping, fraction, 3, np.random.RandomState(0))
    results = [[trained(i, run) for i in run.initializations] for run in runs]
    selection = select(runs, results)

    assert all(run.initializations == (0, 1, 2) for run in runs)
    for run in runs:
        if run.valid is not None:
            assert sorted([*run.train, *run.valid]) == list(range(n))
    validates = stopping and n > 1
    assert (runs[0].valid is not None) == validates
    if validates and n < FOLDS_BELOW:
        assert sorted(np.concatenate([run.valid for run in runs])) == list(range(n))
    elif validates:
        assert {len(run.valid) for run in runs} == {n_valid}
        assert len(runs) == (min(5, n // n_valid) if n < REFIT_BELOW else 1)
        places = np.concatenate([run.valid for run in runs])
        assert len(np.unique(places)) == len(places)
    # Either the best one is the result, or it alone is refitted to all samples.
    assert may_refit(runs) == validates
    assert (selection.refit is not None) == (validates and n < REFIT_BELOW)
    if selection.refit is None:
        assert selection.trained.module == 2
        assert runs[0].train is None or runs[0].describes_all
    else:
        assert selection.refit.initializations == (2,)
        assert selection.refit.train is None and selection.refit.share == 0.5
        assert selection.calibration == 3.0


def test_without_a_significant_gain_nothing_is_trained_or_recalibrated():
    for n in (100, 1000, 5000):
        runs = plan(n, True, 0.1, 1, np.random.RandomState(0))
        results = [[trained(0, run)] for run in runs]
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
    assert significant_share(lucky, 14, n_errors=2, sizes=[20] * 5) == 0


@settings(max_examples=60)
@given(st.integers(FOLDS_BELOW, 5000), st.floats(0.01, 0.9), st.integers(0, 1000))
def test_the_validation_set_is_a_few_contiguous_blocks(n, fraction, seed):
    n_valid = count_valid(n, fraction)

    train, valid = hold_out(n, n_valid, np.random.RandomState(seed))

    assert len(valid) == n_valid
    assert sorted([*train, *valid]) == list(range(n))
    assert (np.diff(valid) > 1).sum() < 5


@settings(max_examples=60)
@given(
    n=st.integers(2, 400),
    n_groups=st.integers(2, 400),
    seed=st.integers(0, 1000),
    copied=st.booleans(),
)
def test_units_are_never_divided(n, n_groups, seed, copied):
    random_state = np.random.RandomState(seed)
    groups = random_state.randint(n_groups, size=n)
    x = random_state.randint(n // 2 + 1, size=n) if copied else np.arange(n)
    units = find_units(Dataset(x[:, None].astype(float)), groups)
    runs = plan(n, True, 0.1, 1, random_state, units)
    # If everything is one unit, samples are divided after all.
    assume(len(np.unique(units.numbers)) < n or (len(set(groups)) == n and not copied))
    for run in runs:
        assert len(run.valid) and len(run.train)
        assert sum(run.blocks) == len(run.valid)
        assert not set(groups[run.train]) & set(groups[run.valid])
        assert not set(x[run.train]) & set(x[run.valid])
        assert len(set(x[run.valid])) == len(run.valid)
        left = np.setdiff1d(np.arange(n), [*run.train, *run.valid])
        assert units.is_copy[left].all()


def result(validation, n_steps, calibration=1.0):
    return TrainedModule(
        module=0,
        seed=0,
        n_steps=n_steps,
        best_step=0,
        diverged_at=None,
        reverted=False,
        validation=validation,
        calibration=torch.tensor(calibration),
    )


def test_folds_are_pooled_by_share_of_the_budget():
    """At half of the budget both folds gain; by the number of steps they never meet."""
    short = Validation([0, 5, 10], [np.full(3, x) for x in (2.0, 1.0, 1.5)], [2, 1, 1.5])
    long = Validation([0, 10, 20], [np.full(4, x) for x in (2.0, 1.0, 1.5)], [2, 1, 1.5])
    pooled = pool([result(short, 10), result(long, 20)])
    assert pooled.steps == [0, 5, 10]
    assert pooled.means == [2.0, 1.0, 1.5]
    assert [len(losses) for losses in pooled.losses] == [7, 7, 7]


def test_the_share_is_of_the_first_folds_budget():
    """The last fold may have fewer steps: 10 of 10 is all, not 10 of 8."""
    runs = [Run("fold 1", valid=np.arange(3)), Run("fold 2", valid=np.arange(3))]
    falls = [np.full(3, 2.0), np.full(3, 1.0)]
    results = [
        [result(Validation([0, n_steps], falls, [2.0, 1.0]), n_steps)]
        for n_steps in (10, 8)
    ]
    assert select(runs, results).share == 1.0
    assert select(runs[::-1], results[::-1]).share == 1.0


def test_an_unclear_gain_asks_for_further_validation_sets():
    random_state = np.random.RandomState(0)
    runs = plan(1000, True, 0.1, 1, random_state)

    def results(gain, runs):
        found = []
        for run in runs:
            start = random_state.uniform(1, 2, len(run.valid))
            end = start - gain + random_state.normal(size=len(start))
            losses = Validation([0, 7], [start, end], [start.mean(), end.mean()])
            found.append([result(losses, 7)])
        return found

    clear = select(runs[:1], results(1.0, runs[:1]))
    assert clear.share == 1 and not clear.is_unclear
    unclear = select(runs[:1], results(0.12, runs[:1]))
    assert unclear.share == 0 and unclear.is_unclear
    assert unclear.refit.share == 0
    lost = select(runs[:1], results(-1.0, runs[:1]))
    assert lost.share == 0 and not lost.is_unclear
    assert select(runs, results(0.3, runs)).share == 1


@pytest.mark.parametrize("lost", [(0, 0), (1, 0), (0, 1)])
def test_what_loses_on_either_part_that_follows_is_not_trained(lost):
    selection = select(*[[Run("fit")], [[result(Validation([], [], []), 7)]]])
    run = look_ahead(1000)
    assert run.train.max() == 799 and set(run.valid) == set(range(800, 1000))
    start = np.ones(200)
    gains = np.repeat([-0.1 if part else 0.5 for part in lost], 100)
    ahead = Validation([0, 7], [start, start - gains], [1.0, 1 - gains.mean()])
    assert loses(run, result(ahead, 7)) == any(lost)
    assert untrained(selection).refit.share == 0


def test_folds_are_pooled_up_to_the_shortest():
    whole = validation(0.5, 0.1, n_samples=3)
    short = Validation([0], whole.losses[:1], whole.means[:1])

    pooled = pool([result(whole, 14), result(short, 14)])

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
