"""Intervals of the label metrics, fast: all draws of the bootstrap at once.

Hits and errors are counted for each image once, and a draw only adds them up again. A ranking is sorted once, and a
draw only weighs its images anew. Unknown targets (NaN) count nowhere, as in `eyebright.metrics.labels`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.evaluation.intervals import Interval, bootstrap_totals, draws, percentiles, wilson
from eyebright.metrics.labels import average_precision, split_targets


@dataclass(frozen=True, slots=True)
class RankingIntervals:
    """Intervals of average precision.

    Args:
        mean: of the mean over classes; in each draw the classes without positives are left out.
        classes: of each class; NaN for one without positives.
    """

    mean: Interval
    classes: list[Interval]


def ranking_intervals(
    scores: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> RankingIntervals:
    """The bootstrap intervals of mAP and of each class's average precision.

    Args:
        scores: as in `average_precision`.
        target: as in `average_precision`.
        samples: how many times to draw. The work grows with n * k * samples; many images need few draws.
        seed: of the draws.
        level: the confidence, in (0, 1).

    Raises:
        InputError: as in `average_precision`, or another level or number of samples.
    """
    average_precision(scores, target)  # raises where there is no ranking
    ranked = scores.detach().cpu().double()
    columns = (matrix.numpy().T for matrix in (ranked, *split_targets(target, scores)))
    rankings = [_Ranking.of(s, p, k) for s, p, k in zip(*columns, strict=True)]
    blocks = [
        np.stack([ranking.average_precisions(block) for ranking in rankings], axis=1)
        for block in (np.ascontiguousarray(drawn.T) for drawn in draws(len(scores), samples=samples, seed=seed))
    ]
    each = torch.from_numpy(np.concatenate(blocks))
    columns = torch.cat([each.nanmean(dim=1, keepdim=True), each], dim=1)
    mean, *classes = percentiles(columns.numpy(), level)
    return RankingIntervals(mean, classes)


def decision_intervals(
    decisions: Bool[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """The intervals of the metrics of decisions, by the metrics' names.

    Bootstrap for ``f1_micro``, ``f1_macro``, ``f1_samples`` and ``hamming_loss``; Wilson's for ``subset_accuracy``,
    which is a proportion of the images.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        samples: how many times to draw.
        seed: of the draws.
        level: the confidence, in (0, 1).

    Raises:
        InputError: the shapes differ, or a target is another number; another level or number of samples.
    """
    positive, known = split_targets(target, decisions)
    predicted = (decisions.cpu() == 1) & known
    hits = predicted & positive
    f1_of_image = 2 * hits.sum(1).double() / (predicted.sum(1) + positive.sum(1)).clamp(min=1)
    counted = known.any(dim=1)
    totals = torch.cat([hits, predicted, positive, known, f1_of_image[:, None], counted[:, None]], dim=1)
    classes = decisions.shape[1]

    def statistics(sums: Float[Tensor, "s m"]) -> Float[Tensor, "s 4"]:
        hits, predicted, positives, known = sums[:, :-2].reshape(len(sums), 4, classes).unbind(1)
        both = predicted + positives
        micro = 2 * hits.sum(1) / both.sum(1).clamp(min=1)
        macro = _mean_of_known(2 * hits / both.clamp(min=1), known > 0)
        wrong = (both - 2 * hits).sum(1) / known.sum(1)
        some = torch.where(known.sum(1) > 0, 1.0, torch.nan)  # a draw of which nothing is known has no score
        return torch.stack([micro * some, macro, sums[:, -2] / sums[:, -1], wrong], dim=1)

    found = bootstrap_totals(statistics, totals, samples=samples, seed=seed, level=level)
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
    """One class, sorted once.

    Args:
        order: the images of which the class is known, the highest score first.
        hits: the positives among them, in the same order.
        last: for each positive, the index in ``order`` of the last image with its score.
        last_hit: for each positive, the index in ``hits`` of the last positive with its score.
    """

    order: np.ndarray
    hits: np.ndarray
    last: np.ndarray
    last_hit: np.ndarray

    @staticmethod
    def of(scores: np.ndarray, positive: np.ndarray, known: np.ndarray) -> "_Ranking":
        images = np.flatnonzero(known)
        order = images[np.argsort(-scores[images])]
        falling = -scores[order]
        hits = order[positive[order]]
        falling_hits = -scores[hits]
        last = np.searchsorted(falling, falling_hits, side="right") - 1
        return _Ranking(order, hits, last, np.searchsorted(falling_hits, falling_hits, side="right") - 1)

    def average_precisions(self, drawn: Float[np.ndarray, "n s"]) -> Float[np.ndarray, " s"]:
        """The average precision in each draw; NaN where it has no positives."""
        weights = drawn[self.hits].astype(np.float64)
        predicted = np.cumsum(drawn[self.order], axis=0)[self.last]  # whole numbers: exact in float32
        right = np.cumsum(weights, axis=0)[self.last_hit]
        reached = (weights * right / np.maximum(predicted, 1)).sum(axis=0)
        positives = weights.sum(axis=0)
        return np.where(positives > 0, reached / np.maximum(positives, 1), np.nan)
