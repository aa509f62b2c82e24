"""`Dialect`: what separates the cells of a text table, and whether its first lines are a header.

Lists such as those of Caffe, ImageNet and CelebA have spaces between cells, and some no header, or before it the number
of images.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from eyebright.io.files import IMAGE_EXTENSIONS

_SEPARATORS = ("\t", ",", ";", "|")  # the first of them that occurs in the header
_N_SAMPLED_LINES = 20  # lines
_MAX_COLUMNS = 1000  # of a table without a header
_FILE = "file"
_SEP_LINE = re.compile(r'"?sep=([\t ]|[^\w\s"])"?[\r\n]*$', re.IGNORECASE)

SPACES = " "
"""The separator of a table whose cells have any number of spaces between them."""


class Dialect(NamedTuple):
    """The format of the lines of a table.

    Args:
        separator: between two cells; `SPACES` for any number of them.
        has_count: the first line is the number of rows.
        states_separator: the first line is ``sep=;`` or the like, which Excel reads and writes.
        names: the names of the columns, if the header does not have all of them; otherwise empty.
        has_header: the first line (after the count) names columns.
    """

    separator: str
    has_count: bool = False
    names: tuple[str, ...] = ()
    has_header: bool = True
    states_separator: bool = False

    @staticmethod
    def of(lines: Iterable[str]) -> "Dialect":
        """The dialect of a table, from its first lines."""
        lines = list(islice(lines, _N_SAMPLED_LINES))
        stated = _SEP_LINE.match(lines[0]) if lines else None
        dialect = Dialect._from_lines(lines if stated is None else lines[1:], "" if stated is None else stated[1])
        return dialect if stated is None else dialect._replace(states_separator=True)

    @staticmethod
    def _from_lines(lines: Sequence[str], separator: str) -> "Dialect":
        """The dialect of lines; an empty separator is detected."""
        first = [line for line in (line.strip() for line in lines) if line]
        header = first[0] if first else ""
        bare = re.sub(r'"[^"]*"', "", header)
        separator = separator or next((character for character in _SEPARATORS if character in bare), "")
        if not separator and (dialect := _with_spaces(first)) is not None:
            return dialect
        separator = separator or ","
        cells = _cells(header, separator)
        if 1 < len(cells) < _MAX_COLUMNS and any(looks_like_image(cell.strip()) for cell in cells):
            return Dialect(separator, names=_made_names(len(cells)), has_header=False)
        return Dialect(separator)


def looks_like_image(name: str) -> bool:
    """True for a string that ends in the extension of an image file."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # reading reports the position
        return []


def _with_spaces(lines: Sequence[str]) -> Dialect | None:
    """The dialect of lines with equal numbers of cells separated by spaces; None for other lines."""
    has_count = len(lines) > 1 and lines[0].isdecimal() and len(lines[1].split()) > 1
    rows = [line.split() for line in (lines[1:] if has_count else lines)]
    header, width = (rows[0], len(rows[-1])) if rows else ([], 0)
    if width < 2 or any(len(row) != width for row in rows[1:]):
        return None
    if any(map(looks_like_image, header)):
        return None if len(header) != width else Dialect(SPACES, has_count, _made_names(width), has_header=False)
    if not any(any(map(looks_like_image, row)) for row in rows[1:]):
        return None
    if len(header) == width:
        return Dialect(SPACES, has_count)
    is_nameless = len(header) == width - 1 and all(looks_like_image(row[0]) for row in rows[1:])
    return Dialect(SPACES, has_count, (_FILE, *header)) if is_nameless else None


def _made_names(count: int) -> tuple[str, ...]:
    return tuple(f"column {i + 1}" for i in range(count))
