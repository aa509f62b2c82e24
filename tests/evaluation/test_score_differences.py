"""Differences of scores: against Agresti and Min's interval, and by samples of populations with a known difference."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from eyebright.evaluation.score_differences import score_difference
from eyebright.evaluation.scores import draw, score_intervals
from eyebright.metrics.calibration import brier_score_metric, log_loss_metric
from eyebright.metrics.decisions import accuracy_multi_metric, false_alarms_per_1000_metric, labels_per_image_metric
from eyebright.metrics.labels import f1_macro, f1_micro, mean_ap, subset_accuracy_metric
from eyebright.metrics.meter import Metric
from eyebright.metrics.rankings import coverage_error, label_ranking_loss, roc_auc_macro

OF_DECISIONS = [f1_macro, f1_micro, subset_accuracy_metric, accuracy_multi_metric]
OF_DECISIONS += [false_alarms_per_1000_metric, labels_per_image_metric]
OF_PROBABILITIES = [mean_ap, roc_auc_macro, log_loss_metric, brier_score_metric, coverage_error, label_ranking_loss]


def models(images: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The probabilities of two models that are mostly right, and the targets."""
    generator = torch.Generator().manual_seed(seed)
    target = (torch.rand(images, 4, generator=generator) < 0.3).double()
    logits = 6 * target - 3 + torch.randn(images, 4, generator=generator)
    second = logits + 0.5 * torch.randn(images, 4, generator=generator)
    return torch.sigmoid(logits), torch.sigmoid(second), target


def inputs(metric: Metric, *probabilities: Tensor) -> list[Tensor]:
    return [each > 0.5 if metric in OF_DECISIONS else each for each in probabilities]


def with_changes(gained: int, lost: int, images: int = 50) -> tuple[Tensor, Tensor, Tensor]:
    """Decisions of two models on one label that each image has; the second gains and loses some."""
    first, second = torch.ones(images, 1, dtype=torch.bool), torch.ones(images, 1, dtype=torch.bool)
    first[:gained], second[gained : gained + lost] = False, False
    return first, second, torch.ones(images, 1)


@pytest.mark.parametrize("metric", OF_DECISIONS + OF_PROBABILITIES, ids=lambda metric: metric.name)
def test_a_difference_is_that_of_both_scores_on_all_images_and_on_resamples(metric: Metric) -> None:
    first, second, target = models(40)
    given = inputs(metric, first, second)
    before, after, difference = score_difference(metric, given[0], given[1], target)
    assert before.value == pytest.approx(metric(given[0], target))
    assert after.value == pytest.approx(metric(given[1], target))
    assert difference.value == pytest.approx(after.value - before.value)
    rows = torch.from_numpy(np.random.default_rng(1).integers(40, size=40))
    counts = np.bincount(rows.numpy(), minlength=40)[None].astype(np.float32)
    wanted = metric(given[1][rows], target[rows]) - metric(given[0][rows], target[rows])
    assert float(difference.function(counts)[0]) == pytest.approx(wanted)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (3, 1), (6, 6)])
def test_a_share_of_images_has_at_least_the_width_that_agresti_and_min_give_it(gained: int, lost: int) -> None:
    first, second, target = with_changes(gained, lost)
    difference = score_difference(subset_accuracy_metric, first, second, target).difference
    (found,) = score_intervals([difference], 50, n_resamples=400)
    value = (gained - lost) / 50
    variance = (gained + lost + 1 - (gained - lost) ** 2 / 50) / 50**2
    assert found.low <= value <= found.high
    assert found.high - value >= 0.99 * 1.96 * math.sqrt(variance)
    assert value - found.low >= 0.99 * 1.96 * math.sqrt(variance)
    assert found.high - found.low <= 2.6 * 1.96 * math.sqrt(variance)


def test_the_interval_of_a_share_stays_between_minus_one_and_one() -> None:
    first, second, target = with_changes(1, 0, images=1)
    for metric in (subset_accuracy_metric, f1_macro):
        difference = score_difference(metric, first, second, target).difference
        (found,) = score_intervals([difference], 1, n_resamples=20)
        assert found.high == 1
        assert -1 <= found.low < 0


@pytest.mark.parametrize("metric", OF_DECISIONS + OF_PROBABILITIES, ids=lambda metric: metric.name)
def test_the_models_in_the_other_order_have_the_opposite_interval(metric: Metric) -> None:
    first, second, target = models(60, seed=1)
    given = inputs(metric, first, second)
    there, back = (
        score_difference(metric, *pair, target).difference for pair in ((given[0], given[1]), (given[1], given[0]))
    )
    for level in (0.8, 0.95):
        one, other = score_intervals([there, back], 60, n_resamples=300, level=level)
        assert (one.low, one.high) == (pytest.approx(-other.high, abs=1e-6), pytest.approx(-other.low, abs=1e-6))


def test_nothing_known_has_no_interval() -> None:
    first, second, target = models(20)
    for metric in OF_DECISIONS[:4] + OF_PROBABILITIES:
        given = inputs(metric, first, second)
        unknown = torch.full_like(target, math.nan)
        (found,) = score_intervals(
            [score_difference(metric, given[0], given[1], unknown).difference], 20, n_resamples=20
        )
        assert math.isnan(found.low)
        assert math.isnan(found.high)


# ------------------------------------------------------------------------------- coverage


def covered(metric: Metric, first: Tensor, second: Tensor, target: Tensor, *, images: int) -> tuple[float, float]:
    """The share of 120 samples whose interval contains the population's difference, and that by resamples alone."""
    given = inputs(metric, first, second)
    truth, generator, found = metric(given[1], target) - metric(given[0], target), np.random.default_rng(0), np.zeros(2)
    for seed in range(120):
        rows = torch.from_numpy(generator.integers(len(target), size=images))
        difference = score_difference(metric, given[0][rows], given[1][rows], target[rows]).difference
        (draws,) = draw([difference.function], images, groups=None, n_resamples=150, seed=seed)
        seen_only = replace(difference, mistakes=None, opposite=None, most_change=None)
        both = difference.interval(draws), seen_only.interval(draws)
        assert all(interval.low <= difference.value <= interval.high for interval in both)
        found += [interval.low <= truth <= interval.high for interval in both]
    return tuple((found / 120).tolist())


@pytest.mark.parametrize("metric", [subset_accuracy_metric, f1_micro, log_loss_metric, roc_auc_macro])
def test_differences_of_good_models_are_covered(metric: Metric) -> None:
    found, seen_only = covered(metric, *models(20_000), images=60)
    assert found >= 0.9
    assert found >= seen_only


@pytest.mark.parametrize("metric", [log_loss_metric, brier_score_metric])
def test_the_cost_of_mistakes_that_a_sample_lacks_is_covered(metric: Metric) -> None:
    """Both models are seldom wrong, on the same images, and the second is surer: it pays more for each mistake."""
    generator = torch.Generator().manual_seed(0)
    logits = 20 * torch.randn(20_000, 4, generator=generator, dtype=torch.float64)
    classes = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    first, second = (logits * 0.2).softmax(dim=1), (logits * 1.5).softmax(dim=1)
    found, seen_only = covered(metric, first, second, classes, images=50)
    assert found >= 0.9
    assert seen_only < found
