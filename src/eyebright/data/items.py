"""Where the fields of an item come from: the getters of the book, as values.

A getter is any callable from an item to what a block reads. They are never saved with a model.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from eyebright.blocks.base import is_missing
from eyebright.errors import DataError, did_you_mean, listing

Getter = Callable[[Any], Any]


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
            return self._one(row, self.cols)
        return [self._one(row, col) for col in self.cols]

    def _one(self, row: Any, col: str | int) -> Any:
        value = _column(row, col)
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


def item_at(items: Any, position: int) -> Any:
    """One item: a row of a table, or an element of a sequence."""
    return items.iloc[position] if isinstance(items, (pd.DataFrame, pd.Series)) else items[position]


def take(items: Any, positions: Sequence[int]) -> Any:
    """Some items, of the same kind as ``items``."""
    if isinstance(items, (pd.DataFrame, pd.Series)):
        return items.iloc[list(positions)]
    return [items[i] for i in positions]


def where(items: Any, position: int) -> str:
    """How a message calls an item: its path, or its row in the table."""
    if isinstance(items, (pd.DataFrame, pd.Series)):
        return f"row {position}"
    item = items[position]
    return f"'{item}'" if isinstance(item, (str, Path)) else str(item)[:300]


def _column(row: Any, col: str | int) -> Any:
    if isinstance(row, pd.Series):
        if isinstance(col, int) and col not in row.index:
            return row.iloc[col]
        if col not in row.index:
            raise DataError(
                f"there is no column '{col}'.{did_you_mean(str(col), map(str, row.index))} "
                f"There are: {listing(row.index)}"
            )
        return row[col]
    if isinstance(col, int) or isinstance(row, dict):
        return row[col]
    return getattr(row, col)
