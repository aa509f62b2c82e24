"""The report of single-label classifiers: a row per class, the confusion matrix, and the misclassified images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from eyebright.errors import DataError, count_text
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.metric_value import affordable_resamples
from eyebright.evaluation.scores import Score, score_intervals
from eyebright.evaluation.top_losses import LabelCase, top_losses_single_label
from eyebright.metrics.labels import ClassScores, f1_macro, per_class
from eyebright.metrics.meter import Metric
from eyebright.report.collapsing import MAX_CARDS, collapsed
from eyebright.report.data import MetricRow, ShownImage, TaskReport
from eyebright.report.reliability import reliability_section
from eyebright.report.verdict.classes import ClassVerdict
from eyebright.report.verdict.values import MIN_IMAGES, Verdict
from eyebright.tasks.base import TargetBlock
from eyebright.types import Thresholds
from eyebright.web.blocks import Card, Cell, Collapsed, Gallery, Section, Table, Tag
from eyebright.web.text import NO_VALUE

_MAX_IN_MATRIX = 20  # classes; a wider table cannot be read
_MAX_PAIRS = 15


@dataclass(frozen=True, eq=False)
class ClassReport(TaskReport):
    """The report of a model that predicts one class for each image.

    Raises:
        DataError: the outputs lack a column for each class, or the targets are not one class for each image.
    """

    def __post_init__(self) -> None:
        scores, targets = self.evaluation.activated, self.evaluation.targets
        if scores.shape != (len(self.evaluation), len(self.vocab)) or targets.shape != (len(self.evaluation),):
            raise DataError(
                f"{len(self.evaluation)} images and {len(self.vocab)} classes need one probability for each class and "
                f"one target for each image, got {tuple(scores.shape)} and {tuple(targets.shape)}"
            )

    def summary(self) -> str:
        """The number of images and of classes, and of images whose class is unknown."""
        text = f"{self.set_text}, one of {count_text(len(self.vocab), 'class', 'classes')} each"
        unknown = len(self.evaluation) - len(self.known_indices)
        return text + (f"; the class of {unknown:,} is unknown, and they are ignored" if unknown else "")

    def metric_rows(self) -> list[MetricRow]:
        """Accuracy, macro F1 and more metrics of the target block; the baseline predicts the majority class."""
        return self._metric_rows

    def verdict(self) -> Verdict:
        """The classes that are recognised and confused, and what would improve them."""
        if not len(self.known_indices):
            return Verdict(cannot=["No class of these images is known, so the model cannot be judged."])
        data = (self.vocab, self.probabilities, self.predicted, self.targets)
        return ClassVerdict(*data, self.scores, self._metric_rows, self.training.get("counts")).verdict()

    def output_rows(self) -> list[dict[str, Any]]:
        """The scores of each class."""
        counts = self.training.get("counts", [None] * len(self.vocab))
        return [_output_row(*row) for row in zip(self.vocab, self.scores, counts, strict=False)]

    def sections(self) -> list[Section]:
        """A row per class, the confusion matrix, the worst mistakes and the calibration."""
        if not len(self.known_indices):
            return []
        return [
            Section("Classes", "classes", self._collapsed_table()),
            Section("Confusion matrix", "confusion", self._confusion()),
            *self._worst(),
            *reliability_section(self.evaluation, self.vocab),
        ]

    @property
    def vocab(self) -> Sequence[str]:
        """The classes, in the order of their probabilities."""
        return self.block.value_names

    @property
    def block(self) -> TargetBlock:
        """The fitted target block."""
        return self.evaluation.decision.target

    @cached_property
    def known_indices(self) -> Int[Tensor, " m"]:
        """The indices in the evaluation of the images whose class is known."""
        targets = self.evaluation.targets
        return (targets.isfinite() & (targets >= 0)).nonzero()[:, 0]

    @cached_property
    def probabilities(self) -> Float[Tensor, "m k"]:
        """The calibrated probability of each class, for each image with a known class."""
        return self.evaluation.activated[self.known_indices]

    @cached_property
    def targets(self) -> Int[Tensor, " m"]:
        """The index of the true class of each image with a known class."""
        return self.evaluation.targets[self.known_indices].long()

    @cached_property
    def _metric_rows(self) -> list[MetricRow]:
        if not len(self.known_indices):
            return []
        groups = self.evaluation.group_codes
        known = None if groups is None else groups[self.known_indices.numpy()]
        others = [m for m in self.block.metrics() if m.takes == "probabilities" and m.name != "accuracy"]
        predicted, true = self._one_hot(self.predicted), self._one_hot(self.targets)
        scores = [
            Score.of_proportion(self.predicted == self.targets, known),
            Score.of_metric(f1_macro, predicted, true, known),
            *(Score.of_metric(metric, self.probabilities, self.targets, known) for metric in others),
        ]
        resamples = affordable_resamples(self.probabilities.numel())
        intervals = score_intervals(scores, len(true), groups=known, n_resamples=min(resamples, 1000))
        rows = [self._accuracy(intervals[0]), self._macro_f1(scores[1].value, intervals[1])]
        return [*rows, *(self._other(metric, interval) for metric, interval in zip(others, intervals[2:], strict=True))]

    @cached_property
    def scores(self) -> Sequence[ClassScores]:
        """The scores of each class; empty if no class is known."""
        if not len(self.known_indices):
            return []
        return per_class(self._one_hot(self.predicted).float(), self._one_hot(self.targets), Thresholds(0.5))

    @cached_property
    def predicted(self) -> Int[Tensor, " m"]:
        """The index of the predicted class of each image with a known class."""
        decoded = self.evaluation.decoded  # for ordered classes the median, not the argmax
        return torch.stack([self.block.encode(decoded[i]) for i in self.known_indices.tolist()])

    # ------------------------------------------------------------------ scores

    def _other(self, metric: Metric, interval: Interval) -> MetricRow:
        # The best constant prediction per metric; "*" is used for all other metrics (TargetBlock.training_summary).
        constants = self.training.get("baseline", {})
        constant = constants.get(metric.name, constants.get("*"))
        baseline = (
            None if constant is None else metric(torch.tensor(constant).expand_as(self.probabilities), self.targets)
        )
        score = MetricRow(
            metric.display_name,
            metric(self.probabilities, self.targets),
            interval.low,
            interval.high,
            baseline,
            higher_is_better=metric.higher_is_better,
            is_share=False,  # may be outside [0, 1], so no bar is drawn
        )
        return self._resting(score)

    @cached_property
    def _majority(self) -> Int[Tensor, " m"] | None:
        """The most frequent class of the training images, for each image; None if unknown."""
        if "baseline" not in self.training:
            return None
        return torch.tensor(self.training["baseline"]["*"]).argmax().expand(len(self.known_indices))

    def _accuracy(self, interval: Interval) -> MetricRow:
        n_images, majority = len(self.known_indices), self._majority
        right = int((self.predicted == self.targets).sum())
        baseline = None if majority is None else float((majority == self.targets).double().mean())
        note = f"{right:,} of {count_text(n_images, 'image')} right"
        score = MetricRow("accuracy", right / n_images, interval.low, interval.high, baseline, note)
        return self._resting(score)

    def _resting(self, row: MetricRow) -> MetricRow:
        """The row with the number of images with a known class, which each score rests on."""
        return replace(row, images=len(self.known_indices), cells=len(self.known_indices))

    def _macro_f1(self, value: float, interval: Interval) -> MetricRow:
        true, majority = self._one_hot(self.targets), self._majority
        baseline = None if majority is None else f1_macro(self._one_hot(majority), true)
        note = "mean over the classes, unweighted"
        return self._resting(MetricRow("macro F1", value, interval.low, interval.high, baseline, note))

    def _one_hot(self, indices: Int[Tensor, " m"]) -> Bool[Tensor, "m k"]:
        return functional.one_hot(indices, len(self.vocab)).bool()

    # ------------------------------------------------------------------ tables

    def _collapsed_table(self) -> list[Table | Collapsed]:
        known = [row.f1 if row.positives >= MIN_IMAGES else math.nan for row in self.scores]
        which = f"classes with the lowest F1, of those with at least {MIN_IMAGES} images"
        return collapsed(self._class_table(), known, which=which)

    def _class_table(self) -> Table:
        columns = ["class", "images", "precision", "recall", "F1", "predicted"]
        rows = [_table_row(name, row) for name, row in zip(self.vocab, self.scores, strict=True)]
        if "counts" in self.training:
            columns.append("in training")
            rows = [[*row, Cell.of(count)] for row, count in zip(rows, self.training["counts"], strict=True)]
        caption = (
            "A row per class: images of the class (images), and the images that it was predicted for (predicted), of "
            f"the {count_text(len(self.known_indices), 'image')} with a known class."
        )
        return Table(caption, columns, rows)

    def _confusion(self) -> list[Table]:
        n_classes = len(self.vocab)
        pairs = self.targets * n_classes + self.predicted
        counts = torch.bincount(pairs, minlength=n_classes * n_classes).reshape(n_classes, n_classes)
        matrix = [self._matrix(counts)] if n_classes <= _MAX_IN_MATRIX else []
        return [*matrix, *self._most_confused(counts)]

    def _matrix(self, counts: Int[Tensor, "k k"]) -> Table:
        share = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
        rows: list[list[Cell]] = []
        for i, name in enumerate(self.vocab):
            # third: the colour of right predictions; second: of mistakes
            cells = [
                Cell(f"{n:,}" if n else "", float(n), tint=tint, tone="third" if i == j else "second")
                for j, (n, tint) in enumerate(zip(counts[i].tolist(), share[i].tolist(), strict=True))
            ]
            rows.append([Cell(name), *cells])
        caption = "Rows: the true class. Columns: the predicted class. The colour shows the share of the row."
        return Table(caption, ("true class", *self.vocab), rows, sortable=False, matrix=True)

    def _most_confused(self, counts: Int[Tensor, "k k"]) -> list[Table]:
        wrong = counts.clone().fill_diagonal_(0)
        order = wrong.flatten().argsort(descending=True, stable=True)[:_MAX_PAIRS].tolist()
        pairs = [divmod(int(i), len(self.vocab)) for i in order if wrong.flatten()[i] > 0]
        rows = [
            [
                Cell(self.vocab[true]),
                Cell(self.vocab[predicted]),
                Cell.of(int(wrong[true, predicted])),
                Cell.of(float(wrong[true, predicted] / counts[true].sum())),
            ]
            for true, predicted in pairs
        ]
        columns = ("true class", "predicted class", "images", "share of the true class")
        return [Table("The most frequent confusions", columns, rows)] if rows else []

    # ------------------------------------------------------------------ images

    def _worst(self) -> list[Section]:
        wrong = self.predicted != self.targets
        losses = -self.probabilities.gather(1, self.targets[:, None])[:, 0].log()
        cases = top_losses_single_label(
            torch.where(wrong, losses, torch.nan),  # ignores the images that are right
            self.probabilities,
            self.targets,
            predicted=self.predicted,
            vocab=self.vocab,
            k=MAX_CARDS,
        )
        if not cases:
            return []
        images = self.images([int(self.known_indices[case.index]) for case in cases])
        cards = [_card(case, image) for case, image in zip(cases, images, strict=True)]
        intro = (
            f"{count_text(int(wrong.sum()), 'image')} of {len(self.known_indices):,} misclassified; shown: "
            f"{len(cards)}, the lowest probability of the true class first. Numbers are probabilities."
        )
        # The styles of the multi-label cards: "missing" for the true class, "extra" for the predicted one.
        legend = (Tag("true class", "missing"), Tag("predicted class", "extra"))
        return [Section("Worst mistakes", "worst", [Gallery(cards, legend)], intro)]


def _output_row(name: str, row: ClassScores, in_training: int | None) -> dict[str, Any]:
    any_image, any_predicted = row.positives > 0, row.predicted > 0
    return {
        "class": name,
        "known": row.known,
        "images": row.positives,
        "predicted": row.predicted,
        "in_training": in_training,
        "precision": row.precision if any_predicted else None,
        "recall": row.recall if any_image else None,
        "f1": row.f1 if any_image or any_predicted else None,
    }


def _table_row(name: str, row: ClassScores) -> list[Cell]:
    """The cells of one class; precision is a dash if it was never predicted, and recall if no image has it."""
    any_image, any_predicted = row.positives > 0, row.predicted > 0
    return [
        Cell(name),
        Cell.of(row.positives),
        Cell.of(row.precision) if any_predicted else Cell(NO_VALUE),
        Cell.of(row.recall) if any_image else Cell(NO_VALUE),
        Cell.of(row.f1, bar=True) if any_image or any_predicted else Cell(NO_VALUE),
        Cell.of(row.predicted),
    ]


def _card(case: LabelCase, image: ShownImage) -> Card:
    (true,), (predicted,) = case.missing, case.extra
    tags = [
        Tag(f"{true} {case.probabilities[true]:.2f}", "missing"),
        Tag(f"{predicted} {case.probabilities[predicted]:.2f}", "extra"),
    ]
    alt_text = f"{image.name}: predicted {predicted}, true class {true}"
    return Card(image.name, image.file, image.thumbnail, alt_text, tags)
