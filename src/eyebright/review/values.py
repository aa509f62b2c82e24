"""The values that a person gives: yes and no for a label, a class, the place of a point, a number; or unknown.

In memory they are numbers, one array for all images; the page and the journal have them as JSON.
"""

import math
from collections.abc import Collection, Sequence
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
    def cells(self) -> tuple[str, ...]:
        """The cells of each image: a class is one cell without a name."""
        return ("",) if self.kind == "class" else self.names

    @property
    def width(self) -> int:
        """How many numbers a value is: two for a point."""
        return 2 if self.kind == "points" else 1

    @property
    def can_grow(self) -> bool:
        """Whether names can be added."""
        return self.kind in ("labels", "class")

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
        found: tuple[float, ...] | None = None
        match self.kind:
            case "labels" if isinstance(value, str) and value in _LABEL_VALUES:
                found = (_LABEL_VALUES[value],)
            case "class" if isinstance(value, str) and value in self.names:
                found = (float(self.names.index(value)),)
            case "points" if isinstance(value, list) and len(value) == 2 and all(map(_is_place, value)):
                found = (float(value[0]), float(value[1]))
            case "numbers" if is_finite_number(value):
                found = (float(value),)  # type: ignore[arg-type]
            case _:
                pass
        if found is None:
            raise Refusal(400, f"{short_repr(value)} is no value of these {self.kind}")
        return found

    def decode(self, numbers: Sequence[float]) -> Any:
        """The numbers as a value of the page."""
        if any(math.isnan(number) for number in numbers):
            return UNKNOWN
        if self.kind == "labels":
            return "yes" if numbers[0] else "no"
        if self.kind == "class":
            return self.names[int(numbers[0])]
        return [float(number) for number in numbers] if self.kind == "points" else float(numbers[0])

    def row(self, numbers: Float[np.ndarray, "c w"]) -> dict[str, Any]:
        """The values of one image, by its cells; a cell that the row does not have is unknown."""
        if self.kind == "labels":  # there can be many of them
            known = numbers[:, 0].tolist()
            texts = ["yes" if value == 1 else "no" if value == 0 else UNKNOWN for value in known]
            return dict(zip(self.names, texts + [UNKNOWN] * (len(self.names) - len(texts)), strict=True))
        return {cell: self.decode(number) for cell, number in zip(self.cells, numbers.tolist(), strict=True)}

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
    kind = np.float32 if vocabulary.kind in ("labels", "class") else np.float64
    return np.full((count, len(vocabulary.cells), vocabulary.width), np.nan, dtype=kind)


def _is_place(value: object) -> bool:
    return is_finite_number(value) and abs(value) < _MAX_COORDINATE  # type: ignore[arg-type]
