"""Points on each image: how far they are from where they should be, and the worst images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import bootstrap
from eyebright.evaluation.worst import PointCase, worst_points
from eyebright.metrics.points import point_error, point_errors
from eyebright.report.data import Answers, ScoreRow
from eyebright.web.blocks import Card, Cell, Charts, Gallery, PointMark, Section, Table, Tag
from eyebright.web.charts import MAX_POINTS, WIDE, Axis, Caption, Chart, Series, draw_chart
from eyebright.web.text import count_text, number_text
from eyebright.web.thumbnails import short_names, thumbnail

_BINS = 30
_MOST_CARDS = 24
_SHOWN = 0.99  # of the distances: the few furthest would squeeze all others into one bar


@dataclass(frozen=True, eq=False)
class PointAnswers(Answers):
    """Answers of a model that finds points on each image.

    Args:
        predicted: (x, y) of each point, in the pixels of the user's own image.
        targets: where they are; NaN for a point that nobody sees.
        names: of the points; numbers when not given.
        training: the summary of the training targets, for the baseline; empty where it is not known.
    """

    predicted: Float[Tensor, "n p 2"]
    targets: Float[Tensor, "n p 2"]
    names: Sequence[str] = ()
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.predicted.shape != self.targets.shape or self.targets.ndim != 3 or self.targets.shape[2] != 2:
            raise DataError(
                "points and their targets have the shape (images, points, 2), "
                f"got {tuple(self.predicted.shape)} and {tuple(self.targets.shape)}"
            )
        if self.names and len(self.names) != self.targets.shape[1]:
            raise DataError(f"{self.targets.shape[1]} points need as many names, got {len(self.names)}")

    @staticmethod
    def of(evaluation: Evaluation) -> "PointAnswers":
        """The answers of an evaluation."""
        names = evaluation.decision.task.value_names
        return PointAnswers(evaluation.scores, evaluation.targets, names, evaluation.training)

    def __len__(self) -> int:
        return len(self.targets)

    def summary(self) -> str:
        """How many images and points."""
        points = count_text(self.targets.shape[1], "point")
        return f"{count_text(len(self), 'image')}, {points} on each; {len(self._known):,} known places in all"

    def scores(self) -> list[ScoreRow]:
        """The mean and the median distance, in pixels; the baseline always says the mean place in training."""
        return [
            self._row("Mean distance", point_error, "of the known points, in the image's own pixels; lower is better"),
            self._row("Median distance", _median_error, "half of the points are nearer than this; lower is better"),
        ]

    def sections(self, paths: Sequence[str]) -> list[Section]:
        """How the distances are spread, a table of points, and the worst images."""
        if not self._known.numel():
            return []
        words = "How far each point was said to be from where it is, in the image's own pixels."
        blocks = [Charts([self._histogram(), self._within()]), self._table()]
        return [Section("Distances", "distances", blocks, words), self._worst(paths)]

    @cached_property
    def _errors(self) -> Float[Tensor, "n p"]:
        return point_errors(self.predicted, self.targets)

    @cached_property
    def _known(self) -> Float[Tensor, " e"]:
        """Every known distance, the nearest first."""
        return self._errors[~self._errors.isnan()].sort().values

    def _row(self, name: str, statistic: Callable[[Tensor, Tensor], float], note: str) -> ScoreRow:
        interval = bootstrap(statistic, [self.predicted, self.targets])
        fixed = None
        if "baseline" in self.training:
            constant = torch.tensor(self.training["baseline"]["*"], dtype=torch.float64)
            fixed = statistic(constant.expand(self.targets.shape), self.targets)
        value = statistic(self.predicted, self.targets)
        ends = (interval.low, interval.high)
        return ScoreRow(name, value, *ends, fixed, note, higher_is_better=False, unit="px", share=False)

    # ------------------------------------------------------------------ how far off

    def _histogram(self) -> Chart:
        reach = Axis.fit("distance in pixels", [0, _quantile(self._known, _SHOWN)], zero=True)
        inside = self._known.clamp(max=reach.high)
        counts, edges = np.histogram(inside.numpy(), bins=_BINS, range=(0, reach.high))
        beyond = int((self._known > reach.high).sum())
        half = number_text(_median(self._known))
        return draw_chart(
            Caption(
                "How many are how far off",
                f"{count_text(len(self._known), 'distance')}, half of them up to {half} pixels.",
                f"{beyond:,} further off, in the last bar" if beyond else "",
            ),
            [Series(edges.tolist(), counts.tolist(), "first", "bars")],
            x=reach,
            y=Axis.fit("points", counts.tolist(), zero=True, whole=True),
            size=WIDE,
        )

    def _within(self) -> Chart:
        reach = Axis.fit("distance in pixels", [0, _quantile(self._known, _SHOWN)], zero=True)
        at = np.linspace(0, reach.high, MAX_POINTS)
        share = np.searchsorted(self._known.numpy(), at, side="right") / len(self._known)
        half, most = (number_text(_quantile(self._known, part)) for part in (0.5, 0.9))
        return draw_chart(
            Caption("Share within a distance", f"Half of the points are within {half} pixels, 90 % within {most}."),
            [Series(at.tolist(), share.tolist(), "first")],
            x=reach,
            y=Axis("share of points"),
            size=WIDE,
        )

    def _table(self) -> Table:
        rows: list[list[Cell]] = []
        for name, column in zip(self._point_names(), self._errors.T, strict=True):
            known = column[~column.isnan()]
            numbers = [float(known.mean()), _median(known), _quantile(known, 0.9), _quantile(known, 1.0)]
            rows.append([Cell(name), Cell.of(len(known)), *(Cell.of(number, decimals=1) for number in numbers)])
        columns = ("point", "known", "mean", "median", "90 % within", "furthest")
        return Table("Every point: its distance from where it is, in pixels", columns, rows)

    def _point_names(self) -> Sequence[str]:
        return self.names or [f"point {i + 1}" for i in range(self.targets.shape[1])]

    # ------------------------------------------------------------------ the images

    def _worst(self, paths: Sequence[str]) -> Section:
        cases = worst_points(self._errors.nanmean(dim=1), self.predicted, self.targets, most=_MOST_CARDS)
        names = short_names(paths, [case.index for case in cases])
        cards = [self._card(case, paths[case.index], name) for case, name in zip(cases, names, strict=True)]
        words = f"The {count_text(len(cards), 'image')} with the largest mean distance."
        legend = (Tag("where it is", "target"), Tag("where it was said to be", "predicted"))
        return Section("The worst images", "worst", [Gallery(cards, legend)], words)

    def _card(self, case: PointCase, path: str, name: str) -> Card:
        small = thumbnail(path)
        true, said = self.targets[case.index].tolist(), self.predicted[case.index].tolist()
        points = list(zip(self._point_names(), true, said, case.errors, strict=True))
        seen = [(point, place, answer) for point, place, answer, error in points if error == error]
        spots = [
            *(
                PointMark(x * small.scale, y * small.scale, f"{point}, where it is", is_target=True)
                for point, (x, y), _ in seen
            ),
            *(
                PointMark(x * small.scale, y * small.scale, f"{point}, as said", is_target=False)
                for point, _, (x, y) in seen
            ),
        ]
        note = f"{number_text(case.loss)} px off" + (" on average" if len(seen) > 1 else "")
        return Card(name, path, small, f"{name}: {note}", points=spots, note=note)


def _median_error(predicted: Tensor, targets: Tensor) -> float:
    errors = point_errors(predicted, targets)
    return _median(errors[~errors.isnan()])


def _median(known: Tensor) -> float:
    return _quantile(known, 0.5)


def _quantile(known: Tensor, part: float) -> float:
    return float(np.quantile(known.numpy(), part)) if len(known) else float("nan")
