"""The report of regression models: MAE, RMSE and R2 of each column, predictions over targets, and the worst images."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import DataError, count_text
from eyebright.evaluation.metric_sums import ERROR
from eyebright.evaluation.metric_value import affordable_resamples
from eyebright.evaluation.scores import Score, score_intervals
from eyebright.report.collapsing import MAX_CARDS
from eyebright.report.data import MetricRow, ShownImage, TaskReport
from eyebright.report.verdict.numbers import NumberVerdict
from eyebright.report.verdict.values import Verdict
from eyebright.web.blocks import Card, Cell, Charts, Gallery, Section, Table, Tag
from eyebright.web.charts import WIDE, Axis, Caption, Chart, Series, draw_chart
from eyebright.web.text import number_text

_MAX_CHARTS = 6
_MAX_DOTS = 1500  # dots of one chart
_METRICS = (
    ("MAE", "mean absolute error; lower is better", False),
    ("RMSE", "root mean squared error: large errors count more; lower is better", False),
    ("R2", "1 is perfect, 0 is as good as the mean of the targets", True),
)


@dataclass(frozen=True, eq=False)
class NumberReport(TaskReport):
    """The report of a model that predicts one or several numbers for each image.

    Raises:
        DataError: outputs or targets do not have one column for each number.
    """

    def __post_init__(self) -> None:
        outputs, targets = self.evaluation.outputs, self.evaluation.targets
        shape = (len(self.evaluation), len(self.names))
        if outputs.shape != shape or targets.shape != shape:
            raise DataError(
                f"outputs and targets need one column for each of the {count_text(len(self.names), 'number')}, "
                f"got {tuple(outputs.shape)} and {tuple(targets.shape)}"
            )

    def summary(self) -> str:
        """The number of images, of numbers and of unknown targets."""
        text = f"{self.set_text}, {count_text(len(self.names), 'number')} each"
        unknown = int(self.targets.isnan().sum())
        return text + (f"; {unknown:,} of {self.targets.numel():,} targets unknown and ignored" if unknown else "")

    def metric_rows(self) -> list[MetricRow]:
        """MAE, RMSE and R2; the baseline always predicts the mean of the training targets, for MAE their median."""
        return self._metric_rows

    def verdict(self) -> Verdict:
        """The errors of the numbers, their biases, and what would improve them."""
        return NumberVerdict(self.names, self.predicted, self.targets, self._metric_rows).verdict()

    @cached_property
    def _metric_rows(self) -> list[MetricRow]:
        summands, groups = _summands(self.predicted, self.targets), self.evaluation.group_codes
        mae, rmse, r2 = (
            Score.of_sums(summands, ERROR, groups, of=lambda sums, i=i: _metric_values(sums)[:, i]) for i in range(3)
        )
        scores = [mae, rmse, replace(r2, smooth=None)]  # a few numbers can dominate R2 and its standard error
        values = [score.value for score in scores]
        resamples = min(affordable_resamples(summands.numel()), 1000)
        intervals = score_intervals(scores, len(summands), groups=groups, n_resamples=resamples)
        baselines = [None] * len(values) if self._baseline is None else self._baseline
        rows = zip(_METRICS, values, intervals, baselines, strict=True)
        several = "; all columns together, whatever their units" if len(self.names) > 1 else ""
        return [
            MetricRow(
                name,
                value,
                interval.low,
                interval.high,
                baseline,
                note + (several if not higher_is_better else "; the mean over the columns" if several else ""),
                higher_is_better=higher_is_better,
                is_share=False,
                decimals=3 if name == "R2" else None,
                images=int((~self.targets.isnan()).any(dim=1).sum()),
                cells=int((~self.targets.isnan()).sum()),
            )
            for (name, note, higher_is_better), value, interval, baseline in rows
        ]

    def sections(self) -> list[Section]:
        """Predictions over targets, a row per column of numbers, and the worst images."""
        charts = [self._chart(k, name) for k, name in enumerate(self.names[:_MAX_CHARTS])]
        intro = "Each dot is an image; on the dashed line the prediction equals the target."
        if len(self.names) > _MAX_CHARTS:
            intro += f" Shown: the first {_MAX_CHARTS} of {len(self.names)} columns."
        return [Section("Numbers", "numbers", [Charts(charts), self._table()], intro), *self._worst()]

    @cached_property
    def predicted(self) -> Float[Tensor, "n k"]:
        """The predicted numbers, float64."""
        return self.evaluation.activated.double()

    @cached_property
    def targets(self) -> Float[Tensor, "n k"]:
        """The true numbers, float64; NaN where unknown."""
        return self.evaluation.targets.double()

    @cached_property
    def _baseline(self) -> list[float] | None:
        """The scores of always predicting the mean of the training targets, and for the MAE their median.

        None if they are unknown.
        """
        if "baseline" not in self.training:
            return None
        constants = self.training["baseline"]  # by metric; "*": for all others, see `TargetBlock.training_summary`
        of_mean = self._constant_metric_values(constants["*"])
        return [self._constant_metric_values(constants.get("mae", constants["*"]))[0], *of_mean[1:]]

    def _constant_metric_values(self, constant: list[float]) -> list[float]:
        predicted = torch.tensor(constant, dtype=torch.float64).expand(self.targets.shape)
        return _metric_values(_summands(predicted, self.targets).sum(dim=0, keepdim=True))[0].tolist()

    # ------------------------------------------------------------------ charts and tables

    def _chart(self, k: int, name: str) -> Chart:
        known = ~self.targets[:, k].isnan()
        true, predicted = self.targets[known, k], self.predicted[known, k]
        step = max(len(true) // _MAX_DOTS, 1)
        x, y = true[::step].tolist(), predicted[::step].tolist()
        horizontal, vertical = Axis.fit("target", [*x, *y]), Axis.fit("prediction", [*x, *y])
        error = number_text(float((predicted - true).abs().mean()))
        ends = [horizontal.low, horizontal.high]
        return draw_chart(
            Caption(name, f"{name}: predictions over targets of {count_text(len(true), 'image')}; MAE {error}."),
            [Series(ends, ends, "guide"), Series(x, y, "first", "dots")],
            x=horizontal,
            y=vertical,
            size=WIDE,
        )

    def output_rows(self) -> list[dict[str, Any]]:
        """The scores of each column."""
        rows: list[dict[str, Any]] = []
        for k, name in enumerate(self.names):
            true, predicted = self.targets[:, [k]], self.predicted[:, [k]]
            known = int((~true.isnan()).sum())
            mae, rmse, r2 = _metric_values(_summands(predicted, true).sum(dim=0, keepdim=True))[0].tolist()
            counts = {"column": name, "known": known, "unknown": len(true) - known}
            spread = {"mean_of_targets": float(true.nanmean()), "std_of_targets": _spread(true)}
            rows.append({**counts, "mae": mae, "rmse": rmse, "r2": r2, **spread})
        return rows

    def _table(self) -> Table:
        numbers = ("mae", "rmse", "r2", "mean_of_targets", "std_of_targets")
        rows = [
            [
                Cell(row["column"]),
                Cell.of(row["known"]),
                Cell.of(row["unknown"]),
                *(_cell(row[name]) for name in numbers),
            ]
            for row in self.output_rows()
        ]
        columns = ("column", "known", "unknown", "MAE", "RMSE", "R2", "mean of targets", "std of targets")
        return Table("A row per column of numbers, each in its own unit", columns, rows)

    # ------------------------------------------------------------------ images

    def _worst(self) -> list[Section]:
        spread = torch.tensor([_spread(column) for column in self.targets.T]).nan_to_num(nan=1.0).clamp(min=1e-12)
        errors = ((self.predicted - self.targets).abs() / spread).nanmean(dim=1)
        known = (~errors.isnan()).nonzero()[:, 0]
        chosen = [int(i) for i in known[errors[known].argsort(descending=True, stable=True)][:MAX_CARDS]]
        if not chosen:
            return []
        cards = [self._card(i, image) for i, image in zip(chosen, self.images(chosen), strict=True)]
        legend = (Tag("target", "target"), Tag("prediction", "predicted"))
        mean_text = " (of several columns: the mean error, each in standard deviations)" if len(self.names) > 1 else ""
        intro = f"The {count_text(len(cards), 'image')} with the largest errors{mean_text}."
        return [Section("Worst images", "worst", [Gallery(cards, legend)], intro)]

    def _card(self, index: int, image: ShownImage) -> Card:
        pairs = list(zip(self.names, self.targets[index].tolist(), self.predicted[index].tolist(), strict=True))
        prefixes = [f"{name} " for name in self.names] if len(self.names) > 1 else [""]
        tags: list[Tag] = []
        for prefix, (_, true, predicted) in zip(prefixes, pairs, strict=True):
            tags.append(Tag(f"{prefix}{number_text(true)}", "target"))
            tags.append(Tag(f"{prefix}{number_text(predicted)}", "predicted"))
        words = [f"{name}: target {number_text(true)}, predicted {number_text(value)}" for name, true, value in pairs]
        return Card(image.name, image.file, image.thumbnail, f"{image.name}; {'; '.join(words)}", tags)


def _summands(predicted: Float[Tensor, "n k"], targets: Float[Tensor, "n k"]) -> Float[Tensor, "n 5*k"]:
    """The summands of each image, per column: known targets, absolute and squared errors, targets and their squares.

    Targets are taken relative to their mean, which does not change R2 and keeps its sums of squares accurate.
    """
    known = ~targets.isnan()
    errors = (predicted.double() - targets.double()).where(known, 0.0)  # a prediction that is NaN stays NaN
    centered = (targets.double() - targets.double().nanmean(dim=0)).where(known, 0.0)
    return torch.cat([known.double(), errors.abs(), errors.square(), centered, centered.square()], dim=1)


def _metric_values(sums: Float[Tensor, "s m"]) -> Float[Tensor, "s 3"]:
    """MAE and RMSE of all known numbers, and the mean over the columns of R2, from the sums of `_summands`.

    R2 is 1 - (sum of squared errors) / (sum of squared deviations from the mean), as in scikit-learn; the mean over the
    columns is its ``multioutput="uniform_average"``. It is undefined for columns whose targets are all equal.
    """
    known, absolute, squared, centered, centered_squared = sums.double().chunk(5, dim=1)
    count = known.sum(dim=1)
    deviations = centered_squared - centered.square() / known
    r2 = (1 - squared / deviations).where(deviations > 1e-12 * centered_squared, torch.nan)
    return torch.stack([absolute.sum(dim=1) / count, (squared.sum(dim=1) / count).sqrt(), r2.nanmean(dim=1)], dim=1)


def _spread(column: Float[Tensor, "..."]) -> float:
    """The population standard deviation of the known numbers; NaN if there are none."""
    known = column[~column.isnan()]
    return float(known.std(correction=0)) if len(known) else float("nan")


def _cell(number: float) -> Cell:
    return Cell(number_text(number), None if math.isnan(number) else number)
