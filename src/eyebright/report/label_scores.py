"""The scores of any-number-of-labels answers: each with its interval, and with what not looking at all would score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.label_intervals import RankingIntervals, decision_intervals
from eyebright.evaluation.thresholds import cross_fitted_score
from eyebright.metrics.labels import f1_macro, f1_micro, f1_samples, hamming, mean_ap, mean_average_precision, subset
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


@dataclass(frozen=True, eq=False)
class LabelScores:
    """The rows of the scores of one set.

    Args:
        probabilities: of each label for each image.
        targets: 1 where the image has the label, else 0.
        thresholds: in use.
        training: the summary of the training targets, for the baseline; empty where it is not known.
        tuned_here: True when the thresholds were tuned on these same images.
    """

    probabilities: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n k"]
    thresholds: Thresholds
    training: Mapping[str, Any]
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

    def _baseline(self, metric: Metric) -> Float[Tensor, "n k"] | None:
        """The scores that ignore the image, for every image; None where the training targets are not known."""
        row = self.training.get("baseline", {}).get(metric.name)
        return None if row is None else torch.tensor(row).expand(self.targets.shape)

    def _frequencies(self) -> float | None:
        """The mAP of answering every image with the label frequencies of the training images."""
        frequencies = self._baseline(mean_ap)
        return None if frequencies is None else mean_average_precision(frequencies, self.targets)

    def _fixed_answer(self, metric: Metric) -> float | None:
        """The score of one set of labels for every image: the one that scores best on the training images."""
        constant = self._baseline(metric)
        return None if constant is None else metric(constant > 0, self.targets)


def draws_for(numbers: int) -> int:
    """How often to draw for an interval: the more there is, the less each draw differs, and the longer it takes."""
    return min(max(500_000_000 // max(numbers, 1), 100), 1000)
