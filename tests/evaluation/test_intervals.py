"""Intervals against SciPy, the normal approximation and their coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from eyebright.errors import InputError
from eyebright.evaluation.intervals import Interval, resample_counts, wilson


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (0, 25), (18, 25), (20, 25), (499, 500), (7, 1000)])
def test_wilsons_interval_equals_that_of_scipy(successes, trials, level):
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    found = wilson(successes, trials, level=level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_no_trials_is_nan():
    found = wilson(0, 0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_text_of_an_interval_is_a_range():
    assert str(Interval(0.51239, 0.8)) == "0.512 to 0.800"


def test_each_resample_has_as_many_images_as_the_set():
    blocks = list(resample_counts(7, n_resamples=12, seed=0))
    assert np.concatenate(blocks).shape == (12, 7)
    assert (np.concatenate(blocks).sum(axis=1) == 7).all()


def test_invalid_arguments_are_errors():
    with pytest.raises(InputError, match="between 0 and 1, got 95"):
        wilson(1, 2, level=95)
    with pytest.raises(InputError, match="expected 0 <= successes <= 2 trials, got 3"):
        wilson(3, 2)
