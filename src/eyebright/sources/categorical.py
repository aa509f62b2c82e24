"""`Categorical`: a column in which values repeat, kept as each unique value once and four bytes for each row."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np

T = TypeVar("T", bound=Hashable)
U = TypeVar("U", bound=Hashable)

Codes = np.ndarray[Any, np.dtype[np.int32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Rows = np.ndarray[Any, np.dtype[np.integer[Any]]] | Mask | slice
"""Which rows: indices, a mask or a slice."""

_CHUNK_CODES = 10_000  # codes converted to Python integers at a time: one by one is slow, all at once takes memory


class Counting(dict[T, int]):
    """Gives each new key the next number.

    >>> codes = Counting[str]()
    >>> [codes[name] for name in ("cat", "dog", "cat")]
    [0, 1, 0]
    """

    def __missing__(self, key: T) -> int:
        code = self[key] = len(self)
        return code


@dataclass(frozen=True, eq=False)
class Categorical(Sequence[T], Generic[T]):
    """An immutable categorical column: unique values and an int32 code per row.

    The members are named after those of pandas' ``Categorical``, which would turn label sets and missing values into
    something else.

    >>> column = Categorical.of(["cat", "dog", "cat"])
    >>> column.categories, column.codes.tolist(), column[2]
    (('cat', 'dog'), [0, 1, 0], 'cat')

    Args:
        categories: the unique values; some may occur in no row.
        codes: shape (n,), for each row the index of its value in ``categories``, int32.
    """

    categories: tuple[T, ...]
    codes: Codes

    @staticmethod
    def of(column: Iterable[T]) -> "Categorical[T]":
        """A column of these values; the categories are in order of first appearance."""
        codes = Counting[T]()
        array = np.fromiter(map(codes.__getitem__, column), dtype=np.int32)
        return Categorical(tuple(codes), array)

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, key: int) -> T: ...
    @overload
    def __getitem__(self, key: Rows) -> "Categorical[T]": ...
    def __getitem__(self, key: int | Rows) -> "T | Categorical[T]":
        if isinstance(key, (slice, np.ndarray)):
            return Categorical(self.categories, self.codes[key])
        return self.categories[self.codes[key]]

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), _CHUNK_CODES):
            yield from (self.categories[code] for code in self.codes[start : start + _CHUNK_CODES].tolist())

    def map(self, function: Callable[[T], U]) -> "Categorical[U]":
        """The column with ``function`` applied to each category; equal results become one category.

        >>> Categorical.of(["cat", "dog", "CAT"]).map(str.lower).categories
        ('cat', 'dog')
        """
        mapped = Categorical.of(map(function, self.categories))
        return Categorical(mapped.categories, mapped.codes[self.codes])

    def isin(self, values: Iterable[T]) -> Mask:
        """Shape (n,): True in the rows with one of these values."""
        wanted = set(values)
        return np.array([value in wanted for value in self.categories], dtype=np.bool_)[self.codes]

    def remove_unused_categories(self) -> "Categorical[T]":
        """The same column without categories that occur in no row; the others in order of first appearance."""
        codes, first = np.unique(self.codes, return_index=True)
        order = codes[np.argsort(first)]
        if len(order) == len(self.categories) and bool((order == np.arange(len(order))).all()):
            return self
        new = np.empty(len(self.categories), dtype=np.int32)
        new[order] = np.arange(len(order))
        return Categorical(tuple(self.categories[code] for code in order.tolist()), new[self.codes])
