"""Where the fields of an item come from: the getters of the book, as values.

A getter is any callable from an item to what a block reads. They are never saved with a model.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eyebright.errors import DataError, did_you_mean, listing
from eyebright.sources.items import item_at, only_column
from eyebright.tasks.base import is_missing

Getter = Callable[[Any], Any]
Numbers = np.ndarray[Any, np.dtype[np.int32]]

_PLAIN = ("object", "int64", "float64", "bool")  # types whose cells an array gives as a row does, and quicker
_LOOKED_AT = 20_000  # cells, to see whether a column has many that are the same


@dataclass(frozen=True)
class ColReader:
    """A getter that reads columns of a table's row.

    Args:
        cols: the column's name or number, or several.
        pref: put before the value; a folder for a column of file names.
        suff: put behind the value, for example ``".jpg"``.
        label_delim: splits the value into a list of labels; an empty or missing value is an empty list.

    Raises:
        DataError: when called with a row that has no such column, or nothing in it to put ``pref`` or ``suff`` to.
    """

    cols: str | int | Sequence[str | int]
    pref: str | Path = ""
    suff: str = ""
    label_delim: str | None = None

    def __call__(self, row: Any) -> Any:
        """The value (None where nothing stands), or a list of values for several columns."""
        if isinstance(self.cols, (str, int)):
            return self._made(_column(row, self.cols), self.cols)
        return [self._made(_column(row, col), col) for col in self.cols]

    def columns(self, items: Any) -> list[pd.Series] | None:
        """The columns that it reads, if its cells can be read without making rows; None: they cannot.

        A row has one type for all its cells, so in a table of numbers 1 can become 1.0; then only the row knows.
        """
        if not isinstance(items, pd.DataFrame) or not len(items):
            return None
        asked = [self.cols] if isinstance(self.cols, (str, int)) else self.cols
        found = [_alone(items, col) for col in asked]
        in_row = items.iloc[0].dtype
        several = [column for column in found if column is not None and in_row in (object, column.dtype)]
        return several if len(several) == len(found) else None

    def on(self, items: Any) -> Getter | None:
        """What gives for a index what this getter gives for the row there, without making the row; None: nothing."""
        columns = self.columns(items)
        if columns is None:
            return None
        cells = [column.to_numpy() if str(column.dtype) in _PLAIN else column.array for column in columns]
        if isinstance(self.cols, (str, int)):
            only, col = cells[0], self.cols
            return lambda index: self._made(only[index], col)
        pairs = list(zip(cells, self.cols, strict=True))
        return lambda index: [self._made(cell[index], col) for cell, col in pairs]

    def _made(self, value: Any, col: str | int) -> Any:
        if self.label_delim is not None:
            text = "" if is_missing(value) else str(value)
            return [label for label in text.split(self.label_delim) if label]
        if is_missing(value):
            if self.pref or self.suff:
                raise DataError(f"nothing stands in column '{col}'; fill it in, or leave the row out")
            return None
        if isinstance(self.pref, Path):
            return self.pref / f"{value}{self.suff}"
        return f"{self.pref}{value}{self.suff}" if self.pref or self.suff else value


@dataclass(frozen=True)
class RegexLabeller:
    r"""A getter that reads the label from the text with the first group of a regular expression.

    Args:
        pat: the expression, for example ``r"(.+)_\d+.jpg$"``.
        match: True matches from the start of the text; False searches anywhere.
    """

    pat: str
    match: bool = False

    def __call__(self, text: Any) -> str:
        """The first group.

        Raises:
            DataError: the expression does not fit, or has no group.
        """
        found = (re.match if self.match else re.search)(
            self.pat, Path(text).as_posix() if isinstance(text, Path) else str(text)
        )
        if found is None:
            raise DataError(f"the expression {self.pat!r} does not fit '{text}'")
        if not found.groups():
            raise DataError(f"the expression {self.pat!r} has no group: put what is the label in round brackets")
        return found.group(1)


def using_attr(f: Getter, attr: str) -> Getter:
    """A getter that calls ``f`` with an attribute of the item: ``using_attr(RegexLabeller(...), "name")``."""

    def getter(item: Any) -> Any:
        return f(getattr(item, attr))

    getter.__name__ = f"{getattr(f, '__name__', type(f).__name__)}(item.{attr})"
    return getter


def parent_label(item: str | Path) -> str:
    """The name of the folder that the file lies in."""
    return Path(item).parent.name


def item_reader(items: Any, getter: Getter | None) -> Getter:
    """From a index to what the getter gives for the item there (None: the item itself)."""
    quick = getter.on(items) if isinstance(getter, ColReader) else None
    if quick is not None:
        return quick
    if getter is None:
        return lambda index: item_at(items, index)
    return lambda index: getter(item_at(items, index))


def alike(column: pd.Series) -> Numbers | None:
    """A number for each cell, the same where cells are; None: nearly all differ, or equal ones may not be the same."""
    dtype = column.dtype
    if pd.api.types.is_object_dtype(dtype):
        exact = pd.api.types.infer_dtype(column, skipna=True) == "string"  # other objects: 1 == True == 1.0
    else:
        exact = isinstance(dtype, (pd.StringDtype, pd.CategoricalDtype)) or dtype.kind in "biu"
    if not exact or column.iloc[:_LOOKED_AT].nunique() > _LOOKED_AT / 2:
        return None
    return pd.factorize(column, use_na_sentinel=False)[0].astype(np.int32)


def _column(row: Any, col: str | int) -> Any:
    if isinstance(row, pd.Series):
        if isinstance(col, int) and col not in row.index and -len(row) <= col < len(row):
            return row.iloc[col]
        if col not in row.index:
            raise DataError(
                f"there is no column '{col}'.{did_you_mean(str(col), map(str, row.index))} "
                f"There are: {listing(row.index)}"
            )
        return only_column(row[col], col)
    if isinstance(col, int) or isinstance(row, dict):
        return row[col]
    return getattr(row, col)


def _alone(table: pd.DataFrame, col: str | int) -> pd.Series | None:
    """The column that a row would read under this name; None where there are none or several."""
    if col in table.columns:
        found = table[col]
        return found if isinstance(found, pd.Series) else None
    return table.iloc[:, col] if isinstance(col, int) and -table.shape[1] <= col < table.shape[1] else None
