"""Metrics as functions of sums over the images, so that a bootstrap computes all resamples by one product of matrices.

Each entry computes m numbers for each image, and the metric from their sums over the images (of a resample).

Axes of tensors: n images, k classes, s resamples, m summands of an image, p points.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.evaluation.rare_mistakes import (
    Mistakes,
    false_alarms,
    mistakes_in_brier_score,
    mistakes_in_coverage,
    mistakes_in_log_loss,
    mistakes_in_ranking_loss,
    unusual_counts,
)
from eyebright.metrics import calibration, decisions, labels, ordinal, point_scores, points, rankings, values
from eyebright.metrics.meter import Metric

Summands = Callable[[Tensor, Tensor], Shaped[Tensor, "n m"]]
Statistic = Callable[[Float[Tensor, "s m"]], Float[Tensor, " s"]]
Limits = tuple[float, float]
"""The smallest and the greatest possible score."""

SHARE: Limits = (0, 1)
ERROR: Limits = (0, math.inf)


@dataclass(frozen=True, slots=True)
class Sums:
    """A metric as a smooth function of sums, invariant to a common factor of all sums.

    Args:
        summands: a function from the metric's input and the targets to the numbers of each image.
        statistic: a function from the sums of them, one row per resample, to the metric.
        limits: the smallest and the greatest possible value of the metric.
        is_proportion: whether the summands are a success and a trial, each 0 or 1, and the metric their quotient.
        limits_of: the limits from the metric's input and the targets, instead of ``limits``.
        trials: from the summands, the greatest number of independent trials that a share can have; None: any.
        mistakes: those of each image, of a loss that rare mistakes dominate.
        opposite: what makes it smaller as rarely.
    """

    summands: Summands
    statistic: Statistic
    limits: Limits = ERROR
    is_proportion: bool = False
    limits_of: Callable[[Tensor, Tensor], Limits] | None = None
    trials: Callable[[Shaped[Tensor, "n m"]], float] | None = None
    mistakes: Mistakes | None = None
    opposite: Mistakes | None = None


def sums_of(metric: Metric) -> Sums | None:
    """The metric as a function of sums; None if it is not such a function, or unknown."""
    function: Any = metric.function
    if not isinstance(function, partial):
        return _SUMS_OF_METRIC.get(function)
    if function.func is rankings.mean_of_images:
        of_image = function.keywords["each"]
        if of_image is rankings.coverage_errors:
            return replace(_mean(of_image, SHARE), limits_of=_coverage_limits, mistakes=mistakes_in_coverage)
        return replace(
            _mean(of_image, SHARE), mistakes=mistakes_in_ranking_loss if of_image is rankings.ranking_losses else None
        )
    if function.func is decisions.fbeta:
        return _count_sums(partial(_fbeta, beta=function.keywords["beta"]), function.keywords["average"])
    if function.func is decisions.jaccard:
        return _count_sums(_jaccard, function.keywords["average"])
    if function.func in (point_scores.nme, point_scores.relative_pck, point_scores.error_curve_area):
        limits = ERROR if function.func is point_scores.nme else SHARE
        return Sums(partial(_relative_points, function.func, **function.keywords), quotient, limits)
    return None


# ------------------------------------------------------------------------------- statistics of sums


def quotient(sums: Float[Tensor, "s 2"]) -> Float[Tensor, " s"]:
    """The first sum divided by the second; NaN for 0 / 0."""
    return sums[:, 0] / sums[:, 1]


def _root(sums: Float[Tensor, "s 2"]) -> Float[Tensor, " s"]:
    return quotient(sums).sqrt()


def _complement(sums: Float[Tensor, "s 2"]) -> Float[Tensor, " s"]:
    return 1 - quotient(sums)


def _per_1000(sums: Float[Tensor, "s 2"]) -> Float[Tensor, " s"]:
    return 1000 * quotient(sums)


# ------------------------------------------------------------------------------- counts of decisions


def _fbeta(hits: Tensor, predicted: Tensor, positives: Tensor, *, beta: float) -> Tensor:
    return decisions.fbeta_of_counts(hits, predicted, positives, beta=beta)


def _jaccard(hits: Tensor, predicted: Tensor, positives: Tensor) -> Tensor:
    return labels.ratio(hits, predicted + positives - hits)


def _precision(hits: Tensor, predicted: Tensor, positives: Tensor) -> Tensor:
    return labels.ratio(hits, predicted)


def _recall(hits: Tensor, predicted: Tensor, positives: Tensor) -> Tensor:
    return labels.ratio(hits, positives)


def _count_sums(score: Callable[[Tensor, Tensor, Tensor], Tensor], average: str) -> Sums:
    """A score of (hits, predicted, positives), of all decisions or averaged over classes or images."""
    if average == "samples":
        return _mean(partial(_image_scores, score), SHARE)
    if average == "micro":
        return Sums(_all_counts, partial(_micro, score), SHARE, trials=_positive_or_predicted)
    return Sums(class_counts, partial(_macro, score), SHARE)


def _all_counts(decided: Tensor, target: Tensor) -> Float[Tensor, "n 4"]:
    return torch.stack([cells.sum(dim=1).float() for cells in labels.decision_cells(decided, target)], dim=1)


def _positive_or_predicted(counts: Float[Tensor, "n 4"]) -> float:
    """The number of labels that an image has or that are predicted for it: each is right, missed or a false alarm."""
    hits, predicted, positives, _ = counts.double().sum(dim=0).tolist()
    return predicted + positives - hits


def class_counts(decided: Tensor, target: Tensor) -> Bool[Tensor, "n m"]:
    """The hits, predictions, positives and known cells of each class, 4 k numbers."""
    return torch.cat(list(labels.decision_cells(decided, target)), dim=1)


def _micro(score: Callable[[Tensor, Tensor, Tensor], Tensor], sums: Float[Tensor, "s 4"]) -> Float[Tensor, " s"]:
    hits, predicted, positives, known = sums.unbind(1)
    return torch.where(known > 0, score(hits, predicted, positives), torch.nan)


def _macro(score: Callable[[Tensor, Tensor, Tensor], Tensor], sums: Float[Tensor, "s m"]) -> Float[Tensor, " s"]:
    hits, predicted, positives, known = sums.reshape(len(sums), 4, -1).unbind(1)
    return torch.where(known > 0, score(hits, predicted, positives), torch.nan).nanmean(dim=1)


def _image_scores(
    score: Callable[[Tensor, Tensor, Tensor], Tensor], decided: Tensor, target: Tensor
) -> Float[Tensor, " n"]:
    hits, predicted, positives, known = (cells.sum(dim=1).double() for cells in labels.decision_cells(decided, target))
    return torch.where(known > 0, score(hits, predicted, positives), torch.nan)


def _mean(of_image: Callable[[Tensor, Tensor], Float[Tensor, " n"]], limits: Limits) -> Sums:
    """The mean over the images of a value that is NaN for images that do not count."""
    return Sums(partial(_value_and_one, of_image), quotient, limits)


def _value_and_one(
    of_image: Callable[[Tensor, Tensor], Float[Tensor, " n"]], given: Tensor, target: Tensor
) -> Float[Tensor, "n 2"]:
    value = of_image(given, target)
    return torch.stack([value.nan_to_num(0), (~value.isnan()).double()], dim=1)


def _coverage_limits(scores: Tensor, target: Tensor) -> Limits:
    """The coverage errors if all labels of each image are first, at least, and the number of labels."""
    known = ~target.isnan().all(dim=1)
    least = float((target[known] == 1).sum(dim=1).min()) if known.any() else 0.0
    return min(least, scores.shape[1] - 1.0), float(scores.shape[1])


def _wrong_cells(decided: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    hits, predicted, positives, known = _all_counts(decided, target).unbind(1)
    return torch.stack([predicted + positives - 2 * hits, known], dim=1)


def _known_cells(wrong: Float[Tensor, "n 2"]) -> float:
    return float(wrong[:, 1].sum(dtype=torch.float64))


def _exact(decided: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    wrong, known = _wrong_cells(decided, target).unbind(1)
    return torch.stack([(wrong == 0) & (known > 0), known > 0], dim=1).double()


def _alarms(decided: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    hits, predicted, _, known = _all_counts(decided, target).unbind(1)
    return torch.stack([predicted - hits, (known > 0).float()], dim=1)


def _n_labels(decided: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    count = decided.cpu().double().sum(dim=1)
    return torch.stack([count, torch.ones_like(count)], dim=1)


# ------------------------------------------------------------------------------- classes, numbers, points


def _right(scores: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    known = target.cpu() >= 0
    return torch.stack([(scores.cpu().argmax(dim=-1) == target.cpu()) & known, known], dim=1).double()


def _wrong(scores: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    right, known = _right(scores, target).unbind(1)
    return torch.stack([known - right, known], dim=1)


def _median_right(probabilities: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    known = target.cpu() >= 0
    right = ordinal.median_class(probabilities.detach().cpu()) == target.cpu()
    return torch.stack([right & known, known], dim=1).double()


def _numbers(power: int, predicted: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    predicted, target = values.in_same_shape(predicted, target)
    known = ~target.isnan()
    errors = torch.where(known, (predicted - target).abs() ** power, 0)
    return torch.stack([errors.flatten(1).sum(dim=1), known.double().flatten(1).sum(dim=1)], dim=1)


def _points(predicted: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    labelled = ~target.cpu().isnan().any(dim=-1)
    errors = torch.where(labelled, points.point_errors(predicted, target), 0)
    return torch.stack([errors.sum(dim=1), labelled.double().sum(dim=1)], dim=1)


def _relative_points(
    function: Callable[..., float], predicted: Tensor, target: Tensor, *, size_of: point_scores.SizeOf, **limits: float
) -> Float[Tensor, "n 2"]:
    errors, counts = point_scores.relative_errors(predicted, target, size_of=size_of)
    if function is point_scores.relative_pck:
        errors = (errors <= limits["within"]) * counts
    elif function is point_scores.error_curve_area:
        errors = torch.where(errors < limits["up_to"], 1 - errors / limits["up_to"], 0) * counts
    return torch.stack([errors.sum(dim=1), counts.sum(dim=1)], dim=1)


def _log_losses(probabilities: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    losses, known = calibration.image_log_losses(probabilities, target)
    return torch.stack([losses, known.double()], dim=1)


def _squares(probabilities: Tensor, target: Tensor) -> Float[Tensor, "n 2"]:
    ready = probabilities.detach().cpu().double()
    if target.ndim == 1:
        classes = target.detach().cpu().long()
        rows = torch.nn.functional.one_hot(classes.clamp(min=0), ready.shape[1])
        known = (classes >= 0).double()
        return torch.stack([(ready - rows).square().sum(dim=1) * known, known], dim=1)
    positive, known = labels.split_targets(target, probabilities)
    errors = torch.where(known, (ready - positive.double()).square(), 0)
    return torch.stack([errors.sum(dim=1), known.double().sum(dim=1)], dim=1)


_SUMS_OF_METRIC: dict[Callable[..., Any], Sums] = {
    labels.f1_micro.function: _count_sums(partial(_fbeta, beta=1), "micro"),
    labels.f1_macro.function: _count_sums(partial(_fbeta, beta=1), "macro"),
    labels.f1_samples.function: _count_sums(partial(_fbeta, beta=1), "samples"),
    labels.hamming_loss: Sums(_wrong_cells, quotient, SHARE, trials=_known_cells),
    labels.subset_accuracy: Sums(_exact, quotient, SHARE, is_proportion=True),
    labels.accuracy: Sums(_right, quotient, SHARE, is_proportion=True),
    labels.error_rate: Sums(_wrong, quotient, SHARE, is_proportion=True),
    decisions.recall_micro.function: _count_sums(_recall, "micro"),
    decisions.precision_micro.function: _count_sums(_precision, "micro"),
    decisions.accuracy_multi_metric.function: Sums(_wrong_cells, _complement, SHARE, trials=_known_cells),
    decisions.false_alarms_per_1000: Sums(_alarms, _per_1000, mistakes=false_alarms),
    decisions.labels_per_image: Sums(
        _n_labels, quotient, mistakes=partial(unusual_counts, sign=1), opposite=partial(unusual_counts, sign=-1)
    ),
    calibration.log_loss: Sums(_log_losses, quotient, mistakes=mistakes_in_log_loss),
    calibration.brier_score: Sums(_squares, quotient, mistakes=mistakes_in_brier_score),
    ordinal.ordinal_accuracy: Sums(_median_right, quotient, SHARE, is_proportion=True),
    values.mean_absolute_error: Sums(partial(_numbers, 1), quotient),
    values.root_mean_squared_error: Sums(partial(_numbers, 2), _root),
    points.mean_point_error: Sums(_points, quotient),
}
