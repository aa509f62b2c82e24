"""The report of multi-label models: a row per label, precision-recall curves, and the images with wrong labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from eyebright.errors import DataError, count_text
from eyebright.evaluation.metric_intervals import (
    FEW_POSITIVES,
    LabelInterval,
    MetricInterval,
    metric_and_label_intervals,
)
from eyebright.evaluation.threshold_origins import origins_text
from eyebright.evaluation.top_losses import LabelCase, top_losses_multilabel
from eyebright.metrics.labels import ClassScores, per_class
from eyebright.report.collapsing import MAX_CARDS, collapsed
from eyebright.report.confusions import confusions_section
from eyebright.report.data import MetricRow, ShownImage, TaskReport
from eyebright.report.label_curves import precision_recall_section, threshold_section
from eyebright.report.label_metrics import METRIC_TITLES, METRICS, LabelMetrics
from eyebright.report.reliability import reliability_section
from eyebright.report.verdict.labels import LabelVerdict
from eyebright.report.verdict.promises import answered_sentence, with_promises
from eyebright.report.verdict.values import MIN_IMAGES, Verdict
from eyebright.tasks.calibration_hash import current_results
from eyebright.types import Thresholds
from eyebright.web.blocks import Card, Cell, Collapsed, Gallery, Section, Table, Tag, TagStyle
from eyebright.web.text import NO_VALUE

_LEGEND = (
    Tag("in the data, not predicted", "missing"),
    Tag("predicted, not in the data", "extra"),
    Tag("in the data and predicted", "correct"),
)
_LEGEND_OF_ASKED = (
    Tag("in the data, answered no", "missing"),
    *_LEGEND[1:],
    Tag("in the data, a person is asked", "asked"),
)


@dataclass(frozen=True, eq=False)
class MultiLabelReport(TaskReport):
    """The report of a multi-label model, which predicts any number of labels for each image.

    Raises:
        DataError: outputs or targets do not have one column for each label.
    """

    def __post_init__(self) -> None:
        shape = (len(self.evaluation), len(self.vocab))
        if self.evaluation.outputs.shape != shape or self.targets.shape != shape:
            raise DataError(
                f"outputs and targets need one column for each of the {len(self.vocab)} labels, "
                f"got {tuple(self.evaluation.outputs.shape)} and {tuple(self.targets.shape)}"
            )

    def summary(self) -> str:
        """The number of images and of labels, of images without a label, and of unknown targets."""
        known_empty = int((self.targets == 0).all(dim=1).sum())
        text = f"{self.set_text}, any of {count_text(len(self.vocab), 'label')} each"
        if known_empty:
            text += f"; {count_text(known_empty, 'image')} without a label"
        if self._unknown.any():
            text += f"; {int(self._unknown.sum()):,} of {self.targets.numel():,} targets unknown and ignored"
        return text

    @property
    def history_note(self) -> str:
        """A note on the thresholds of the metrics after each epoch."""
        return (
            "F1 and other metrics of predicted labels after each epoch use a threshold of 0.5 for all labels; the "
            "scores above use the thresholds of the saved model."
        )

    def metric_rows(self) -> list[MetricRow]:
        """The mAP, F1 in three averages, exact match and Hamming loss."""
        return self._metric_rows

    def verdict(self) -> Verdict:
        """The labels that are found and missed, and what would improve them."""
        decisions = self.thresholds.decide(self.probabilities)
        counts = self.training.get("counts")
        rows = self._metric_rows
        verdict = LabelVerdict(
            self.vocab, self.probabilities, decisions, self.targets, self.scores, rows, counts
        ).verdict()
        verdict = with_promises(verdict, self._tuning, is_three_way=self.thresholds.is_three_way)
        if not self.thresholds.is_three_way:
            return verdict
        abstained = self.thresholds.abstains(self.probabilities)
        return replace(verdict, can=[answered_sentence(decisions, abstained, self.targets), *verdict.can])

    def output_rows(self) -> list[dict[str, Any]]:
        """The scores of each label."""
        counts = self.training.get("counts", [None] * len(self.vocab))
        rows = zip(self.vocab, self.scores, self._intervals[1], counts, strict=True)
        return [_output_row(name, row, interval, count) for name, row, interval, count in rows]

    def sections(self) -> list[Section]:
        """A row per label, the worst mistakes, mixed-up labels, curves for choosing thresholds, and the calibration."""
        curves = (self.vocab, self.probabilities, self.targets, self.scores)
        return [
            Section("Labels", "labels", self._collapsed_table(), self._threshold_text()),
            *self._worst(),
            *confusions_section(self.evaluation),
            precision_recall_section(*curves),
            threshold_section(*curves),
            *reliability_section(self.evaluation, self.vocab),
        ]

    @property
    def vocab(self) -> Sequence[str]:
        """The labels, in the order of the outputs."""
        return self.evaluation.decision.target.output_names

    @property
    def probabilities(self) -> Float[Tensor, "n k"]:
        """The calibrated probability of each label for each image."""
        return self.evaluation.activated

    @property
    def targets(self) -> Shaped[Tensor, "n k"]:
        """The targets: 1 where the image has the label, 0 where not, NaN where unknown."""
        return self.evaluation.targets

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds; a label is predicted if its probability is greater."""
        return self.evaluation.decision.thresholds

    @property
    def thresholds_tuned_on_this_set(self) -> bool:
        """Whether the thresholds were tuned on these images, so that the scores of decisions are optimistic."""
        return self.evaluation.part in ("valid", "out_of_fold")  # validation images are among the latter

    @cached_property
    def scores(self) -> Sequence[ClassScores]:
        """The scores of each label."""
        return per_class(self.probabilities, self.targets, self.thresholds)

    @cached_property
    def _metric_rows(self) -> list[MetricRow]:
        tuned = self.thresholds_tuned_on_this_set
        metrics = LabelMetrics(self.probabilities, self.targets, self.thresholds, self.training, tuned)
        return metrics.rows(self._intervals[0])

    @cached_property
    def _tuning(self) -> dict[str, Any]:
        """The record of the tuning, without what was measured with another calibration."""
        return current_results(self.facts.tuning, self.evaluation.decision.to_json())

    @cached_property
    def _unknown(self) -> Bool[Tensor, "n k"]:
        return self.targets.isnan()

    @cached_property
    def _intervals(self) -> tuple[list[MetricInterval], list[LabelInterval]]:
        """The intervals of the metrics and of the average precision of each label, from one bootstrap."""
        return metric_and_label_intervals(self.evaluation, METRICS)

    # ------------------------------------------------------------------ the table

    def _threshold_text(self) -> str:
        thresholds = self.thresholds
        scope = "one threshold per label" if isinstance(thresholds.values, tuple) else "one threshold for all labels"
        origin = "set by hand"
        if self._tuning.get("promises"):
            origin = origins_text(self.evaluation.decision, self._tuning, METRIC_TITLES)
        elif thresholds.metric is not None:
            images = "these same images" if self.thresholds_tuned_on_this_set else "other images"
            origin = f"tuned for {METRIC_TITLES.get(thresholds.metric, thresholds.metric)} on {images}"
        between = "; between two thresholds a person is asked, which counts as no" * thresholds.is_three_way
        return f"Precision, recall and F1 are computed from the predicted labels: {scope}, {origin}{between}."

    def _collapsed_table(self) -> list[Table | Collapsed]:
        known = [row.f1 if row.positives >= MIN_IMAGES else math.nan for row in self.scores]
        which = f"labels with the lowest F1, of those with at least {MIN_IMAGES} images"
        return collapsed(self._table(self.scores), known, which=which)

    def _table(self, scores: Sequence[ClassScores]) -> Table:
        columns = ["label", "images", "AP", "AP 95 % CI", "precision", "recall", "F1", "threshold", "predicted"]
        rows = [_table_row(*row) for row in zip(self.vocab, scores, self._intervals[1], strict=True)]
        if "counts" in self.training:
            columns.append("in training")
            rows = [[*row, Cell.of(count)] for row, count in zip(rows, self.training["counts"], strict=True)]
        columns.append("known")
        rows = [[*row, Cell.of(score.known)] for row, score in zip(rows, scores, strict=True)]
        if self.thresholds.is_three_way:
            columns += ["no at or below", "asked"]
            rows = [[*row, *cells] for row, cells in zip(rows, self._abstained_cells(), strict=True)]
        caption = (
            "A row per label: images that have it (images), average precision (AP) with its 95 % CI if at least "
            f"{FEW_POSITIVES} images have the label, images for which it was predicted (predicted), and"
            " all images whose label is known (known), which the scores rest on."
        )
        return Table(caption, columns, rows)

    def _abstained_cells(self) -> list[tuple[Cell, Cell]]:
        """The lower threshold of each label, and the number of images for which a person is asked about it."""
        lower = Thresholds(self.thresholds.values if self.thresholds.lower is None else self.thresholds.lower)
        abstained = self.thresholds.abstains(self.probabilities).sum(dim=0).tolist()
        rows = zip(lower.per_class(len(self.vocab)).tolist(), abstained, strict=True)
        return [(Cell.of(value, decimals=2), Cell.of(count)) for value, count in rows]

    # ------------------------------------------------------------------ the images

    def _worst(self) -> list[Section]:
        true, known = self.targets == 1, ~self._unknown
        abstained = self.thresholds.abstains(self.probabilities)
        wrong = ((self.thresholds.decide(self.probabilities) != true) & known & ~abstained).any(dim=1)
        losses = functional.binary_cross_entropy(self.probabilities.float(), true.float(), reduction="none")
        losses = (losses * known).sum(dim=1)
        cases = top_losses_multilabel(
            torch.where(wrong, losses, torch.nan),  # ignores the images without a mistake
            self.probabilities,
            self.targets,
            vocab=self.vocab,
            thresholds=self.thresholds,
            k=MAX_CARDS,
        )
        if not cases:
            return []
        images = self.images([case.index for case in cases])
        cards = [self._card(case, image) for case, image in zip(cases, images, strict=True)]
        intro = (
            f"{count_text(int(wrong.sum()), 'image')} of {len(self.evaluation):,} with a missing or an extra label; "
            f"shown: {len(cards)}, highest loss first. Numbers are probabilities."
        )
        if not self.thresholds.is_three_way:
            return [Section("Worst mistakes", "worst", [Gallery(cards, _LEGEND)], intro)]
        intro += f" Asking a person is not a mistake: {count_text(int(abstained.any(dim=1).sum()), 'image')} ask."
        return [Section("Worst mistakes", "worst", [Gallery(cards, _LEGEND_OF_ASKED)], intro)]

    def _card(self, case: LabelCase, image: ShownImage) -> Card:
        true = [self.vocab[int(k)] for k in (self.targets[case.index] == 1).nonzero()[:, 0].tolist()]
        correct = [label for label in true if label not in (*case.missing, *case.abstained)]
        groups: list[tuple[TagStyle, Sequence[str]]] = [
            ("missing", case.missing),
            ("extra", case.extra),
            ("correct", correct),
            ("asked", case.abstained),
        ]
        tags = [Tag(f"{label} {case.probabilities[label]:.2f}", style) for style, labels in groups for label in labels]
        words = [f"{style}: {', '.join(labels)}" for style, labels in groups if labels]
        return Card(image.name, image.file, image.thumbnail, f"{image.name}; {'; '.join(words)}", tags)


