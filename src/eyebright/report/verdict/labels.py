"""The verdict on a multi-label model: labels that are found or missed, and what would improve them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import count_text, listing
from eyebright.metrics.labels import ClassScores, f1_macro
from eyebright.report.data import MetricRow
from eyebright.report.verdict.values import MIN_IMAGES, Gain, Recommendation, Verdict, judged, percent, unjudged
from eyebright.web.text import score_text

_GOOD, _POOR = 0.8, 0.5  # F1
_SUSPICIOUS = 0.95  # probability of a wrong answer from which the target is suspicious
_MIN_CASES = 3
_MIN_SHARE = 0.1  # minimum share of the images with a mistake, for a pair of labels
_OPTIMISM = 0.03  # minimum difference of the score at tuned thresholds from the expected one
_NAMES = 5  # labels in a sentence
_MAX_LABELS = 3  # labels in one proposal


@dataclass(frozen=True, eq=False)
class LabelVerdict:
    """Strengths and weaknesses of a multi-label model on a set of images.

    Args:
        vocab: the labels.
        probabilities: the probability of each label for each image.
        decisions: True where a label is predicted.
        targets: 1 where the image has the label, 0 where not, NaN where unknown.
        scores: the scores of each label.
        rows: the metrics of the whole set.
        counts: how many training images have each label; None if unknown.
    """

    vocab: Sequence[str]
    probabilities: Float[Tensor, "n k"]
    decisions: Bool[Tensor, "n k"]
    targets: Shaped[Tensor, "n k"]
    scores: Sequence[ClassScores]
    rows: Sequence[MetricRow]
    counts: Sequence[int] | None = None

    def verdict(self) -> Verdict:
        """The sentences and the proposals; without known targets, only that."""
        if not bool(self._known.any()):
            return Verdict(cannot=["No target of these images is known, so the model cannot be judged."])
        recommendations = [
            *self._more_images(),
            *self._hard_labels(),
            *self._confused_pair(),
            *self._suspicious_targets(),
            *self._optimism(),
            *self._few_images(),
        ]
        return Verdict(
            [*self._overall(), *self._good()],
            [*self._weak(), *unjudged(self.vocab, self.scores, "label")],
            recommendations,
        )

    # ------------------------------------------------------------------ what it can and cannot do

    def _overall(self) -> list[str]:
        hits, predicted, positives = (int(m.sum()) for m in (self._hits, self._predicted, self._positive))
        sentences: list[str] = []
        if predicted and positives:
            sentences.append(
                f"Of the labels that it predicts, {percent(hits, predicted)} are right ({hits:,} of {predicted:,}); of "
                f"the labels that the images have, it finds {percent(hits, positives)} ({hits:,} of {positives:,})."
            )
        judged = self._known.any(dim=1)
        right = int((~self._wrong.any(dim=1) & judged).sum())
        n_judged = int(judged.sum())
        baseline = next((row.baseline for row in self.rows if row.name == "exact match"), None)
        compared = "" if baseline is None else f"; a constant prediction: {percent(baseline, 1)}"
        sentences.append(
            f"{percent(right, n_judged)} of the images have no missing and no extra label ({right:,} of "
            f"{n_judged:,}{compared})."
        )
        return sentences

    def _good(self) -> list[str]:
        good = [k for k in self._judged if self.scores[k].f1 >= _GOOD]
        good.sort(key=lambda k: -self.scores[k].f1)
        if not good:
            return []
        names = listing([self.vocab[k] for k in good], limit=_NAMES)
        return [
            f"{len(good):,} of {count_text(len(self.vocab), 'label')} are reliable (F1 of at least {_GOOD:g} on at "
            f"least {MIN_IMAGES} images): {names}."
        ]

    def _weak(self) -> list[str]:
        order = sorted(self._judged, key=lambda k: self.scores[k].f1)
        poor = [k for k in order if self.scores[k].f1 < _POOR]
        weak = [k for k in order if self.scores[k].f1 < _GOOD][:2]
        sentences = [self._weakness(k) for k in weak if self.scores[k].f1 < 1]
        if len(poor) > 2:
            names = listing([self.vocab[k] for k in poor[2:]], limit=_NAMES)
            sentences.append(f"Also weak (F1 below {_POOR:g}): {names}.")
        return sentences

    def _weakness(self, k: int) -> str:
        row = self.scores[k]
        hits = round(row.recall * row.positives)
        wrong = row.predicted - hits
        text = f"'{self.vocab[k]}': it finds {hits:,} of the {count_text(row.positives, 'image')} that have it"
        if not row.predicted:
            return f"{text}, and never predicts it (F1 {row.f1:.2f})."
        return f"{text}, and is wrong {wrong:,} of the {row.predicted:,} times that it predicts it (F1 {row.f1:.2f})."

    # ------------------------------------------------------------------ what would help

    def _more_images(self) -> list[Recommendation]:
        """More images of the labels that are weak and rare in training."""
        if len(self._scored) < 3:
            return []
        numbers = self._numbers
        typical = median(numbers[k] for k in self._scored)
        weak = [k for k in self._below_median if numbers[k] < typical][:_MAX_LABELS]
        if not weak:
            return []
        where = ("image here", "images here") if self.counts is None else ("training image",)
        evidence = "; ".join(
            f"'{self.vocab[k]}': F1 {self.scores[k].f1:.2f} on {count_text(self.scores[k].positives, 'image')}, "
            f"{count_text(numbers[k], *where)}"
            for k in weak
        )
        gain = self._gain_at_median(weak)
        names = tuple(self.vocab[k] for k in weak)
        action = f"Label more images of {listing(names)}."
        return [Recommendation("rare_labels", action, f"{evidence} (median label: {typical:,.0f}).", gain, about=names)]

    def _hard_labels(self) -> list[Recommendation]:
        """Labels that are weak although they are frequent in training."""
        if len(self._scored) < 3 or self.counts is None:
            return []
        typical = median(self.counts[k] for k in self._scored)
        hard = [k for k in self._below_median if self.counts[k] >= typical][:1]
        if not hard:
            return []
        (k,) = hard
        row, name = self.scores[k], self.vocab[k]
        missed = row.positives - round(row.recall * row.positives)
        extra = row.predicted - round(row.precision * row.predicted)
        action = f"Go through the mistakes with '{name}': is it clear when an image has it, and are its labels right?"
        evidence = (
            f"F1 {row.f1:.2f} although {self.counts[k]:,} training images have it (median label: {typical:,.0f}); "
            f"missed on {missed:,} of {row.positives:,} images, predicted wrongly on {extra:,}."
        )
        return [Recommendation("hard_label", action, evidence, self._gain_at_median(hard), about=(name,))]

    def _confused_pair(self) -> list[Recommendation]:
        """The two labels that are most often predicted instead of each other."""
        missing, extra = (self._positive & self._wrong).float(), (self._predicted & self._wrong).float()
        counts = missing.T @ extra
        counts = counts + counts.T
        best = int(counts.argmax())
        a, b = sorted(divmod(best, len(self.vocab)))
        count, wrong = int(counts.flatten()[best]), int(self._wrong.any(dim=1).sum())
        if count < _MIN_CASES or count < _MIN_SHARE * wrong:
            return []
        swapped = (missing[:, a] * extra[:, b] + missing[:, b] * extra[:, a]) > 0
        fixed = self.decisions.clone()
        for k in (a, b):
            fixed[swapped, k] = self._positive[swapped, k]
        names = (self.vocab[a], self.vocab[b])
        action = f"Tell '{names[0]}' and '{names[1]}' apart: compare their images, and label more that look alike."
        evidence = f"On {count:,} of the {wrong:,} images with a mistake one is predicted instead of the other."
        gain = self._gain(fixed, self.targets, "if these were right")
        return [Recommendation("confused_labels", action, evidence, gain, about=names)]

    def _suspicious_targets(self) -> list[Recommendation]:
        """Targets that contradict very certain answers, where the data may be wrong."""
        sure = torch.where(self.decisions, self.probabilities, 1 - self.probabilities) >= _SUSPICIOUS
        cells = self._wrong & sure
        images, extra = int(cells.any(dim=1).sum()), int((cells & self._predicted).sum())
        if images < _MIN_CASES:
            return []
        corrected = torch.where(cells, self.decisions.to(self.targets.dtype), self.targets)
        missing = int(cells.sum()) - extra
        evidence = (
            f"On {count_text(images, 'image')} the model is at least {100 * _SUSPICIOUS:.0f} % certain of the "
            f"opposite of the data ({extra:,} labels that the data lack, {missing:,} that the model does not see)."
        )
        gain = self._gain(self.decisions, corrected, "if the data are wrong in all of them", at_most=True)
        action = "Check the labels of the images at the top of Worst mistakes, and correct those that are wrong."
        return [Recommendation("suspicious_labels", action, evidence, gain)]

    def _optimism(self) -> list[Recommendation]:
        """The scores at tuned thresholds that are higher than cross-validated ones, each as a recommendation."""
        tuned = [row for row in self.rows if row.expected is not None and not math.isnan(row.expected)]
        recommendations: list[Recommendation] = []
        for row in tuned:
            expected = float(row.expected or 0)
            if row.value - expected < _OPTIMISM or not row.higher_is_better:
                continue
            evidence = (
                f"Tuned on some of these images and scored on the others, {row.name} is {score_text(expected)}; "
                f"{row.text} is the score on the images that the thresholds were tuned on."
            )
            action = f"Expect {row.name} {score_text(expected)}, not {row.text}, and tune thresholds on more images."
            gain = Gain(row.name, expected, row.value, "on new images", at_most=True)
            recommendations.append(Recommendation("optimistic_thresholds", action, evidence, gain))
        return recommendations

    def _few_images(self) -> list[Recommendation]:
        few = sum(row.positives < MIN_IMAGES for row in self.scores)
        if 4 * few < len(self.scores):
            return []
        evidence = (
            f"{few:,} of {count_text(len(self.scores), 'label')} have fewer than {MIN_IMAGES} evaluated images, so "
            f"their scores are unreliable."
        )
        return [Recommendation("few_images", "Evaluate on more images of the rare labels.", evidence)]

    # ------------------------------------------------------------------ numbers

    def _gain_at_median(self, which: Sequence[int]) -> Gain:
        """The macro F1 if these labels reached the median F1 of all labels."""
        typical = self._median_f1
        before = f1_macro(self.decisions, self.targets)
        after = before + sum(typical - self.scores[k].f1 for k in which) / len(self._scored)
        them = "it" if len(which) == 1 else "they"
        return Gain("macro F1", before, after, f"if {them} reached the median F1 of all labels, {typical:.2f}")

    def _gain(self, decisions: Tensor, targets: Tensor, condition: str, *, at_most: bool = False) -> Gain:
        before, after = f1_macro(self.decisions, self.targets), f1_macro(decisions, targets)
        return Gain("macro F1", before, after, condition, at_most=at_most)

    @cached_property
    def _known(self) -> Bool[Tensor, "n k"]:
        return ~self.targets.isnan()

    @cached_property
    def _positive(self) -> Bool[Tensor, "n k"]:
        return self.targets == 1

    @cached_property
    def _predicted(self) -> Bool[Tensor, "n k"]:
        return self.decisions & self._known

    @cached_property
    def _hits(self) -> Bool[Tensor, "n k"]:
        return self._predicted & self._positive

    @cached_property
    def _wrong(self) -> Bool[Tensor, "n k"]:
        return (self._predicted != self._positive) & self._known

    @property
    def _judged(self) -> list[int]:
        """The labels with enough images to be judged."""
        return judged([row.positives for row in self.scores])

    @property
    def _scored(self) -> list[int]:
        """The labels over which macro F1 is the mean."""
        return [k for k, row in enumerate(self.scores) if row.known]

    @cached_property
    def _median_f1(self) -> float:
        return median(self.scores[k].f1 for k in self._scored)

    @cached_property
    def _below_median(self) -> list[int]:
        """Labels of these images whose F1 is clearly below the median; the weakest first."""
        weak = [k for k in self._scored if self.scores[k].positives and self.scores[k].f1 < self._median_f1 - 0.02]
        return sorted(weak, key=lambda k: self.scores[k].f1)

    @property
    def _numbers(self) -> Sequence[int]:
        return [row.positives for row in self.scores] if self.counts is None else self.counts
