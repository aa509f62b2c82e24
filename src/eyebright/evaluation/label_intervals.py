"""Bootstrap intervals of multi-label metrics, vectorised over resamples.

The counts of each image (true positives, predictions, positives) are computed once and summed for each resample. Scores
are sorted once, and each resample only changes the weights of the images. Unknown targets (NaN) are masked, as in
`eyebright.metrics.labels`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.evaluation.intervals import Interval, bootstrap_totals, percentiles, resample_counts, wilson
from eyebright.metrics.labels import average_precision, split_targets


@dataclass(frozen=True, slots=True)
class RankingIntervals:
    """Intervals of average precision.

    Args:
        mean: the interval of the mean over classes; classes without positives in a resample are left out of its mean.
        classes: the interval of each class; NaN for a class without positives.
    """

    mean: Interval
    classes: list[Interval]


def ranking_intervals(
    scores: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> RankingIntervals:
    """The bootstrap intervals of mAP and of each class's average precision.

    Args:
        scores: as in `average_precision`.
        target: as in `average_precision`.
        n_resamples: number of bootstrap resamples. The run time grows with n * k * n_resamples; large sets need fewer
            resamples.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: as in `average_precision`; no resamples, or a level outside (0, 1).
    """
    of_all = average_precision(scores, target)
    matrices = (scores.detach().cpu().double(), *split_targets(target, scores))
    rankings = [_Ranking.of(*columns) for columns in zip(*(matrix.numpy().T for matrix in matrices), strict=True)]
    blocks = [
        np.stack([ranking.average_precisions(np.ascontiguousarray(counts.T)) for ranking in rankings], axis=1)
        for counts in resample_counts(len(scores), n_resamples=n_resamples, seed=seed)
    ]
    per_class = torch.from_numpy(np.concatenate(blocks))
    with_mean = torch.cat([per_class.nanmean(dim=1, keepdim=True), per_class], dim=1)
    mean, *classes = percentiles(with_mean.numpy(), level, [float(of_all.nanmean()), *of_all.tolist()])
    return RankingIntervals(mean, classes)


def decision_intervals(
    decisions: Bool[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """The intervals of the metrics of decisions, by the name of the metric.

    Bootstrap for ``f1_micro``, ``f1_macro``, ``f1_samples`` and ``hamming_loss``; Wilson's for ``subset_accuracy``,
    which is a proportion of the images.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        n_resamples: number of bootstrap resamples.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: the shapes differ, a target is another number, no resamples, or a level outside (0, 1).
    """
    positive, known = split_targets(target, decisions)
    predicted = (decisions.cpu() == 1) & known
    true_positive = predicted & positive
    f1_of_image = 2 * true_positive.sum(1).double() / (predicted.sum(1) + positive.sum(1)).clamp(min=1)
    counted = known.any(dim=1)
    totals = torch.cat([true_positive, predicted, positive, known, f1_of_image[:, None], counted[:, None]], dim=1)
    classes = decisions.shape[1]

    def statistics(sums: Float[Tensor, "s m"]) -> Float[Tensor, "s 4"]:
        true_positives, predicted, positives, known = sums[:, :-2].reshape(len(sums), 4, classes).unbind(1)
        both = predicted + positives
        micro = 2 * true_positives.sum(1) / both.sum(1).clamp(min=1)
        macro = _mean_of_known(2 * true_positives / both.clamp(min=1), known > 0)
        wrong = (both - 2 * true_positives).sum(1) / known.sum(1)
        some = torch.where(known.sum(1) > 0, 1.0, torch.nan)  # a resample without known targets has no score
        return torch.stack([micro * some, macro, sums[:, -2] / sums[:, -1], wrong], dim=1)

    found = bootstrap_totals(statistics, totals, n_resamples=n_resamples, seed=seed, level=level)
    names = ("f1_micro", "f1_macro", "f1_samples", "hamming_loss")
    exact = int(((predicted == positive).all(dim=1) & counted).sum())
    return {
        **dict(zip(names, found, strict=True)),
        "subset_accuracy": wilson(exact, int(counted.sum()), level=level),
    }


def _mean_of_known(values: Float[Tensor, "s k"], known: Bool[Tensor, "s k"]) -> Float[Tensor, " s"]:
    """The mean of each row over its known cells; NaN for a row without any."""
    return values.mean(1) if bool(known.all()) else torch.where(known, values, torch.nan).nanmean(1)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """The images of one class, sorted by their score.

    Args:
        order: the images whose target is known, by decreasing score.
        positives: the positive images, in the same order.
        last: for each positive, the index in ``order`` of the last image with the same score.
        last_positive: for each positive, the index in ``positives`` of the last positive with the same score.
    """

    order: np.ndarray
    positives: np.ndarray
    last: np.ndarray
    last_positive: np.ndarray

    @staticmethod
    def of(scores: np.ndarray, positive: np.ndarray, known: np.ndarray) -> "_Ranking":
        images = np.flatnonzero(known)
        order = images[np.argsort(-scores[images])]
        positives = order[positive[order]]
        negated, negated_positives = -scores[order], -scores[positives]  # increasing
        last = np.searchsorted(negated, negated_positives, side="right") - 1
        last_positive = np.searchsorted(negated_positives, negated_positives, side="right") - 1
        return _Ranking(order, positives, last, last_positive)

    def average_precisions(self, counts: Float[np.ndarray, "n s"]) -> Float[np.ndarray, " s"]:
        """The average precision of each resample; NaN for a resample without positives.

        Args:
            counts: how often each image occurs in each resample.
        """
        weights = counts[self.positives].astype(np.float64)
        predicted = np.cumsum(counts[self.order], axis=0)[self.last]  # integers: exact in float32
        true_positives = np.cumsum(weights, axis=0)[self.last_positive]
        weighted_precision = (weights * true_positives / np.maximum(predicted, 1)).sum(axis=0)
        positives = weights.sum(axis=0)
        return np.where(positives > 0, weighted_precision / np.maximum(positives, 1), np.nan)
