"""One label for each image: which classes are told apart, which are taken for which, and the worst mistakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import bootstrap, wilson
from eyebright.evaluation.worst import LabelCase, worst_classes
from eyebright.metrics.labels import ClassScores, f1, per_class
from eyebright.report.data import Answers, ScoreRow
from eyebright.types import Thresholds
from eyebright.web.blocks import Card, Cell, Gallery, Section, Table, Tag
from eyebright.web.text import NO_VALUE, count_text
from eyebright.web.thumbnails import short_names, thumbnail

_MOST_IN_MATRIX = 20  # classes; a wider table cannot be read
_MOST_PAIRS = 15
_MOST_CARDS = 24


@dataclass(frozen=True, eq=False)
class ClassAnswers(Answers):
    """Answers of a model that gives each image exactly one label.

    Args:
        vocab: the classes.
        probabilities: of each class for each image.
        targets: the index of the true class of each image.
        training: the summary of the training targets, for the baseline; empty where it is not known.
    """

    vocab: Sequence[str]
    probabilities: Float[Tensor, "n k"]
    targets: Int[Tensor, " n"]
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.targets), len(self.vocab)):
            raise DataError(
                f"{len(self.targets)} images and {len(self.vocab)} classes need as many probabilities, "
                f"got {tuple(self.probabilities.shape)}"
            )

    @staticmethod
    def of(evaluation: Evaluation) -> "ClassAnswers":
        """The answers of an evaluation."""
        task = evaluation.decision.task
        return ClassAnswers(list(task.classes), evaluation.scores, evaluation.targets, evaluation.training)

    def __len__(self) -> int:
        return len(self.targets)

    def summary(self) -> str:
        """How many images and classes."""
        return f"{count_text(len(self), 'image')}, one of {count_text(len(self.vocab), 'class', 'classes')} each"

    def scores(self) -> list[ScoreRow]:
        """Accuracy and macro F1; the baseline always says the class that is most frequent in training."""
        said, majority = self.probabilities.argmax(dim=1), self._majority()
        return [self._accuracy(said, majority), self._macro_f1(said, majority)]

    def sections(self, paths: Sequence[str]) -> list[Section]:
        """A table of classes, what was taken for what, and the worst mistakes."""
        return [
            Section("Classes", "classes", [self._class_table()]),
            Section("What was taken for what", "confusion", self._confusion()),
            *self._worst(paths),
        ]

    # ------------------------------------------------------------------ scores

    def _majority(self) -> Int[Tensor, " n"] | None:
        """What the baseline says for each image."""
        if "baseline" not in self.training:
            return None
        return torch.tensor(self.training["baseline"]["*"]).argmax().expand(len(self))

    def _accuracy(self, said: Tensor, majority: Tensor | None) -> ScoreRow:
        right = int((said == self.targets).sum())
        interval = wilson(right, len(self))
        baseline = None if majority is None else float((majority == self.targets).double().mean())
        note = f"{right:,} of {len(self):,} images right"
        return ScoreRow("Accuracy", right / len(self), interval.low, interval.high, baseline, note)

    def _macro_f1(self, said: Tensor, majority: Tensor | None) -> ScoreRow:
        interval = bootstrap(self._f1, [said, self.targets])
        baseline = None if majority is None else self._f1(majority, self.targets)
        note = "the mean over the classes, however rare they are"
        return ScoreRow("F1, macro", self._f1(said, self.targets), interval.low, interval.high, baseline, note)

    def _f1(self, said: Tensor, targets: Tensor) -> float:
        return f1(self._one_hot(said), self._one_hot(targets), average="macro")

    def _one_hot(self, indices: Tensor) -> Tensor:
        return functional.one_hot(indices, len(self.vocab)).bool()

    # ------------------------------------------------------------------ tables

    def _class_table(self) -> Table:
        said = self._one_hot(self.probabilities.argmax(dim=1)).float()
        scores = per_class(said, self._one_hot(self.targets), Thresholds(0.5))
        columns = ["class", "images", "precision", "recall", "F1", "said"]
        rows = [_table_row(name, row) for name, row in zip(self.vocab, scores, strict=True)]
        if "counts" in self.training:
            columns.append("in training")
            rows = [[*row, Cell.of(count)] for row, count in zip(rows, self.training["counts"], strict=True)]
        return Table(
            "Every class: how many images it has, how rightly they were found, and how often it was said",
            columns,
            rows,
        )

    def _confusion(self) -> list[Table]:
        classes = len(self.vocab)
        pairs = self.targets * classes + self.probabilities.argmax(dim=1)
        counts = torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        matrix = [self._matrix(counts)] if classes <= _MOST_IN_MATRIX else []
        return [*matrix, *self._most_confused(counts)]

    def _matrix(self, counts: Tensor) -> Table:
        share = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
        rows: list[list[Cell]] = []
        for i, name in enumerate(self.vocab):
            cells = [
                Cell(f"{n:,}" if n else "", float(n), tint=tint, tone="third" if i == j else "second")
                for j, (n, tint) in enumerate(zip(counts[i].tolist(), share[i].tolist(), strict=True))
            ]
            rows.append([Cell(name), *cells])
        caption = "Rows: the true class. Columns: what was said. The colour is the share of the row."
        return Table(caption, ("true class", *self.vocab), rows, sortable=False, matrix=True)

    def _most_confused(self, counts: Tensor) -> list[Table]:
        wrong = counts.clone().fill_diagonal_(0)
        order = wrong.flatten().argsort(descending=True, stable=True)[:_MOST_PAIRS].tolist()
        places = [divmod(at, len(self.vocab)) for at in order if wrong.flatten()[at] > 0]
        rows = [
            [
                Cell(self.vocab[int(true)]),
                Cell(self.vocab[int(said)]),
                Cell.of(int(wrong[true, said])),
                Cell.of(float(wrong[true, said] / counts[true].sum())),
            ]
            for true, said in places
        ]
        columns = ("true class", "said", "images", "share of the class")
        return [Table("The most frequent confusions", columns, rows)] if rows else []

    # ------------------------------------------------------------------ images

    def _worst(self, paths: Sequence[str]) -> list[Section]:
        wrong = self.probabilities.argmax(dim=1) != self.targets
        losses = -self.probabilities.gather(1, self.targets[:, None])[:, 0].log()
        cases = worst_classes(
            torch.where(wrong, losses, torch.nan),  # leaves the images out that are right
            self.probabilities,
            self.targets,
            vocab=self.vocab,
            most=_MOST_CARDS,
        )
        if not cases:
            return []
        names = short_names(paths, [case.index for case in cases])
        cards = [_card(case, paths[case.index], name) for case, name in zip(cases, names, strict=True)]
        words = (
            f"{count_text(int(wrong.sum()), 'image')} of {len(self):,} wrong. "
            f"Here are the {len(cards)} whose true class was given the least probability."
        )
        legend = (Tag("the true class", "missing"), Tag("what was said", "extra"))
        return [Section("The worst mistakes", "worst", [Gallery(cards, legend)], words)]


def _table_row(name: str, row: ClassScores) -> list[Cell]:
    """The cells of one class; empty where nothing is known: recall of nothing, precision of what was never said."""
    there, said = row.positives > 0, row.given > 0
    return [
        Cell(name),
        Cell.of(row.positives),
        Cell.of(row.precision) if said else Cell(NO_VALUE),
        Cell.of(row.recall) if there else Cell(NO_VALUE),
        Cell.of(row.f1, bar=True) if there or said else Cell(NO_VALUE),
        Cell.of(row.given),
    ]


def _card(case: LabelCase, path: str, name: str) -> Card:
    (true,), (said,) = case.missing, case.extra
    tags = [
        Tag(f"{true} {case.probabilities[true]:.2f}", "missing"),
        Tag(f"{said} {case.probabilities[said]:.2f}", "extra"),
    ]
    return Card(name, path, thumbnail(path), f"{name}: said {said}, is {true}", tags)
