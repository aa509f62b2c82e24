"""`TextTable`: the columns of a label file as text, with the line of each row for error messages.

Nothing is converted here: numbers, dates and missing cells are text. A column takes four bytes for each row where its
cells repeat, and 16 bytes or the characters of the cell where they do not.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np

from eyebright.errors import TableError
from eyebright.sources.coded import Coded, Rows

Strings = np.ndarray[Any, Any]  # of numpy's StringDType, which its stubs cannot name exactly
Lines = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class TextColumn(Sequence[str]):
    """The cells of a column, immutable.

    Args:
        cells: as codes of the different cells, or as an array of strings.
    """

    cells: Coded[str] | Strings

    @staticmethod
    def of(cells: Iterable[str]) -> "TextColumn":
        """A column of these cells."""
        return TextColumn(Coded.of(cells))

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: Rows) -> "TextColumn": ...
    def __getitem__(self, key: int | Rows) -> "str | TextColumn":
        if isinstance(key, (slice, np.ndarray)):
            return TextColumn(self.cells[key])
        return self.cells[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    @cached_property
    def coded(self) -> Coded[str]:
        """The column as codes of the cells that occur, in order of first appearance."""
        return self.cells.used() if isinstance(self.cells, Coded) else Coded.of(self.cells)

    @property
    def different(self) -> tuple[str, ...]:
        """The different cells, in order of first appearance."""
        return self.coded.values

    def counts(self) -> dict[str, int]:
        """How many rows have each different cell."""
        coded = self.coded
        return dict(zip(coded.values, np.bincount(coded.codes, minlength=len(coded.values)).tolist(), strict=True))

    def strings(self) -> Strings:
        """The cells as an array of strings."""
        return strings(self.cells.values)[self.cells.codes] if isinstance(self.cells, Coded) else self.cells


@dataclass(frozen=True, eq=False)
class TextTable:
    """The text of a label file.

    Args:
        path: of the file.
        columns: the cells of each column by its name, without spaces around them; columns without a name (a row number
            that was saved too) are left out.
        lines: shape (n,), the line of the file on which each row begins; the first line is 1.
        separator: between two cells.
    """

    path: str
    columns: dict[str, TextColumn]
    lines: Lines
    separator: str = ","

    def __len__(self) -> int:
        return len(self.lines)

    def only(self, rows: Rows) -> "TextTable":
        """The table with only these rows."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return TextTable(self.path, columns, self.lines[rows], self.separator)

    def line_of(self, column: str, cell: str) -> int:
        """The first line with this cell in a column."""
        coded = self.columns[column].coded
        return int(self.lines[np.argmax(coded.codes == coded.values.index(cell))])

    def error(self, message: str, *, line: int | None = None) -> TableError:
        """The error with this file's name in front, and the line where it is known."""
        where = f"'{self.path}'" if line is None else f"'{self.path}' line {line}"
        return TableError(f"{where}: {message}")


def strings(texts: Sequence[str]) -> Strings:
    """The texts as an array that takes 16 bytes for each, and their characters where they are longer than 15."""
    return np.array(texts, dtype=np.dtypes.StringDType())
