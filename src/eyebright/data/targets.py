"""The targets of one side of a split: read once, and each different one kept once.

A getter may cost a file, so what it gave is kept. Ten million images have far fewer different targets, so for each
image only a number of four bytes is. Where a table's column says the targets, equal cells are read once for all; and
where nearly all cells differ nothing is kept, since a cell is read again as quickly as it is found.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from eyebright.data.getters import ColReader, Numbers, alike
from eyebright.data.sample_spec import Fields, Read
from eyebright.sources.indices import Indices

_AT_ONCE = 10_000  # items whose numbers become Python's own together
_UNREAD = object()


class Targets(Sequence[Any]):
    """What the target block read of each item of one side, in the side's order.

    Args:
        indices: of the items among all items.
        read: the target of the item at an index.
        numbers: the same where targets are, and -1 where that is not known yet; None: keep nothing, read anew.
        repeat: equal targets may share one object: they are immutable and equal only when they are the same.
    """

    def __init__(self, indices: Indices, read: Read, numbers: Numbers | None, *, repeat: bool) -> None:
        self._indices = indices
        self.read = read
        self._numbers = numbers
        self._repeat = repeat
        self._values: dict[int, Any] = {}  # by number
        self._known: dict[Any, int] = {}  # numbers of values that several items may share
        self._next = count()  # which threads can ask at once
        self._walked = False

    @staticmethod
    def of(source: Any, indices: Indices, fields: Fields) -> "Targets":
        """The targets of the items of ``source`` at these indices."""
        read = fields.y_of(source)
        columns = fields.get_y.columns(source) if isinstance(fields.get_y, ColReader) else None
        repeat = fields.target is not None and fields.target.values_repeat
        if columns is None:
            return Targets(indices, read, np.full(len(indices), -1, dtype=np.int32), repeat=repeat)
        numbers = alike(columns[0].iloc[indices.array]) if len(columns) == 1 else None
        return Targets(indices, read, numbers, repeat=repeat)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: Any) -> Any:
        if self._numbers is None:
            return self.read(self._indices[i])
        value = self._values.get(int(self._numbers[i]), _UNREAD)
        return self._first(i, self._numbers) if value is _UNREAD else value

    def __iter__(self) -> Iterator[Any]:
        if self._numbers is None:
            yield from map(self.read, self._indices)
        else:
            yield from self._kept(self._numbers)
        self._walked = True

    @property
    def are_cached(self) -> bool:
        """Whether a target that comes again is the same object again."""
        return self._numbers is not None

    def different(self) -> Iterator[tuple[int, Any]]:
        """(which item, its target) wherever a target comes for the first time; everywhere if none are kept."""
        seen: set[int] = set()
        for i, value in enumerate(self):
            if not self.are_cached:
                yield i, value
            elif id(value) not in seen:
                seen.add(id(value))
                yield i, value

    def known(self) -> bool:
        """Whether all have been read."""
        if self._numbers is None:
            return self._walked
        return all(number in self._values for number in np.unique(self._numbers).tolist())

    def _kept(self, numbers: Numbers) -> Iterator[Any]:
        for start in range(0, len(self), _AT_ONCE):
            for i, number in enumerate(numbers[start : start + _AT_ONCE].tolist(), start):
                value = self._values.get(number, _UNREAD)
                yield self._first(i, numbers) if value is _UNREAD else value

    def _first(self, i: int, numbers: Numbers) -> Any:
        """The target of an item that is the first with its number, or has none yet."""
        value = self.read(self._indices[i])
        number = int(numbers[i])
        if number < 0:
            number = next(self._next)
            if self._repeat or type(value) is str:
                number = self._known.setdefault(value, number)
        value = self._values.setdefault(number, value)
        numbers[i] = number  # last, so that no other thread finds a number without a value
        return value
