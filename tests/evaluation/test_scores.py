"""Scores from one bootstrap: against SciPy, plain loops over resampled rows, and their coverage."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.intervals import resample_counts, score_interval, wilson
from eyebright.evaluation.metric_sums import ERROR, SHARE
from eyebright.evaluation.scores import Score, bootstrap, positive_trials, score_intervals
from eyebright.metrics.calibration import calibration_error
from eyebright.metrics.decisions import fbeta_metric
from eyebright.metrics.labels import f1_macro, mean_ap
from eyebright.metrics.rankings import coverage_error, roc_auc_macro


def mean(values: Tensor) -> float:
    return float(values.mean())


def normal(n: int = 30, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=n))


def test_the_bootstrap_interval_of_a_mean_is_near_the_normal_interval() -> None:
    values = 3 + 2 * normal(400)
    found = bootstrap(mean, [values], n_resamples=2000)
    half = 1.96 * float(values.std()) / 20
    assert found.low == pytest.approx(float(values.mean()) - half, abs=0.03)
    assert found.high == pytest.approx(float(values.mean()) + half, abs=0.03)


def test_the_interval_of_any_statistic_is_the_corrected_one_of_scipy() -> None:
    values = torch.from_numpy(np.random.default_rng(0).lognormal(size=40))
    wanted = stats.bootstrap((values.numpy(),), np.median, n_resamples=10_000, rng=1, method="BCa")
    found = bootstrap(lambda x: float(np.median(x)), [values], n_resamples=3000)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval), rel=0.1)


def test_all_arrays_are_resampled_with_the_same_rows() -> None:
    values = torch.arange(50.0)
    found = bootstrap(lambda a, b: float((a - b).abs().max()), [values, values.clone()], n_resamples=20)
    assert (found.low, found.high) == (0, 0)


def test_the_interval_depends_on_the_seed_and_not_on_global_generators() -> None:
    numpy_before, torch_before = np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    first, again, other = (bootstrap(mean, [normal()], n_resamples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert np.random.get_state()[1].tolist() == numpy_before  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_a_higher_level_gives_a_wider_interval() -> None:
    narrow, wide = (bootstrap(mean, [normal()], n_resamples=500, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_resamples_for_which_the_statistic_is_nan_are_ignored() -> None:
    values = torch.tensor([1.0, 2.0, 2.0])
    found = bootstrap(lambda x: math.nan if float(x.min()) == 2 else mean(x), [values], n_resamples=100)
    assert 1 <= found.low < found.high < 2
    nothing = bootstrap(lambda _: math.nan, [values], n_resamples=10)
    assert math.isnan(nothing.low)
    assert math.isnan(nothing.high)


def test_invalid_arguments_are_errors() -> None:
    with pytest.raises(InputError, match=r"arrays with one row per image, got lengths \[2, 3\]"):
        bootstrap(mean, [torch.ones(2), torch.ones(3)])
    with pytest.raises(InputError, match="needs images >= 1, got 0"):
        bootstrap(mean, [torch.ones(0)])
    with pytest.raises(InputError, match="needs n_resamples >= 1, got 0"):
        bootstrap(mean, [torch.ones(2)], n_resamples=0)


# ------------------------------------------------------------------------------- kinds of scores


def test_a_proportion_of_images_has_wilsons_interval_and_one_of_groups_is_drawn() -> None:
    right = torch.arange(40) % 4 > 0
    plain, grouped = Score.of_proportion(right), Score.of_proportion(right, np.arange(40) // 4)
    assert score_intervals([plain], 40) == [wilson(30, 40)]
    assert grouped.is_drawn
    assert plain.value == grouped.value == 0.75


def test_scores_of_one_call_have_the_intervals_that_they_have_alone() -> None:
    summands = torch.stack([normal().abs(), torch.ones(30, dtype=torch.float64)], dim=1)
    scores = [Score.of_sums(summands, ERROR), Score.of_proportion(normal() > 0), Score.of_sums(summands.flip(1), ERROR)]
    together = score_intervals(scores, 30, n_resamples=60, seed=2)
    assert together == [score_intervals([score], 30, n_resamples=60, seed=2)[0] for score in scores]


def test_the_difference_of_scores_is_that_of_the_same_resamples() -> None:
    target = (torch.arange(60)[:, None] % torch.tensor([2, 3]) == 0).double()
    first, second = (
        torch.sigmoid(target + torch.from_numpy(np.random.default_rng(i).normal(size=(60, 2)))) for i in (1, 2)
    )
    before, after = (Score.of_metric(mean_ap, scores, target) for scores in (first, second))
    (counts,) = resample_counts(60, n_resamples=9, seed=1)
    rows = [torch.from_numpy(np.repeat(np.arange(60), row.astype(int))) for row in counts]
    wanted = [mean_ap(second[row], target[row]) - mean_ap(first[row], target[row]) for row in rows]
    assert (after - before).resampled(counts).tolist() == pytest.approx(wanted)
    (nothing,) = score_intervals([before - before], 60, n_resamples=20)
    assert (nothing.low, nothing.high) == (0, 0)


def test_trials_of_labels_are_those_of_the_variance_of_a_mean_of_shares() -> None:
    target = torch.zeros(100, 3)
    target[:4, 0], target[4:20, 1] = 1, 1
    assert positive_trials(target) == pytest.approx(4 / (1 / 4 + 1 / 16))
    assert positive_trials(target, np.arange(100) // 4) == pytest.approx(4 / (1 / 1 + 1 / 4))
    assert positive_trials(torch.ones(7, 5)) == 7  # labels of one image are not independent
    assert positive_trials(torch.zeros(7, 5)) == 0


# ------------------------------------------------------------------------------- coverage


def test_the_coverage_of_a_skewed_mean_is_near_the_confidence_level() -> None:
    generator, covered = np.random.default_rng(0), 0
    for trial in range(200):
        values = torch.from_numpy(generator.exponential(1.0, size=60))
        summands = torch.stack([values, torch.ones_like(values)], dim=1)
        (found,) = score_intervals([Score.of_sums(summands, ERROR)], 60, n_resamples=300, seed=trial, level=0.9)
        covered += found.low <= 1 <= found.high
    assert 0.85 <= covered / 200 <= 0.95


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_share_near_its_limits_is_covered_too(share: float) -> None:
    generator, covered = np.random.default_rng(0), 0
    for trial in range(200):
        values = torch.from_numpy(generator.random((40, 2)).min(axis=1) < 1 - math.sqrt(1 - share))
        summands = torch.stack([values, torch.ones_like(values)], dim=1)
        (found,) = score_intervals([Score.of_sums(summands, SHARE)], 40, n_resamples=200, seed=trial)
        covered += found.low <= share <= found.high
    assert covered / 200 >= 0.92


def test_macro_f1_of_labels_with_five_positives_is_covered() -> None:
    """Percentiles of the resamples would contain it far too seldom, since they count its bias twice."""
    generator, covered, pool = np.random.default_rng(0), 0, 20_000
    labels = generator.integers(20, size=pool)
    said = np.where(generator.random(pool) < 0.85, labels, generator.integers(20, size=pool))
    target, decisions = (torch.nn.functional.one_hot(torch.from_numpy(each), 20).bool() for each in (labels, said))
    truth = f1_macro(decisions, target)
    for trial in range(150):
        rows = torch.from_numpy(generator.integers(pool, size=100))
        score = Score.of_metric(f1_macro, decisions[rows], target[rows])
        (found,) = score_intervals([score], 100, n_resamples=200, seed=trial)
        covered += found.low <= truth <= found.high
    assert covered / 150 >= 0.9


def test_the_area_under_the_roc_curve_of_a_nearly_perfect_ranking_is_covered_by_a_narrow_interval() -> None:
    generator, covered, widths = np.random.default_rng(0), 0, np.zeros(2)
    truth = stats.norm.cdf(3 / math.sqrt(2))  # of two normal distributions at a distance of three
    for trial in range(120):
        target = torch.zeros(80, 1)
        target[:25] = 1
        scores = torch.from_numpy(generator.normal(size=(80, 1))) + 3 * target
        score = Score.of_metric(roc_auc_macro, scores, target)
        (found,) = score_intervals([score], 80, n_resamples=150, seed=trial)
        covered += found.low <= truth <= found.high
        of_positives = score_interval(score.value, 25)
        widths += found.high - found.low, of_positives.high - of_positives.low
    assert 0.9 <= covered / 120 <= 0.99
    assert widths[0] < widths[1] / 2


def test_a_coverage_error_is_at_least_the_number_of_labels_and_at_most_that_of_all_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    for per_image in (0, 1, 2):
        target = (torch.arange(6) < per_image).double().repeat(30, 1)
        for wrong in (0, 1):
            scores = torch.where(target == 1, 0.9, 0.2).double() + 0.01 * torch.rand(30, 6, generator=generator)
            scores[:wrong, 5] = 1.0
            (found,) = score_intervals(
                [Score.of_metric(coverage_error, scores.clamp(max=1), target)], 30, n_resamples=60
            )
            assert per_image <= found.low <= found.high <= 6
    (all_,) = score_intervals([Score.of_metric(coverage_error, torch.rand(9, 2), torch.ones(9, 2))], 9, n_resamples=20)
    assert (all_.low, all_.high) == (2, 2)


def test_a_perfect_ranking_of_many_labels_is_as_uncertain_as_its_probabilities_say() -> None:
    """Wilson's interval between 1 and a thousand labels would go up to twenty."""
    target = torch.nn.functional.one_hot(torch.arange(200), 1000).double()
    scores = 0.95 * target + 0.04 * target.roll(1, dims=1)
    (found,) = score_intervals([Score.of_metric(coverage_error, scores, target)], 200, n_resamples=20)
    assert found.low == 1
    assert 1 < found.high < 2


