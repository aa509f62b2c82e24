"""The image size that a time allows, and what is left of the time."""

import time

import hypothesis.strategies as st
import pytest
from hypothesis import given

from eyebright._defaults import EPOCHS, IMAGE_SIZE, IMAGE_SIZES
from eyebright.errors import InputError
from eyebright.workflow.time_budget import Estimate, TimeBudget, check_enough, largest_size

ESTIMATES = st.builds(Estimate, st.integers(4, 10**5), st.integers(1, 10**4), st.floats(1e-4, 0.2), st.floats(1e-3, 1))


@given(estimate=ESTIMATES, seconds=st.floats(0.1, 1e5))
def test_the_largest_size_is_one_that_fits(estimate: Estimate, seconds: float) -> None:
    size = largest_size(estimate, seconds)
    if size is None:
        assert estimate.frozen(min(IMAGE_SIZES)) / 2.5 > seconds
        return
    assert estimate.frozen(size) / 2.5 <= seconds
    for other in IMAGE_SIZES:
        epochs = EPOCHS if other > IMAGE_SIZE else 1
        assert other <= size or estimate.frozen(other) + epochs * estimate.epoch(other) > seconds


def test_more_time_never_gives_smaller_images() -> None:
    estimate = Estimate(1000, 200, 0.005, 0.015)
    sizes = [largest_size(estimate, seconds) or 0 for seconds in range(5, 800, 5)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == max(IMAGE_SIZES)


def test_too_little_time_is_an_error_that_says_how_much_is_enough() -> None:
    estimate, budget = Estimate(1000, 200, 0.005, 0.015), TimeBudget(0.1, time.time() + 2)
    with pytest.raises(InputError, match=r"`minutes=0.1` is too short: after the start, 2 s are left, .* give about"):
        check_enough(estimate, 224, 2.0, budget)
    check_enough(estimate, 128, 60.0, budget)


def test_what_follows_the_training_is_left_out_of_its_time() -> None:
    budget = TimeBudget.after_start(1, time.time() - 4)
    assert budget.left_for_training == pytest.approx(60 - 4 - 0.5 * 4, abs=0.5)
