"""The values of metrics on resamples of the images, from how often each image occurs in each resample.

There are three ways, from the fastest to the slowest:

- A metric that is a function of sums over the images (see `eyebright.evaluation.metric_sums`) needs one product of
  matrices.
- A ranking of each label (average precision, area under the ROC curve) sorts the images once; a resample changes only
  their weights.
- Any other metric is computed on the rows of each resample.

Axes of arrays: n images, s resamples, m summands of an image, k classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.evaluation.metric_sums import Sums, sums_of
from eyebright.metrics.labels import mean_ap, split_targets
from eyebright.metrics.meter import Metric
from eyebright.metrics.rankings import micro_ap, roc_auc_macro, roc_auc_micro

Resampled = Callable[[Float[np.ndarray, "s n"]], Float[np.ndarray, " s"]]
"""A function from how often each image occurs in each resample to the metric of each resample."""


def resampled_metric(metric: Metric, given: Shaped[Tensor, "n ..."], target: Shaped[Tensor, "n ..."]) -> Resampled:
    """The function that computes a metric on resamples.

    Args:
        metric: the metric.
        given: what it takes, of each image.
        target: the encoded target of each image.
    """
    sums = sums_of(metric)
    if sums is not None:
        return _of_sums(sums, given, target)
    if metric.function in _RANKINGS:
        each, is_micro = _RANKINGS[metric.function]
        rankings = [_micro_ranking(given, target)] if is_micro else rankings_of(given, target)
        return lambda counts: _nanmean([each(ranking, np.ascontiguousarray(counts.T)) for ranking in rankings])
    return _of_rows(metric, given, target)


def _of_sums(sums: Sums, given: Tensor, target: Tensor) -> Resampled:
    summands = sums.summands(given, target)

    def values(counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        weights = torch.from_numpy(counts).to(summands.dtype)
        return sums.statistic((weights @ summands).double()).numpy()

    return values


def _of_rows(metric: Metric, given: Tensor, target: Tensor) -> Resampled:
    def values(counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        images = np.arange(counts.shape[1])
        rows = (torch.from_numpy(np.repeat(images, row.astype(np.int64))) for row in counts)
        return np.array([metric(given[row], target[row]) for row in rows])

    return values


def _nanmean(each: list[Float[np.ndarray, " s"]]) -> Float[np.ndarray, " s"]:
    """The mean of each resample over the classes that are not NaN in it; NaN if all are."""
    total, known = np.zeros(len(each[0])), np.zeros(len(each[0]))
    for values in each:
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
        first_positive: as ``first`` in ``positives``.
        last_positive: as ``last`` in ``positives``.
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

    def average_precisions(self, counts: Float[np.ndarray, "n s"]) -> Float[np.ndarray, " s"]:
        """The average precision of each resample; NaN for a resample without positives.

        Args:
            counts: how often each image occurs in each resample.
        """
        weights = counts[self.positives].astype(np.float64)
        predicted = np.cumsum(counts[self.order], axis=0)[self.last]  # integers, exact in float32 up to 2^24 images
        true_positives = np.cumsum(weights, axis=0)[self.last_positive]
        weighted_precision = (weights * true_positives / np.maximum(predicted, 1)).sum(axis=0)
        n_positives = weights.sum(axis=0)
        return np.where(n_positives > 0, weighted_precision / np.maximum(n_positives, 1), np.nan)

    def roc_areas(self, counts: Float[np.ndarray, "n s"]) -> Float[np.ndarray, " s"]:
        """The area under the ROC curve of each resample; NaN for one without positives or without negatives.

        Args:
            counts: how often each image occurs in each resample.
        """
        weights = counts[self.positives].astype(np.float64)
        zero = np.zeros((1, counts.shape[1]))
        above = np.concatenate([zero, np.cumsum(counts[self.order], axis=0, dtype=np.float64)])
        hits_above = np.concatenate([zero, np.cumsum(weights, axis=0)])
        greater = above[self.first] - hits_above[self.first_positive]  # negatives with a greater score
        equal = above[self.last + 1] - hits_above[self.last_positive + 1] - greater
        n_positives, n_images = hits_above[-1], above[-1]
        pairs = n_positives * (n_images - n_positives)
        lost = (weights * (greater + equal / 2)).sum(axis=0)
        return np.where(pairs > 0, 1 - lost / np.maximum(pairs, 1), np.nan)


def _micro_ranking(scores: Tensor, target: Tensor) -> Ranking:
    """The ranking of all cells at once, by the index of their image."""
    positive, known = (matrix.numpy().reshape(-1) for matrix in split_targets(target, scores))
    ranking = Ranking.of(scores.detach().cpu().double().numpy().reshape(-1), positive, known)
    classes = scores.shape[1]
    return replace(ranking, order=ranking.order // classes, positives=ranking.positives // classes)


_RANKINGS: dict[Callable[..., Any], tuple[Callable[[Ranking, np.ndarray], np.ndarray], bool]] = {
    mean_ap.function: (Ranking.average_precisions, False),
    micro_ap.function: (Ranking.average_precisions, True),
    roc_auc_macro.function: (Ranking.roc_areas, False),
    roc_auc_micro.function: (Ranking.roc_areas, True),
}
