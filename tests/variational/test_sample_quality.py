"""Sample quality by nearest neighbours, on data with known results."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skae._variational.sample_quality import (
    Neighborhoods,
    are_correlated,
    continuity,
    evenly_spaced,
)


@pytest.fixture
def cloud():
    return np.random.RandomState(0).normal(size=(400, 3))


def test_samples_of_the_same_distribution_have_high_coverage(cloud):
    other = np.random.RandomState(1).normal(size=(400, 3))
    neighborhoods = Neighborhoods(cloud)

    # A ball contains five neighbours and is empty with a probability of 2 ** -5.
    assert neighborhoods.covered(other) > 0.93
    assert neighborhoods.containing(other) > 0.8


def test_half_of_the_data_has_a_coverage_near_one_half(cloud):
    neighborhoods = Neighborhoods(cloud)

    assert 0.4 < neighborhoods.covered(cloud[cloud[:, 0] > 0]) < 0.7
    assert neighborhoods.containing(cloud[cloud[:, 0] > 0]) == 1.0


def test_far_samples_have_no_coverage(cloud):
    neighborhoods = Neighborhoods(cloud)

    assert neighborhoods.covered(np.full((400, 3), 50.0)) == 0.0
    assert neighborhoods.containing(np.full((400, 3), 50.0)) == 0.0


def test_continuity_is_the_slope_of_a_linear_decoder(cloud):
    slopes = np.array([[3.0, 0.0, 4.0]])

    value = continuity(
        lambda codes: codes @ slopes, cloud[:, :1], np.random.RandomState(0)
    )

    assert_allclose(value, 5.0)


@pytest.mark.parametrize("shape", [(20, 4), (300, 5), (50, 200), (1000, 30)])
def test_independent_features_are_not_correlated(shape):
    rng = np.random.RandomState(0)

    assert not any(are_correlated(rng.normal(size=shape)) for _ in range(10))


@pytest.mark.parametrize("shape", [(100, 4), (300, 5), (50, 200), (1000, 30)])
def test_features_with_a_common_factor_are_correlated(shape):
    rng = np.random.RandomState(0)
    factor = rng.normal(size=(shape[0], 1))

    assert are_correlated(rng.normal(size=shape) + factor)
    assert not are_correlated(np.ones(shape))


def test_selected_samples_are_evenly_spaced():
    assert evenly_spaced(3, 10).tolist() == [0, 1, 2]
    assert evenly_spaced(101, 3).tolist() == [0, 50, 100]
