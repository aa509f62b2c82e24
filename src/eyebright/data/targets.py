"""The targets of a dataset, read once, with equal targets stored once.

A getter may open a file, so its results are cached. Ten million images have far fewer distinct targets, so each image
stores only a code of four bytes, and each distinct target is stored once. Where a single column of a table holds the
targets, equal cells have the same code from the start and are read once. Where nearly all cells of that column differ,
nothing is cached: reading the cell again is as fast as looking it up.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from eyebright.data.getters import ColReader
from eyebright.data.sample_spec import FieldReader, SampleSpec
from eyebright.sources.categorical import Codes
from eyebright.sources.indices import Indices

_CODES_AT_ONCE = 10_000  # codes converted to Python integers at a time
_CELLS_INSPECTED = 20_000  # cells of a column, to see whether many of them are equal
_NOT_READ_YET = object()


class Targets(Sequence[Any]):
    """The target of each item of a dataset, as the target block read it, in the dataset's order.

    Args:
        indices: the indices of the dataset's items among all items.
        read: a function from an index to the target of that item.
        codes: an integer for each item, equal for items with the same target, and -1 where the target has not been read
            yet; None: nothing is cached, and each access reads.
        share_equal: equal targets may share one object, because they are immutable and equal only when they are the
            same.
    """

    def __init__(self, indices: Indices, read: FieldReader, codes: Codes | None, *, share_equal: bool) -> None:
        self._indices = indices
        self.read = read
        self._codes = codes
        self._share_equal = share_equal
        self._value_of_code: dict[int, Any] = {}
        self._code_of_value: dict[Any, int] = {}  # of values that several items may share
        self._new_code = count()  # unlike an integer, safe when several threads take the next one at once
        self._all_read = False

    @staticmethod
    def of(all_items: Any, indices: Indices, spec: SampleSpec) -> "Targets":
        """The targets of the items at these indices."""
        read = spec.y_reader(all_items)
        columns = spec.get_y.columns(all_items) if isinstance(spec.get_y, ColReader) else None
        share_equal = spec.target is not None and spec.target.has_vocab
        if columns is None:
            return Targets(indices, read, np.full(len(indices), -1, dtype=np.int32), share_equal=share_equal)
        codes = factorize(columns[0].iloc[indices.array]) if len(columns) == 1 else None
        return Targets(indices, read, codes, share_equal=share_equal)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: Any) -> Any:
        if self._codes is None:
            return self.read(self._indices[i])
        value = self._value_of_code.get(int(self._codes[i]), _NOT_READ_YET)
        return self._read_and_cache(i, self._codes) if value is _NOT_READ_YET else value

    def __iter__(self) -> Iterator[Any]:
        if self._codes is None:
            yield from map(self.read, self._indices)
        else:
            yield from self._cached_values(self._codes)
        self._all_read = True

    @property
    def are_cached(self) -> bool:
        """Whether equal targets are the same object each time they are accessed."""
        return self._codes is not None

    @property
    def are_all_read(self) -> bool:
        """Whether each target has been read at least once."""
        if self._codes is None:
            return self._all_read
        return all(code in self._value_of_code for code in np.unique(self._codes).tolist())

    def distinct(self) -> Iterator[tuple[int, Any]]:
        """(index, target) of the first item with each target; of every item where targets are not cached."""
        seen: set[int] = set()
        for i, value in enumerate(self):
            if not self.are_cached:
                yield i, value
            elif id(value) not in seen:
                seen.add(id(value))
                yield i, value

    def _cached_values(self, codes: Codes) -> Iterator[Any]:
        for start in range(0, len(self), _CODES_AT_ONCE):
            for i, code in enumerate(codes[start : start + _CODES_AT_ONCE].tolist(), start):
                value = self._value_of_code.get(code, _NOT_READ_YET)
                yield self._read_and_cache(i, codes) if value is _NOT_READ_YET else value

    def _read_and_cache(self, i: int, codes: Codes) -> Any:
        """The target of an item without a code, or of the first item with its code."""
        value = self.read(self._indices[i])
        code = int(codes[i])
        if code < 0:
            code = next(self._new_code)
            if self._share_equal or type(value) is str:
                code = self._code_of_value.setdefault(value, code)
        value = self._value_of_code.setdefault(code, value)
        codes[i] = code  # last, so that no other thread finds a code without a value
        return value


def factorize(column: pd.Series) -> Codes | None:
    """An integer code for each cell, the same for equal cells.

    None where most cells differ, or where cells can be equal without being the same, such as 1 and True.
    """
    dtype = column.dtype
    if pd.api.types.is_object_dtype(dtype):
        exact = pd.api.types.infer_dtype(column, skipna=True) == "string"  # other objects: 1 == True == 1.0
    else:
        exact = isinstance(dtype, (pd.StringDtype, pd.CategoricalDtype)) or dtype.kind in "biu"
    if not exact or column.iloc[:_CELLS_INSPECTED].nunique() > _CELLS_INSPECTED / 2:
        return None
    return pd.factorize(column, use_na_sentinel=False)[0].astype(np.int32)