def _output_row(
    name: str, row: ClassScores, average_precision: LabelInterval, in_training: int | None
) -> dict[str, Any]:
    any_positive, any_predicted = row.positives > 0, row.predicted > 0
    interval = average_precision.interval
    return {
        "label": name,
        "known": row.known,
        "images": row.positives,
        "predicted": row.predicted,
        "in_training": in_training,
        "threshold": row.threshold,
        "average_precision": row.average_precision,
        "average_precision_interval": None if interval is None else [interval.low, interval.high],
        "precision": row.precision if any_predicted else None,
        "recall": row.recall if any_positive else None,
        "f1": row.f1 if any_positive or any_predicted else None,
    }


def _table_row(name: str, row: ClassScores, average_precision: LabelInterval) -> list[Cell]:
    """The cells of one label; precision is a dash if it was never predicted, and recall if no image has it."""
    interval = average_precision.interval
    any_positive, any_predicted = row.positives > 0, row.predicted > 0
    return [
        Cell(name),
        Cell.of(row.positives),
        Cell.of(row.average_precision, bar=True),
        Cell(str(average_precision) if any_positive else NO_VALUE)
        if interval is None
        else Cell(f"{interval.low:.2f}-{interval.high:.2f}", interval.high - interval.low),
        Cell.of(row.precision) if any_predicted else Cell(NO_VALUE),
        Cell.of(row.recall) if any_positive else Cell(NO_VALUE),
        Cell.of(row.f1) if any_positive or any_predicted else Cell(NO_VALUE),
        Cell.of(row.threshold, decimals=2),
        Cell.of(row.predicted),
    ]
