"""The scores of any-number-of-labels answers: each with its interval, and with what not looking at all would score."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.label_intervals import RankingIntervals, decision_intervals
from eyebright.evaluation.thresholds import cross_fitted_score
from eyebright.metrics.labels import f1_macro, f1_micro, f1_samples, hamming, mean_average_precision, subset
from eyebright.metrics.meter import Metric
from eyebright.report.data import ScoreRow
from eyebright.types import Thresholds
from eyebright.web.text import count_text, score_text

_DECISIONS: Sequence[tuple[Metric, str, str]] = (
    (f1_macro, "F1, macro", "the mean over the labels, however rare they are"),
    (f1_micro, "F1, micro", "over all decisions at once, so frequent labels count most"),
    (f1_samples, "F1, samples", "the mean over the images"),
    (subset, "Images all right", "no label missing and none too many"),
    (hamming, "Decisions wrong", "of all images times labels; lower is better"),
)
_MOST_LABELS = 20  # that the fixed answer of the baseline may hold, unless it holds all
_ENOUGH_IMAGES = 10_000  # training images, to choose the fixed answer by


@dataclass(frozen=True, eq=False)
class LabelScores:
    """The rows of the scores of one set.

    Args:
        probabilities: of each label for each image.
        targets: 1 where the image has the label, else 0.
        thresholds: in use.
        training_targets: the targets of the training images, for the baseline; None when not at hand.
        tuned_here: True when the thresholds were tuned on these same images.
    """

    probabilities: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n k"]
    thresholds: Thresholds
    training_targets: Shaped[Tensor, "m k"] | None
    tuned_here: bool

    def rows(self, rankings: RankingIntervals) -> list[ScoreRow]:
        """First mAP, which needs no threshold, then the scores of the decisions.

        Args:
            rankings: the intervals of average precision.
        """
        decisions = self.thresholds.decide(self.probabilities)
        draws = draws_for(self.probabilities.numel())
        intervals = decision_intervals(decisions, self.targets, samples=draws)
        return [
            self._mean_ap(rankings.mean),
            *(self._decided(*which, decisions, intervals[which[0].name]) for which in _DECISIONS),
        ]

    def _mean_ap(self, interval: Interval) -> ScoreRow:
        value = mean_average_precision(self.probabilities, self.targets)
        absent = int((self.targets.sum(dim=0) == 0).sum())
        note = "average precision, the mean over the labels; needs no threshold"
        if absent:
            note += f"; {count_text(absent, 'label')} without any image here left out"
        return ScoreRow("mAP", value, interval.low, interval.high, self._frequencies(), note)

    def _decided(self, metric: Metric, name: str, note: str, decisions: Tensor, interval: Interval) -> ScoreRow:
        value = metric(decisions, self.targets)
        tuned = self.tuned_here and self.thresholds.metric == metric.name
        return ScoreRow(
            name,
            value,
            interval.low,
            interval.high,
            self._fixed_answer(metric),
            note + "; the thresholds were tuned for it on these same images" * tuned,
            higher_is_better=metric.higher_is_better,
            expected=self._expected(metric) if tuned else "",
        )

    def _expected(self, metric: Metric) -> str:
        per_class = isinstance(self.thresholds.values, tuple)
        try:
            score = cross_fitted_score(self.probabilities, self.targets, metric=metric.name, per_class=per_class)
        except InputError:  # too few images with labels to tune on some and score on others
            return "less"
        return score_text(score)

    # ------------------------------------------------------------------ the baselines

    def _frequencies(self) -> float | None:
        """The mAP of answering every image with the frequencies of the training images."""
        if self.training_targets is None or len(self.training_targets) == 0:
            return None
        often = self.training_targets.double().mean(dim=0)
        return mean_average_precision(often.expand(self.targets.shape), self.targets)

    def _fixed_answer(self, metric: Metric) -> float | None:
        """The score of one set of labels for every image: the one that scores best on the training images."""
        if self.training_targets is None or len(self.training_targets) == 0:
            return None
        training = self.training_targets[:: len(self.training_targets) // _ENOUGH_IMAGES + 1]
        sets = _nested_sets(training)
        scored = [metric(one.expand(training.shape), training) for one in sets]
        best = max(range(len(sets)), key=lambda i: scored[i] if metric.higher_is_better else -scored[i])
        return metric(sets[best].expand(self.targets.shape), self.targets)


def draws_for(numbers: int) -> int:
    """How often to draw for an interval: the more there is, the less each draw differs, and the longer it takes."""
    return min(max(500_000_000 // max(numbers, 1), 100), 1000)


def _nested_sets(training: Tensor) -> list[Bool[Tensor, " k"]]:
    """No label, the most frequent one, the two most frequent ones, ... and all."""
    order = training.sum(dim=0).argsort(descending=True, stable=True)
    sizes = [*range(min(len(order), _MOST_LABELS) + 1), len(order)]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    return [rank < size for size in dict.fromkeys(sizes)]
