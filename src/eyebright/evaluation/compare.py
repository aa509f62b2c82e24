"""Compares two models on the same images: the difference of a metric, with its paired bootstrap interval.

Both models are scored on the same resamples of the images (Efron & Tibshirani, 1993, An Introduction to the Bootstrap,
chapter 16), so what makes images easy or hard for both models alike does not widen the interval.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import Interval, bootstrap, percentile_intervals
from eyebright.evaluation.label_intervals import resampled_average_precisions
from eyebright.evaluation.metric_value import affordable_resamples, metric_input, metric_value
from eyebright.metrics.labels import mean_ap
from eyebright.metrics.meter import Metric
from eyebright.web.text import number_text


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two models on the same images.

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


def compare(first: Evaluation, second: Evaluation, metric: Metric, *, n_resamples: int = 1000) -> Comparison:
    """Compares a metric of two models on the same images.

    Args:
        first: the outputs of the first model.
        second: the outputs of the second model for the same images, in the same order.
        metric: the metric; it is NaN for a model of which an output is NaN or infinite.
        n_resamples: number of bootstrap resamples; fewer are drawn for large sets, and at least 100.

    Raises:
        InputError: the evaluations have different images or targets, or the metric takes the logits of points, whose
            targets in pixels of the network's input an evaluation does not have.
    """
    targets = first.targets
    if first.files != second.files or not torch.equal(
        targets.nan_to_num(math.inf), second.targets.nan_to_num(math.inf)
    ):
        raise InputError("a comparison needs two evaluations of the same images with the same targets, in one order")
    if first.not_finite or second.not_finite:
        unknown = Interval(math.nan, math.nan)
        return Comparison(metric, metric_value(first, metric), metric_value(second, metric), unknown)
    both = metric_input(first, metric), metric_input(second, metric)
    values = metric(both[0], targets), metric(both[1], targets)
    n_resamples = min(affordable_resamples(2 * both[0].numel()), n_resamples)
    return Comparison(metric, *values, _interval(metric, *both, targets, n_resamples))


def _interval(
    metric: Metric,
    first: Shaped[Tensor, "n ..."],
    second: Shaped[Tensor, "n ..."],
    targets: Shaped[Tensor, "n ..."],
    n_resamples: int,
) -> Interval:
    if metric is not mean_ap:
        return bootstrap(
            lambda a, b, target: metric(b, target) - metric(a, target),
            [first, second, targets],
            n_resamples=n_resamples,
        )
    # The same seed draws the same resamples, sorted once and not for each resample.
    means = [
        resampled_average_precisions(scores, targets, n_resamples=n_resamples, seed=0).nanmean(dim=1)
        for scores in (first, second)
    ]
    difference = metric(second, targets) - metric(first, targets)
    return percentile_intervals((means[1] - means[0])[:, None].numpy(), 0.95, [difference])[0]
