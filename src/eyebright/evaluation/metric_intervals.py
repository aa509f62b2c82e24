"""Metrics of an evaluation, and the average precision of each label, with their confidence intervals.

All come from the same resamples of the images, see `eyebright.evaluation.scores`. A label with fewer than
`FEW_POSITIVES` positives gets no interval, because its resamples are not informative.

Axes of arrays: n images, k labels, s resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from eyebright._defaults import CONFIDENCE, RESAMPLES
from eyebright.evaluation.cross_fit import Groups, group_codes
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import Interval, checked_level, unknown_interval
from eyebright.evaluation.metric_value import affordable_resamples, metric_input
from eyebright.evaluation.resampling import Ranking, Resampled, mean_of_known, rankings_of
from eyebright.evaluation.scores import Draws, Score, draw, interval_of_ranking, positive_trials
from eyebright.metrics.labels import average_precision, mean_ap, split_targets
from eyebright.metrics.meter import Metric

FEW_POSITIVES = 10
"""The number of positives (with groups: of groups with a positive) from which the score of a label gets an interval."""


@dataclass(frozen=True, slots=True)
class MetricInterval:
    """A metric of an evaluation with its confidence interval.

    Args:
        metric: the metric.
        value: its value on all images.
        interval: the interval, which contains the value; NaN if it cannot be computed.
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
        interval: the interval; None if there are too few positives.
        n_resamples: the number of bootstrap resamples.
    """

    label: str
    positives: int
    value: float
    interval: Interval | None
    n_resamples: int

    def __str__(self) -> str:
        return "too few positives" if self.interval is None else str(self.interval)


def metric_intervals(
    evaluation: Evaluation,
    metrics: Sequence[Metric],
    *,
    groups: Groups | None = None,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = CONFIDENCE,
) -> list[MetricInterval]:
    """The values and intervals of metrics, by one bootstrap.

    Args:
        evaluation: the outputs; all values are NaN if one output is NaN or infinite.
        metrics: the metrics.
        groups: the group of each image; groups are drawn whole. None: the groups of the evaluation.
        n_resamples: number of bootstrap resamples; fewer are drawn for large sets, and at least 100.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a metric takes the logits of points, no resamples, groups that do not fit the images, or a level
            outside (0, 1).
    """
    if evaluation.not_finite:
        unknown = unknown_interval(checked_level(level))
        return [MetricInterval(metric, math.nan, unknown, 0) for metric in metrics]
    groups = evaluation.group_codes if groups is None else groups
    scores = [_score(metric, evaluation, groups) for metric in metrics]
    drawn = min(n_resamples, affordable_resamples(evaluation.outputs.numel()))
    functions = [score.function for score in scores if score.is_drawn]
    draws = draw(functions, len(evaluation), groups=groups, n_resamples=drawn, seed=seed)
    return _intervals_of_metrics(metrics, scores, draws, level=level)


def metric_interval(
    evaluation: Evaluation, metric: Metric, *, level: float = CONFIDENCE, n_resamples: int = RESAMPLES
) -> Interval:
    """The interval of one metric; arguments and errors as in `metric_intervals`."""
    return metric_intervals(evaluation, [metric], level=level, n_resamples=n_resamples)[0].interval


def metric_and_label_intervals(
    evaluation: Evaluation,
    metrics: Sequence[Metric],
    *,
    groups: Groups | None = None,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = CONFIDENCE,
) -> tuple[list[MetricInterval], list[LabelInterval]]:
    """`metric_intervals` and the average precision of each label with its interval, by one bootstrap.

    The resamples of a label whose positives are (almost) all ranked first vary too little, so its interval also covers
    Wilson's, for at least as many trials as there are positives (the binomial interval of Boyd, Eng & Page, 2013, Area
    under the precision-recall curve, section 3.2).

    Args:
        evaluation: the outputs of a target with any number of labels per image.
        metrics: as in `metric_intervals`.
        groups: as in `metric_intervals`.
        n_resamples: as in `metric_intervals`.
        seed: as in `metric_intervals`.
        level: as in `metric_intervals`.

    Raises:
        InputError: as in `metric_intervals`, or the target is of another kind.
        DataError: an output is NaN or infinite.
    """
    groups = evaluation.group_codes if groups is None else groups
    of_labels = LabelPrecisions.of(evaluation)
    values = average_precision(evaluation.activated, evaluation.targets)
    scores = [
        Score(float(values.nanmean()), of_labels.means, trials=positive_trials(evaluation.targets, groups))
        if metric is mean_ap
        else _score(metric, evaluation, groups)
        for metric in metrics
    ]
    drawn = min(n_resamples, affordable_resamples(evaluation.outputs.numel()))
    functions: list[Resampled] = [of_labels.each, *(score.function for score in scores if score.is_drawn)]
    label_draws, *draws = draw(functions, len(evaluation), groups=groups, n_resamples=drawn, seed=seed)
    metric_values = _intervals_of_metrics(metrics, scores, draws, level=level)
    return metric_values, _intervals_of_labels(evaluation, values.tolist(), label_draws, groups=groups, level=level)


class LabelPrecisions:
    """The average precision of each label on resamples, computed once and shared.

    Args:
        rankings: the rankings of the labels.
    """

    def __init__(self, rankings: Sequence[Ranking]) -> None:
        self._rankings = rankings
        self._last: tuple[Float[np.ndarray, "s n"], Float[np.ndarray, "s k"]] | None = None

    @staticmethod
    def of(evaluation: Evaluation) -> "LabelPrecisions":
        """The precisions of the labels of an evaluation.

        Raises:
            InputError: the target is not any number of labels per image.
            DataError: an output is NaN or infinite.
        """
        return LabelPrecisions(rankings_of(evaluation.activated, evaluation.targets))

    def each(self, counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s k"]:
        """The average precision of each label."""
        if self._last is None or self._last[0] is not counts:
            columns = [ranking.average_precisions(counts) for ranking in self._rankings]
            self._last = counts, np.stack(columns, axis=1)
        return self._last[1]

    def means(self, counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        """The mean over the labels with a positive in the resample."""
        return mean_of_known(list(self.each(counts).T))


def _score(metric: Metric, evaluation: Evaluation, groups: Groups | None) -> Score:
    return Score.of_metric(metric, metric_input(evaluation, metric), evaluation.targets, groups)


def _intervals_of_metrics(
    metrics: Sequence[Metric], scores: Sequence[Score], draws: Sequence[Draws], *, level: float
) -> list[MetricInterval]:
    left = iter(draws)
    nothing = Draws(np.empty(0), np.empty(0))
    metric_rows: list[MetricInterval] = []
    for metric, score in zip(metrics, scores, strict=True):
        drawn = next(left) if score.is_drawn else nothing
        metric_rows.append(MetricInterval(metric, score.value, score.interval(drawn, level=level), len(drawn.drawn)))
    return metric_rows


def _intervals_of_labels(
    evaluation: Evaluation, values: Sequence[float], draws: Draws, *, groups: Groups | None, level: float
) -> list[LabelInterval]:
    positive = split_targets(evaluation.targets, evaluation.activated)[0].numpy()
    codes = np.arange(len(positive)) if groups is None else group_codes(groups, len(positive))
    label_rows: list[LabelInterval] = []
    for k, name in enumerate(evaluation.decision.target.output_names):
        evidence, interval = len(np.unique(codes[positive[:, k]])), None
        if evidence >= FEW_POSITIVES:
            of_label = Draws(draws.drawn[:, k], draws.left_out[:, k])
            interval = interval_of_ranking(of_label, values[k], evidence, level=level)
        label_rows.append(LabelInterval(name, int(positive[:, k].sum()), values[k], interval, len(draws.drawn)))
    return label_rows
