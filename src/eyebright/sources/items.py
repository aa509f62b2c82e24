"""Items of a data block: anything with a length and an index, such as the rows of a table, a list or an array."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eyebright.errors import DataError


def as_items(given: Any) -> Any:
    """The given items with a length and an index; an iterator becomes a list.

    Raises:
        DataError: it has no length or index, or is a path.
    """
    if isinstance(given, Iterator):
        return list(given)
    if isinstance(given, (str, Path)):
        raise DataError(
            f"items must be a table, a list or an array, got '{given}'; `get_items` lists the files of a folder"
        )
    if isinstance(given, Mapping) or not (hasattr(given, "__len__") and hasattr(given, "__getitem__")):
        raise DataError(f"items must be a table, a list or an array, got {type(given).__name__}; give list(...) of it")
    return given


def item_at(items: Any, index: int) -> Any:
    """One item: a row of a table, or an element of a sequence."""
    return items.iloc[index] if isinstance(items, (pd.DataFrame, pd.Series)) else items[index]


def take(items: Any, indices: Sequence[int]) -> Any:
    """Some items, of the same kind as ``items``."""
    if isinstance(items, (pd.DataFrame, pd.Series)):
        return items.iloc[np.asarray(indices, dtype=np.int64)]
    return [items[i] for i in indices]


def single_column(looked_up: Any, col: str | int) -> Any:
    """``looked_up``, the result of looking up ``col`` in a table or in a row, checked to be one column or cell.

    Raises:
        DataError: several columns have this name.
    """
    several = looked_up.columns if isinstance(looked_up, pd.DataFrame) else getattr(looked_up, "index", None)
    if isinstance(several, pd.Index) and len(several) > 1 and (several == col).all():
        raise DataError(f"{len(several)} columns are named '{col}'; give each a different name")
    return looked_up


def describe_item(items: Any, index: int) -> str:
    """An item's name in messages: its path, or its row in the table."""
    if isinstance(items, (pd.DataFrame, pd.Series)):
        return f"row {index}"
    item = items[index]
    return f"'{item}'" if isinstance(item, (str, Path)) else str(item)[:300]
