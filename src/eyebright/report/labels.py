"""Any number of labels for each image: how each class fares, and the worst mistakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.label_intervals import RankingIntervals, ranking_intervals
from eyebright.evaluation.worst import LabelCase, worst_labels
from eyebright.metrics.labels import ClassScores, per_class
from eyebright.report.data import Answers, ScoreRow
from eyebright.report.label_curves import precision_recall_section, threshold_section
from eyebright.report.label_scores import LabelScores, draws_for
from eyebright.types import Thresholds
from eyebright.web.blocks import Card, Cell, Gallery, Section, Table, Tag, TagStyle
from eyebright.web.text import NO_VALUE, count_text
from eyebright.web.thumbnails import short_names, thumbnail

_MOST_CARDS = 24
_ENOUGH = 10  # images with the label; drawing again from fewer says nothing about others (from one: 1.00 to 1.00)
_LEGEND = (
    Tag("in the data, not said", "missing"),
    Tag("said, not in the data", "extra"),
    Tag("in the data, and said", "correct"),
)


@dataclass(frozen=True, eq=False)
class LabelAnswers(Answers):
    """Answers of a model that gives each image any number of labels, also none.

    Args:
        vocab: the classes.
        probabilities: of each class for each image.
        targets: 1 where the image has the label, else 0.
        thresholds: in use.
        training: the summary of the training targets, for the baseline; empty where it is not known.
        tuned_here: False when the thresholds were tuned on other images than these; scores are then unbiased.
    """

    vocab: Sequence[str]
    probabilities: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n k"]
    thresholds: Thresholds
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tuned_here: bool = True

    def __post_init__(self) -> None:
        shape = (len(self.probabilities), len(self.vocab))
        if self.probabilities.shape != shape or self.targets.shape != shape:
            raise DataError(
                f"probabilities and targets need one column for each of the {len(self.vocab)} classes, "
                f"got {tuple(self.probabilities.shape)} and {tuple(self.targets.shape)}"
            )

    @staticmethod
    def of(evaluation: Evaluation) -> "LabelAnswers":
        """The answers of an evaluation."""
        decision = evaluation.decision
        return LabelAnswers(
            decision.task.output_names,
            evaluation.scores,
            evaluation.targets,
            decision.thresholds,
            evaluation.training,
            tuned_here=evaluation.part == "valid",
        )

    def __len__(self) -> int:
        return len(self.targets)

    def summary(self) -> str:
        """How many images and labels."""
        empty = int((self.targets.sum(dim=1) == 0).sum())
        without = f"; {count_text(empty, 'image')} without any" if empty else ""
        return f"{count_text(len(self), 'image')}, any of {count_text(len(self.vocab), 'label')} each{without}"

    def scores(self) -> list[ScoreRow]:
        """Mean average precision, F1 in three averages, images all right, and decisions wrong."""
        scores = LabelScores(self.probabilities, self.targets, self.thresholds, self.training, self.tuned_here)
        return scores.rows(self._rankings)

    def sections(self, paths: Sequence[str]) -> list[Section]:
        """A table of labels, the worst mistakes, and the curves that thresholds are chosen by."""
        rows = per_class(self.probabilities, self.targets, self.thresholds)
        return [
            Section("Labels", "labels", [self._table(rows)], self._threshold_words()),
            *self._worst(paths),
            precision_recall_section(self.vocab, self.probabilities, self.targets, rows),
            threshold_section(self.vocab, self.probabilities, self.targets, rows),
        ]

    @cached_property
    def _rankings(self) -> RankingIntervals:
        return ranking_intervals(self.probabilities, self.targets, samples=draws_for(self.probabilities.numel()))

    # ------------------------------------------------------------------ the table

    def _threshold_words(self) -> str:
        each = "one for each label" if isinstance(self.thresholds.values, tuple) else "the same for all labels"
        how = "set by hand"
        if self.thresholds.metric is not None:
            images = "these same images" if self.tuned_here else "other images"
            how = f"tuned for {self.thresholds.metric} on {images}"
        return f"Precision, recall and F1 are those at the thresholds in use: {each}, {how}."

    def _table(self, scores: Sequence[ClassScores]) -> Table:
        columns = ["label", "images", "AP", "AP, 95 %", "precision", "recall", "F1", "threshold", "given"]
        intervals = self._rankings.classes
        rows = [_table_row(*one) for one in zip(self.vocab, scores, intervals, strict=True)]
        if "counts" in self.training:
            columns.append("in training")
            rows = [[*row, Cell.of(count)] for row, count in zip(rows, self.training["counts"], strict=True)]
        caption = (
            "Every label: how many images have it, how rightly they were found, and how many were given it. Average "
            f"precision (AP) has a 95 % interval where at least {_ENOUGH} images have the label."
        )
        return Table(caption, columns, rows)

    # ------------------------------------------------------------------ the images

    def _worst(self, paths: Sequence[str]) -> list[Section]:
        true = self.targets == 1
        wrong = (self.thresholds.decide(self.probabilities) != true).any(dim=1)
        losses = functional.binary_cross_entropy(self.probabilities.float(), true.float(), reduction="none").sum(dim=1)
        cases = worst_labels(
            torch.where(wrong, losses, torch.nan),  # leaves the images out that are all right
            self.probabilities,
            true,
            vocab=self.vocab,
            thresholds=self.thresholds,
            most=_MOST_CARDS,
        )
        if not cases:
            return []
        names = short_names(paths, [case.index for case in cases])
        cards = [self._card(case, paths[case.index], name) for case, name in zip(cases, names, strict=True)]
        words = (
            f"{count_text(int(wrong.sum()), 'image')} with a label too many or too few at the thresholds in use. "
            f"Here are the {len(cards)} that surprised the model most: those with the highest loss."
        )
        return [Section("The worst mistakes", "worst", [Gallery(cards, _LEGEND)], words)]

    def _card(self, case: LabelCase, path: str, name: str) -> Card:
        true = [self.vocab[int(at)] for at in self.targets[case.index].nonzero()[:, 0].tolist()]
        right = [label for label in true if label not in case.missing]
        groups: list[tuple[TagStyle, Sequence[str]]] = [
            ("missing", case.missing),
            ("extra", case.extra),
            ("correct", right),
        ]
        tags = [Tag(f"{label} {case.probabilities[label]:.2f}", what) for what, labels in groups for label in labels]
        words = [f"{what}: {', '.join(labels)}" for what, labels in groups if labels]
        return Card(name, path, thumbnail(path), f"{name}; {'; '.join(words)}", tags)


def _table_row(name: str, row: ClassScores, interval: Interval) -> list[Cell]:
    """The cells of one label; empty where nothing is known: recall of nothing, precision of what was never given."""
    enough, there, given = row.positives >= _ENOUGH, row.positives > 0, row.given > 0
    return [
        Cell(name),
        Cell.of(row.positives),
        Cell.of(row.average_precision, bar=True),
        Cell(f"{interval.low:.2f} to {interval.high:.2f}", interval.high - interval.low) if enough else Cell(NO_VALUE),
        Cell.of(row.precision) if given else Cell(NO_VALUE),
        Cell.of(row.recall) if there else Cell(NO_VALUE),
        Cell.of(row.f1) if there or given else Cell(NO_VALUE),
        Cell.of(row.threshold, decimals=2),
        Cell.of(row.given),
    ]
