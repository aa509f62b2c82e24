"""Metrics of an evaluation with their confidence intervals, all from the same resamples of the images.

One bootstrap over the images serves all metrics, or over groups of images (of one patient, one video), which are drawn
whole (a cluster bootstrap: Davison & Hinkley, 1997, Bootstrap Methods and their Application, section 3.8). A proportion
of images gets Wilson's interval where there are no groups. See `eyebright.evaluation.intervals` for what an interval
covers. A label with fewer than `FEW_POSITIVES` positives gets none, because its resamples say too little.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eyebright.evaluation.cross_fit import Groups, group_codes
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import (
    Interval,
    Quotient,
    corrected_interval,
    leave_out_counts,
    resample_counts,
    score_interval,
    studentized_interval,
    wilson,
)
from eyebright.evaluation.metric_sums import sums_of
from eyebright.evaluation.metric_value import affordable_resamples, metric_input, metric_value
from eyebright.evaluation.resampling import Resampled, rankings_of, resampled_metric
from eyebright.metrics.labels import average_precision, split_targets
from eyebright.metrics.meter import Metric

FEW_POSITIVES = 10
"""The number of positives (with groups: of groups with a positive) from which the score of a label gets an interval."""
_MANY_POSITIVES = 30  # from which the resamples of a label are enough


@dataclass(frozen=True, slots=True)
class MetricInterval:
    """A metric of an evaluation with its confidence interval.

    Args:
        metric: the metric.
        value: its value on all images.
        interval: contains the value; NaN if it cannot be computed.
        n_resamples: the number of bootstrap resamples; 0 for Wilson's interval.
    """

    metric: Metric
    value: float
    interval: Interval
    n_resamples: int


@dataclass(frozen=True, slots=True)
class LabelInterval:
    """The average precision of one label with its confidence interval.

    Args:
        label: the name of the label.
        positives: the number of images that have it.
        value: its average precision; NaN without positives.
        interval: None if there are too few positives to say.
        n_resamples: the number of bootstrap resamples.
    """

    label: str
    positives: int
    value: float
    interval: Interval | None
    n_resamples: int

    def __str__(self) -> str:
        return "too few to say" if self.interval is None else str(self.interval)


def metric_intervals(
    evaluation: Evaluation,
    metrics: Sequence[Metric],
    *,
    groups: Groups | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[MetricInterval]:
    """The values and intervals of metrics, by one bootstrap.

    Args:
        evaluation: the outputs; all is NaN if one of them is NaN or infinite.
        metrics: the metrics.
        groups: the group of each image; groups are drawn whole.
        n_resamples: number of bootstrap resamples; fewer are drawn for large sets, and at least 100.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a metric takes the logits of points, no resamples, groups that do not fit the images, or a level
            outside (0, 1).
    """
    if evaluation.not_finite:
        unknown = Interval(math.nan, math.nan, level)
        return [MetricInterval(metric, math.nan, unknown, 0) for metric in metrics]
    plans = [_Plan.of(metric, evaluation, groups) for metric in metrics]
    drawn = min(n_resamples, affordable_resamples(evaluation.outputs.numel()))
    functions = [plan.function for plan in plans if plan.function is not None]
    columns = iter(_resampled(functions, len(evaluation), groups=groups, n_resamples=drawn, seed=seed))
    return [plan.interval(next(columns) if plan.function else None, drawn, level=level) for plan in plans]


def metric_interval(
    evaluation: Evaluation, metric: Metric, *, level: float = 0.95, n_resamples: int = 1000
) -> Interval:
    """The interval of one metric; arguments and errors as in `metric_intervals`."""
    return metric_intervals(evaluation, [metric], level=level, n_resamples=n_resamples)[0].interval


def label_intervals(
    evaluation: Evaluation,
    *,
    groups: Groups | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[LabelInterval]:
    """The average precision of each label with its interval; none for labels with fewer than `FEW_POSITIVES` positives.

    The resamples of a label with few positives that are (almost) all ranked first vary too little. With fewer than
    `_MANY_POSITIVES` the interval also covers Wilson's for as many trials as there are positives (the binomial interval
    of Boyd, Eng & Page, 2013, Area under the precision-recall curve, section 3.2).

    Args:
        evaluation: the outputs of a target with any number of labels per image.
        groups: as in `metric_intervals`.
        n_resamples: as in `metric_intervals`.
        seed: as in `metric_intervals`.
        level: as in `metric_intervals`.

    Raises:
        InputError: as in `metric_intervals`, or another target.
        DataError: an output is NaN or infinite.
    """
    scores, targets = evaluation.activated, evaluation.targets
    positive = split_targets(targets, scores)[0].numpy()
    codes = np.arange(len(scores)) if groups is None else group_codes(groups, len(scores))
    evidence = [len(np.unique(codes[column])) for column in positive.T]
    drawn = min(n_resamples, affordable_resamples(scores.numel()))
    rankings = rankings_of(scores, targets)
    shown = [k for k, count in enumerate(evidence) if count >= FEW_POSITIVES]
    functions: list[Resampled] = [lambda counts, k=k: rankings[k].average_precisions(counts.T) for k in shown]
    columns = _resampled(functions, len(scores), groups=groups, n_resamples=drawn, seed=seed)
    values = average_precision(scores, targets).tolist()
    intervals = {
        k: _of_label(column, values[k], evidence[k], level=level) for k, column in zip(shown, columns, strict=True)
    }
    return [
        LabelInterval(name, int(positive[:, k].sum()), values[k], intervals.get(k), drawn)
        for k, name in enumerate(evaluation.decision.target.output_names)
    ]


def _of_label(column: tuple[np.ndarray, np.ndarray], value: float, positives: int, *, level: float) -> Interval:
    resampled = corrected_interval(*column, value, level=level)
    if positives >= _MANY_POSITIVES:
        return resampled
    wilsons = score_interval(value, positives, level=level)
    return Interval(min(resampled.low, wilsons.low), max(resampled.high, wilsons.high), level)


def _resampled(
    functions: Sequence[Resampled], n_images: int, *, groups: Groups | None, n_resamples: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The values of each function on the same resamples, and without each part of the images."""
    drawn = resample_counts(n_images, groups=groups, n_resamples=n_resamples, seed=seed)
    parts = leave_out_counts(n_images, groups=groups, seed=seed)
    of_each = [
        [
            np.concatenate(columns)
            for columns in zip(*([f(counts) for f in functions] for counts in blocks), strict=True)
        ]
        for blocks in (drawn, parts)
    ]
    return list(zip(*of_each, strict=True))


