"""Reads a CSV or TSV file as columns of text.

Python's csv module rather than pandas: numbers, booleans and missing values are not guessed, each row has its line
number, and a row with one cell too many is an error, not a shifted table. A million rows take a few seconds.
"""

import csv
import io
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from eyebright.errors import TableError, listing, os_reason
from eyebright.sources.categorical import Categorical, Counting
from eyebright.sources.dialect import SPACES, Dialect, looks_like_image
from eyebright.sources.parts import part_of
from eyebright.sources.text_table import Lines, Strings, TextColumn, TextTable, strings

_MAX_COLUMNS = 10_000
_MAX_COLUMN_LENGTH = 1000  # characters of its name
_CHUNK_ROWS = 10_000  # rows added to the columns at a time
_MAX_UNIQUE = 100_000  # with more unique cells, in more than half of the rows, a column is kept as strings, not codes


def read_csv(path: str | Path) -> TextTable:
    """The columns of a CSV or TSV file: UTF-8, with or without a byte order mark, quotes, any line endings.

    Columns are separated by tab, comma, semicolon or pipe: the first of them that occurs in the header, unless the
    first line is ``sep=`` and another character, as Excel writes it; without any, and with as many words in each row,
    by spaces. Blank rows are ignored. If the first row names an image, it is no
    header: the other column then has the labels, in addition to one with the parts.

    Raises:
        TableError: the file cannot be read, is empty, has no header, is not UTF-8 or has rows of different lengths.
    """
    data = _data(Path(path))
    dialect = Dialect.of(_text(data, newline=None))
    separator = dialect.separator
    batches = _rows_with_spaces(data) if separator == SPACES else _rows(str(path), data, separator)
    first = next((batch for batch in batches if batch.rows), _Batch([], []))
    if dialect.states_separator:
        first.pop()
    count = first.pop()[0][0] if dialect.has_count else ""
    if not first.rows:
        raise TableError(f"'{path}' is empty; a header such as 'file,labels' and a row for each image were expected")
    names, line = first.pop() if dialect.has_header else (first.rows[0], first.lines[0])
    names = list(map(str.strip, names))
    if len(names) > _MAX_COLUMNS:
        raise TableError(f"'{path}' has {len(names):,} columns, and at most {_MAX_COLUMNS:,} can be read")
    empty = TextTable(str(path), {}, np.empty(0, dtype=np.int64), separator)  # for its error messages
    names = list(dialect.names) or names
    _check_header(empty, names, line)
    columns, lines = _columns(empty, names, chain([first], batches))
    if count and int(count) != len(lines):
        raise empty.error(f"line 1 announces {int(count):,} rows, and there are {len(lines):,}; is the file cut off?")
    if not len(lines):
        raise empty.error("there is a header but no row; a row for each image was expected")
    nameless = sum(not name for name in names) if "" in columns and not _are_row_numbers(columns[""]) else 0
    named = {name: column for name, column in columns.items() if name}
    table = TextTable(str(path), named, lines, separator, nameless)
    return table if dialect.has_header else _without_header(table)


def _without_header(table: TextTable) -> TextTable:
    """The table with names for its two columns, one with names of images and one with labels.

    Raises:
        TableError: there are other columns, which need a header.
    """
    cells = {name: column.unique() for name, column in table.columns.items()}
    parts = [name for name, values in cells.items() if all(part_of(cell) is not None for cell in values)]
    others = [name for name, values in cells.items() if name not in parts and not all(map(looks_like_image, values))]
    is_list = len(table.columns) == len(parts) + len(others) + 1 == 2 or len(parts) == len(others) == 1
    if not is_list or len(table.columns) > 3:
        raise table.error(
            "the header is missing; the first line names the columns, such as 'file,labels'", line=int(table.lines[0])
        )
    numbered = {name: "class" for name in others if all(cell.isdecimal() for cell in cells[name])}
    roles = {**dict.fromkeys(parts, "split"), **dict.fromkeys(others, ""), **numbered}
    names = {name: roles.get(name, "file") or name for name in table.columns}
    columns = {names[name]: column for name, column in table.columns.items()}
    return replace(table, columns=columns, notes=(f"there is no header; the columns are read as {listing(columns)}",))


