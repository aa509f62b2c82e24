"""Names of the columns of a table of predictions, and empty cells."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from eyebright.io.text import valid_unicode

_RESERVED_COLUMNS = ("path", "labels")


def distinct_columns(
    names: Iterable[str], *, taken: Iterable[str] = _RESERVED_COLUMNS, prefix: str = "probability_"
) -> list[str]:
    """A unique column name for each class: its own, with ``prefix`` before it if another column has that name.

    >>> distinct_columns(["cat", "path"])
    ['cat', 'probability_path']

    Characters that are not valid Unicode become escapes, so such a name may also equal that of another class.

    Args:
        names: the names of the classes, points or numbers, without duplicates.
        taken: the other columns of the table.
        prefix: put before a name that is taken, repeatedly if needed.
    """
    taken = set(taken)
    names = [valid_unicode(name) for name in names]
    reserved = {*taken, *names}
    columns = dict[str, None]()
    for name in names:
        column = name
        while column in taken or column in columns or (column != name and column in reserved):
            column = f"{prefix}{column}"
        columns[column] = None
    return list(columns)


def is_missing(raw: Any) -> bool:
    """True for None, NaN of any dtype, pandas' NA and NaT: an empty cell of a table."""
    if isinstance(raw, str):  # the usual case; pandas is slower
        return False
    return bool(pd.api.types.is_scalar(raw) and pd.isna(raw))
