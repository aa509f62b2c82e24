"""`Indices`: indices of items in eight bytes each, while a list of Python integers takes about forty.

Ten million images have 80 MB of indices. They behave like a list: they can be compared with one, sliced and
concatenated, and their elements are Python integers.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np

IndexArray = np.ndarray[Any, np.dtype[np.int64]]

_MAX_SHOWN = 20
_CHUNK_INDICES = 10_000  # indices converted to Python integers at a time: one by one is slow, all at once takes memory


class Indices(Sequence[int]):
    """Indices of items, in order; immutable.

    Args:
        of: an array (which is not copied), a range (which takes no memory), or integers.
    """

    __slots__ = ("_of",)

    def __init__(self, of: "Iterable[int] | IndexArray") -> None:
        if isinstance(of, Indices):
            self._of: range | IndexArray = of._of
        elif isinstance(of, range):
            self._of = of
        else:
            self._of = np.asarray(of if isinstance(of, np.ndarray) else list(of), dtype=np.int64).view()
            self._of.flags.writeable = False

    def __len__(self) -> int:
        return len(self._of)

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> "Indices": ...
    def __getitem__(self, key: int | slice) -> "int | Indices":
        return Indices(self._of[key]) if isinstance(key, slice) else int(self._of[key])

    def __iter__(self) -> Iterator[int]:
        if isinstance(self._of, range):
            yield from self._of
            return
        for start in range(0, len(self), _CHUNK_INDICES):
            yield from self._of[start : start + _CHUNK_INDICES].tolist()

    def __contains__(self, index: object) -> bool:
        return isinstance(index, (int, np.integer)) and index in self._of

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Indices, list, tuple, range)):
            return NotImplemented
        return len(self) == len(other) and bool((self.array == np.asarray(other)).all())

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __add__(self, other: Iterable[int]) -> "Indices":
        return Indices(np.concatenate([self.array, Indices(other).array]))

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self[:_MAX_SHOWN]))
        return f"[{shown}]" if len(self) <= _MAX_SHOWN else f"[{shown}, ... ({len(self):,} in all)]"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> IndexArray:  # noqa: FBT001  # numpy's signature
        return self.array.astype(dtype or np.int64, copy=bool(copy))

    @property
    def array(self) -> IndexArray:
        """The indices as a read-only array."""
        if isinstance(self._of, range):
            return np.arange(self._of.start, self._of.stop, self._of.step)
        return self._of

    @staticmethod
    def where(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> "Indices":
        """The indices at which the mask is true."""
        return Indices(np.flatnonzero(mask))
