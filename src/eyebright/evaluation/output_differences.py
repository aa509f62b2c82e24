"""The metrics of two models, and how they differ on each label, class, point or number, with corrected p-values."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from torch import Tensor

from eyebright._defaults import CONFIDENCE
from eyebright.evaluation.compare import Comparison, paired_comparisons
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.image_mistakes import mistakes
from eyebright.evaluation.intervals import Interval, corrected_interval, unknown_interval
from eyebright.evaluation.metric_intervals import LabelPrecisions
from eyebright.evaluation.scores import Draws
from eyebright.evaluation.slices import holm
from eyebright.metrics.labels import average_precision
from eyebright.metrics.meter import Metric
from eyebright.metrics.points import point_errors
from eyebright.tasks.task_type import TaskType

MIN_IMAGES = 10
"""A label with fewer images than this gets no interval for its difference."""
_SAME_SCORE = ("error_rate",)  # equal to a metric that is compared too


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """The score of a label, class, point or number for two models.

    Args:
        name: its name.
        measure: what is compared, such as ``"AP"``.
        count: the number of images that the score rests on; for a label or class, those that have it.
        first: the value of the first model; NaN where undefined.
        second: the value of the second model.
        interval: the interval of the second minus the first, not corrected; NaN where there are too few images.
        p_value: two-sided, corrected for the number of labels; NaN where there is no interval.
    """

    name: str
    measure: str
    count: int
    first: float
    second: float
    interval: Interval
    p_value: float


def compared_scores(
    first: Evaluation, second: Evaluation
) -> tuple[tuple[Comparison, ...], tuple[OutputDifference, ...]]:
    """The metrics, and the scores of each label, class, point or number."""
    block = first.decision.target
    resampled = _RESAMPLED_OF_TASK_TYPE.get(block.task_type)
    labels = None if resampled is None else (resampled(first), resampled(second))
    comparisons, draws = paired_comparisons(first, second, compared_metrics(first), labels=labels)
    differences = (
        _DIFFERENCES_OF_TASK_TYPE[block.task_type](first, second)
        if draws is None
        else _label_differences(first, second, draws)
    )
    corrected = holm([difference.p_value for difference in differences])
    return tuple(comparisons), tuple(
        replace(difference, p_value=p_value) for difference, p_value in zip(differences, corrected, strict=True)
    )


def compared_metrics(evaluation: Evaluation) -> list[Metric]:
    """The metrics that are compared."""
    block = evaluation.decision.target
    metrics = [metric for metric in block.metrics() if not (metric.takes == "logits" and block.is_geometric)]
    return [metric for metric in metrics if metric.name not in _SAME_SCORE]


def _label_differences(first: Evaluation, second: Evaluation, draws: Draws) -> list[OutputDifference]:
    """The average precision of each label; interval and standard error from the same resamples for both models."""
    targets = first.targets
    values = [average_precision(evaluation.activated, targets) for evaluation in (first, second)]
    differences: list[OutputDifference] = []
    for k, name in enumerate(first.decision.target.value_names):
        positives, before, after = int((targets[:, k] == 1).sum()), float(values[0][k]), float(values[1][k])
        column = draws.drawn[:, k][~np.isnan(draws.drawn[:, k])]
        p_value, interval = math.nan, unknown_interval(CONFIDENCE)
        if positives >= MIN_IMAGES and len(column) > 1:
            interval = corrected_interval(column, draws.left_out[:, k], after - before, level=CONFIDENCE)
            p_value = _two_sided(after - before, float(column.std(ddof=1)))
        differences.append(OutputDifference(name, "AP", positives, before, after, interval, p_value))
    return differences


def _class_differences(first: Evaluation, second: Evaluation) -> list[OutputDifference]:
    """The recall of each class.

    The p-value is McNemar's exact one; the interval that of Agresti & Min (2005, Statistics in Medicine 24:729).
    """
    right = [mistakes(each) == 0 for each in (first, second)]
    differences: list[OutputDifference] = []
    for k, name in enumerate(first.decision.target.value_names):
        mine = first.targets == k
        count = int(mine.sum())
        gained, lost = int((mine & right[1] & ~right[0]).sum()), int((mine & right[0] & ~right[1]).sum())
        before, after = (float((mine & each).sum() / count) if count else math.nan for each in right)
        center = (gained - lost) / (count + 2)
        error = math.sqrt(max(gained + lost + 1 - (gained - lost) ** 2 / (count + 2), 0)) / (count + 2)
        half = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * error
        enough = count >= MIN_IMAGES
        interval = Interval(max(center - half, -1), min(center + half, 1), CONFIDENCE)
        unknown = Interval(math.nan, math.nan, CONFIDENCE)
        p_value = _mcnemar(gained, lost) if enough else math.nan
        differences.append(
            OutputDifference(name, "recall", count, before, after, interval if enough else unknown, p_value)
        )
    return differences


def _point_differences(first: Evaluation, second: Evaluation) -> list[OutputDifference]:
    errors = [point_errors(evaluation.activated, evaluation.targets) for evaluation in (first, second)]
    return _error_differences(first.decision.target.value_names, *errors, measure="mean error, px")


def _number_differences(first: Evaluation, second: Evaluation) -> list[OutputDifference]:
    errors = [(evaluation.activated.double() - evaluation.targets.double()).abs() for evaluation in (first, second)]
    return _error_differences(first.decision.target.value_names, *errors, measure="MAE")


def _error_differences(
    names: Sequence[str], first: Float[Tensor, "n k"], second: Float[Tensor, "n k"], *, measure: str
) -> list[OutputDifference]:
    """The mean error of each column, with the normal interval of the mean of paired differences."""
    results: list[OutputDifference] = []
    for k, name in enumerate(names):
        known = ~first[:, k].isnan()
        differences = (second[known, k] - first[known, k]).double()
        count, mean = len(differences), float(differences.mean())
        error = float(differences.std()) / math.sqrt(count) if count >= MIN_IMAGES else math.nan
        half = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * error
        before, after = float(first[known, k].mean()), float(second[known, k].mean())
        interval = Interval(mean - half, mean + half, CONFIDENCE)
        results.append(OutputDifference(name, measure, count, before, after, interval, _two_sided(mean, error)))
    return results


_RESAMPLED_OF_TASK_TYPE: Mapping[TaskType, Callable[[Evaluation], LabelPrecisions]] = {"labels": LabelPrecisions.of}
"""Kinds of outputs that are resampled together with the metrics; the others are computed from each image separately."""
_DIFFERENCES_OF_TASK_TYPE: Mapping[TaskType, Callable[[Evaluation, Evaluation], list[OutputDifference]]] = {
    "classes": _class_differences,
    "points": _point_differences,
    "numbers": _number_differences,
}


def _two_sided(difference: float, error: float) -> float:
    """The p-value of a difference with a standard error; 1 for no difference, NaN if the error is unknown."""
    if math.isnan(error) or math.isnan(difference):
        return math.nan
    if difference == 0:
        return 1.0
    return 2 * (1 - NormalDist().cdf(abs(difference) / error)) if error > 0 else 0.0


def _mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p-value that a change is as likely for the better as for the worse."""
    total, few = gained + lost, min(gained, lost)
    if not total:
        return 1.0
    return min(2 * sum(math.comb(total, i) for i in range(few + 1)) / 2**total, 1.0)
