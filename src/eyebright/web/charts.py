"""Small charts for pages, computed as coordinates and SVG path data.

A chart is a plain value with its lines, ticks and captions; the template ``page.html`` writes it as inline SVG.
Matplotlib is not used here, because its SVG contains its own fonts and does not follow a light or dark theme.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Style = Literal["first", "second", "third", "guide", "chosen"]
"""Colours: of three series, of a dashed reference line (``guide``), and of a selected value (``chosen``)."""

Shape = Literal["line", "steps", "dots", "bars"]

SMALL, WIDE = (200, 150), (400, 230)  # width and height of a chart in SVG units
MAX_POINTS = 160  # of one line; more are not visible in a chart of this size
_RIGHT, _TOP, _BOTTOM = 8.0, 6.0, 30.0  # margins around the plot area, in SVG units
_LABEL, _DIGIT = 13.0, 6.0  # width of a vertical axis label and of a digit, in SVG units


@dataclass(frozen=True, slots=True)
class Axis:
    """The range and the ticks of one axis.

    Args:
        label: the label of the axis.
        low: its minimum.
        high: its maximum.
        ticks: the values of the ticks.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    ticks: Sequence[float] = (0.0, 0.5, 1.0)

    @staticmethod
    def fit(label: str, values: Sequence[float], *, zero: bool = False, whole: bool = False) -> "Axis":
        """An axis that contains all ``values``, with ticks at round numbers.

        Args:
            label: the label of the axis.
            values: the values; those that are not finite are ignored.
            zero: True to start at zero.
            whole: True for ticks at integers only.
        """
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = (min(0.0, *finite) if zero else min(finite)), max(finite)
        margin = 0.04 * (high - low) or abs(high) or 1.0
        low, high = (low if zero else low - margin), high + margin
        step = _round_step(high - low)
        step = max(1.0, float(round(step))) if whole else step
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return Axis(label, low, high, [round(step * i, 12) for i in range(first, last + 1)])


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one set of dots or bars, in the units of the axes.

    Args:
        x: positions along the x axis; for bars the edges, one more than ``y``.
        y: the values.
        style: the colour, and the key of the legend.
        shape: ``"line"``, ``"dots"``, ``"bars"``, or ``"steps"``: each value from the previous x to its own.
    """

    x: Sequence[float]
    y: Sequence[float]
    style: Style = "first"
    shape: Shape = "line"


@dataclass(frozen=True, slots=True)
class Path:
    """SVG path data with a style and a shape."""

    data: str
    style: Style
    shape: Shape


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick: its position in SVG units and its text."""

    position: float
    text: str


@dataclass(frozen=True, slots=True)
class Caption:
    """The texts of a chart.

    Args:
        title: the title.
        alt_text: a description of the result for screen readers.
        note: a short text next to the title, for example the area under the curve.
        legend: (style, meaning) of the paths, if the chart has its own legend.
    """

    title: str
    alt_text: str
    note: str = ""
    legend: Sequence[tuple[Style, str]] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in SVG units, with y downwards.

    Args:
        caption: its texts.
        width: width of the chart.
        height: height of the chart.
        left: left edge of the plot area.
        top: top edge of the plot area.
        right: right edge of the plot area.
        bottom: bottom edge of the plot area.
        x_label: label of the x axis.
        y_label: label of the y axis.
        x_ticks: ticks of the x axis.
        y_ticks: ticks of the y axis.
        paths: lines, dots and bars.
    """

    caption: Caption
    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float
    x_label: str
    y_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    paths: Sequence[Path]


def draw_chart(caption: Caption, series: Sequence[Series], *, x: Axis, y: Axis, size: tuple[int, int] = SMALL) -> Chart:
    """A chart of several series; values outside of the axes are clipped, values that are not finite are omitted.

    Args:
        caption: the texts of the chart.
        series: the series; later ones are drawn on top.
        x: the x axis.
        y: the y axis.
        size: width and height in SVG units.
    """
    tick_width = _DIGIT * max(len(_tick_text(value)) for value in y.ticks)
    left = (_LABEL if y.label else 0) + tick_width + 6
    area = _PlotArea(x, y, left, _TOP, size[0] - _RIGHT, size[1] - _BOTTOM)
    return Chart(
        caption=caption,
        width=size[0],
        height=size[1],
        left=area.left,
        top=area.top,
        right=area.right,
        bottom=area.bottom,
        x_label=x.label,
        y_label=y.label,
        x_ticks=_ticks(x, area.to_x(x.ticks)),
        y_ticks=_ticks(y, area.to_y(y.ticks)),
        paths=[Path(area.path(entry), entry.style, entry.shape) for entry in series],
    )


def subsample_indices(x: Sequence[float], *, limit: int = MAX_POINTS) -> list[int]:
    """The indices of at most ``limit`` points of a long line, evenly spaced along x, with both ends.

    Args:
        x: positions along the axis, increasing or decreasing.
        limit: maximum number of points.
    """
    if len(x) <= limit:
        return list(range(len(x)))
    positions = np.asarray(x, dtype=np.float64)
    increasing = positions if positions[-1] >= positions[0] else -positions
    targets = np.linspace(increasing[0], increasing[-1], limit)
    nearest = np.searchsorted(increasing, targets).clip(0, len(x) - 1)
    return sorted({0, len(x) - 1, *nearest.tolist()})


@dataclass(frozen=True, slots=True)
class _PlotArea:
    """Conversion from the units of two axes to SVG units."""

    x: Axis
    y: Axis
    left: float
    top: float
    right: float
    bottom: float

    def to_x(self, values: Sequence[float]) -> Float[np.ndarray, " n"]:
        return self.left + _fraction(values, self.x) * (self.right - self.left)

    def to_y(self, values: Sequence[float]) -> Float[np.ndarray, " n"]:
        return self.bottom - _fraction(values, self.y) * (self.bottom - self.top)

    def path(self, series: Series) -> str:
        if series.shape == "bars":
            return self._bars(series)
        pairs = zip(series.x, series.y, strict=True)
        finite = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
        positions = list(zip(self.to_x([x for x, _ in finite]), self.to_y([y for _, y in finite]), strict=True))
        if series.shape == "dots":
            return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in positions)  # the round line cap draws the dot
        if series.shape == "steps":
            return "".join(
                f"{'V' if i else f'M{x:.1f} '}{y:.1f}{f'H{x:.1f}' if i else ''}" for i, (x, y) in enumerate(positions)
            )
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in positions) if positions else ""

    def _bars(self, series: Series) -> str:
        edges, tops = self.to_x(series.x), self.to_y(series.y)
        bars = zip(edges[:-1], edges[1:], tops, strict=True)
        return "".join(f"M{a + 0.4:.1f} {self.bottom:.1f}V{y:.1f}H{b - 0.4:.1f}V{self.bottom:.1f}Z" for a, b, y in bars)


def _ticks(axis: Axis, positions: Float[np.ndarray, " n"]) -> list[Tick]:
    pairs = zip(positions.tolist(), axis.ticks, strict=True)
    return [Tick(round(position, 1), _tick_text(value)) for position, value in pairs]


def _fraction(values: Sequence[float], axis: Axis) -> Float[np.ndarray, " n"]:
    return ((np.asarray(values, dtype=np.float64) - axis.low) / (axis.high - axis.low)).clip(0, 1)


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that ``span`` has about five steps."""
    exponent = math.log10(span / 5)
    power = math.floor(exponent)
    return 10.0**power * min((1, 2, 5, 10), key=lambda digit: abs(math.log10(digit) - (exponent - power)))


def _tick_text(value: float) -> str:
    return f"{value:.6g}"