def test_f_half_of_a_sample_without_a_false_alarm_is_as_uncertain_as_a_share_of_its_labels() -> None:
    """A missed label costs little of F0.5, so resamples of a sample with one and no false alarm hardly vary."""
    target = torch.ones(60, 1)
    decided = torch.arange(60)[:, None] > 0
    metric = fbeta_metric(0.5, "micro")
    (found,) = score_intervals([Score.of_metric(metric, decided, target)], 60, n_resamples=200)
    assert found.low <= score_interval(metric(decided, target), 60).low + 1e-9


def test_f_half_with_few_misses_and_few_false_alarms_is_covered() -> None:
    generator, covered = np.random.default_rng(0), 0
    kind = torch.from_numpy(generator.random(20_000))
    positive, said = (kind > 0.015)[:, None], ((kind <= 0.015) | (kind > 0.03))[:, None]
    metric = fbeta_metric(0.5, "micro")
    truth = metric(said, positive.double())
    for trial in range(150):
        rows = torch.from_numpy(generator.integers(20_000, size=60))
        score = Score.of_metric(metric, said[rows], positive[rows].double())
        (found,) = score_intervals([score], 60, n_resamples=100, seed=trial)
        covered += found.low <= truth <= found.high
    assert covered / 150 >= 0.9


def test_a_calibration_error_has_no_interval() -> None:
    scores, target = torch.sigmoid(normal(200)[:, None]), (normal(200, seed=1)[:, None] > 0).double()
    (found,) = score_intervals([Score.of_metric(calibration_error, scores, target)], 200, n_resamples=20)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_perfect_ranking_has_wilsons_interval_of_its_positives() -> None:
    target = (torch.arange(40) < 12).double()[:, None]
    (found,) = score_intervals([Score.of_metric(roc_auc_macro, target, target)], 40, n_resamples=50)
    assert (found.low, found.high) == (score_interval(1.0, 12).low, 1.0)
