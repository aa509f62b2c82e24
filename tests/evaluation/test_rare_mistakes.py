"""Mistakes that a sample lacks: against all possible targets of few labels, and by samples of a known population."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.intervals import wilson
from eyebright.evaluation.metric_sums import sums_of
from eyebright.evaluation.rare_mistakes import (
    ImageMistakes,
    Mistakes,
    RareMistakes,
    false_alarms,
    mistakes_in_brier_score,
    mistakes_in_coverage,
    mistakes_in_log_loss,
    mistakes_in_ranking_loss,
)
from eyebright.evaluation.scores import Score, draw, score_intervals
from eyebright.metrics.calibration import brier_score, brier_score_metric, log_loss, log_loss_metric
from eyebright.metrics.decisions import false_alarms_per_1000_metric, labels_per_image_metric
from eyebright.metrics.labels import f1_macro
from eyebright.metrics.meter import Metric
from eyebright.metrics.rankings import coverage_error, coverage_errors, label_ranking_loss, ranking_losses

PROBABILITIES = torch.tensor([0.97, 0.3, 0.08, 0.6], dtype=torch.float64)


METRICS: dict[Mistakes, Metric] = {
    mistakes_in_log_loss: log_loss_metric,
    mistakes_in_brier_score: brier_score_metric,
    mistakes_in_coverage: coverage_error,
    mistakes_in_ranking_loss: label_ranking_loss,
    false_alarms: false_alarms_per_1000_metric,
}


def summands(mistakes: Mistakes, given: Tensor, target: Tensor) -> Tensor:
    """The sum of the losses of each image, and the number of its summands."""
    sums = sums_of(METRICS[mistakes])
    assert sums is not None
    return sums.summands(given, target)


def found_by(mistakes: Mistakes, given: Tensor, target: Tensor) -> ImageMistakes:
    losses = summands(mistakes, given, target)
    return mistakes(given, target, losses)


def added_to(mistakes: Mistakes, other: Tensor, given: Tensor, target: Tensor) -> ImageMistakes:
    """What makes the loss of a model greater than that of another."""
    losses, of_other = (summands(mistakes, each, target).double() for each in (given, other))
    change = torch.stack([losses[:, 0] - of_other[:, 0], losses[:, 1]], dim=1)
    return mistakes(given, target, change, other)


def loss_by_labels(metric: Metric, target: Tensor, p: Tensor = PROBABILITIES) -> tuple[float, bool]:
    """(loss of one image, whether it has a mistake), by the plain definition."""
    of_target = torch.where(target == 1, p, 1 - p)
    if metric is coverage_error:
        above = float(coverage_errors(p[None], target[None])) - float(target.sum())
        return above, above > 0
    if metric is label_ranking_loss:
        loss = float(ranking_losses(p[None], target[None]))
        return loss, loss > 0
    losses = -of_target.log() if metric is log_loss_metric else (1 - of_target).square()
    return float(losses.sum()), bool((of_target < 0.5).any())


@pytest.mark.parametrize(
    ("metric", "mistakes"),
    [
        (log_loss_metric, mistakes_in_log_loss),
        (brier_score_metric, mistakes_in_brier_score),
        (coverage_error, mistakes_in_coverage),
    ],
)
def test_the_expectation_is_the_sum_over_all_targets(metric: Metric, mistakes: Mistakes) -> None:
    none = expected = with_mistake = 0.0
    for cells in itertools.product((0.0, 1.0), repeat=4):
        target = torch.tensor(cells, dtype=torch.float64)
        weight = float(torch.where(target == 1, PROBABILITIES, 1 - PROBABILITIES).prod())
        loss, is_wrong = loss_by_labels(metric, target)
        found = found_by(mistakes, PROBABILITIES[None], target[None])
        assert (float(found.loss), bool(found.has_mistake)) == (pytest.approx(loss), is_wrong)
        none += weight * (not is_wrong)
        expected += weight * loss
        with_mistake += weight * loss * is_wrong
    assert float(found.p_no_mistake) == pytest.approx(none)
    assert float(found.expected_loss) == pytest.approx(expected)
    assert float(found.expected_loss - found.p_no_mistake * found.loss_if_right) == pytest.approx(with_mistake)


def test_the_expected_ranking_loss_is_that_of_pairs() -> None:
    wrong = pairs = some = 0.0
    for cells in itertools.product((0.0, 1.0), repeat=4):
        target = torch.tensor(cells, dtype=torch.float64)
        weight = float(torch.where(target == 1, PROBABILITIES, 1 - PROBABILITIES).prod())
        of_image = float(target.sum() * (4 - target.sum()))
        wrong += weight * loss_by_labels(label_ranking_loss, target)[0] * of_image
        pairs += weight * of_image
        some += weight * bool(target.any())
    found = found_by(mistakes_in_ranking_loss, PROBABILITIES[None], target[None])
    assert float(found.expected_loss) == pytest.approx(some * wrong / pairs)


@pytest.mark.parametrize("mistakes", [mistakes_in_log_loss, mistakes_in_brier_score])
def test_the_expectation_of_classes_is_the_sum_over_the_classes(mistakes: Mistakes) -> None:
    p = (PROBABILITIES / PROBABILITIES.sum()).expand(4, 4)
    score = log_loss if mistakes is mistakes_in_log_loss else brier_score
    found, losses = found_by(mistakes, p, torch.arange(4)), [score(p[:1], torch.tensor([i])) for i in range(4)]
    assert found.loss.tolist() == pytest.approx(losses)
    assert found.has_mistake.tolist() == [0, 1, 1, 1]  # the first class is the most probable one
    assert float(found.p_no_mistake[0]) == pytest.approx(float(p[0, 0]))
    assert float(found.loss_if_right[0]) == pytest.approx(losses[0])
    assert float(found.expected_loss[0]) == pytest.approx(float((p[0] * torch.tensor(losses)).sum()))
    assert not found_by(mistakes, p, torch.full((4,), -1)).n_summands.any()


@pytest.mark.parametrize(
    "mistakes", [mistakes_in_log_loss, mistakes_in_brier_score, mistakes_in_coverage, mistakes_in_ranking_loss]
)
def test_unknown_labels_are_as_if_they_were_not_there(mistakes: Mistakes) -> None:
    target = torch.tensor([[1.0, 0, math.nan, 1], [math.nan] * 4])
    given = PROBABILITIES.expand(2, 4)
    found, less = found_by(mistakes, given, target), found_by(mistakes, given[:1, [0, 1, 3]], target[:1, [0, 1, 3]])
    for name in ("n_summands", "has_mistake", "loss", "expected_loss", "loss_if_right"):
        assert getattr(found, name).tolist() == pytest.approx([float(getattr(less, name)), 0.0])
    assert found.p_no_mistake.tolist() == pytest.approx([float(less.p_no_mistake), 1.0])


def test_blocks_of_images_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    given, target = torch.rand(20, 3, generator=generator), (torch.rand(20, 3, generator=generator) < 0.5).double()
    whole = found_by(mistakes_in_coverage, given, target), found_by(mistakes_in_log_loss, given, target)
    monkeypatch.setattr("eyebright.evaluation.rare_mistakes._MAX_BLOCK", 7)
    parts = found_by(mistakes_in_coverage, given, target), found_by(mistakes_in_log_loss, given, target)
    for one, other in zip(whole, parts, strict=True):
        assert one.expected_loss.tolist() == other.expected_loss.tolist()


# ------------------------------------------------------------------------------- of two models

OTHER = torch.tensor([0.6, 0.45, 0.02, 0.35], dtype=torch.float64)


@pytest.mark.parametrize(
    ("metric", "mistakes"),
    [
        (log_loss_metric, mistakes_in_log_loss),
        (brier_score_metric, mistakes_in_brier_score),
        (coverage_error, mistakes_in_coverage),
    ],
)
def test_the_expected_increase_is_the_sum_over_all_targets(metric: Metric, mistakes: Mistakes) -> None:
    """The targets are those of the model's own probabilities; the loss of the other model is subtracted."""
    expected = 0.0
    for cells in itertools.product((0.0, 1.0), repeat=4):
        target = torch.tensor(cells, dtype=torch.float64)
        weight = float(torch.where(target == 1, PROBABILITIES, 1 - PROBABILITIES).prod())
        loss, is_wrong = loss_by_labels(metric, target)
        increase = loss - loss_by_labels(metric, target, OTHER)[0]
        found = added_to(mistakes, OTHER[None], PROBABILITIES[None], target[None])
        assert float(found.loss) == pytest.approx(increase)
        assert bool(found.has_mistake) == (is_wrong and increase > 0)
        expected += weight * increase
    assert float(found.expected_loss) == pytest.approx(expected)


