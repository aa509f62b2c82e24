"""A column in which values repeat: each different value is kept once, and four bytes for each row."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np

T = TypeVar("T", bound=Hashable)

Codes = np.ndarray[Any, np.dtype[np.int32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Rows = np.ndarray[Any, np.dtype[np.integer[Any]]] | Mask | slice
"""Which rows: indices, a mask or a slice."""

_CHUNK = 10_000  # codes that are converted to Python's own integers together, which is quick and takes little memory


@dataclass(frozen=True, eq=False)
class Coded(Sequence[T], Generic[T]):
    """A column of values, immutable.

    >>> column = Coded.of(["cat", "dog", "cat"])
    >>> column.values, column.codes.tolist(), column[2]
    (('cat', 'dog'), [0, 1, 0], 'cat')

    Args:
        values: each different value once; some may occur in no row.
        codes: for each row the index of its value, int32.
    """

    values: tuple[T, ...]
    codes: Codes

    @staticmethod
    def of(column: Iterable[T]) -> "Coded[T]":
        """A column of these values, in order of first appearance."""
        codes: dict[T, int] = {}
        array = np.fromiter((codes.setdefault(value, len(codes)) for value in column), dtype=np.int32)
        return Coded(tuple(codes), array)

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, key: int) -> T: ...
    @overload
    def __getitem__(self, key: Rows) -> "Coded[T]": ...
    def __getitem__(self, key: int | Rows) -> "T | Coded[T]":
        if isinstance(key, (slice, np.ndarray)):
            return Coded(self.values, self.codes[key])
        return self.values[self.codes[key]]

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), _CHUNK):
            yield from (self.values[code] for code in self.codes[start : start + _CHUNK].tolist())

    def used(self) -> "Coded[T]":
        """The same column without values that occur in no row, in order of first appearance."""
        codes, first = np.unique(self.codes, return_index=True)
        order = codes[np.argsort(first)]
        if len(order) == len(self.values) and bool((order == np.arange(len(order))).all()):
            return self
        new = np.empty(len(self.values), dtype=np.int32)
        new[order] = np.arange(len(order))
        return Coded(tuple(self.values[code] for code in order.tolist()), new[self.codes])

    def is_any_of(self, values: Iterable[T]) -> Mask:
        """Shape (n,): the rows with one of these values."""
        wanted = set(values)
        return np.array([value in wanted for value in self.values], dtype=np.bool_)[self.codes]