def _are_row_numbers(column: TextColumn) -> bool:
    """True for blank cells, and for whole numbers that are all different, as pandas writes its index."""
    cells = column.unique()
    return not any(cells) or (len(cells) == len(column) and all(cell.isdecimal() for cell in cells))


class _Batch(NamedTuple):
    """Some rows of a table.

    Args:
        rows: the cells of each.
        lines: the line on which each begins.
    """

    rows: list[list[str]]
    lines: list[int]

    def pop(self) -> tuple[list[str], int]:
        """Takes the first row out."""
        return self.rows.pop(0), self.lines.pop(0)

    def without_blank(self) -> "_Batch":
        """The rows with a non-blank cell."""
        if all(row and row[0].strip() for row in self.rows):  # nearly always
            return self
        kept = [any(map(str.strip, row)) for row in self.rows]
        return _Batch(list(compress(self.rows, kept)), list(compress(self.lines, kept)))


@dataclass
class ColumnBuilder:
    """The cells of a column so far: codes while many cells are equal, otherwise chunks of strings."""

    codes: "array[int]" = field(default_factory=lambda: array("i"))
    unique: Counting[str] = field(default_factory=Counting[str])
    chunks: list[Strings] = field(default_factory=list[Strings])

    def extend(self, cells: Sequence[str]) -> None:
        """Adds the cells of the next rows."""
        if self.chunks:
            self.chunks.append(strings(cells))
            return
        unique = self.unique
        self.codes.extend(map(unique.__getitem__, cells))
        if len(unique) > _MAX_UNIQUE and len(unique) > len(self.codes) / 2:
            self.chunks.append(strings(list(unique))[np.array(self.codes)])
            self.codes, self.unique = array("i"), Counting()

    def column(self) -> TextColumn:
        """The cells that were added."""
        if self.chunks:
            return TextColumn(np.concatenate(self.chunks))
        return TextColumn(Categorical(tuple(self.unique), np.array(self.codes, dtype=np.int32)))


def _columns(table: TextTable, names: Sequence[str], batches: Iterable[_Batch]) -> tuple[dict[str, TextColumn], Lines]:
    builders = [ColumnBuilder() for _ in names]
    lines = array("q")
    for batch in batches:
        if set(map(len, batch.rows)) - {len(names)}:
            raise _wrong_length(table, names, batch)
        for builder, cells in zip(builders, zip(*batch.rows, strict=True), strict=False):
            builder.extend(list(map(str.strip, cells)))
        lines.extend(batch.lines)
    return dict(zip(names, (builder.column() for builder in builders), strict=True)), np.array(lines, dtype=np.int64)


def _wrong_length(table: TextTable, names: Sequence[str], batch: _Batch) -> TableError:
    """The error for the first row that has more or fewer cells than the header."""
    cells, line = next(row for row in zip(*batch, strict=True) if len(row[0]) != len(names))
    is_quotable = len(cells) > len(names) and table.separator != SPACES
    hint = f"; write values that contain '{table.separator}' in quotes" if is_quotable else ""
    counts = f"values in the row: {len(cells)}, columns in the header: {len(names)}"
    return table.error(f"{counts}{hint}", line=line)


