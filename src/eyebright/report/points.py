"""The report of point models: errors in pixels of the image file, the PCK curve, a row per point, and the worst images.

Normalised errors are distances relative to a length of each image: its diagonal, or the distance between two named
targets such as the eyes. Their mean is the NME (normalised mean error), and the share of points whose normalised error
is at most a threshold is the PCK (percentage of correct keypoints; Yang & Ramanan, 2013) at that threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import DataError, InputError, count_text, did_you_mean, listing
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.metric_sums import ERROR, SHARE, Limits
from eyebright.evaluation.metric_value import affordable_resamples
from eyebright.evaluation.resampling import resampled_rows
from eyebright.evaluation.scores import Score, score_intervals
from eyebright.evaluation.top_losses import PointCase, top_point_errors
from eyebright.metrics.points import point_errors
from eyebright.report.collapsing import MAX_CARDS
from eyebright.report.data import MetricRow, ShownImage, TaskReport
from eyebright.report.verdict.points import PointVerdict
from eyebright.report.verdict.values import Verdict
from eyebright.web.blocks import Card, Cell, Charts, Gallery, PointMark, Section, Table, Tag
from eyebright.web.charts import MAX_POINTS, WIDE, Axis, Caption, Chart, Series, draw_chart
from eyebright.web.text import number_text

_BINS = 30
_SHOWN_SHARE = 0.99  # share of the errors that is shown; the largest errors would compress all others into one bar
_PCK_THRESHOLD = 0.05  # threshold of the PCK among the scores and of each point
_MEDIAN_COST = 50  # a median of a resample takes about as long as this many sums
_PCK_THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, eq=False)
class PointReport(TaskReport):
    """The report of a model that predicts points on each image.

    Raises:
        DataError: outputs do not have two columns for each point, or targets are not (images, points, 2).
    """

    def __post_init__(self) -> None:
        n_images, n_points = len(self.evaluation), len(self.names)
        outputs, targets = self.evaluation.outputs, self.evaluation.targets
        if outputs.shape != (n_images, 2 * n_points) or targets.shape != (n_images, n_points, 2):
            raise DataError(
                f"{count_text(n_points, 'point')} of {count_text(n_images, 'image')} need outputs of the shape "
                f"{(n_images, 2 * n_points)} and targets of the shape {(n_images, n_points, 2)}, "
                f"got {tuple(outputs.shape)} and {tuple(targets.shape)}"
            )

    @classmethod
    def check_normalize_by(cls, names: Sequence[str], normalize_by: tuple[str, str]) -> None:
        """Raises `InputError` unless these are two different points of the model."""
        for name in normalize_by:
            if name not in names:
                raise InputError(
                    f"`normalize_by`: the model has no point '{name}'.{did_you_mean(name, names)} "
                    f"Its points are: {listing(names)}"
                )
        if normalize_by[0] == normalize_by[1]:
            raise InputError(f"`normalize_by` must be two different points, got {listing(normalize_by)}")

    def summary(self) -> str:
        """The number of images, of points, and of unknown targets."""
        known, total = len(self._known), self.errors.numel()
        text = f"{self.set_text}, {count_text(len(self.names), 'point')} each"
        return text + (f"; {total - known:,} of {total:,} targets unknown and ignored" if known < total else "")

    def metric_rows(self) -> list[MetricRow]:
        """Mean and median pixel error, NME and PCK; the baseline predicts the mean position in training."""
        return self._metric_rows

    def verdict(self) -> Verdict:
        """The errors of the points, the worst points, and what would improve them."""
        return PointVerdict(self.names, self.predicted, self.targets, self.errors, self._metric_rows).verdict()

    def sections(self) -> list[Section]:
        """The distribution of the errors, the PCK curve, a row per point, and the worst images."""
        if not len(self._known):
            return []
        pixels = "Errors are distances between target and prediction, in pixels of the image file."
        blocks = [Charts([self._histogram(), self._cumulative_error_chart()]), self._point_table()]
        return [Section("Pixel errors", "errors", blocks, pixels), *self._pck_section(), self._worst()]

    @property
    def predicted(self) -> Float[Tensor, "n p 2"]:
        """(x, y) of each predicted point, in pixels of the image file."""
        return self.evaluation.activated

    @property
    def targets(self) -> Float[Tensor, "n p 2"]:
        """(x, y) of each true point, in pixels of the image file; NaN where unknown."""
        return self.evaluation.targets

    @cached_property
    def _metric_rows(self) -> list[MetricRow]:
        mean, nme, pck, median = self._scores()
        pixels, relative = (~errors.isnan() for errors in (self.errors, self.normalized_errors))
        rows = ((mean, pixels), (median, pixels), (nme, relative), (pck, relative))
        return [replace(row, images=int(known.any(dim=1).sum()), cells=int(known.sum())) for row, known in rows]

    @cached_property
    def errors(self) -> Float[Tensor, "n p"]:
        """The distance of each prediction from its target, in pixels; NaN where the target is unknown."""
        return point_errors(self.predicted, self.targets)

    @cached_property
    def normalized_errors(self) -> Float[Tensor, "n p"]:
        """The errors relative to the normalising length of each image; NaN where target or length is unknown."""
        return self.errors / self._normalizing_lengths[:, None]

    @cached_property
    def _normalizing_lengths(self) -> Float[Tensor, " n"]:
        """The length in pixels by which the errors of each image are divided; NaN where it is unknown or zero."""
        if self.facts.normalize_by is None:
            return self.evaluation.sizes.double().square().sum(dim=1).sqrt()
        first, second = (self.targets[:, self.names.index(name)].double() for name in self.facts.normalize_by)
        lengths = (first - second).square().sum(dim=1).sqrt()
        return lengths.where(lengths > 0, torch.nan)

    @cached_property
    def _normalizer(self) -> str:
        if self.facts.normalize_by is None:
            return "the image's diagonal"
        return "the distance from {} to {}".format(*self.facts.normalize_by)

    @cached_property
    def _known(self) -> Float[Tensor, " e"]:
        """All known errors in pixels, in increasing order."""
        return _sorted_known(self.errors)

    # ------------------------------------------------------------------ scores

    @cached_property
    def _baseline_errors(self) -> Float[Tensor, "n p"] | None:
        """The errors of always predicting the mean position in training; None if it is unknown."""
        if "baseline" not in self.training:
            return None
        constant = torch.tensor(self.training["baseline"]["*"], dtype=torch.float64)  # "*": the same for all metrics
        return point_errors(constant.expand(self.targets.shape), self.targets)

    def _scores(self) -> tuple[MetricRow, MetricRow, MetricRow, MetricRow]:
        """Mean pixel error, NME, PCK, which are means over the known points, and the median pixel error."""
        intervals = self._intervals(self._summands(self.errors))
        values = [
            *_means_of_sums(self._summands(self.errors).sum(dim=0, keepdim=True))[0].tolist(),
            _median(self.errors),
        ]
        baselines: list[float | None] = [None] * 4
        if (wrong := self._baseline_errors) is not None:
            baselines = [*_means_of_sums(self._summands(wrong).sum(dim=0, keepdim=True))[0].tolist(), _median(wrong)]
        mean, nme, pck, median = zip(values, intervals, baselines, strict=True)
        n_ignored = int((self._normalizing_lengths.isnan() & ~self.errors.isnan().all(dim=1)).sum())
        note = f"; {count_text(n_ignored, 'image')} without that distance ignored" if n_ignored else ""
        scale, name = f"relative to {self._normalizer}{note}", f"PCK@{_PCK_THRESHOLD:g}"
        within = f"points with an error of at most {_PCK_THRESHOLD:g} times {self._normalizer}{note}"
        half = "half of the points have a smaller error; lower is better"
        return (
            _row("mean pixel error", *mean, note="lower is better", unit="px"),
            _row("NME", *nme, note=f"normalised mean error, {scale}; lower is better", unit="%"),
            MetricRow(name, pck[0], pck[1].low, pck[1].high, pck[2], within),
            _row("median pixel error", *median, note=half, unit="px"),
        )

    def _values(self, errors: Float[Tensor, "n p"]) -> list[float]:
        return [*_means_of_sums(self._summands(errors).sum(dim=0, keepdim=True))[0].tolist(), _median(errors)]

    def _intervals(self, summands: Float[Tensor, "n 5"]) -> list[Interval]:
        """The intervals of the four scores, from one bootstrap."""
        groups = self.evaluation.group_codes
        limits: list[Limits] = [ERROR, ERROR, SHARE]
        means = [
            Score.of_sums(summands, limit, groups, of=lambda sums, i=i: _means_of_sums(sums)[:, i])
            for i, limit in enumerate(limits)
        ]
        median = Score(_median(self.errors), resampled_rows(_median, [self.errors]))
        resamples = min(affordable_resamples(_MEDIAN_COST * self.errors.numel()), 1000)
        return score_intervals([*means, median], len(summands), groups=groups, n_resamples=resamples)

    def _summands(self, errors: Float[Tensor, "n p"]) -> Float[Tensor, "n 5"]:
        """The summands of each image.

        These are the number of known points and the sum of their errors, then the number of points with a normalised
        error, the sum of these errors, and the number of those up to the PCK threshold.
        """
        known = ~self.targets.isnan().any(dim=2)
        with_length = known & ~self._normalizing_lengths.isnan()[:, None]
        normalized = (errors / self._normalizing_lengths[:, None]).where(with_length, 0.0)
        within = with_length & (normalized <= _PCK_THRESHOLD)
        columns = [known, errors.where(known, 0.0), with_length, normalized, within]  # keeps predictions that are NaN
        return torch.stack([column.double().sum(dim=1) for column in columns], dim=1)

    # ------------------------------------------------------------------ charts and tables

    @cached_property
    def _error_axis(self) -> Axis:
        return Axis.fit("error in pixels", [0, _quantile(self._known, _SHOWN_SHARE)], zero=True)

    def _histogram(self) -> Chart:
        axis = self._error_axis
        counts, edges = np.histogram(self._known.clamp(max=axis.high).numpy(), bins=_BINS, range=(0, axis.high))
        beyond = int((self._known > axis.high).sum())
        median = number_text(_quantile(self._known, 0.5))
        return draw_chart(
            Caption(
                "Distribution of the errors",
                f"{count_text(len(self._known), 'error')}, half of them up to {median} pixels.",
                f"{beyond:,} larger, in the last bar" if beyond else "",
            ),
            [Series(edges.tolist(), counts.tolist(), "first", "bars")],
            x=axis,
            y=Axis.fit("points", counts.tolist(), zero=True, whole=True),
            size=WIDE,
        )

    def _cumulative_error_chart(self) -> Chart:
        half, most = (number_text(_quantile(self._known, share)) for share in (0.5, 0.9))
        alt_text = f"Half of the points have an error of at most {half} pixels, 90 % of at most {most}."
        return _cumulative_chart("Cumulative distribution of the errors", alt_text, self._known, self._error_axis)

    def output_rows(self) -> list[dict[str, Any]]:
        """The errors of each point."""
        columns = zip(self.names, self.errors.T, self.normalized_errors.T, strict=True)
        return [_output_row(name, errors, normalized) for name, errors, normalized in columns]

    def _point_table(self) -> Table:
        rows = [
            [
                Cell(row["point"]),
                Cell.of(row["known"]),
                Cell.of(row["unknown"]),
                *(Cell.of(row[name], decimals=1) for name in ("mean", "median", "within_90", "largest")),
                Cell.of(row["nme_percent"], decimals=2),
                Cell.of(row["pck"], bar=True),
            ]
            for row in self.output_rows()
        ]
        columns = (
            "point",
            "known",
            "unknown",
            "mean",
            "median",
            "90 % within",
            "largest",
            "NME %",
            f"PCK@{_PCK_THRESHOLD:g}",
        )
        caption = f"A row per point: its errors in pixels; NME and PCK are relative to {self._normalizer}."
        return Table(caption, columns, rows)

    def _pck_section(self) -> list[Section]:
        """The PCK curve, and the PCK at a few thresholds of all points and of each."""
        known = _sorted_known(self.normalized_errors)
        if not len(known):
            return []
        axis = Axis.fit("threshold", [0, max(_PCK_THRESHOLD, min(_quantile(known, _SHOWN_SHARE), 0.5))], zero=True)
        within = [_share_within(known, threshold) for threshold in _PCK_THRESHOLDS]
        alt_text = "; ".join(
            f"PCK at {threshold:g}: {share:.3f}" for threshold, share in zip(_PCK_THRESHOLDS, within, strict=True)
        )
        chart = _cumulative_chart("PCK over the threshold", f"{alt_text}.", known, axis)
        columns = zip(self.names, self.normalized_errors.T, strict=True)
        named = [("all points", known), *((name, _sorted_known(column)) for name, column in columns)]
        rows = [
            [Cell(name), Cell.of(len(errors)), *(Cell.of(_share_within(errors, cut)) for cut in _PCK_THRESHOLDS)]
            for name, errors in (named if len(self.names) > 1 else named[:1])
        ]
        headings = ("point", "known", *(f"PCK@{threshold:g}" for threshold in _PCK_THRESHOLDS))
        caption = f"Share of the points whose error is at most the threshold, relative to {self._normalizer}"
        blocks = [Charts([chart]), Table(caption, headings, rows)]
        intro = f"Percentage of correct keypoints (PCK): errors are relative to {self._normalizer}."
        return [Section("PCK", "pck", blocks, intro)]

    # ------------------------------------------------------------------ images

    def _worst(self) -> Section:
        cases = top_point_errors(self.predicted, self.targets, k=MAX_CARDS)
        images = self.images([case.index for case in cases])
        cards = [self._card(case, image) for case, image in zip(cases, images, strict=True)]
        intro = f"The {count_text(len(cards), 'image')} with the largest mean error."
        legend = (Tag("target", "target"), Tag("prediction", "predicted"))
        return Section("Worst images", "worst", [Gallery(cards, legend)], intro)

    def _card(self, case: PointCase, image: ShownImage) -> Card:
        points = zip(self.names, self.targets[case.index].tolist(), self.predicted[case.index].tolist(), strict=True)
        known = [point for point, error in zip(points, case.errors, strict=True) if not math.isnan(error)]
        height, width = self.evaluation.sizes[case.index].tolist()
        outside = sum(not (0 <= x <= width and 0 <= y <= height) for _, _, (x, y) in known)
        note = f"{'mean error' if len(known) > 1 else 'error'} {number_text(case.mean_error)} px"
        note += f"; {count_text(outside, 'prediction')} outside of the image" if outside else ""
        marks = _marks(known, image.thumbnail.scale)
        return Card(image.name, image.file, image.thumbnail, f"{image.name}: {note}", points=marks, note=note)


def _marks(points: Sequence[tuple[str, Sequence[float], Sequence[float]]], scale: float) -> list[PointMark]:
    """The targets, and the predictions on top, each with a line to its target.

    Args:
        points: (name, target, prediction) of each, in pixels of the image file.
        scale: pixels of the thumbnail per pixel of the image file.
    """
    targets = [(x * scale, y * scale) for _, (x, y), _ in points]
    return [
        *(PointMark(*xy, f"{name}, target", is_target=True) for (name, _, _), xy in zip(points, targets, strict=True)),
        *(
            PointMark(x * scale, y * scale, f"{name}, prediction", is_target=False, line_to=target)
            for (name, _, (x, y)), target in zip(points, targets, strict=True)
        ),
    ]


def _output_row(name: str, errors: Float[Tensor, " n"], normalized: Float[Tensor, " n"]) -> dict[str, Any]:
    known, shares = _sorted_known(errors), _sorted_known(normalized)
    return {
        "point": name,
        "known": len(known),
        "unknown": len(errors) - len(known),
        "mean": _mean(known),
        "median": _quantile(known, 0.5),
        "within_90": _quantile(known, 0.9),
        "largest": _quantile(known, 1.0),
        "nme_percent": 100 * _mean(shares),
        "pck": _share_within(shares, _PCK_THRESHOLD),
    }


def _row(name: str, value: float, interval: Interval, baseline: float | None, *, note: str, unit: str) -> MetricRow:
    ends = (interval.low, interval.high)
    return MetricRow(name, value, *ends, baseline, note, higher_is_better=False, unit=unit, is_share=False)


def _means_of_sums(sums: Float[Tensor, "s 5"]) -> Float[Tensor, "s 3"]:
    """Mean error, NME in percent and PCK, from the sums of `PointReport._summands`; NaN where no point is known."""
    known, errors, with_length, normalized, within = sums.double().T
    return torch.stack([errors / known, 100 * normalized / with_length, within / with_length], dim=1)


def _cumulative_chart(title: str, alt_text: str, errors: Float[Tensor, " e"], axis: Axis) -> Chart:
    """A chart of the share of the errors that are at most each value of the axis.

    Args:
        title: title of the chart.
        alt_text: the chart in words.
        errors: the known errors, in increasing order.
        axis: the horizontal axis.
    """
    values = np.linspace(0, axis.high, MAX_POINTS)
    shares = np.searchsorted(errors.numpy(), values, side="right") / len(errors)
    return draw_chart(
        Caption(title, alt_text),
        [Series(values.tolist(), shares.tolist(), "first")],
        x=axis,
        y=Axis("share of points"),
        size=WIDE,
    )


def _sorted_known(errors: Float[Tensor, "..."]) -> Float[Tensor, " e"]:
    return errors[~errors.isnan()].sort().values


def _median(errors: Float[Tensor, "n p"]) -> float:
    """The median of the known errors."""
    return _quantile(errors[~errors.isnan()], 0.5)


def _mean(known: Float[Tensor, " e"]) -> float:
    return float(known.mean()) if len(known) else float("nan")


def _quantile(known: Float[Tensor, " e"], share: float) -> float:
    return float(np.quantile(known.numpy(), share)) if len(known) else float("nan")


def _share_within(known: Float[Tensor, " e"], threshold: float) -> float:
    return float((known <= threshold).double().mean()) if len(known) else float("nan")
