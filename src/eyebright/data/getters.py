"""Getters, as in the fastai book: callables from an item to what a block reads.

Any callable is a getter. Getters are never saved with a model.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from eyebright.errors import DataError, InputError, did_you_mean, listing
from eyebright.sources.items import item_at, single_column
from eyebright.tasks.columns import is_missing
from eyebright.tasks.label_text import label_text

Getter = Callable[[Any], Any]

_NUMPY_DTYPES = ("object", "int64", "float64", "bool")  # read from a NumPy array, which is faster than from a row


@dataclass(frozen=True)
class ColReader:
    """A getter that reads columns of a table's row.

    >>> row = pd.Series({"fname": "000005.jpg", "labels": "chair person"})
    >>> ColReader("fname", pref="train/")(row)
    'train/000005.jpg'
    >>> ColReader("labels", label_delim=" ")(row)
    ['chair', 'person']

    Args:
        cols: the column's name or number, or several of these.
        pref: put before the value; for a column of file names, the folder as a `Path`.
        suff: put after the value, for example ``".jpg"``.
        label_delim: splits the value into a list of labels, without spaces around them; an empty or missing value gives
            an empty list.

    Raises:
        InputError: ``label_delim`` is empty.
        DataError: when called with a row without such a column, or with an empty cell where ``pref`` or ``suff`` needs
            a value.
    """

    cols: str | int | Sequence[str | int]
    pref: str | Path = ""
    suff: str = ""
    label_delim: str | None = None

    def __post_init__(self) -> None:
        if self.label_delim == "":
            raise InputError("`label_delim` is the text between two labels, got ''; leave it out for one label")

    def __call__(self, row: Any) -> Any:
        """The value of the column (None for an empty cell); a list of values for several columns."""
        if isinstance(self.cols, (str, int)):
            return self._convert(_cell(row, self.cols), self.cols)
        return [self._convert(_cell(row, col), col) for col in self.cols]

    def columns(self, items: Any) -> list[pd.Series] | None:
        """The table's columns that this getter reads; None where their cells differ from those of the table's rows.

        A row of a table has one dtype for all of its cells, so in a row of an integer and a float column 1 becomes 1.0.
        Such cells must be read from their row.
        """
        if not isinstance(items, pd.DataFrame) or not len(items):
            return None
        cols = [self.cols] if isinstance(self.cols, (str, int)) else self.cols
        columns = [_single_column(items, col) for col in cols]
        row_dtype = items.iloc[0].dtype
        usable = [column for column in columns if column is not None and row_dtype in (object, column.dtype)]
        return usable if len(usable) == len(columns) else None

    def index_reader(self, items: Any) -> Getter | None:
        """A function from an index to this getter's result for that row, without making the row.

        None where `columns` gives None: then the getter must be called with the row.
        """
        columns = self.columns(items)
        if columns is None:
            return None
        cells = [column.to_numpy() if str(column.dtype) in _NUMPY_DTYPES else column.array for column in columns]
        if isinstance(self.cols, (str, int)):
            only_cells, only_col = cells[0], self.cols
            return lambda index: self._convert(only_cells[index], only_col)
        pairs = list(zip(cells, self.cols, strict=True))
        return lambda index: [self._convert(column_cells[index], col) for column_cells, col in pairs]

    def _convert(self, value: Any, col: str | int) -> Any:
        if self.label_delim is not None:
            parts = label_text(value).split(self.label_delim)
            return [label for part in parts if (label := part.strip())]
        if is_missing(value):
            if self.pref or self.suff:
                raise DataError(
                    f"the cell in column '{col}' is empty, but `pref` or `suff` needs a value; fill it in or remove "
                    "the row"
                )
            return None
        if isinstance(self.pref, Path):
            return self.pref / f"{value}{self.suff}"
        return f"{self.pref}{value}{self.suff}" if self.pref or self.suff else value


@dataclass(frozen=True)
class RegexLabeller:
    r"""A getter that takes the label from a string: the first group of a regular expression.

    >>> RegexLabeller(r"(.+)_\d+.jpg$")("great_pyrenees_173.jpg")
    'great_pyrenees'

    Args:
        pat: the regular expression, with a group around the label.
        match: True: the expression must match at the start of the text; False: anywhere in it.

    Raises:
        InputError: ``pat`` is not a valid regular expression.
    """

    pat: str
    match: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.pat)
        except (re.error, TypeError) as error:
            raise InputError(f"`pat` is not a valid regular expression: {error}; got {self.pat!r}") from None

    def __call__(self, text: Any) -> str:
        """The label in a string; for a `Path`, in the whole path with forward slashes.

        Raises:
            DataError: the expression does not match, or has no group.
        """
        find = re.match if self.match else re.search
        found = find(self.pat, Path(text).as_posix() if isinstance(text, Path) else str(text))
        if found is None:
            raise DataError(f"the regular expression {self.pat!r} does not match '{text}'")
        if not found.groups():
            raise DataError(f"the regular expression {self.pat!r} has no group: put the label in round brackets")
        return found.group(1)


def using_attr(f: Getter, attr: str) -> Getter:
    r"""A getter that calls ``f`` with an attribute of the item.

    >>> using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name")(Path("images/pug_7.jpg"))
    'pug'
    """

    def getter(item: Any) -> Any:
        return f(getattr(item, attr))

    getter.__name__ = f"{getattr(f, '__name__', type(f).__name__)}(item.{attr})"
    return getter


def parent_label(item: str | Path) -> str:
    """The name of the file's folder, as a label.

    >>> parent_label("train/cat/1.jpg")
    'cat'
    """
    return Path(item).parent.name


def item_reader(items: Any, getter: Getter | None) -> Getter:
    """A function from an index to the getter's result for that item; without a getter, to the item itself."""
    fast = getter.index_reader(items) if isinstance(getter, ColReader) else None
    if fast is not None:
        return fast
    if getter is None:
        return lambda index: item_at(items, index)
    return lambda index: getter(item_at(items, index))


def _cell(row: Any, col: str | int) -> Any:
    if isinstance(row, pd.Series):
        if isinstance(col, int) and col not in row.index and -len(row) <= col < len(row):
            return row.iloc[col]
        if col not in row.index:
            raise DataError(
                f"there is no column '{col}'.{did_you_mean(str(col), map(str, row.index))} "
                f"Columns: {listing(row.index)}"
            )
        return single_column(row[col], col)
    if isinstance(col, int) or isinstance(row, dict):
        return row[col]
    return getattr(row, col)


def _single_column(table: pd.DataFrame, col: str | int) -> pd.Series | None:
    """The column that `_cell` reads; None if no column or several columns have this name."""
    if col in table.columns:
        column = table[col]
        return column if isinstance(column, pd.Series) else None
    return table.iloc[:, col] if isinstance(col, int) and -table.shape[1] <= col < table.shape[1] else None
