import math

import numpy as np
import pytest
import torch
from scipy import stats

from eyebright.errors import InputError
from eyebright.evaluation.intervals import Interval, bootstrap, bootstrap_totals, draws, wilson


def mean(values):
    return float(values.mean())


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (0, 25), (18, 25), (20, 25), (499, 500), (7, 1000)])
def test_wilsons_interval_is_scipys(successes, trials, level):
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    found = wilson(successes, trials, level=level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_no_trials_nothing_can_be_said():
    found = wilson(0, 0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_an_interval_reads_as_a_range():
    assert str(Interval(0.51239, 0.8)) == "0.512 to 0.800"


def test_the_interval_of_a_mean_is_near_the_normal_one():
    values = torch.from_numpy(np.random.default_rng(0).normal(3, 2, size=400))
    found = bootstrap(mean, [values], samples=2000)
    half = 1.96 * float(values.std()) / 20
    assert found.low == pytest.approx(float(values.mean()) - half, abs=0.03)
    assert found.high == pytest.approx(float(values.mean()) + half, abs=0.03)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        values = torch.from_numpy(generator.exponential(1.0, size=60))[:, None]
        found = bootstrap_totals(lambda sums: sums / 60, values, samples=300, seed=trial, level=0.9)[0]
        hits += found.low <= 1 <= found.high
    assert 0.82 <= hits / 200 <= 0.95


def test_rows_of_all_arrays_are_drawn_together():
    values = torch.arange(50.0)
    found = bootstrap(lambda a, b: float((a - b).abs().max()), [values, values.clone()], samples=20)
    assert (found.low, found.high) == (0, 0)


def test_the_same_seed_gives_the_same_interval_and_no_global_generator_moves():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=30))
    numpy_before, torch_before = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    first, again, other = (bootstrap(mean, [values], samples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_a_higher_level_gives_a_wider_interval():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=30))
    narrow, wide = (bootstrap(mean, [values], samples=500, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_draws_without_a_value_are_left_out():
    values = torch.tensor([1.0, 2.0])
    found = bootstrap(lambda x: float("nan") if len(set(x.tolist())) == 2 else mean(x), [values], samples=100)
    assert (found.low, found.high) == (1.0, 2.0)
    nothing = bootstrap(lambda _: float("nan"), [values], samples=10)
    assert math.isnan(nothing.low)
    assert math.isnan(nothing.high)


def test_statistics_of_sums_agree_with_drawing_the_rows():
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(generator.normal(size=(40, 3)))

    def ratio(sums):
        return (sums[:, :1] + sums[:, 1:2]) / sums[:, 2:].abs()

    fast = bootstrap_totals(ratio, rows, samples=200, seed=5)[0]
    slow = bootstrap(lambda drawn: float(ratio(drawn.sum(0, keepdim=True))), [rows], samples=200, seed=5)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high))


def test_each_draw_has_as_many_images_as_there_are():
    blocks = list(draws(7, samples=12, seed=0))
    assert np.concatenate(blocks).shape == (12, 7)
    assert (np.concatenate(blocks).sum(axis=1) == 7).all()


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match=r"arrays with one row for each image, got lengths \[2, 3\]"):
        bootstrap(mean, [torch.ones(2), torch.ones(3)])
    with pytest.raises(InputError, match="at least one of its images, got 0"):
        bootstrap(mean, [torch.ones(0)])
    with pytest.raises(InputError, match="at least one of its samples, got 0"):
        bootstrap(mean, [torch.ones(2)], samples=0)
    with pytest.raises(InputError, match="between 0 and 1, got 95"):
        wilson(1, 2, level=95)
    with pytest.raises(InputError, match="successes from 0 to 2, got 3"):
        wilson(3, 2)
