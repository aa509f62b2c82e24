"""The verdict on a single-label classifier: classes that are recognised or confused, and what would improve them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eyebright.errors import count_text, listing
from eyebright.metrics.labels import ClassScores
from eyebright.report.data import MetricRow
from eyebright.report.verdict.values import MIN_IMAGES, Gain, Recommendation, Verdict, judged, percent, unjudged

_MIN_GOOD_F1 = 0.8  # F1
_SUSPICIOUS = 0.95  # probability of a wrong class from which the target is suspicious
_MIN_CASES = 3
_MIN_SHARE = 0.1  # minimum share of the misclassified images, for a pair of classes
_NAMES = 5
_MAX_CLASSES = 3


@dataclass(frozen=True, eq=False)
class ClassVerdict:
    """Strengths and weaknesses of a classifier on images with a known class, at least one.

    Args:
        vocab: the classes.
        probabilities: the probability of each class for each image.
        predicted: the index of the predicted class of each image.
        targets: the index of the true class of each image.
        scores: the scores of each class.
        rows: the metrics of the whole set.
        counts: how many training images each class has; None if unknown.
    """

    vocab: Sequence[str]
    probabilities: Float[Tensor, "m k"]
    predicted: Int[Tensor, " m"]
    targets: Int[Tensor, " m"]
    scores: Sequence[ClassScores]
    rows: Sequence[MetricRow]
    counts: Sequence[int] | None = None

    def verdict(self) -> Verdict:
        """The sentences and the proposals."""
        recommendations = [
            *self._more_images(),
            *self._confused_pair(),
            *self._suspicious_targets(),
            *self._few_images(),
        ]
        return Verdict(
            [*self._overall(), *self._good()],
            [*self._weak(), *unjudged(self.vocab, self.scores, "class", "classes")],
            recommendations,
        )

    # ------------------------------------------------------------------ what it can and cannot do

    def _overall(self) -> list[str]:
        n_images = len(self.targets)
        baseline = self.rows[0].baseline if self.rows else None
        compared = "" if baseline is None else f"; always predicting the most frequent class: {percent(baseline, 1)}"
        text = f"It predicts the right class for {percent(self._right, n_images)} of the images"
        return [f"{text} ({self._right:,} of {n_images:,}{compared})."]

    def _good(self) -> list[str]:
        good = sorted((k for k in self._judged if self.scores[k].f1 >= _MIN_GOOD_F1), key=lambda k: -self.scores[k].f1)
        if not good:
            return []
        names = listing([self.vocab[k] for k in good], limit=_NAMES)
        return [
            f"{len(good):,} of {count_text(len(self.vocab), 'class', 'classes')} are reliable (F1 of at least "
            f"{_MIN_GOOD_F1:g} on at least {MIN_IMAGES} images): {names}."
        ]

    def _weak(self) -> list[str]:
        order = sorted(self._judged, key=lambda k: self.scores[k].f1)
        weak = [k for k in order if self.scores[k].f1 < _MIN_GOOD_F1][:2] or order[:1]
        return [self._weakness(k) for k in weak if self.scores[k].f1 < 1]

    def _weakness(self, k: int) -> str:
        row = self.scores[k]
        hits = round(row.recall * row.positives)
        text = f"'{self.vocab[k]}': it recognises {hits:,} of its {count_text(row.positives, 'image')}"
        if not row.predicted:
            return f"{text}, and never predicts it (F1 {row.f1:.2f})."
        return f"{text}, and is wrong {row.predicted - hits:,} of the {row.predicted:,} times that it predicts it."

    # ------------------------------------------------------------------ what would help

    def _more_images(self) -> list[Recommendation]:
        """More images of the classes that are weak and not frequent in training."""
        seen = [k for k, row in enumerate(self.scores) if row.positives]
        if len(seen) < 3:
            return []
        typical = median(self.scores[k].recall for k in seen)
        numbers = [row.positives for row in self.scores] if self.counts is None else self.counts
        usual = median(numbers[k] for k in seen)
        weak = [k for k in seen if self.scores[k].recall < typical - 0.02 and numbers[k] <= usual]
        weak = sorted(weak, key=lambda k: self.scores[k].recall)[:_MAX_CLASSES]
        if not weak:
            return []
        where = ("image here", "images here") if self.counts is None else ("training image",)
        classes_text = "; ".join(
            f"'{self.vocab[k]}': {percent(self.scores[k].recall, 1)} of {count_text(self.scores[k].positives, 'image')}"
            f" recognised, {count_text(numbers[k], *where)}"
            for k in weak
        )
        more = sum((typical - self.scores[k].recall) * self.scores[k].positives for k in weak)
        names = tuple(self.vocab[k] for k in weak)
        condition = f"if as many were recognised as of the median class, {percent(typical, 1)}"
        evidence = f"{classes_text} (median class: {usual:,.0f})."
        return [
            Recommendation(
                "rare_classes",
                f"Label more images of {listing(names)}.",
                evidence,
                self._gain(more, condition),
                about=names,
            )
        ]

    def _confused_pair(self) -> list[Recommendation]:
        """The two classes that are most often confused."""
        wrong = self.predicted != self.targets
        low, high = (f(self.predicted[wrong], self.targets[wrong]) for f in (torch.minimum, torch.maximum))
        pairs, counts = torch.unique(low * len(self.vocab) + high, return_counts=True)
        if not len(pairs):
            return []
        best = int(counts.argmax())
        count, total = int(counts[best]), int(wrong.sum())
        if count < _MIN_CASES or count < _MIN_SHARE * total:
            return []
        names = tuple(self.vocab[k] for k in divmod(int(pairs[best]), len(self.vocab)))
        action = f"Tell '{names[0]}' and '{names[1]}' apart: compare their images, and label more that look alike."
        evidence = f"{count:,} of the {total:,} misclassified images are confusions of these two."
        return [
            Recommendation("confused_classes", action, evidence, self._gain(count, "if these were right"), about=names)
        ]

    def _suspicious_targets(self) -> list[Recommendation]:
        """Images on which the model is very certain of another class than the data."""
        sure = (self.probabilities.max(dim=1).values >= _SUSPICIOUS) & (self.predicted != self.targets)
        count = int(sure.sum())
        if count < _MIN_CASES:
            return []
        evidence = (
            f"On {count_text(count, 'misclassified image')} the model is at least {100 * _SUSPICIOUS:.0f} % certain "
            f"of a class that differs from the data."
        )
        gain = self._gain(count, "if the data are wrong in all of them", at_most=True)
        action = "Check the classes of the images at the top of Worst mistakes, and correct those that are wrong."
        return [Recommendation("suspicious_labels", action, evidence, gain)]

    def _few_images(self) -> list[Recommendation]:
        few = sum(row.positives < MIN_IMAGES for row in self.scores)
        if 4 * few < len(self.scores):
            return []
        classes = count_text(len(self.scores), "class", "classes")
        evidence = (
            f"{few:,} of {classes} have fewer than {MIN_IMAGES} evaluated images, so their scores are unreliable."
        )
        return [Recommendation("few_images", "Evaluate on more images of the rare classes.", evidence)]

    def _gain(self, more: float, condition: str, *, at_most: bool = False) -> Gain:
        """The accuracy with this many more images right."""
        n_images = len(self.targets)
        return Gain("accuracy", self._right / n_images, (self._right + more) / n_images, condition, at_most=at_most)

    @cached_property
    def _right(self) -> int:
        return int((self.predicted == self.targets).sum())

    @property
    def _judged(self) -> list[int]:
        return judged([row.positives for row in self.scores])
