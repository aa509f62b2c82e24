"""The input and the value of one metric of an evaluation."""

import math

from jaxtyping import Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.meter import Metric

_MAX_NUMBERS = 200_000_000  # numbers of all resamples together


def affordable_resamples(numbers: int) -> int:
    """The number of bootstrap resamples that take a few seconds for so many numbers; at least 100."""
    return max(_MAX_NUMBERS // max(numbers, 1), 100)


def metric_value(evaluation: Evaluation, metric: Metric) -> float:
    """The value of a metric; NaN if an output is NaN or infinite.

    Raises:
        InputError: the metric takes the logits of points.
    """
    return math.nan if evaluation.not_finite else metric(metric_input(evaluation, metric), evaluation.targets)


def metric_input(evaluation: Evaluation, metric: Metric) -> Shaped[Tensor, "n ..."]:
    """The input of a metric, one row for each image of an evaluation.

    Raises:
        InputError: the metric takes the logits of points, whose targets in pixels of the network's input an evaluation
            does not have.
        DataError: an output is NaN or infinite.
    """
    if metric.takes == "logits":
        if evaluation.decision.target.is_geometric:
            raise InputError(f"the metric '{metric.name}' takes logits; an evaluation has points in the user's units")
        return evaluation.outputs
    activated = evaluation.activated
    return evaluation.decision.decide(activated) if metric.takes == "decisions" else activated
