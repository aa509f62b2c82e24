"""Numbers to the coordinates of a drawing: small charts that a page can hold many of.

A chart is a value: where its lines run, where its ticks and marks are, and what it says in words. ``page.html`` writes
it as inline SVG. Matplotlib's SVG carries its own fonts and does not follow the reader's light or dark page.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Style = Literal["first", "second", "third", "guide", "chosen"]
Shape = Literal["line", "steps", "dots", "bars"]

SMALL, WIDE = (200, 150), (400, 230)  # width and height of a drawing in its own units
MAX_POINTS = 160  # of one line: more cannot be seen on a chart of this size
_RIGHT, _TOP, _BOTTOM = 8.0, 6.0, 30.0  # margins around the field; the left one holds the numbers
_LABEL, _DIGIT = 13.0, 6.0  # width of a label that stands upright, and of a digit


@dataclass(frozen=True, slots=True)
class Axis:
    """The range of a chart along one direction.

    Args:
        label: what is measured.
        low: where it begins.
        high: where it ends.
        ticks: where numbers stand.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    ticks: Sequence[float] = (0.0, 0.5, 1.0)

    @staticmethod
    def fit(label: str, values: Sequence[float], *, zero: bool = False, whole: bool = False) -> "Axis":
        """The range that holds ``values``, with ticks at round numbers.

        Args:
            label: what is measured.
            values: what must fit; those that are not finite do not count.
            zero: True starts at zero.
            whole: True puts ticks at whole numbers only.
        """
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = (min(0.0, *finite) if zero else min(finite)), max(finite)
        room = 0.04 * (high - low) or abs(high) or 1.0
        low, high = (low if zero else low - room), high + room
        step = _round_step(high - low)
        step = max(1.0, float(round(step))) if whole else step
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return Axis(label, low, high, [round(step * i, 12) for i in range(first, last + 1)])


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one set of dots or bars, in the units of the axes.

    Args:
        x: where along the x axis; for bars their left edges and the last right edge, one more than ``y``.
        y: how high.
        style: its colour, and its entry in the legend.
        shape: how it is drawn; ``"steps"`` holds each ``y`` from the x before it.
    """

    x: Sequence[float]
    y: Sequence[float]
    style: Style = "first"
    shape: Shape = "line"


@dataclass(frozen=True, slots=True)
class Path:
    """Something drawn: SVG path data."""

    data: str
    style: Style
    shape: Shape


@dataclass(frozen=True, slots=True)
class Tick:
    """A number beside an axis, at its place in the drawing."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Caption:
    """What is said about a chart.

    Args:
        title: over the chart.
        alt_text: what can be read from it, for those who cannot see it.
        note: a few words beside the title, for example the area under the curve.
        legend: what each style of path means, where the chart has a legend of its own.
    """

    title: str
    alt_text: str
    note: str = ""
    legend: Sequence[tuple[Style, str]] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing: everything in its own units, ``width`` by ``height``, y downwards.

    Args:
        caption: what is said about it.
        width: of the whole drawing.
        height: of the whole drawing.
        left: where the axes' field begins.
        top: where the field begins.
        right: where the field ends.
        bottom: where the field ends.
        x_label: under the x axis.
        y_label: beside the y axis.
        x_ticks: numbers under the x axis.
        y_ticks: numbers beside the y axis.
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
    """A chart of ``series``; values outside the axes are drawn at their edge, values that are no numbers are left out.

    Args:
        caption: what is said about it.
        series: what is drawn, the last on top.
        x: the range to the right.
        y: the range upwards.
        size: width and height of the drawing in its own units.
    """
    numbers = _DIGIT * max(len(_tick(at)) for at in y.ticks)
    left = (_LABEL if y.label else 0) + numbers + 6
    field = _Field(x, y, left, _TOP, size[0] - _RIGHT, size[1] - _BOTTOM)
    return Chart(
        caption=caption,
        width=size[0],
        height=size[1],
        left=field.left,
        top=field.top,
        right=field.right,
        bottom=field.bottom,
        x_label=x.label,
        y_label=y.label,
        x_ticks=_ticks(x, field.across(x.ticks)),
        y_ticks=_ticks(y, field.up(y.ticks)),
        paths=[Path(field.path(one), one.style, one.shape) for one in series],
    )


def subsample_indices(x: Sequence[float], *, most: int = MAX_POINTS) -> list[int]:
    """Which points of a long line to keep: at most ``most``, spread evenly over its run along x, both ends among them.

    Args:
        x: where the points are along the axis, rising or falling.
        most: how many may stay.
    """
    if len(x) <= most:
        return list(range(len(x)))
    along = np.asarray(x, dtype=np.float64)
    rising = along if along[-1] >= along[0] else -along
    wanted = np.linspace(rising[0], rising[-1], most)
    nearest = np.searchsorted(rising, wanted).clip(0, len(x) - 1)
    return sorted({0, len(x) - 1, *nearest.tolist()})


@dataclass(frozen=True, slots=True)
class _Field:
    """From the units of two axes to places in the drawing."""

    x: Axis
    y: Axis
    left: float
    top: float
    right: float
    bottom: float

    def across(self, values: Sequence[float]) -> Float[np.ndarray, " n"]:
        return self.left + _share(values, self.x) * (self.right - self.left)

    def up(self, values: Sequence[float]) -> Float[np.ndarray, " n"]:
        return self.bottom - _share(values, self.y) * (self.bottom - self.top)

    def path(self, series: Series) -> str:
        if series.shape == "bars":
            return self._bars(series)
        pairs = zip(series.x, series.y, strict=True)
        known = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
        places = list(zip(self.across([x for x, _ in known]), self.up([y for _, y in known]), strict=True))
        if series.shape == "dots":
            return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)  # a round line cap makes the dot
        if series.shape == "steps":
            return "".join(
                f"{'V' if i else f'M{x:.1f} '}{y:.1f}{f'H{x:.1f}' if i else ''}" for i, (x, y) in enumerate(places)
            )
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) if places else ""

    def _bars(self, series: Series) -> str:
        edges, tops = self.across(series.x), self.up(series.y)
        bars = zip(edges[:-1], edges[1:], tops, strict=True)
        return "".join(f"M{a + 0.4:.1f} {self.bottom:.1f}V{y:.1f}H{b - 0.4:.1f}V{self.bottom:.1f}Z" for a, b, y in bars)


def _ticks(axis: Axis, places: Float[np.ndarray, " n"]) -> list[Tick]:
    return [Tick(round(place, 1), _tick(at)) for place, at in zip(places.tolist(), axis.ticks, strict=True)]


def _share(values: Sequence[float], axis: Axis) -> Float[np.ndarray, " n"]:
    return ((np.asarray(values, dtype=np.float64) - axis.low) / (axis.high - axis.low)).clip(0, 1)


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that about five steps make up ``span``."""
    wanted = math.log10(span / 5)
    power = math.floor(wanted)
    return 10.0**power * min((1, 2, 5, 10), key=lambda digit: abs(math.log10(digit) - (wanted - power)))


def _tick(value: float) -> str:
    return f"{value:.6g}"