@pytest.mark.parametrize("mistakes", METRICS)
def test_a_model_adds_nothing_to_its_own_mistakes(mistakes: Mistakes) -> None:
    generator = torch.Generator().manual_seed(3)
    given, target = torch.rand(20, 3, generator=generator), (torch.rand(20, 3, generator=generator) < 0.5).double()
    given = given > 0.5 if mistakes is false_alarms else given
    assert RareMistakes.of(added_to(mistakes, given, given, target)).unseen() == pytest.approx(0, abs=1e-9)


def test_the_expected_increase_of_classes_is_the_sum_over_the_classes() -> None:
    p, q = PROBABILITIES / PROBABILITIES.sum(), OTHER / OTHER.sum()
    found = added_to(mistakes_in_log_loss, q.expand(4, 4), p.expand(4, 4), torch.arange(4))
    assert found.loss.tolist() == pytest.approx((q / p).log().tolist())
    assert float(found.expected_loss[0]) == pytest.approx(float((p * (q / p).log()).sum()))
    assert found.has_mistake.tolist() == [0, float(q[1] > p[1]), float(q[2] > p[2]), float(q[3] > p[3])]


# ------------------------------------------------------------------------------- of a sample


def test_a_mistake_costs_what_the_sample_shows_or_more_if_the_model_expects_it() -> None:
    ones = torch.ones(10, dtype=torch.float64)
    loss = torch.zeros(10, dtype=torch.float64)
    loss[0] = 3.0
    wrong = (loss > 0).double()
    shown, expected = (
        ImageMistakes(
            n_summands=ones,
            has_mistake=wrong,
            loss=loss + 1,
            p_no_mistake=0.9 * ones,
            expected_loss=x * ones,
            loss_if_right=ones,
        )
        for x in (1.2, 2.0)
    )
    assert RareMistakes.of(shown) == RareMistakes(wrong=1, units=10, cost=3.0)
    assert RareMistakes.of(expected).cost == pytest.approx(10)  # with a mistake (2 - 0.9) / 0.1, without one 1
    assert RareMistakes.of(shown).unseen() == pytest.approx(3 * (wilson(1, 10).high - 0.1))


