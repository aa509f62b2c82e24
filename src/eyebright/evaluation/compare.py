"""Compares two models on the same images: the difference of metrics, with their paired bootstrap intervals.

Both models are scored on the same resamples of the images (Efron & Tibshirani, 1993, An Introduction to the Bootstrap,
chapter 16), so images that are easy or hard for both models do not widen the interval. The resamples are
drawn once for all metrics.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eyebright._defaults import RESAMPLES
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import Interval, unknown_interval
from eyebright.evaluation.metric_intervals import LabelPrecisions
from eyebright.evaluation.metric_value import affordable_resamples, metric_input, metric_value
from eyebright.evaluation.score_differences import ScoreDifference, score_difference
from eyebright.evaluation.scores import Draws, Score, draw, positive_trials
from eyebright.metrics.labels import mean_ap
from eyebright.metrics.meter import Metric
from eyebright.web.text import number_text


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two models on the same images, with the interval of its difference.

    Args:
        metric: the metric.
        first: its value for the first model.
        second: its value for the second model.
        interval: the confidence interval of ``difference``; it covers the choice of the images, not the variation
            between repeated training runs.
    """

    metric: Metric
    first: float
    second: float
    interval: Interval

    @property
    def difference(self) -> float:
        """The second value minus the first."""
        return self.second - self.first

    @property
    def text(self) -> str:
        """Both values and the difference: ``"mAP from 0.882 to 0.897: +0.015 (95 % CI -0.004 to 0.034)"``."""
        low, high, difference = (
            number_text(value) for value in (self.interval.low, self.interval.high, self.difference)
        )
        values = f"{self.metric.display_name} from {number_text(self.first)} to {number_text(self.second)}"
        sign = "+" * (self.difference > 0)
        return f"{values}: {sign}{difference} ({100 * self.interval.level:g} % CI {low} to {high})"

    @property
    def second_is_better(self) -> bool:
        """Whether the second model scores better; False if both are equal or the second value is NaN."""
        return self.difference > 0 if self.metric.higher_is_better else self.difference < 0


def compare(first: Evaluation, second: Evaluation, metric: Metric, *, n_resamples: int = RESAMPLES) -> Comparison:
    """Compares a metric of two models on the same images.

    Args:
        first: the outputs of the first model.
        second: the outputs of the second model for the same images, in the same order.
        metric: the metric; it is NaN for a model with a NaN or infinite output.
        n_resamples: number of bootstrap resamples; fewer are drawn for large sets, and at least 100.

    Raises:
        InputError: the evaluations have different images or targets, or the metric takes the logits of points, whose
            targets in pixels of the network's input an evaluation does not have.
    """
    targets = first.targets
    if first.files != second.files or not torch.equal(
        targets.nan_to_num(math.inf), second.targets.nan_to_num(math.inf)
    ):
        raise InputError(
            "a comparison needs two evaluations of the same images with the same targets, in the same order"
        )
    if first.not_finite or second.not_finite:
        return Comparison(metric, metric_value(first, metric), metric_value(second, metric), unknown_interval())
    return paired_comparisons(first, second, [metric], n_resamples=n_resamples)[0][0]


def paired_comparisons(
    first: Evaluation,
    second: Evaluation,
    metrics: Sequence[Metric],
    *,
    labels: tuple[LabelPrecisions, LabelPrecisions] | None = None,
    n_resamples: int = RESAMPLES,
) -> tuple[list[Comparison], Draws | None]:
    """Compares metrics of two models, and if requested the average precision of each label, by one bootstrap.

    Args:
        first: the evaluation of the first model, whose groups are drawn whole.
        second: the evaluation of the second model on the same images.
        metrics: the metrics.
        labels: the average precisions of both models; None: labels are not compared.
        n_resamples: as in `compare`.

    Raises:
        InputError: a metric takes the logits of points.
    """
    groups = first.group_codes
    are_equal = _are_equal(first.outputs, second.outputs)
    differences = [_difference(first, second, metric, labels, are_equal=are_equal) for metric in metrics]
    functions = [one.difference.function for one in differences]
    if labels is not None:
        functions.append(lambda counts: labels[1].each(counts) - labels[0].each(counts))
    n_resamples = min(affordable_resamples(2 * first.outputs.numel()), n_resamples)
    draws = draw(functions, len(first), groups=groups, n_resamples=n_resamples, seed=0)
    comparisons = [
        Comparison(metric, one.before.value, one.after.value, one.difference.interval(drawn))
        for metric, one, drawn in zip(metrics, differences, draws, strict=False)
    ]
    return comparisons, draws[-1] if labels is not None else None


def _difference(
    first: Evaluation,
    second: Evaluation,
    metric: Metric,
    labels: tuple[LabelPrecisions, LabelPrecisions] | None,
    *,
    are_equal: bool,
) -> ScoreDifference:
    """The scores of both models and their difference; that of equal outputs and decisions is 0 on every sample."""
    given, groups = [metric_input(evaluation, metric) for evaluation in (first, second)], first.group_codes
    if labels is not None and metric is mean_ap:
        trials = positive_trials(first.targets, groups)
        before, after = (
            Score(metric(one, first.targets), of_labels.means, trials=trials)
            for one, of_labels in zip(given, labels, strict=True)
        )
        difference = ScoreDifference(before, after, after - before)
    else:
        difference = score_difference(metric, given[0], given[1], first.targets, groups)
    if are_equal and _are_equal(*given):  # equal outputs can have other thresholds
        same = replace(difference.difference, mistakes=None, opposite=None, most_change=0.0)
        return difference._replace(difference=same)
    return difference


def _are_equal(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal up to the rounding of float32, which depends on the processor."""
    return first.shape == second.shape and torch.allclose(
        first.double(), second.double(), rtol=1e-5, atol=1e-6, equal_nan=True
    )
