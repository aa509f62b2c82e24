"""Bootstrap-t intervals of smooth functions of sums: against autograd-free formulas and plain loops."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from eyebright.evaluation.intervals import resample_counts, score_interval
from eyebright.evaluation.metric_sums import ERROR, SHARE, class_counts, quotient, sums_of
from eyebright.evaluation.studentized import SmoothScore
from eyebright.metrics.labels import f1_macro

SCALES: dict[tuple[float, float], tuple[Callable[[float], float], Callable[[float], float]]] = {
    SHARE: (lambda x: math.log(x / (1 - x)), lambda x: 1 / (x * (1 - x))),
    (0.0, 2.0): (lambda x: math.log(x / (2 - x)), lambda x: 1 / x + 1 / (2 - x)),
    ERROR: (lambda x: x, lambda _: 1.0),
}


def summands(n: int = 30) -> Tensor:
    generator = np.random.default_rng(0)
    second = generator.integers(1, 4, size=n).astype(float)
    return torch.from_numpy(np.stack([second * generator.random(n) ** 2, second], axis=1))


@pytest.mark.parametrize("limits", SCALES)
def test_deviations_are_those_of_a_plain_loop_on_each_scale(limits: tuple[float, float]) -> None:
    rows, (scale, slope) = summands(), SCALES[limits]
    score = SmoothScore.of(rows, quotient, limits)
    (counts,) = resample_counts(30, n_resamples=200, seed=1)
    deviations = []
    for row in counts:
        a, b = rows[torch.from_numpy(np.repeat(np.arange(30), row.astype(int)))].numpy().T
        value = a.sum() / b.sum()
        error = np.sqrt(((a - value * b) ** 2).sum()) / b.sum()
        deviations.append((scale(value) - scale(score.value)) / (slope(value) * error))
    assert score.deviations(counts).tolist() == pytest.approx(deviations, rel=1e-6)
    low, high = np.quantile(deviations, [0.025, 0.975])
    found, step = score.interval(np.array(deviations)), slope(score.value) * score.standard_error
    low, high = scale(score.value) - high * step, scale(score.value) - low * step
    if limits == ERROR:
        assert (found.low, found.high) == pytest.approx((max(low, 0), high))
        return
    wilsons = score_interval(score.value / limits[1], score.effective_units)
    assert scale(found.low) == pytest.approx(min(low, scale(wilsons.low * limits[1])))
    assert scale(found.high) == pytest.approx(max(high, scale(wilsons.high * limits[1])))


def test_the_standard_error_of_macro_f1_is_that_of_many_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(40_000, 3, generator=generator) < torch.tensor([0.2, 0.4, 0.6])
    decisions = target ^ (torch.rand(40_000, 3, generator=generator) < 0.2)
    samples = [f1_macro(decisions[i : i + 400], target[i : i + 400]) for i in range(0, 40_000, 400)]
    sums = sums_of(f1_macro)
    assert sums is not None
    score = SmoothScore.of(class_counts(decisions[:400], target[:400]), sums.statistic, SHARE)
    assert score.standard_error == pytest.approx(np.std(samples), rel=0.25)  # 100 samples: 7 % for one standard error
    assert score.value == pytest.approx(samples[0])


def test_groups_count_as_one_unit() -> None:
    rows = summands()
    groups = np.arange(30) // 3
    grouped = SmoothScore.of(rows, quotient, ERROR, groups)
    summed = SmoothScore.of(rows.reshape(10, 3, 2).sum(dim=1), quotient, ERROR)
    assert grouped.value == pytest.approx(summed.value)
    assert grouped.standard_error == pytest.approx(summed.standard_error)
    (counts,) = resample_counts(30, n_resamples=20, seed=1, groups=groups)
    assert grouped.deviations(counts).tolist() == pytest.approx(summed.deviations(counts[:, ::3]).tolist())


def test_units_are_added_up_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = summands()
    (counts,) = resample_counts(30, n_resamples=5, seed=1)
    whole = SmoothScore.of(rows, quotient, SHARE)
    expected = whole.deviations(counts).tolist()
    monkeypatch.setattr("eyebright.evaluation.studentized._BLOCK_SIZE", 40)
    parts = SmoothScore.of(rows, quotient, SHARE)
    assert parts.deviations(counts).tolist() == pytest.approx(expected)
    assert parts.values(counts).tolist() == pytest.approx(whole.values(counts).tolist())
    assert parts.standard_error == pytest.approx(whole.standard_error)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_of_nothing_or_all_has_wilsons_interval_of_the_units_that_could_change_it(value: float) -> None:
    decided = torch.zeros(50, 2, dtype=torch.bool)
    decided[:8, 0] = True
    target = decided.double() if value else (~decided).double() * torch.tensor([0.0, 0.0])
    target = target if value else torch.zeros(50, 2)
    sums = sums_of(f1_macro)
    assert sums is not None
    counts = class_counts(decided[:, :1], target[:, :1])
    score = SmoothScore.of(counts, sums.statistic, SHARE)
    assert score.value == value
    found = score.interval(np.full(20, math.nan))
    wilsons = score_interval(value, 8)  # of fifty images, eight have the label or a prediction of it
    assert (found.low, found.high) == (wilsons.low, wilsons.high)


def test_an_error_that_is_the_same_for_all_has_an_interval_of_one_point() -> None:
    score = SmoothScore.of(torch.ones(9, 2, dtype=torch.float64), quotient, ERROR)
    found = score.interval(score.deviations(resample_counts(9, n_resamples=5, seed=0).__next__()))
    assert (found.low, found.high) == (1.0, 1.0)


def test_nothing_to_divide_by_is_nan() -> None:
    score = SmoothScore.of(torch.zeros(9, 2, dtype=torch.float64), quotient, SHARE)
    found = score.interval(np.full(5, math.nan))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