@dataclass(frozen=True, eq=False)
class _Plan:
    """How the interval of a metric is computed.

    Args:
        metric: the metric.
        value: its value on all images.
        function: what is computed of each resample; None if it needs none.
        proportion: (successes, trials), if the metric is a proportion of images and there are no groups.
        quotient: the quotient of two sums, if the metric is one.
    """

    metric: Metric
    value: float
    function: Resampled | None
    proportion: tuple[int, int] | None = None
    quotient: Quotient | None = None

    @staticmethod
    def of(metric: Metric, evaluation: Evaluation, groups: Groups | None) -> "_Plan":
        given, targets = metric_input(evaluation, metric), evaluation.targets
        value, sums = metric_value(evaluation, metric), sums_of(metric)
        if sums is None or not sums.is_quotient:
            return _Plan(metric, value, resampled_metric(metric, given, targets))
        summands = sums.summands(given, targets).double()
        if sums.is_proportion and groups is None:
            successes, trials = summands.sum(dim=0).tolist()
            return _Plan(metric, value, None, proportion=(round(successes), round(trials)))
        quotient = Quotient.of(summands.numpy(), groups)
        return _Plan(metric, value, quotient.deviations, quotient=quotient)

    def interval(self, columns: tuple[np.ndarray, np.ndarray] | None, drawn: int, *, level: float) -> MetricInterval:
        """The interval, from what was computed of the resamples and of the parts that were left out."""
        if self.proportion is not None or columns is None:
            return MetricInterval(self.metric, self.value, wilson(*(self.proportion or (0, 0)), level=level), 0)
        if self.quotient is not None:
            interval = studentized_interval(columns[0], self.quotient, level=level)
        else:
            interval = corrected_interval(*columns, self.value, level=level)
        return MetricInterval(self.metric, self.value, interval, drawn)
