"""Intervals of the label metrics, fast: all draws of the bootstrap at once.

Hits and misses are counted for each image once, and a draw only adds them up again. A ranking is sorted once, and a
draw only weighs its images anew.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.intervals import Interval, bootstrap_totals, draws, percentiles, wilson
from eyebright.metrics.labels import average_precision


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
    """
    average_precision(scores, target)  # refuses what is not a ranking, in words
    ranked, positive = scores.detach().cpu().double().numpy(), (target.cpu() == 1).numpy()
    rankings = [_Ranking.of(s, p) for s, p in zip(ranked.T, positive.T, strict=True)]
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
        decisions: True where a label is given.
        target: 1 where the image has the label, else 0.
        samples: how many times to draw.
        seed: of the draws.
        level: the confidence, in (0, 1).

    Raises:
        InputError: the shapes differ.
    """
    if decisions.shape != target.shape:
        raise InputError(f"decisions of {tuple(decisions.shape)} and targets of {tuple(target.shape)} differ")
    given, there = decisions.cpu() == 1, target.cpu() == 1
    right = given & there
    alone = 2 * right.sum(1).double() / (given.sum(1) + there.sum(1)).clamp(min=1)
    totals = torch.cat([right, given, there, alone[:, None]], dim=1)
    images, classes = decisions.shape

    def statistics(sums: Float[Tensor, "s m"]) -> Float[Tensor, "s 4"]:
        hits, said, true = sums[:, :-1].reshape(len(sums), 3, classes).unbind(1)
        both = said + true
        micro = 2 * hits.sum(1) / both.sum(1).clamp(min=1)
        macro = (2 * hits / both.clamp(min=1)).mean(1)
        wrong = (both - 2 * hits).sum(1) / (images * classes)
        return torch.stack([micro, macro, sums[:, -1] / images, wrong], dim=1)

    found = bootstrap_totals(statistics, totals, samples=samples, seed=seed, level=level)
    names = ("f1_micro", "f1_macro", "f1_samples", "hamming_loss")
    whole = int((given == there).all(dim=1).sum())
    return {**dict(zip(names, found, strict=True)), "subset_accuracy": wilson(whole, images, level=level)}


@dataclass(frozen=True, eq=False)
class _Ranking:
    """One class, sorted once.

    Args:
        order: the images, the highest score first.
        hits: the positives among them, in the same order.
        given: for each positive, the place in ``order`` of the last image with its score.
        right: for each positive, the place in ``hits`` of the last positive with its score.
    """

    order: np.ndarray
    hits: np.ndarray
    given: np.ndarray
    right: np.ndarray

    @staticmethod
    def of(scores: np.ndarray, positive: np.ndarray) -> "_Ranking":
        order = np.argsort(-scores)
        fallen = -scores[order]
        hits = order[positive[order]]
        fallen_hits = -scores[hits]
        given = np.searchsorted(fallen, fallen_hits, side="right") - 1
        return _Ranking(order, hits, given, np.searchsorted(fallen_hits, fallen_hits, side="right") - 1)

    def average_precisions(self, drawn: Float[np.ndarray, "n s"]) -> Float[np.ndarray, " s"]:
        """The average precision in each draw; NaN where it has no positives."""
        weights = drawn[self.hits].astype(np.float64)
        given = np.cumsum(drawn[self.order], axis=0)[self.given]  # whole numbers: exact in float32
        right = np.cumsum(weights, axis=0)[self.right]
        reached = (weights * right / np.maximum(given, 1)).sum(axis=0)
        positives = weights.sum(axis=0)
        return np.where(positives > 0, reached / np.maximum(positives, 1), np.nan)
