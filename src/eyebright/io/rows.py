"""From a CSV or TSV file to named columns of text, with the line of each row for error messages.

The csv module rather than pandas: nothing is guessed about numbers, booleans or missing values, each row knows its
line, and a row with a value too many is an error, not a shifted table. A million rows take a few seconds.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eyebright.errors import TableError, listing
from eyebright.io.files import IMAGE_EXTENSIONS

_SEPARATORS = ("\t", ",", ";", "|")  # the first of them that stands in the header
_Row = list[str]


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
    text = _text(Path(path))
    header = next((line for line in io.StringIO(text) if line.strip()), "")
    separator = _separator(header)
    rows, lines = _parsed(str(path), text, separator)
    if not rows:
        raise TableError(f"'{path}' is empty; a header such as 'file,labels' and a row for each picture were expected")
    names = rows.pop(0)
    table = TextTable(str(path), {}, lines)
    _check_header(table, names)
    if not rows:
        raise table.error("there is a header but no row; a row for each picture was expected")
    _check_lengths(table, rows, len(names), separator)
    columns = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True) if name}
    return TextTable(str(path), columns, lines[1:])


def looks_like_picture(name: str) -> bool:
    """True for a text that ends like the name of a picture file."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def _text(path: Path) -> str:
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
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"'{path}' line {line}: the file is not UTF-8; save it as 'CSV UTF-8', "
            "or convert it, for example with: iconv -f latin1 -t utf-8"
        ) from None


def _separator(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return next((separator for separator in _SEPARATORS if separator in bare), ",")


def _parsed(path: str, text: str, separator: str) -> tuple[list[_Row], list[int]]:
    """Every row that is not blank, and the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    rows: list[_Row] = []
    lines: list[int] = []
    begins = 1
    try:
        for row in reader:
            values = list(map(str.strip, row))
            if any(values):
                rows.append(values)
                lines.append(begins)
            begins = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            long = f"a value of more than {csv.field_size_limit():,} characters is no label and no name of a picture"
            raise TableError(f"'{path}' line {begins}: {long}; is a quotation mark not closed?") from None
        raise TableError(f"'{path}' line {begins}: a quotation mark is misplaced or not closed ({error})") from None
    return rows, lines


def _check_header(table: TextTable, names: Sequence[str]) -> None:
    line = table.lines[0]
    if any(map(looks_like_picture, names)):
        raise table.error("the header is missing; the first line names the columns, such as 'file,labels'", line=line)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise table.error(f"the header names {listing(twice)} twice", line=line)


def _check_lengths(table: TextTable, rows: Sequence[_Row], expected: int, separator: str) -> None:
    for row, line in zip(rows, table.lines[1:], strict=True):
        if len(row) != expected:
            hint = f"; write values that contain '{separator}' in quotes" if len(row) > expected else ""
            raise table.error(f"values in the row: {len(row)}, columns in the header: {expected}{hint}", line=line)
