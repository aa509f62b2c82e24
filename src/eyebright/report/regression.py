"""Numbers for each image: how far the answers are from the truth, and the worst images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import bootstrap
from eyebright.metrics.values import mae, rmse
from eyebright.report.data import Answers, ScoreRow
from eyebright.web.blocks import Card, Cell, Charts, Gallery, Section, Table, Tag
from eyebright.web.charts import WIDE, Axis, Caption, Chart, Series, draw_chart
from eyebright.web.text import count_text, number_text
from eyebright.web.thumbnails import short_names, thumbnail

_MOST_CARDS = 24
_MOST_CHARTS = 6
_MOST_DOTS = 1500  # of one chart


@dataclass(frozen=True, eq=False)
class NumberAnswers(Answers):
    """Answers of a model that gives each image one number or several.

    Args:
        predicted: the numbers.
        targets: the true ones; NaN for one that nobody knows.
        names: of the numbers; their places when not given.
        training: the summary of the training targets, for the baseline; empty where it is not known.
        unit: of the numbers, for example ``"years"``.
    """

    predicted: Float[Tensor, "n k"]
    targets: Float[Tensor, "n k"]
    names: Sequence[str] = ()
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unit: str = ""

    def __post_init__(self) -> None:
        if self.predicted.shape != self.targets.shape or self.targets.ndim != 2:
            raise DataError(
                "numbers and their targets have the shape (images, numbers), "
                f"got {tuple(self.predicted.shape)} and {tuple(self.targets.shape)}"
            )
        if self.names and len(self.names) != self.targets.shape[1]:
            raise DataError(f"{self.targets.shape[1]} numbers need as many names, got {len(self.names)}")

    @staticmethod
    def of(evaluation: Evaluation) -> "NumberAnswers":
        """The answers of an evaluation."""
        names = evaluation.decision.task.value_names
        return NumberAnswers(evaluation.scores, evaluation.targets, names, evaluation.training)

    def __len__(self) -> int:
        return len(self.targets)

    def summary(self) -> str:
        """How many images and numbers."""
        return f"{count_text(len(self), 'image')}, {count_text(self.targets.shape[1], 'number')} each"

    def scores(self) -> list[ScoreRow]:
        """The mean and the root mean squared error; the baseline always says the mean of the training images."""
        return [
            self._row("Mean absolute error", mae, "lower is better"),
            self._row("Root mean squared error", rmse, "large errors count more; lower is better"),
        ]

    def sections(self, paths: Sequence[str]) -> list[Section]:
        """What was said over what is true, a table of numbers, and the worst images."""
        names = self._number_names()
        charts = [self._chart(k, name) for k, name in enumerate(names[:_MOST_CHARTS])]
        words = "Each dot is an image; on the dashed line the answer is right."
        return [Section("Numbers", "numbers", [Charts(charts), self._table(names)], words), self._worst(paths, names)]

    def _row(self, name: str, statistic: Callable[[Tensor, Tensor], float], note: str) -> ScoreRow:
        interval = bootstrap(statistic, [self.predicted, self.targets])
        fixed = None
        if "baseline" in self.training:
            constant = torch.tensor(self.training["baseline"]["*"], dtype=torch.float64)
            fixed = statistic(constant.expand(self.targets.shape), self.targets)
        value = statistic(self.predicted, self.targets)
        ends = (interval.low, interval.high)
        return ScoreRow(name, value, *ends, fixed, note, higher_is_better=False, unit=self.unit, share=False)

    def _number_names(self) -> Sequence[str]:
        return self.names or [f"number {k + 1}" for k in range(self.targets.shape[1])]

    def _chart(self, k: int, name: str) -> Chart:
        true, said = self.targets[:, k], self.predicted[:, k]
        step = max(len(true) // _MOST_DOTS, 1)
        shown_true, shown_said = true[::step].tolist(), said[::step].tolist()
        x, y = Axis.fit("true", [*shown_true, *shown_said]), Axis.fit("said", [*shown_true, *shown_said])
        error = number_text(mae(said[:, None], true[:, None]))
        return draw_chart(
            Caption(name, f"{name}: what was said over what is true; the mean absolute error is {error}."),
            [Series([x.low, x.high], [x.low, x.high], "guide"), Series(shown_true, shown_said, "first", "dots")],
            x=x,
            y=y,
            size=WIDE,
        )

    def _table(self, names: Sequence[str]) -> Table:
        rows: list[list[Cell]] = []
        for k, name in enumerate(names):
            true, said = self.targets[:, [k]], self.predicted[:, [k]]
            numbers = (mae(said, true), rmse(said, true), float(true.double().nanmean()))
            rows.append([Cell(name), Cell.of(int((~true.isnan()).sum())), *(_cell(number) for number in numbers)])
        columns = ("number", "known", "mean absolute error", "root mean squared error", "mean of the targets")
        return Table("Every number", columns, rows)

    def _worst(self, paths: Sequence[str], names: Sequence[str]) -> Section:
        spread = self.targets.double().nan_to_num(nan=0.0).std(dim=0).clamp(min=1e-12)
        each = ((self.predicted - self.targets).abs() / spread).nanmean(dim=1)
        known = (~each.isnan()).nonzero()[:, 0]
        chosen = [int(i) for i in known[each[known].argsort(descending=True, stable=True)][:_MOST_CARDS]]
        short = short_names(paths, chosen)
        cards = [self._card(i, paths[i], one, names) for i, one in zip(chosen, short, strict=True)]
        legend = (Tag("what is true", "target"), Tag("what was said", "predicted"))
        words = f"The {count_text(len(cards), 'image')} whose answers are furthest off."
        return Section("The worst images", "worst", [Gallery(cards, legend)], words)

    def _card(self, index: int, path: str, name: str, names: Sequence[str]) -> Card:
        several = self.targets.shape[1] > 1
        tags: list[Tag] = []
        for k, number in enumerate(names):
            label = f"{number} " if several else ""
            tags.append(Tag(f"{label}{number_text(float(self.targets[index, k]))}", "target"))
            tags.append(Tag(f"{label}{number_text(float(self.predicted[index, k]))}", "predicted"))
        words = f"{name}; true: {tags[0].text}; said: {tags[1].text}"
        return Card(name, path, thumbnail(path), words, tags)


def _cell(number: float) -> Cell:
    return Cell(number_text(number), None if number != number else number)
