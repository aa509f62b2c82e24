"""`find_slices`: scores of parts of the evaluated images, such as those of one camera or one site.

A slice is compared with all other images. The difference is judged by a z test with standard errors from the bootstrap
(Efron & Tibshirani, 1993, An Introduction to the Bootstrap, chapter 6). With many slices some are worse by chance, so
p-values are corrected for the number of slices (Holm, 1979, Scandinavian Journal of Statistics 6:65).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePath
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from eyebright._defaults import CONFIDENCE
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.metric_value import affordable_resamples, metric_input, metric_value
from eyebright.evaluation.scores import Score, draw
from eyebright.metrics.meter import Metric

MAX_VALUES = 20
"""The maximum number of different values of a column that gives slices; more would give slices of few images."""

MIN_IMAGES = 10
"""The minimum number of images of a slice, and of all others."""

MAX_SLICES = 100
"""Slices that are compared: the first ones, in the order of the columns."""

_RESAMPLES = 400
IMAGE_SIZE = "size of the image"
FILE_TYPE = "type of the file"


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the evaluated images, and how they are scored.

    Args:
        column: the column of the data, or a property of the images.
        value: the value of these images.
        count: number of images.
        score: their score.
        interval: the 95 % interval of the score.
        others: the score of all other images.
        p_value: the p-value of the difference, two-sided, corrected for the number of slices; NaN if it cannot be
            computed.
        is_worse: whether the score is worse than that of the others.
    """

    column: str
    value: str
    count: int
    score: float
    interval: Interval
    others: float
    p_value: float
    is_worse: bool


def find_slices(evaluation: Evaluation, metric: Metric | None = None) -> list[Slice]:
    """The slices of an evaluation by its columns with few values and by the sizes and types of the images.

    Those that are worse than the others come first, by increasing p-value.

    Args:
        evaluation: the outputs.
        metric: the metric; None: the main one for this kind of target.

    Raises:
        InputError: the metric takes the logits of points.
    """
    metric = metric or evaluation.decision.target.metrics()[0]
    if evaluation.not_finite:
        return []
    members = (candidate for name, column in _columns(evaluation) for candidate in _members(name, column))
    candidates = list(islice(members, MAX_SLICES))
    if not candidates:
        return []
    whole_error = _scored(evaluation, metric)[2]
    slices = [_slice(evaluation, metric, whole_error, *candidate) for candidate in candidates]
    corrected = holm([data_slice.p_value for data_slice in slices])
    slices = [replace(data_slice, p_value=p) for data_slice, p in zip(slices, corrected, strict=True)]
    return sorted(
        slices,
        key=lambda data_slice: (
            not data_slice.is_worse,
            data_slice.p_value if data_slice.p_value == data_slice.p_value else 1.0,
        ),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p-values; NaN stays NaN and does not count as a test."""
    values = np.array(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    values[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0) if len(order) else []
    return values.tolist()


def _columns(evaluation: Evaluation) -> list[tuple[str, Sequence[Any]]]:
    """(name, value of each image) of each property by which the images can be sliced."""
    columns = [
        (str(evaluation.columns.columns[i]), evaluation.columns.iloc[:, i].tolist()) for i in _column_range(evaluation)
    ]
    areas = evaluation.sizes.double().prod(dim=1) / 1e6
    low, high = torch.quantile(areas, torch.tensor([1 / 3, 2 / 3], dtype=torch.float64)).tolist()
    if low < high:
        words = (
            f"up to {low:.2g} megapixels",
            f"{low:.2g} to {high:.2g} megapixels",
            f"more than {high:.2g} megapixels",
        )
        columns.append((IMAGE_SIZE, [words[int(area > low) + int(area > high)] for area in areas.tolist()]))
    return [*columns, (FILE_TYPE, [PurePath(file).suffix.lower() for file in evaluation.files])]


def _column_range(evaluation: Evaluation) -> range:
    return range(evaluation.columns.shape[1] if len(evaluation.columns) else 0)


def _members(name: str, column: Sequence[Any]) -> list[tuple[str, str, list[int]]]:
    """(column, value, rows) of each slice."""
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(column):
        if not pd.isna(value) and value != "":
            rows.setdefault(str(value), []).append(row)
            if len(rows) > MAX_VALUES:
                return []
    if len(rows) < 2:
        return []
    enough = [
        (name, value, members)
        for value, members in rows.items()
        if MIN_IMAGES <= len(members) <= len(column) - MIN_IMAGES
    ]
    is_halved = len(rows) == 2 and sum(map(len, rows.values())) == len(column)
    return enough[:1] if is_halved else enough  # of two slices each is the rest of the other


def _slice(evaluation: Evaluation, metric: Metric, whole_error: float, name: str, value: str, rows: list[int]) -> Slice:
    inside = evaluation.take(rows)
    chosen = np.zeros(len(evaluation), dtype=np.bool_)
    chosen[rows] = True
    others = evaluation.take(np.flatnonzero(~chosen).tolist())
    score, interval, error = _scored(inside, metric)
    rest = metric_value(others, metric)
    # The error of the others is nearly that of all images, which is computed once.
    error_of_rest = whole_error * math.sqrt(len(evaluation) / len(others))
    both = math.hypot(error, error_of_rest)
    p_value = 2 * (1 - NormalDist().cdf(abs(score - rest) / both)) if both > 0 else math.nan
    is_worse = score < rest if metric.higher_is_better else score > rest
    return Slice(name, value, len(rows), score, interval, rest, p_value, is_worse)


def _scored(evaluation: Evaluation, metric: Metric) -> tuple[float, Interval, float]:
    """(the metric, its interval, its bootstrap standard error)."""
    given, groups = metric_input(evaluation, metric), evaluation.group_codes
    score = Score.of_metric(metric, given, evaluation.targets, groups)
    functions = [score.resampled] if score.smooth is None else [score.resampled, score.function]
    count = min(affordable_resamples(given.numel()), _RESAMPLES)
    draws = draw(functions, len(evaluation), groups=groups, n_resamples=count, seed=0)
    return score.value, score.interval(draws[-1], level=CONFIDENCE), _standard_error(draws[0].drawn)


def _standard_error(values: Float[np.ndarray, "s"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else math.nan
