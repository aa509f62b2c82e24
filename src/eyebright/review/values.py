"""The values that a person gives: yes and no for a label, a class, the place of a point, a number; or unknown.

In memory they are numbers, one array for all images; the page and the journal have them as JSON.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from eyebright.errors import short_repr
from eyebright.review.refusal import Refusal
from eyebright.sources.cells import is_unknown, means_no_label
from eyebright.tasks.task_type import KindWord
from eyebright.types import is_finite_number, plain_spelling

UNKNOWN = "unknown"
"""The value of a cell that nobody knows."""

MAX_NAME_LENGTH = 200
"""Characters of the longest label that can be added."""

_DELIMITERS = (",", ";", "|")
_COLUMNS = ("file", "labels", "split", "group")  # of the tables that are written
_MAX_COORDINATE = 1e7  # pixels from the corner of an image
_LABEL_VALUES = {"no": 0.0, "yes": 1.0}


@dataclass(frozen=True)
class Vocabulary:
    """What the cells of an image are called, and which values they take.

    Args:
        kind: the kind of the targets.
        names: the labels, classes, points or numbers.
    """

    kind: KindWord
    names: tuple[str, ...]

    @property
    def is_exclusive(self) -> bool:
        """Whether the names are the values of one cell, of which an image has one, and not cells of their own."""
        return _VALUES[self.kind].is_exclusive

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of each image: a class is one cell without a name."""
        return ("",) if self.is_exclusive else self.names

    @property
    def width(self) -> int:
        """How many numbers a value is: two for a point."""
        return _VALUES[self.kind].width

    @property
    def has_probabilities(self) -> bool:
        """Whether a model predicts a probability for each name; then names can be added."""
        return _VALUES[self.kind].has_probabilities

    @property
    def has_thresholds(self) -> bool:
        """Whether each name is yes or no by its own threshold."""
        return self.has_probabilities and not self.is_exclusive

    def cell_of(self, name: str) -> str:
        """The cell that a label belongs to; that of a class is the only one."""
        return "" if self.is_exclusive else name

    def column(self, cell: object) -> int:
        """The column of a cell.

        Raises:
            Refusal: there is none.
        """
        if not isinstance(cell, str) or cell not in self.cells:
            raise Refusal(400, f"there is no cell {short_repr(cell)}")
        return self.cells.index(cell)

    def encode(self, value: object) -> tuple[float, ...]:
        """A value of the page as numbers; NaN for unknown.

        Raises:
            Refusal: a cell cannot have this value.
        """
        if isinstance(value, str) and value == UNKNOWN:
            return (math.nan,) * self.width
        numbers = _VALUES[self.kind].encode(value, self.names)
        if numbers is None:
            raise Refusal(400, f"{short_repr(value)} is no value of these {self.kind}")
        return numbers

    def decode(self, numbers: Sequence[float]) -> Any:
        """The numbers as a value of the page."""
        if any(math.isnan(number) for number in numbers):
            return UNKNOWN
        return _VALUES[self.kind].decode(numbers, self.names)

    def row(self, numbers: Float[np.ndarray, "c w"]) -> dict[str, Any]:
        """The values of one image, by its cells; a cell that the row does not have is unknown."""
        decode = _VALUES[self.kind].decode  # not `self.decode`, which is slower, and there can be many cells
        is_unknown = np.asarray(np.isnan(numbers).any(axis=1)).tolist()
        values = [
            UNKNOWN if unknown else decode(cell, self.names)
            for cell, unknown in zip(numbers.tolist(), is_unknown, strict=True)
        ]
        return dict(zip(self.cells, values + [UNKNOWN] * (len(self.cells) - len(values)), strict=True))

    def with_name(self, name: str) -> "Vocabulary":
        """The vocabulary with one more label or class, the last one."""
        return Vocabulary(self.kind, (*self.names, name))


def name_problem(name: str, others: Collection[str] = (), columns: Collection[str] = ()) -> str:
    """Why a table cannot hold a label or class of this name beside others, a sentence; empty if it can.

    Args:
        name: the new one.
        others: those that there are.
        columns: the columns of the table, beside those that every table has.
    """
    folded = plain_spelling(name).casefold()
    if not name or name != name.strip() or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        return (
            f"a name has 1 to {MAX_NAME_LENGTH} printable characters, and no space at its ends, got {short_repr(name)}"
        )
    if is_unknown(name) or means_no_label(name):
        return f"{short_repr(name)} is read as unknown or as no label; choose another name"
    if found := sorted({delimiter for delimiter in _DELIMITERS if delimiter in name}):
        return f"{short_repr(name)} holds {' '.join(found)}, which separates labels; choose another name"
    if folded in {column.casefold() for column in (*_COLUMNS, *columns)}:
        return f"{short_repr(name)} is the name of a column of the table; choose another name"
    if alike := [other for other in others if plain_spelling(other).casefold() == folded]:
        return f"there is {short_repr(alike[0])} already, so there cannot be {short_repr(name)}, too"
    return ""


def unknown_values(vocabulary: Vocabulary, count: int) -> Float[np.ndarray, "n c w"]:
    """The values of so many images of which nothing is known."""
    dtype = np.float32 if vocabulary.has_probabilities else np.float64
    return np.full((count, len(vocabulary.cells), vocabulary.width), np.nan, dtype=dtype)


def _is_coordinate(value: object) -> bool:
    return isinstance(value, (int, float)) and is_finite_number(value) and abs(value) < _MAX_COORDINATE


@dataclass(frozen=True)
class _Values:
    """The values of one kind of targets.

    Args:
        encode: from a value of the page and the names to its numbers; None for a value that there is not.
        decode: the inverse; the numbers are known.
    """

    encode: Callable[[object, Sequence[str]], tuple[float, ...] | None]
    decode: Callable[[Sequence[float], Sequence[str]], Any]
    width: int = 1
    is_exclusive: bool = False
    has_probabilities: bool = False


def _encode_label(value: object, _: Sequence[str]) -> tuple[float, ...] | None:
    return (_LABEL_VALUES[value],) if isinstance(value, str) and value in _LABEL_VALUES else None


def _encode_class(value: object, names: Sequence[str]) -> tuple[float, ...] | None:
    return (float(names.index(value)),) if isinstance(value, str) and value in names else None


def _encode_point(value: object, _: Sequence[str]) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != 2 or not all(map(_is_coordinate, value)):
        return None
    return float(value[0]), float(value[1])


def _encode_number(value: object, _: Sequence[str]) -> tuple[float, ...] | None:
    return (float(value),) if isinstance(value, (int, float)) and is_finite_number(value) else None


_VALUES: Mapping[KindWord, _Values] = {
    "labels": _Values(_encode_label, lambda numbers, _: "yes" if numbers[0] else "no", has_probabilities=True),
    "class": _Values(
        _encode_class, lambda numbers, names: names[int(numbers[0])], is_exclusive=True, has_probabilities=True
    ),
    "points": _Values(_encode_point, lambda numbers, _: [float(number) for number in numbers], width=2),
    "numbers": _Values(_encode_number, lambda numbers, _: float(numbers[0])),
}
