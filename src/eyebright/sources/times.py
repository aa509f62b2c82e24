"""`read_times`: the times of images from a column of the label file, for a split that trains on the past."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from eyebright.errors import InputError, TableError, did_you_mean, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.cells import is_number
from eyebright.sources.source import Source
from eyebright.sources.targets import Floats
from eyebright.tasks.columns import is_missing

_DATE = re.compile(r"(\d{4})(?:[-/.:](\d{1,2})(?:[-/.:](\d{1,2})(?:[ T]+(\S.*))?)?)?")
_ZONE = re.compile(r"(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$", re.IGNORECASE)
_YEAR_2000, _YEAR_2100 = 946_684_800, 4_102_444_800  # seconds since 1970
_EXAMPLES = "write dates as 2024-05-31 or 2024-05-31T12:30, or numbers"


@dataclass(frozen=True, eq=False)
class Times:
    """The times of images.

    Args:
        name: the name of the column.
        values: shape (n,), seconds since 1970 (UTC where no zone is given), or the numbers themselves.
        texts: the cells, for messages.
    """

    name: str
    values: Floats
    texts: Categorical[str]


def read_times(source: Source, column: str) -> Times:
    """The time of each image: dates in ISO 8601, with other separators (``2024/05/31 12:30``) as well, or numbers.

    Args:
        source: the labelled images.
        column: one of its columns.

    Raises:
        InputError: there is no such column.
        TableError: a cell is neither a date nor a number, or some are dates and others numbers, or some name a time
            zone and others do not, or some numbers look like seconds since 1970 and others like milliseconds; it names
            the line.
    """
    if column not in source.columns:
        names = [str(name) for name in source.columns]
        available = (
            f"Columns without another role: {listing(names)}" if names else "There is no column without another role"
        )
        raise InputError(f"`time`: there is no column '{column}'.{did_you_mean(column, names)} {available}")
    texts = _cells(source.columns[column].tolist())
    known = [_normal(cell) for cell in texts.categories]
    dates = pd.to_datetime(pd.Series(known, dtype=object), format="ISO8601", utc=True, errors="coerce")
    seconds = ((dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64)
    numbers = np.array([float(cell) if is_number(cell) else np.nan for cell in texts.categories])
    values = seconds if np.isnan(numbers).any() and not np.isnan(seconds).all() else numbers
    wrong = np.flatnonzero(np.isnan(values)[texts.codes])
    if len(wrong):
        raise _error(source, column, int(wrong[0]), texts)
    if values is seconds:
        _check_zones(source, column, texts)
    else:
        _check_units(source, column, texts, values)
    return Times(column, values[texts.codes], texts)


def _check_zones(source: Source, column: str, texts: Categorical[str]) -> None:
    """Raises `TableError` where some times name a zone and others do not: their order is not known."""
    dates = [_DATE.fullmatch(cell.strip()) for cell in texts.categories]
    clocks = [(date and date[4]) or "" for date in dates]  # what follows the date
    zoned = [_ZONE.search(clock) is not None for clock in clocks]
    local = np.array([clock != "" and not zone for clock, zone in zip(clocks, zoned, strict=True)])
    if any(zoned) and local.any():
        row = int(np.flatnonzero(local[texts.codes])[0])
        example = texts.categories[zoned.index(True)]
        raise TableError(
            f"{_place(source, row)}: '{texts[row]}' names no time zone, and '{example}' does, in column '{column}', "
            "which `time` names; write the zone of all of them, or of none"
        )


def _check_units(source: Source, column: str, texts: Categorical[str], numbers: Floats) -> None:
    """Raises `TableError` where some numbers are seconds since 1970 and others milliseconds, of the years from 2000."""
    is_seconds = (numbers >= _YEAR_2000) & (numbers < _YEAR_2100)
    is_milliseconds = (numbers >= _YEAR_2000 * 1000) & (numbers < _YEAR_2100 * 1000)
    if is_seconds.any() and (is_seconds | is_milliseconds).all() and is_milliseconds.any():
        example = texts.categories[int(np.flatnonzero(is_seconds)[0])]
        row = int(np.flatnonzero(is_milliseconds[texts.codes])[0])
        raise TableError(
            f"{_place(source, row)}: '{texts[row]}' looks like milliseconds since 1970, and '{example}' like seconds, "
            f"in column '{column}', which `time` names; write all of them in one unit"
        )


def _place(source: Source, row: int) -> str:
    line = source[row].line
    return f"image '{source.files[row]}'" if line is None else f"'{source.name}' line {line}"


def _cells(cells: Sequence[Any]) -> Categorical[str]:
    return Categorical[str].of("" if is_missing(cell) else _text(cell) for cell in cells)


def _text(cell: Any) -> str:
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)


def _normal(cell: str) -> str | None:
    """The date with hyphens and a T, as ISO 8601 has it; None for what is not a date."""
    match = _DATE.fullmatch(cell.strip())
    if match is None:
        return None
    year, month, day, rest = match.groups()
    return f"{year}-{int(month or 1):02}-{int(day or 1):02}" + (f"T{rest}" if rest else "")


def _error(source: Source, column: str, row: int, texts: Categorical[str]) -> TableError:
    cell = texts[row]
    problem = f"'{cell}' is neither a date nor a number" if cell else "there is no time"
    if is_number(cell):
        problem = f"'{cell}' is a number, and other cells are dates,"
    return TableError(f"{_place(source, row)}: {problem} in column '{column}', which `time` names; {_EXAMPLES}")
