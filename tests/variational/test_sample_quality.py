"""Neighbourhoods, by answers that are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skae._variational.sample_quality import (
    Neighborhoods,
    are_correlated,
    continuity,
    spread_out,
)


@pytest.fixture
def cloud():
    return np.random.RandomState(0).normal(size=(400, 3))


def test_the_same_distribution_covers_and_is_held(cloud):
    other = np.random.RandomState(1).normal(size=(400, 3))
    around = Neighborhoods(cloud)

    # Five neighbours a ball, so that a ball stays empty with a probability of 2 ** -5.
    assert around.covered(other) > 0.93
    assert around.containing(other) > 0.8


def test_half_of_the_data_covers_half(cloud):
    around = Neighborhoods(cloud)

    assert 0.4 < around.covered(cloud[cloud[:, 0] > 0]) < 0.7
    assert around.containing(cloud[cloud[:, 0] > 0]) == 1.0


def test_a_far_point_covers_nothing(cloud):
    around = Neighborhoods(cloud)

    assert around.covered(np.full((400, 3), 50.0)) == 0.0
    assert around.containing(np.full((400, 3), 50.0)) == 0.0


def test_continuity_is_the_slope_of_a_line(cloud):
    slopes = np.array([[3.0, 0.0, 4.0]])

    value = continuity(
        lambda codes: codes @ slopes, cloud[:, :1], np.random.RandomState(0)
    )

    assert_allclose(value, 5.0)


@pytest.mark.parametrize("shape", [(20, 4), (300, 5), (50, 200), (1000, 30)])
def test_independent_features_have_nothing_in_common(shape):
    rng = np.random.RandomState(0)

    assert not any(are_correlated(rng.normal(size=shape)) for _ in range(10))


@pytest.mark.parametrize("shape", [(100, 4), (300, 5), (50, 200), (1000, 30)])
def test_a_shared_factor_is_noticed(shape):
    rng = np.random.RandomState(0)
    factor = rng.normal(size=(shape[0], 1))

    assert are_correlated(rng.normal(size=shape) + factor)
    assert not are_correlated(np.ones(shape))


def test_rows_are_taken_evenly():
    assert spread_out(3, 10).tolist() == [0, 1, 2]
    assert spread_out(101, 3).tolist() == [0, 50, 100]
