"""`checked_split`: the indices of training and validation items that a splitter returns, checked.

A splitter may be any function that the user gives, and an item on both sides would make every score of validation too
good.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from eyebright.errors import DataError
from eyebright.sources.indices import Indices
from eyebright.sources.items import describe_item

Split = tuple[Indices, Indices]
Splitter = Callable[[Any], Iterable[Iterable[int]]]


def checked_split(splitter: Splitter, items: Any) -> Split:
    """The splitter's (train, valid) indices, checked.

    The splitter gets a table with the index 0, 1, 2, ..., so that a splitter that returns labels of the index returns
    positions: a filtered or shuffled table cannot put training items into the validation set.

    Raises:
        DataError: the splitter does not return two lists of integers in range, an item occurs twice, or there is no
            training item.
    """
    fresh = items.reset_index(drop=True) if isinstance(items, (pd.DataFrame, pd.Series)) else items
    returned: Any = splitter(fresh)  # a user's function may return anything
    parts: list[Any] = list(returned) if isinstance(returned, Iterable) else [returned]
    if len(parts) != 2 or not all(isinstance(part, Iterable) for part in parts):
        kinds = " and ".join(type(part).__name__ for part in parts)
        raise DataError(f"a splitter must return two lists of indices, train and valid; got {kinds or 'nothing'}")
    train, valid = (_positions(part, len(items)) for part in parts)
    _check_no_overlap(items, train, valid)
    if not len(train):
        raise DataError(
            f"the split leaves nothing to train on: all {len(valid)} of {len(items)} items are for validation"
        )
    return train, valid


def _positions(part: Iterable[Any], n: int) -> Indices:
    if isinstance(part, np.ndarray) and part.ndim != 1:
        raise DataError(f"a splitter must return one-dimensional indices, got an array of the shape {part.shape}")
    if not isinstance(part, (Indices, np.ndarray)):
        part = list(part)
        for kind in dict.fromkeys(map(type, part)):
            if issubclass(kind, (bool, np.bool_)) or not issubclass(kind, (int, np.integer)):
                wrong = next(i for i in part if type(i) is kind)
                raise DataError(f"a splitter must return indices (whole numbers from 0), got {wrong!r}")
    elif isinstance(part, np.ndarray) and part.dtype.kind not in "iu":
        return _positions(part.tolist(), n)
    if len(part) and not _all_in(part.array if isinstance(part, Indices) else part, n):
        outside = next(int(i) for i in part if not 0 <= i < n)
        raise DataError(f"the splitter names index {outside}, and there are {n} items: 0 to {n - 1}")
    return Indices(part.copy() if isinstance(part, np.ndarray) else part)


def _all_in(numbers: "list[int] | np.ndarray", n: int) -> bool:
    """Whether all of them are from 0 to n - 1."""
    if isinstance(numbers, np.ndarray):
        return bool(numbers.min() >= 0 and numbers.max() < n)
    return min(numbers) >= 0 and max(numbers) < n


def _check_no_overlap(items: Any, train: Indices, valid: Indices) -> None:
    is_train, is_valid = np.zeros((2, len(items)), dtype=np.bool_)
    is_train[train.array] = True
    is_valid[valid.array] = True
    both = np.flatnonzero(is_train & is_valid)
    if len(both):
        raise DataError(
            f"the split puts {len(both)} items on both sides, {describe_item(items, int(both[0]))} for one; "
            "a training item cannot be for validation"
        )
    if np.count_nonzero(is_train) != len(train) or np.count_nonzero(is_valid) != len(valid):
        raise DataError("the split names an item twice on one side")
