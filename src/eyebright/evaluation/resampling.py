"""The values of metrics on resamples of the images, from how often each image occurs in each resample.

A ranking of each label (average precision, area under the ROC curve) sorts the images once; a resample changes only
their weights. Any other metric is computed on the rows of each resample. For metrics that are functions of sums over
the images see `eyebright.evaluation.studentized`.

Axes of arrays: n images, s resamples, k classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.metrics.labels import mean_ap, split_targets
from eyebright.metrics.meter import Metric
from eyebright.metrics.rankings import average_precision_micro, roc_auc_macro, roc_auc_micro

Resampled = Callable[[Float[np.ndarray, "s n"]], Float[np.ndarray, " s"]]
"""A function from how often each image occurs in each resample to the metric of each resample."""


def resampled_metric(metric: Metric, given: Shaped[Tensor, "n ..."], target: Shaped[Tensor, "n ..."]) -> Resampled:
    """The function that computes a metric on resamples, if it is not a function of sums.

    It gives NaN for a metric that has no interval.

    Args:
        metric: the metric.
        given: its input, one row for each image.
        target: the encoded target of each image.
    """
    if not metric.has_interval:
        return lambda counts: np.full(len(counts), np.nan)
    if metric.function not in _RANKINGS:
        return resampled_rows(metric, [given, target])
    score_of_ranking, is_micro = _RANKINGS[metric.function]
    rankings = [_micro_ranking(given, target)] if is_micro else rankings_of(given, target)
    return lambda counts: mean_of_known([score_of_ranking(ranking, counts) for ranking in rankings])


def is_ranking(metric: Metric) -> bool:
    """Whether a metric is a ranking metric, between 0 and 1."""
    return metric.function in _RANKINGS


def resampled_rows(statistic: Callable[..., float], arrays: Sequence[Shaped[Tensor, "n ..."]]) -> Resampled:
    """The function that computes any statistic on the rows of each resample.

    Args:
        statistic: a function of the arrays.
        arrays: arrays with one row per image.
    """

    def values(counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        images = np.arange(counts.shape[1])
        rows = (torch.from_numpy(np.repeat(images, row.astype(np.int64))) for row in counts)
        return np.array([float(statistic(*(array[row] for array in arrays))) for row in rows])

    return values


def mean_of_known(values_of_classes: Sequence[Float[np.ndarray, " s"]]) -> Float[np.ndarray, " s"]:
    """The mean of each resample over the classes that are not NaN in it; NaN if all are."""
    total, known = np.zeros(len(values_of_classes[0])), np.zeros(len(values_of_classes[0]))
    for values in values_of_classes:
        is_known = ~np.isnan(values)
        total += np.where(is_known, values, 0)
        known += is_known
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


# ------------------------------------------------------------------------------- rankings


def rankings_of(scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> list["Ranking"]:
    """The ranking of each class.

    Raises:
        InputError: the shapes differ, or a target is not 0, 1 or NaN.
    """
    matrices = (scores.detach().cpu().double(), *split_targets(target, scores))
    return [Ranking.of(*columns) for columns in zip(*(matrix.numpy().T for matrix in matrices), strict=True)]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The images of one class, sorted by their score.

    Args:
        order: indices of the images whose target is known, by decreasing score, shape (known,).
        positives: indices of the positive images among them, in the same order, shape (positives,).
        first: for each positive, the number of images in ``order`` with a greater score, shape (positives,).
        last: for each positive, the position in ``order`` of the last image with the same score, shape (positives,).
        first_positive: the same as ``first``, counted in ``positives``.
        last_positive: the same as ``last``, counted in ``positives``.
    """

    order: np.ndarray
    positives: np.ndarray
    first: np.ndarray
    last: np.ndarray
    first_positive: np.ndarray
    last_positive: np.ndarray

    @staticmethod
    def of(scores: np.ndarray, positive: np.ndarray, known: np.ndarray) -> "Ranking":
        """The ranking of the images with a known target."""
        known_indices = np.flatnonzero(known)
        order = known_indices[np.argsort(-scores[known_indices])]
        positives = order[positive[order]]
        all_scores, hits = -scores[order], -scores[positives]  # increasing
        first, last = (np.searchsorted(all_scores, hits, side=side) for side in ("left", "right"))
        first_positive, last_positive = (np.searchsorted(hits, hits, side=side) for side in ("left", "right"))
        return Ranking(order, positives, first, last - 1, first_positive, last_positive - 1)

    def average_precisions(self, counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        """The average precision of each resample; NaN for a resample without positives.

        Positives with the same score are one step of the curve, and images are added up between steps.

        Args:
            counts: how often each image occurs in each resample.
        """
        if not len(self.positives):
            return np.full(len(counts), np.nan)
        last, first_of_step = np.unique(self.last, return_index=True)
        predicted = _sums_between(counts, self.order[: last[-1] + 1], [0, *(last[:-1] + 1)])
        hits = _sums_between(counts, self.positives, first_of_step)
        precision = np.cumsum(hits, axis=1) / np.maximum(np.cumsum(predicted, axis=1), 1)
        n_positives = hits.sum(axis=1)
        return np.where(n_positives > 0, (hits * precision).sum(axis=1) / np.maximum(n_positives, 1), np.nan)

    def roc_areas(self, counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        """The area under the ROC curve of each resample; NaN for a resample without positives or without negatives.

        Args:
            counts: how often each image occurs in each resample.
        """
        weights = counts[:, self.positives].astype(np.float64)
        zero = np.zeros((len(counts), 1))
        above = np.concatenate([zero, np.cumsum(counts[:, self.order], axis=1, dtype=np.float64)], axis=1)
        hits_above = np.concatenate([zero, np.cumsum(weights, axis=1)], axis=1)
        greater = above[:, self.first] - hits_above[:, self.first_positive]  # negatives with a greater score
        equal = above[:, self.last + 1] - hits_above[:, self.last_positive + 1] - greater
        n_positives, n_images = hits_above[:, -1], above[:, -1]
        pairs = n_positives * (n_images - n_positives)
        lost = (weights * (greater + equal / 2)).sum(axis=1)
        return np.where(pairs > 0, 1 - lost / np.maximum(pairs, 1), np.nan)


def _sums_between(
    counts: Float[np.ndarray, "s n"], order: Int[np.ndarray, " m"], starts: Sequence[int] | Int[np.ndarray, " t"]
) -> Float[np.ndarray, "s t"]:
    """The counts of images in an order, added up from each start to before the next; float64, exact up to 2^24."""
    taken = np.take(counts, order, axis=1, mode="clip")  # "clip" does not copy for a check of bounds
    return np.add.reduceat(taken, starts, axis=1).astype(np.float64)


def _micro_ranking(scores: Tensor, target: Tensor) -> Ranking:
    """The ranking of all cells at once, by the index of their image."""
    positive, known = (matrix.numpy().reshape(-1) for matrix in split_targets(target, scores))
    ranking = Ranking.of(scores.detach().cpu().double().numpy().reshape(-1), positive, known)
    classes = scores.shape[1]
    return replace(ranking, order=ranking.order // classes, positives=ranking.positives // classes)


_RANKINGS: dict[Callable[..., Any], tuple[Callable[[Ranking, np.ndarray], np.ndarray], bool]] = {
    mean_ap.function: (Ranking.average_precisions, False),
    average_precision_micro.function: (Ranking.average_precisions, True),
    roc_auc_macro.function: (Ranking.roc_areas, False),
    roc_auc_micro.function: (Ranking.roc_areas, True),
}
