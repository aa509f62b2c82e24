"""`TextTable`: the columns of a label file as text, with the line number of each row for error messages.

Nothing is converted here: numbers, dates and missing cells are text. A column takes four bytes per row where its cells
repeat; otherwise 16 bytes per row, and the characters of cells longer than 15.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import numpy as np

from eyebright.errors import TableError
from eyebright.sources.categorical import Categorical, Rows

Strings = np.ndarray[Any, Any]  # of numpy's StringDType, which its stubs cannot name exactly
Lines = np.ndarray[Any, np.dtype[np.int64]]

LINE_OFFSET = 1 << 40
"""In a table of several files, the line numbers of file i are increased by i times this; `place` undoes it."""


@dataclass(frozen=True, eq=False)
class TextColumn(Sequence[str]):
    """The cells of one column; immutable.

    Args:
        cells: a code for each row where cells repeat, else an array of strings.
    """

    cells: Categorical[str] | Strings

    @staticmethod
    def of(cells: Iterable[str]) -> "TextColumn":
        """A column of these cells."""
        return TextColumn(Categorical.of(cells))

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
    def categorical(self) -> Categorical[str]:
        """The column with a code for each row; every category occurs, in order of first appearance."""
        cells = self.cells
        return cells.remove_unused_categories() if isinstance(cells, Categorical) else Categorical.of(cells)

    def unique(self) -> tuple[str, ...]:
        """The unique cells, in order of first appearance."""
        return self.categorical.categories

    def value_counts(self) -> dict[str, int]:
        """The number of rows with each unique cell, in order of first appearance."""
        cells, codes = self.categorical.categories, self.categorical.codes
        return dict(zip(cells, np.bincount(codes, minlength=len(cells)).tolist(), strict=True))

    def strings(self) -> Strings:
        """The cells as an array of strings."""
        return strings(self.cells.categories)[self.cells.codes] if isinstance(self.cells, Categorical) else self.cells


@dataclass(frozen=True, eq=False)
class TextTable:
    """The columns of a label file; immutable.

    Args:
        path: the path of the file.
        columns: the cells of each column by its name, without spaces around them; columns without a name (a row number
            that was saved too) are ignored.
        lines: shape (n,), the line of the file on which each row begins; the first line is 1.
        separator: between two cells.
        nameless: how many columns without a name were ignored that hold more than row numbers.
        files: the paths of the files, where the rows are of several; their lines are counted on, see `LINE_OFFSET`.
        notes: how the file was read, sentences for the user.
    """

    path: str
    columns: dict[str, TextColumn]
    lines: Lines
    separator: str = ","
    nameless: int = 0
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, rows: Rows) -> "TextTable":
        """The table with these rows only."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return replace(self, columns=columns, lines=self.lines[rows])

    def line_of(self, column: str, cell: str) -> int:
        """The first line with this cell in a column."""
        cells = self.columns[column].categorical
        return int(self.lines[np.argmax(cells.codes == cells.categories.index(cell))])

    def error(self, message: str, *, line: int | None = None) -> TableError:
        """An error whose message begins with the file's name and, where it is known, the line number."""
        return TableError(f"'{self.path}': {message}" if line is None else f"{self.place(line)}: {message}")

    def place(self, line: int) -> str:
        """The file and the line, for messages."""
        if not self.files:
            return f"'{self.path}' line {line}"
        file, line = divmod(line, LINE_OFFSET)
        return f"'{self.files[file]}' line {line}"


def strings(texts: Sequence[str]) -> Strings:
    """The strings as an array of numpy's StringDType: 16 bytes for each, and more for long ones."""
    return np.array(texts, dtype=np.dtypes.StringDType())