def _text(data: bytes, *, newline: str | None) -> io.TextIOWrapper:
    """The file's text, decoded while it is read."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=newline)


def _data(path: Path) -> bytes:
    """The bytes of the file, checked to be UTF-8 text."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TableError(f"there is no file '{path}'") from None
    except IsADirectoryError:
        raise TableError(f"'{path}' is a folder; a CSV or TSV file was expected") from None
    except OSError as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from error
    _check_is_a_table(path, data)
    if b"\0" in data:  # UTF-8 never has one; UTF-16 and UTF-32 are full of them
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise TableError(
            f"'{path}' line {line}: the file contains NUL bytes, so it is not UTF-8 text; save it as "
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


_OTHER_FORMATS = {
    b"PK\x03\x04": "is an Excel workbook or another zip file; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook (.xls); save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "is compressed (gzip); decompress it, for example with: gunzip",
    b"BZh": "is compressed (bzip2); decompress it, for example with: bunzip2",
    b"\xfd7zXZ": "is compressed (xz); decompress it, for example with: unxz",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd); decompress it, for example with: unzstd",
    b"PAR1": "is a Parquet file, which `format='parquet'` reads if a column names images or holds their bytes",
    b"SQLite format 3": "is an SQLite database; export the table as CSV",
    b"%PDF": "is a PDF document; a CSV or TSV file was expected",
}
"""The kind of a file with these first bytes, and the remedy."""


def _check_is_a_table(path: Path, data: bytes) -> None:
    """Raises `TableError` for a file of another format, which it names."""
    for first, description in _OTHER_FORMATS.items():
        if data.startswith(first):
            raise TableError(f"'{path}' {description}")
    begin = data[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if begin[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise TableError(f"'{path}' is a web page (HTML), not a table; was it saved instead of the file itself?")
    if begin.startswith(b"<"):
        raise TableError(f"'{path}' is XML, not a table; export the labels as CSV: a row for each image")
    if begin.startswith((b"{", b"[")) and (kind := _json_kind(data)):
        raise TableError(f"'{path}' is {kind}, not a table; export the labels as CSV: a row for each image")


def _json_kind(data: bytes) -> str:
    """The content of a JSON file, as text; empty for text that is not JSON."""
    try:
        content: Any = json.loads(data)
    except RecursionError:  # thousands of lists in lists
        return "JSON"
    except ValueError:
        try:
            json.loads(data.lstrip().split(b"\n", 1)[0])
        except (ValueError, RecursionError):
            return ""
        return "JSON Lines"
    if isinstance(content, dict) and {"images", "annotations"} <= set(cast("dict[str, Any]", content)):
        return "JSON (COCO)"
    first = cast("list[Any]", content)[0] if isinstance(content, list) and content else None
    if isinstance(first, dict) and "data" in first:
        return "JSON (Label Studio)"
    return "JSON"


def _rows(path: str, data: bytes, separator: str) -> Iterator[_Batch]:
    """The rows that are not blank, some at a time."""
    reader = csv.reader(_text(data, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    batch, line, broken = _Batch([], []), 1, None
    try:
        for row in reader:
            batch.rows.append(row)
            batch.lines.append(line)
            line = reader.line_num + 1
            if len(batch.rows) == _CHUNK_ROWS:
                yield batch.without_blank()
                batch = _Batch([], [])
    except csv.Error as error:
        broken = error
    yield batch.without_blank()
    if broken is None:
        return
    if "field limit" in str(broken):
        long = f"a value of more than {csv.field_size_limit():,} characters is neither a label nor the name of an image"
        raise TableError(f"'{path}' line {line}: {long}; is a quotation mark not closed?")
    raise TableError(f"'{path}' line {line}: a quotation mark is misplaced or not closed ({broken})")


def _rows_with_spaces(data: bytes) -> Iterator[_Batch]:
    """The words of each line that is not blank, some lines at a time."""
    lines = enumerate(_text(data, newline=None), start=1)
    while chunk := list(islice(lines, _CHUNK_ROWS)):
        yield _Batch([line.split() for _, line in chunk], [number for number, _ in chunk]).without_blank()


def _check_header(table: TextTable, names: Sequence[str], line: int) -> None:
    long = next((name for name in names if len(name) > _MAX_COLUMN_LENGTH), None)
    if long is not None:
        problem = f"a column's name has {len(long):,} characters, more than the limit of {_MAX_COLUMN_LENGTH:,}"
        raise table.error(
            f"{problem} ('{long[:60]}...'); is the header missing, or a quotation mark not closed?", line=line
        )
    twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if twice:
        raise table.error(f"the header names {listing(twice)} twice", line=line)
