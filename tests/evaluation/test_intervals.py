"""Intervals against SciPy, the normal approximation and their coverage."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from eyebright.errors import InputError
from eyebright.evaluation.intervals import Interval, bootstrap, bootstrap_sums, resample_counts, wilson


def mean(values):
    return float(values.mean())


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


def test_the_bootstrap_interval_of_a_mean_is_near_the_normal_interval():
    values = torch.from_numpy(np.random.default_rng(0).normal(3, 2, size=400))
    found = bootstrap(mean, [values], n_resamples=2000)
    half = 1.96 * float(values.std()) / 20
    assert found.low == pytest.approx(float(values.mean()) - half, abs=0.03)
    assert found.high == pytest.approx(float(values.mean()) + half, abs=0.03)


def test_the_coverage_is_near_the_confidence_level():
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        values = torch.from_numpy(generator.exponential(1.0, size=60))[:, None]
        found = bootstrap_sums(lambda sums: sums / 60, values, n_resamples=300, seed=trial, level=0.9)[0]
        covered += found.low <= 1 <= found.high
    assert 0.82 <= covered / 200 <= 0.95


def test_all_arrays_are_resampled_with_the_same_rows():
    values = torch.arange(50.0)
    found = bootstrap(lambda a, b: float((a - b).abs().max()), [values, values.clone()], n_resamples=20)
    assert (found.low, found.high) == (0, 0)


def test_the_interval_depends_on_the_seed_and_not_on_global_generators():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=30))
    numpy_before, torch_before = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    first, again, other = (bootstrap(mean, [values], n_resamples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_a_higher_level_gives_a_wider_interval():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=30))
    narrow, wide = (bootstrap(mean, [values], n_resamples=500, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_resamples_for_which_the_statistic_is_nan_are_ignored():
    values = torch.tensor([1.0, 2.0])
    found = bootstrap(lambda x: float("nan") if len(set(x.tolist())) == 2 else mean(x), [values], n_resamples=100)
    assert (found.low, found.high) == (1.0, 2.0)
    nothing = bootstrap(lambda _: float("nan"), [values], n_resamples=10)
    assert math.isnan(nothing.low)
    assert math.isnan(nothing.high)


def test_statistics_of_sums_agree_with_resampled_rows():
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(generator.normal(size=(40, 3)))

    def ratio(sums):
        return (sums[:, :1] + sums[:, 1:2]) / sums[:, 2:].abs()

    fast = bootstrap_sums(ratio, rows, n_resamples=200, seed=5)[0]
    slow = bootstrap(lambda rows: float(ratio(rows.sum(0, keepdim=True))), [rows], n_resamples=200, seed=5)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high))


def test_each_resample_has_as_many_images_as_the_set():
    blocks = list(resample_counts(7, n_resamples=12, seed=0))
    assert np.concatenate(blocks).shape == (12, 7)
    assert (np.concatenate(blocks).sum(axis=1) == 7).all()


def test_invalid_arguments_are_errors():
    with pytest.raises(InputError, match=r"arrays with one row per image, got lengths \[2, 3\]"):
        bootstrap(mean, [torch.ones(2), torch.ones(3)])
    with pytest.raises(InputError, match="needs images >= 1, got 0"):
        bootstrap(mean, [torch.ones(0)])
    with pytest.raises(InputError, match="needs n_resamples >= 1, got 0"):
        bootstrap(mean, [torch.ones(2)], n_resamples=0)
    with pytest.raises(InputError, match="between 0 and 1, got 95"):
        wilson(1, 2, level=95)
    with pytest.raises(InputError, match="expected 0 <= successes <= 2 trials, got 3"):
        wilson(3, 2)
