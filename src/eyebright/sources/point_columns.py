"""Reads columns of coordinates as the points of each image.

Coordinates are taken as they are written, in continuous pixels: (0, 0) is the top-left corner of the image and
(0.5, 0.5) the centre of its first pixel. If a file means pixel indices, its points are half a pixel too far to the
left and to the top, in training and in prediction alike.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eyebright.errors import InputError, count_text, listing
from eyebright.sources.categorical import Mask
from eyebright.sources.cells import is_unknown
from eyebright.sources.number_columns import number_array
from eyebright.sources.targets import Floats, TargetColumns
from eyebright.sources.text_table import TextTable

_VISIBILITY = r"v|vis|visible|visibility"
_NAME_PATTERNS = (
    re.compile(rf"(?P<name>.+?)[ _.\-]+(?P<axis>x|y|{_VISIBILITY})", re.IGNORECASE),  # left_eye_x, left eye.x, 1_x
    re.compile(rf"(?P<axis>x|y|{_VISIBILITY})[ _.\-]*(?P<name>\d+)", re.IGNORECASE),  # x1, x_1
    re.compile(rf"(?P<axis>x|y|{_VISIBILITY})[ _.\-]+(?P<name>.+)", re.IGNORECASE),  # x_left_eye
    re.compile(r"(?P<name>.*[a-z0-9])(?P<axis>[XYV])"),  # leftEyeX
    re.compile(r"(?P<name>.*\d)(?P<axis>[xyv])"),  # p1x
    re.compile(rf"(?P<name>)(?P<axis>x|y|{_VISIBILITY})", re.IGNORECASE),  # x
)
_VISIBLE_CELLS = frozenset({"1", "1.0", "2", "2.0", "true"})
_HIDDEN_CELLS = frozenset({"0", "0.0", "false"})


@dataclass(frozen=True)
class PointColumns:
    """The columns of one point.

    Args:
        name: the name of the point; digits if the columns only number it, empty if they neither name nor number it.
        x: the name of the column with its x.
        y: the name of the column with its y.
        visibility: the name of the column that holds 0 for unknown and 1 or 2 for known; None: there is none.
    """

    name: str
    x: str
    y: str
    visibility: str | None

    @property
    def columns(self) -> list[str]:
        """All of its columns."""
        return [self.x, self.y] + ([] if self.visibility is None else [self.visibility])


def find_points(names: Sequence[str]) -> list[PointColumns]:
    """The points whose x and y both have a column, in the order of the columns.

    Known forms are ``left_eye_x, left_eye_y``, ``x1, y1``, ``x_left_eye, y_left_eye``, ``leftEyeX, leftEyeY`` and
    ``x, y``, each with or without a column of visibility such as ``left_eye_v`` or ``v1``.

    >>> [point.name for point in find_points(["nose_x", "nose_y", "nose_v", "age"])]
    ['nose']
    """
    axes: dict[tuple[int, str], dict[str, list[tuple[str, str]]]] = {}
    for column in names:
        for number, pattern in enumerate(_NAME_PATTERNS):
            if match := pattern.fullmatch(column):
                group = axes.setdefault((number, match["name"].lower()), {})
                group.setdefault(match["axis"][0].lower(), []).append((match["name"], column))
                break
    points = [point for group in axes.values() for point in _points_of(group)]
    return sorted(points, key=lambda point: min(names.index(point.x), names.index(point.y)))


def _points_of(group: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[PointColumns]:
    """The points of columns whose names differ at most in case, such as ``Left_X, left_y``, or ``nose_*, Nose_*``.

    Args:
        group: for each axis (x, y, v) the point's name as it is spelled there, and the column.
    """
    xs, ys, visibilities = (group.get(axis, ()) for axis in "xyv")
    if len(xs) == len(ys) == 1:
        yield PointColumns(xs[0][0], xs[0][1], ys[0][1], visibilities[0][1] if visibilities else None)
        return
    for name, x in xs:  # several points: their names are spelled exactly alike
        y = dict(ys).get(name)
        if y is not None:
            yield PointColumns(name, x, y, dict(visibilities).get(name))


def read_points(table: TextTable, points: Sequence[PointColumns]) -> TargetColumns:
    """The points of each image, shape (n, p, 2), in the file's own unit; NaN where a point is unknown.

    A point is unknown where its cells are blank or its visibility is 0. Points that the columns only number are in the
    order of their numbers; they have no names where the numbers are 1, 2, ..., as those of predictions are, and
    otherwise their numbers are their names.

    Raises:
        InputError: two points have the same number, or columns ``x, y`` stand beside those of named points.
        TableError: a cell is not a number, only one of x and y is known, or a visibility is not 0, 1 or 2.
    """
    numbered = all(point.name.isdecimal() or not point.name for point in points)
    in_columns = points
    if numbered:
        _check_numbers(points)
        points = sorted(points, key=_number)
    else:
        _check_named(points)
    xy = np.stack([np.stack([number_array(table, p.x), number_array(table, p.y)], axis=1) for p in points], axis=1)
    for i, point in enumerate(points):
        if point.visibility is not None:
            xy[~_visible(table, point.visibility), i] = np.nan
        _check_both_known(table, point, xy[:, i])
    names = _names(points) if numbered else tuple(point.name for point in points)
    columns = [column for point in points for column in point.columns]
    where = f"{count_text(len(columns), 'column')}: {listing(names)}" if names else f"the columns {listing(columns)}"
    messages = [f"{len(points)} point{'s' * (len(points) > 1)} for each image in {where}"]
    if list(points) != list(in_columns):
        messages.append("points are in the order of their numbers, which is not that of the columns")
    if unknown := int(np.isnan(xy[..., 0]).sum()):
        messages.append(f"points that are unknown: {unknown} of {len(table) * len(points)}")
    return TargetColumns("points", tuple(columns), xy, tuple(messages), names=names)


def _number(point: PointColumns) -> int:
    """The number of a point; that of columns ``x, y`` is 0, as where pandas writes ``x, y, x.1, y.1``."""
    return int(point.name or 0)


def _check_named(points: Sequence[PointColumns]) -> None:
    """Raises `InputError` where columns such as ``x, y`` name no point, and others do."""
    named = next(point for point in points if point.name)
    for point in points:
        if not point.name:
            raise InputError(
                f"the columns '{point.x}' and '{point.y}' name no point, "
                f"and others do, such as '{named.x}'; rename them"
            )


def _check_numbers(points: Sequence[PointColumns]) -> None:
    """Raises `InputError` where two points have one number, such as ``x, y`` beside ``x0, y0``."""
    of_number: dict[int, str] = {}
    for point in points:
        other = of_number.setdefault(_number(point), point.x)
        if other != point.x:
            raise InputError(
                f"the columns '{other}' and '{point.x}' are both of point {_number(point)}; rename the columns of one"
            )


def _names(points: Sequence[PointColumns]) -> tuple[str, ...]:
    """The names of points with numbers: the numbers, or none if they are 1, 2, ... or there is one point ``x, y``."""
    if len(points) == 1 and not points[0].name:
        return ()
    is_counted = all(_number(point) == place for place, point in enumerate(points, start=1))
    return () if is_counted else tuple(point.name or "0" for point in points)


def _visible(table: TextTable, name: str) -> Mask:
    cells = table.columns[name].categorical
    for cell in cells.categories:
        if cell and not is_unknown(cell) and cell.lower() not in _VISIBLE_CELLS | _HIDDEN_CELLS:
            raise table.error(
                f"'{cell}' in column '{name}'; a visibility is 0 (unknown), 1 or 2 (known)",
                line=table.line_of(name, cell),
            )
    return ~np.array([cell.lower() in _HIDDEN_CELLS or is_unknown(cell) for cell in cells.categories])[cells.codes]


def _check_both_known(table: TextTable, point: PointColumns, xy: Floats) -> None:
    one_known = np.flatnonzero(np.isnan(xy).sum(axis=1) == 1)
    if len(one_known):
        known, blank = (point.y, point.x) if np.isnan(xy[one_known[0], 0]) else (point.x, point.y)
        raise table.error(
            f"column '{known}' has a coordinate and '{blank}' has none; leave both blank where a point is unknown",
            line=int(table.lines[one_known[0]]),
        )
