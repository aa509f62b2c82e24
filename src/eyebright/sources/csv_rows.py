"""From a CSV or TSV file to named columns of text, with the line of each row for error messages.

The csv module rather than pandas: nothing is guessed about numbers, booleans or missing values, each row knows its
line, and a row with a value too many is an error, not a shifted table. A million rows take a few seconds. Values that
come again and again are kept once.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eyebright.errors import TableError, listing
from eyebright.io.files import IMAGE_EXTENSIONS

_SEPARATORS = ("\t", ",", ";", "|")  # the first of them that stands in the header
_SHARED = 10_000  # different values of a column that are kept once


@dataclass(frozen=True)
class TextTable:
    """The text of a table.

    Args:
        path: where it came from.
        columns: the values of each column by its name, without spaces around them; columns without a name (a row number
            that was saved along) are left out.
        lines: the line of the file on which each row begins; the first line is 1.
    """

    path: str
    columns: dict[str, list[str]]
    lines: list[int]

    def only(self, keep: Sequence[int]) -> "TextTable":
        """The table with only the rows at these positions."""
        columns = {name: [values[i] for i in keep] for name, values in self.columns.items()}
        return TextTable(self.path, columns, [self.lines[i] for i in keep])

    def line_of(self, column: str, value: str) -> int:
        """The first line on which ``value`` stands in a column."""
        return self.lines[self.columns[column].index(value)]

    def error(self, message: str, *, line: int | None = None) -> TableError:
        """The error with this file's name in front, and the line when it is known."""
        where = f"'{self.path}'" if line is None else f"'{self.path}' line {line}"
        return TableError(f"{where}: {message}")


def read_rows(path: str | Path) -> TextTable:
    """The columns of a CSV or TSV file: UTF-8, with or without a byte order mark, quotes, any line ends.

    Columns are separated by tab, comma, semicolon or pipe: the first of them that stands in the header. Blank rows are
    left out.

    Raises:
        TableError: the file cannot be read, is empty, has no header, is not UTF-8 or has rows of different lengths.
    """
    data = _data(Path(path))
    header = next((line for line in _text(data, newline="\n") if line.strip()), "")
    separator = _separator(header)
    found = _parsed(str(path), data, separator)
    table = TextTable(str(path), {}, found.lines)
    if not found.lines:
        raise TableError(f"'{path}' is empty; a header such as 'file,labels' and a row for each image were expected")
    _check_header(table, found.names)
    if len(found.lines) == 1:
        raise table.error("there is a header but no row; a row for each image was expected")
    if found.odd is not None:
        length, line = found.odd
        hint = f"; write values that contain '{separator}' in quotes" if length > len(found.names) else ""
        raise table.error(f"values in the row: {length}, columns in the header: {len(found.names)}{hint}", line=line)
    columns = {name: column.values for name, column in zip(found.names, found.columns, strict=True) if name}
    return TextTable(str(path), columns, found.lines[1:])


def looks_like_image(name: str) -> bool:
    """True for a text that ends like the name of an image file."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


@dataclass
class _Column:
    """The values of a column so far; the first different ones are each kept once."""

    values: list[str] = field(default_factory=list[str])
    shared: dict[str, str] = field(default_factory=dict[str, str])

    def append(self, value: str) -> None:
        same = self.shared.get(value)
        if same is None:
            same = value
            if len(self.shared) < _SHARED:
                self.shared[value] = value
        self.values.append(same)


@dataclass
class _Found:
    """What stands in a file: the header, each column, the lines on which rows begin, and the first row that is odd."""

    names: list[str] = field(default_factory=list[str])
    columns: list[_Column] = field(default_factory=list[_Column])
    lines: list[int] = field(default_factory=list[int])
    odd: tuple[int, int] | None = None  # (how many values, line)

    def add(self, values: list[str], line: int) -> None:
        """Takes the next row; the first one is the header."""
        if not self.lines:
            self.names, self.columns = values, [_Column() for _ in values]
        elif len(values) == len(self.names):
            for column, value in zip(self.columns, values, strict=True):
                column.append(value)
        elif self.odd is None:
            self.odd = len(values), line
        self.lines.append(line)


def _text(data: bytes, *, newline: str) -> io.TextIOWrapper:
    """The text, decoded as it is read."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=newline)


def _data(path: Path) -> bytes:
    """The bytes of the file, which are text."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TableError(f"there is no file '{path}'") from None
    except IsADirectoryError:
        raise TableError(f"'{path}' is a folder; a CSV or TSV file was expected") from None
    except OSError as error:
        raise TableError(f"cannot read '{path}': {error.strerror}") from error
    if data.startswith(b"PK\x03\x04"):
        raise TableError(f"'{path}' is an Excel workbook or another zip file; save the sheet as CSV (UTF-8)")
    if b"\0" in data:  # UTF-8 never has one; UTF-16 and UTF-32 are full of them
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise TableError(
            f"'{path}' line {line}: the file holds NUL bytes, so it is no text or another kind than UTF-8; save it as "
            "'CSV UTF-8', or convert it, for example with: iconv -f utf-16 -t utf-8"
        )
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"'{path}' line {line}: the file is not UTF-8; save it as 'CSV UTF-8', "
            "or convert it, for example with: iconv -f latin1 -t utf-8"
        ) from None
    return data


def _separator(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return next((separator for separator in _SEPARATORS if separator in bare), ",")


def _parsed(path: str, data: bytes, separator: str) -> _Found:
    """Every row that is not blank, and the line on which it begins."""
    reader = csv.reader(_text(data, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    found = _Found()
    begins = 1
    try:
        for row in reader:
            values = list(map(str.strip, row))
            if any(values):
                found.add(values, begins)
            begins = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            long = f"a value of more than {csv.field_size_limit():,} characters is no label and no name of an image"
            raise TableError(f"'{path}' line {begins}: {long}; is a quotation mark not closed?") from None
        raise TableError(f"'{path}' line {begins}: a quotation mark is misplaced or not closed ({error})") from None
    return found


def _check_header(table: TextTable, names: Sequence[str]) -> None:
    line = table.lines[0]
    if any(map(looks_like_image, names)):
        raise table.error("the header is missing; the first line names the columns, such as 'file,labels'", line=line)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise table.error(f"the header names {listing(twice)} twice", line=line)