def test_a_group_counts_once() -> None:
    generator = torch.Generator().manual_seed(1)
    given, target = torch.rand(12, 2, generator=generator), (torch.rand(12, 2, generator=generator) < 0.5).double()
    found = RareMistakes.of(found_by(mistakes_in_log_loss, given, target), np.arange(12) // 4)
    as_one = RareMistakes.of(found_by(mistakes_in_log_loss, given.reshape(3, 8), target.reshape(3, 8)))
    assert (found.wrong, found.units) == (as_one.wrong, as_one.units)
    assert found.cost == pytest.approx(as_one.cost)


def test_nothing_known_adds_nothing_and_a_level_out_of_range_is_an_error() -> None:
    nothing = RareMistakes.of(found_by(mistakes_in_log_loss, torch.rand(3, 2), torch.full((3, 2), math.nan)))
    assert nothing.unseen() == 0
    with pytest.raises(InputError, match="level must be between 0 and 1, got 2"):
        RareMistakes(1, 10, 1.0).unseen(level=2)


def test_no_false_alarm_in_forty_images_does_not_mean_that_there_is_none() -> None:
    decided, target = torch.zeros(40, 3, dtype=torch.bool), torch.zeros(40, 3)
    (found,) = score_intervals([Score.of_metric(false_alarms_per_1000_metric, decided, target)], 40, n_resamples=20)
    assert found.low == 0
    assert found.high == pytest.approx(1000 * wilson(0, 40).high)
    decided[0, :2] = True
    assert RareMistakes.of(found_by(false_alarms, decided, target)).cost == pytest.approx(2000)


def test_a_number_of_labels_that_is_nearly_always_the_same_is_uncertain_in_both_directions() -> None:
    decided = torch.zeros(40, 3, dtype=torch.bool)
    decided[:, 0] = True
    target, more = torch.zeros(40, 3), wilson(0, 40).high
    (found,) = score_intervals([Score.of_metric(labels_per_image_metric, decided, target)], 40, n_resamples=20)
    assert (found.low, found.high) == (pytest.approx(1 - more), pytest.approx(1 + more))
    (none,) = score_intervals(
        [Score.of_metric(labels_per_image_metric, ~decided[:, :1], target[:, :1])], 40, n_resamples=20
    )
    assert (none.low, none.high) == (0, pytest.approx(more))
    (all_,) = score_intervals(
        [Score.of_metric(labels_per_image_metric, decided[:, :1], target[:, :1])], 40, n_resamples=20
    )
    assert (all_.low, all_.high) == (pytest.approx(1 - more), 1)


def test_the_interval_stays_within_the_limits_of_the_score() -> None:
    given = torch.tensor([[0.9, 0.8, 0.1]]).repeat(4, 1)
    target = torch.tensor([[0.0, 0.0, 1.0]]).repeat(4, 1)
    scores = [Score.of_metric(metric, given, target) for metric in (coverage_error, label_ranking_loss)]
    found = score_intervals(scores, 4, n_resamples=20)
    assert [interval.high for interval in found] == [3.0, 1.0]


def test_only_losses_that_rare_mistakes_dominate_have_them() -> None:
    decided = torch.eye(4, dtype=torch.bool)
    assert Score.of_metric(f1_macro, decided, decided.double()).mistakes is None


# ------------------------------------------------------------------------------- coverage


def population(sureness: float, *, overconfidence: float = 1.0, size: int = 20_000) -> tuple[Tensor, Tensor]:
    """Probabilities of four classes, and the classes: those of a calibrated model if ``overconfidence`` is 1."""
    generator = torch.Generator().manual_seed(0)
    logits = sureness * torch.randn(size, 4, generator=generator, dtype=torch.float64)
    classes = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return (overconfidence * logits).softmax(dim=1), classes


def covered(given: Tensor, target: Tensor, metric: Metric, *, images: int = 50) -> tuple[float, float]:
    """The share of 120 samples whose interval contains the score of the population, and that by resamples alone."""
    generator, truth, found = np.random.default_rng(0), metric(given, target), np.zeros(2)
    for seed in range(120):
        rows = torch.from_numpy(generator.integers(len(given), size=images))
        score = Score.of_metric(metric, given[rows], target[rows])
        (draws,) = draw([score.function], images, groups=None, n_resamples=100, seed=seed)
        both = score.interval(draws), replace(score, mistakes=None).interval(draws)
        assert all(interval.low <= score.value <= interval.high for interval in both)
        found += [interval.low <= truth <= interval.high for interval in both]
    return tuple((found / 120).tolist())


@pytest.mark.parametrize(
    ("metric", "overconfidence"), [(log_loss_metric, 0.7), (log_loss_metric, 1.5), (brier_score_metric, 1.0)]
)
def test_a_loss_by_few_mistakes_is_covered(metric: Metric, overconfidence: float) -> None:
    given, target = population(20.0, overconfidence=overconfidence)
    assert 0.02 < float((given.argmax(dim=1) != target).double().mean()) < 0.05
    with_unseen, seen_only = covered(given, target, metric)
    assert with_unseen >= 0.9
    assert with_unseen > seen_only


@pytest.mark.parametrize("metric", [log_loss_metric, brier_score_metric])
@pytest.mark.parametrize("accuracy", [0.95, 0.98])
def test_mistakes_of_a_model_that_is_always_as_sure_are_covered_and_would_not_be_by_resamples(
    accuracy: float, metric: Metric
) -> None:
    given = torch.tensor([[0.97, 0.03]], dtype=torch.float64).repeat(20_000, 1)
    target = (torch.arange(20_000) >= accuracy * 20_000).long()
    with_unseen, seen_only = covered(given, target, metric)
    assert with_unseen >= 0.92
    assert seen_only < 0.9


@pytest.mark.parametrize("metric", [coverage_error, label_ranking_loss])
def test_a_ranking_with_few_mistakes_is_covered(metric: Metric) -> None:
    image, probabilities = torch.arange(20_000), torch.full((30,), 0.02 / 29, dtype=torch.float64)
    probabilities[0] = 0.98
    given = (probabilities * torch.linspace(1.02, 0.98, 30, dtype=torch.float64)).repeat(len(image), 1)
    classes = torch.where(image < 0.98 * len(image), 0, 1 + image % 29)
    target = torch.nn.functional.one_hot(classes, 30).double()
    with_unseen, seen_only = covered(given, target, metric)
    assert with_unseen >= 0.92
    assert with_unseen > seen_only


@pytest.mark.parametrize("mistakes", [mistakes_in_log_loss, mistakes_in_brier_score])
def test_images_of_unknown_class_change_nothing_in_their_groups(mistakes: Mistakes) -> None:
    given, classes = population(2.0, size=60)
    groups = [row // 3 for row in range(60)]
    known = torch.arange(60) % 3 != 0  # one of each group is unknown
    expected = RareMistakes.of(
        found_by(mistakes, given[known], classes[known]), [groups[row] for row in known.nonzero()[:, 0]]
    )
    found = RareMistakes.of(found_by(mistakes, given, torch.where(known, classes, -1)), groups)
    assert (found.wrong, found.units) == (expected.wrong, expected.units)
    assert found.cost == pytest.approx(expected.cost)


def test_a_group_with_a_false_alarm_has_at_least_one_however_large_it_is() -> None:
    decided, target = torch.zeros(40, 3, dtype=torch.bool), torch.zeros(40, 3)
    groups = [0] * 20 + [1 + row for row in range(20)]
    found = RareMistakes.of(found_by(false_alarms, decided, target), groups)
    assert (found.wrong, found.units) == (0, 21)
    assert found.cost == pytest.approx(1000 * 21 / 40)  # one alarm in each group


def test_classes_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given, classes = population(2.0, size=50)
    whole = RareMistakes.of(found_by(mistakes_in_log_loss, given, classes))
    monkeypatch.setattr("eyebright.evaluation.rare_mistakes._MAX_BLOCK", 28)
    assert RareMistakes.of(found_by(mistakes_in_log_loss, given, classes)) == whole


def test_many_mistakes_widen_nothing() -> None:
    given, target = population(1.0, size=400)
    score = Score.of_metric(log_loss_metric, given, target)
    (draws,) = draw([score.function], 400, groups=None, n_resamples=300, seed=0)
    found, seen = score.interval(draws), replace(score, mistakes=None).interval(draws)
    assert found.low == seen.low
    assert found.high - found.low <= 1.02 * (seen.high - seen.low)
