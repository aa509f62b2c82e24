"""Intervals of all metrics from the same resamples: they equal those of the plain way, and contain the score."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import corrected_interval, resample_counts, wilson
from eyebright.evaluation.metric_intervals import (
    FEW_POSITIVES,
    metric_and_label_intervals,
    metric_intervals,
)
from eyebright.evaluation.metric_sums import sums_of
from eyebright.evaluation.scores import Score
from eyebright.metrics.calibration import brier_score_metric, log_loss_metric
from eyebright.metrics.decisions import (
    accuracy_multi_metric,
    false_alarms_per_1000_metric,
    fbeta_metric,
    jaccard_metric,
    labels_per_image_metric,
    precision_micro,
    recall_micro,
)
from eyebright.metrics.labels import (
    accuracy_metric,
    error_rate_metric,
    f1_macro,
    f1_micro,
    f1_samples,
    hamming_loss_metric,
    mean_ap,
    subset_accuracy_metric,
)
from eyebright.metrics.meter import Metric
from eyebright.metrics.ordinal import ordinal_accuracy_metric
from eyebright.metrics.point_scores import auc_metric, nme_metric, pck_metric
from eyebright.metrics.points import point_error
from eyebright.metrics.rankings import (
    average_precision_micro,
    coverage_error,
    label_ranking_average_precision,
    label_ranking_loss,
    roc_auc_macro,
    roc_auc_micro,
)
from eyebright.metrics.values import mae, rmse
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from support.evaluations import logits, make_evaluation

OF_DECISIONS = [
    f1_macro,
    f1_micro,
    f1_samples,
    hamming_loss_metric,
    subset_accuracy_metric,
    false_alarms_per_1000_metric,
    labels_per_image_metric,
    recall_micro,
    precision_micro,
]
OF_DECISIONS += [accuracy_multi_metric, *(fbeta_metric(2, a) for a in ("macro", "micro", "samples"))]
OF_DECISIONS += [jaccard_metric(a) for a in ("macro", "micro", "samples")]
OF_SCORES = [
    mean_ap,
    coverage_error,
    label_ranking_loss,
    label_ranking_average_precision,
    roc_auc_macro,
    roc_auc_micro,
    average_precision_micro,
]
OF_SCORES += [brier_score_metric, log_loss_metric]
OF_LABELS = OF_DECISIONS + OF_SCORES
OF_CLASSES = [accuracy_metric, error_rate_metric, ordinal_accuracy_metric]
OF_POINTS = [point_error, nme_metric("box"), nme_metric((0, 1)), pck_metric("diagonal", 0.2), auc_metric("box", 0.4)]
OF_NUMBERS = [mae, rmse]


def labels(images: int = 40, classes: int = 4, *, unknown: float = 0.2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = (torch.rand(images, classes, generator=generator) < 0.3).double()
    scores = ((0.4 * target + 0.6 * torch.rand(images, classes, generator=generator)) * 20).round() / 20
    target[torch.rand(images, classes, generator=generator) < unknown] = math.nan
    target[0] = math.nan
    return scores.float(), target


def evaluation_of(scores: Tensor, target: Tensor) -> Evaluation:
    vocab = [f"class {c}" for c in range(target.shape[1])]
    return make_evaluation(MultiCategoryBlock(vocab=vocab), logits(scores.clamp(0.01, 0.99)), target.float())


def inputs(metric: Metric) -> tuple[Tensor, Tensor]:
    if metric in OF_LABELS:
        scores, target = labels()
        return (scores > 0.5 if metric in OF_DECISIONS else scores), target
    if metric in OF_CLASSES:
        return torch.rand(30, 3).softmax(dim=1), torch.randint(-1, 3, (30,))
    target = 10 * torch.rand(30, 3, 2)
    predicted = target + torch.randn(30, 3, 2)
    target[torch.rand(30, 3) < 0.3] = math.nan
    return (predicted, target) if metric in OF_POINTS else (predicted.flatten(1), target.flatten(1))


@pytest.mark.parametrize("metric", OF_LABELS + OF_CLASSES + OF_POINTS + OF_NUMBERS, ids=lambda metric: metric.name)
def test_a_resampled_metric_is_the_metric_of_the_rows_of_the_resample(metric: Metric) -> None:
    torch.manual_seed(0)
    given, target = inputs(metric)
    (counts,) = resample_counts(len(target), n_resamples=20, seed=1)
    counts[0] = 1
    rows = [torch.from_numpy(np.repeat(np.arange(len(target)), row.astype(int))) for row in counts]
    expected = [metric(given[row], target[row]) for row in rows]
    assert Score.of_metric(metric, given, target).resampled(counts).tolist() == pytest.approx(expected, nan_ok=True)
    assert expected[0] == pytest.approx(metric(given, target))


def test_every_metric_has_an_interval_that_contains_its_score() -> None:
    for seed in range(3):
        evaluation = evaluation_of(*labels(seed=seed))
        for groups in (None, np.arange(len(evaluation)) // 3):
            for found in metric_intervals(evaluation, OF_LABELS, groups=groups, n_resamples=100):
                assert found.interval.low <= found.value <= found.interval.high
                assert found.interval.low < found.interval.high


@pytest.mark.parametrize("metric", [brier_score_metric, log_loss_metric], ids=lambda metric: metric.name)
def test_probabilities_of_one_class_are_resampled_too(metric: Metric) -> None:
    given, target = inputs(accuracy_metric)
    (counts,) = resample_counts(30, n_resamples=9, seed=1)
    rows = [torch.from_numpy(np.repeat(np.arange(30), row.astype(int))) for row in counts]
    expected = [metric(given[row], target[row]) for row in rows]
    assert Score.of_metric(metric, given, target).resampled(counts).tolist() == pytest.approx(expected)


def test_proportions_of_images_have_wilsons_interval_and_with_groups_a_bootstrap() -> None:
    evaluation = evaluation_of(*labels(unknown=0))
    exact = int(subset_accuracy_metric(evaluation.activated[1:] > 0.5, evaluation.targets[1:]) * 39 + 0.5)
    (plain,) = metric_intervals(evaluation, [subset_accuracy_metric])
    assert (plain.interval, plain.n_resamples) == (wilson(exact, 39), 0)
    (grouped,) = metric_intervals(evaluation, [subset_accuracy_metric], groups=[0] * 20 + [1] * 20, n_resamples=50)
    assert grouped.n_resamples == 50
    classes = make_evaluation(
        CategoryBlock(["a", "b"]), torch.tensor([[1.0, 0], [0, 1], [1, 0]]), torch.tensor([0, 1, 1])
    )
    assert [m.interval for m in metric_intervals(classes, [accuracy_metric, error_rate_metric])] == [
        wilson(2, 3),
        wilson(1, 3),
    ]


def test_copies_of_images_in_groups_do_not_narrow_an_interval() -> None:
    scores, target = labels(images=60, unknown=0)
    copies = evaluation_of(scores.repeat_interleave(9, 0), target.repeat_interleave(9, 0))
    once = metric_intervals(evaluation_of(scores, target), OF_LABELS)
    alone, grouped = (metric_intervals(copies, OF_LABELS, groups=g) for g in (None, np.arange(540) // 9))
    for single, naive, honest in zip(once, alone, grouped, strict=True):
        if single.metric is not subset_accuracy_metric:  # Wilson's interval once
            width = single.interval.high - single.interval.low
            assert honest.interval.high - honest.interval.low == pytest.approx(width, rel=0.15)
        assert naive.interval.high - naive.interval.low < 0.6 * (honest.interval.high - honest.interval.low)


def test_one_metric_has_the_same_interval_alone_and_among_others() -> None:
    evaluation = evaluation_of(*labels())
    together = metric_intervals(evaluation, OF_LABELS, n_resamples=60, seed=3)
    for found in together[::5]:
        assert metric_intervals(evaluation, [found.metric], n_resamples=60, seed=3) == [found]


def test_labels_with_few_positives_are_too_few_to_say() -> None:
    scores, target = labels(images=60, unknown=0)
    target[1:, 0] = (torch.arange(59) < FEW_POSITIVES - 1).double()
    target[1:, 1] = (torch.arange(59) < FEW_POSITIVES).double()
    target[1:, 2] = 0
    evaluation = evaluation_of(scores, target)
    found = metric_and_label_intervals(evaluation, [], n_resamples=50)[1]
    assert [str(label) for label in found[:3:2]] == ["too few positives"] * 2
    assert found[1].interval is not None
    assert found[1].interval.low <= found[1].value <= found[1].interval.high
    assert [label.positives for label in found[:3]] == [FEW_POSITIVES - 1, FEW_POSITIVES, 0]
    assert math.isnan(found[2].value)
    grouped = metric_and_label_intervals(evaluation, [], groups=np.arange(60) // 2, n_resamples=50)[1]
    assert grouped[1].interval is None  # ten images in six groups


def test_metrics_and_labels_of_one_bootstrap_are_those_of_two() -> None:
    evaluation = evaluation_of(*labels(images=80))
    metrics, of_labels = metric_and_label_intervals(evaluation, OF_LABELS, n_resamples=40, seed=2)
    assert of_labels == metric_and_label_intervals(evaluation, [], n_resamples=40, seed=2)[1]
    for found, alone in zip(metrics, metric_intervals(evaluation, OF_LABELS, n_resamples=40, seed=2), strict=True):
        assert (found.metric, found.value) == (alone.metric, pytest.approx(alone.value))
        assert (found.interval.low, found.interval.high) == pytest.approx((alone.interval.low, alone.interval.high))


def test_the_groups_of_an_evaluation_are_drawn_whole() -> None:
    evaluation = evaluation_of(*labels(images=60, unknown=0))
    grouped = replace(evaluation, groups=tuple(str(i // 3) for i in range(60)))
    given = metric_intervals(evaluation, OF_LABELS, groups=np.arange(60) // 3, n_resamples=40)
    assert metric_intervals(grouped, OF_LABELS, n_resamples=40) == given
    of_labels = metric_and_label_intervals(evaluation, [], groups=np.arange(60) // 3, n_resamples=40)[1]
    assert metric_and_label_intervals(grouped, [], n_resamples=40)[1] == of_labels


# ------------------------------------------------------------------------------- the intervals themselves


def test_the_corrected_interval_is_that_of_scipy() -> None:
    sample = np.random.default_rng(0).lognormal(size=40)
    wanted = stats.bootstrap((sample,), lambda x, axis: x.std(axis=axis), n_resamples=20_000, rng=1, method="BCa")
    (counts,) = resample_counts(40, n_resamples=20_000, seed=2)
    draws = np.sqrt(counts @ sample**2 / 40 - (counts @ sample / 40) ** 2)
    left_out = np.array([np.delete(sample, i).std() for i in range(40)])
    found = corrected_interval(draws, left_out, float(sample.std()))
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval), rel=0.04)


def test_nothing_known_and_outputs_that_are_not_finite_have_no_interval() -> None:
    scores, target = labels()
    unknown = evaluation_of(scores, torch.full_like(target, math.nan))
    broken = evaluation_of(scores, target)
    broken.outputs[0, 0] = math.nan
    for evaluation in (unknown, broken):
        found = metric_intervals(
            evaluation, [f1_micro, mean_ap, hamming_loss_metric, subset_accuracy_metric], n_resamples=20
        )
        assert all(math.isnan(m.value) and math.isnan(m.interval.low) and math.isnan(m.interval.high) for m in found)


def test_one_image_has_a_wide_interval() -> None:
    evaluation = evaluation_of(torch.tensor([[0.9, 0.2]]), torch.tensor([[1.0, 0.0]]))
    one = wilson(1, 1)
    for found in metric_intervals(evaluation, [f1_micro, subset_accuracy_metric, mean_ap], n_resamples=20):
        assert (found.interval.low, found.interval.high) == (one.low, one.high)


def test_levels_resamples_and_groups_out_of_range_are_errors() -> None:
    evaluation = evaluation_of(*labels())
    with pytest.raises(InputError, match="the confidence level must be between 0 and 1"):
        metric_intervals(evaluation, [f1_macro], level=95)
    with pytest.raises(InputError, match="a bootstrap needs n_resamples >= 1, got 0"):
        metric_intervals(evaluation, [f1_macro], n_resamples=0)
    with pytest.raises(InputError, match="groups are one whole number for each of 40 images"):
        metric_intervals(evaluation, [f1_macro], groups=[1, 2])


def test_metrics_of_sums_are_known_to_be() -> None:
    rankings_and_none = {mean_ap, roc_auc_macro, roc_auc_micro, average_precision_micro}
    assert {metric.name for metric in OF_LABELS if sums_of(metric) is None} == {m.name for m in rankings_and_none}


def test_a_label_that_is_always_first_has_an_interval_of_some_width() -> None:
    targets = (torch.arange(200) < 40).float()[:, None]
    evaluation = evaluation_of(targets * 4 - 2, targets)
    _, (label,) = metric_and_label_intervals(evaluation, [])
    assert label.interval is not None
    assert wilson(40, 40).low == pytest.approx(label.interval.low)
    assert label.interval.low < 0.95 < label.interval.high == 1
