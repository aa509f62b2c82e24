r"""From the text of one column to the labels of each image.

How a value is understood, in this order:

1. Empty, ``NaN``, ``<NA>`` and ``[]`` are no label at all, never a label of that name.
2. Lists as JSON, Python and numpy write them: ``["a", "b"]``, ``['a', 'b']``, ``['a' 'b']``, ``[a, b]``.
3. A delimiter that the user gives splits; the delimiter ``""`` says that nothing is split: one class per image.
4. Comma, semicolon and pipe split wherever they occur; two different ones in a column are a question to the user.
5. Spaces split in a column whose name is a plural (``labels``, ``tags``). Under a singular (``label``, ``breed``) they
   belong to the names. Under any other name they split when that leaves fewer different words than there were different
   values: labels come back in other combinations, the words of a name do not.
6. What was not split is one class per image, unless the column's name is a plural.

Numbers with a fraction, and whole numbers that are nearly all different, are measurements, not labels: an error, unless
a delimiter was given.
"""

import json
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from eyebright.sources.csv_rows import TextTable

Kind = Literal["multi", "single"]

PLURALS = ("labels", "tags", "classes", "categories", "targets", "attributes", "keywords")
"""Names of columns that hold any number of labels."""

SINGULARS = ("label", "class", "class_name", "label_name", "category", "target", "breed", "species", "tag")
"""Names of columns that hold one class."""


class ColumnLabels(NamedTuple):
    """What one column says.

    Args:
        kind: ``"multi"`` for any number of labels per image, ``"single"`` for exactly one.
        labels: of each row.
        said: how the column was understood, a sentence for the user.
    """

    kind: Kind
    labels: list[tuple[str, ...]]
    said: str


def read_label_column(table: TextTable, name: str, *, delimiter: str | None = None) -> ColumnLabels:
    """The labels in a column, by the rules at the top of this file.

    Args:
        table: the rows of the file.
        name: of the column.
        delimiter: what stands between two labels; ``""`` for nothing; found when absent.

    Raises:
        TableError: the column holds no label, measurements, two different delimiters, or a class is missing.
    """
    values = table.columns[name]
    there = [value for value in dict.fromkeys(values) if not is_missing(value)]
    if not there:
        raise table.error(f"column '{name}' holds no label at all")
    if delimiter != "" and any(map(_is_list, there)):
        return _of_lists(table, name, there)
    if delimiter is None:
        _refuse_measurements(table, name, there)
        found = _find_delimiter(table, name, there)
    else:
        _check_given(table, name, there, delimiter)
        found = delimiter
    if found:
        return _split(table, name, {value: _parts(value, found) for value in there}, f"are split at {_named(found)}")
    if delimiter is None and plain_name(name) in PLURALS:
        return _split(table, name, {value: (value,) for value in there}, "are not split, no value holds more than one")
    return _one_class(table, name, there)


def is_missing(value: str) -> bool:
    """True for a text that means no label."""
    return value.lower() in _MISSING


def plain_name(column: str) -> str:
    """The name of a column in lower case, with underscores: how known names are compared."""
    return re.sub(r"[\s\-]+", "_", column.strip().lower())


_MISSING = frozenset({"", "nan", "<na>", "[]", "['']", '[""]', "()"})
_NAMES = {" ": "space", ",": "comma", ";": "semicolon", "|": "pipe", "\t": "tab"}


def _named(delimiter: str) -> str:
    return f"'{delimiter}' ({_NAMES[delimiter]})" if delimiter in _NAMES else f"'{delimiter}'"


def _parts(value: str, delimiter: str) -> tuple[str, ...]:
    parts = value.split() if delimiter == " " else [part.strip() for part in value.split(delimiter)]
    return tuple(dict.fromkeys(part for part in parts if not is_missing(part)))


def _split(table: TextTable, name: str, meaning: dict[str, tuple[str, ...]], how: str) -> ColumnLabels:
    labels = [meaning.get(value, ()) for value in table.columns[name]]
    different = len({label for value in meaning.values() for label in value})
    return ColumnLabels("multi", labels, f"labels in column '{name}' {how}: {different} different labels")


def _one_class(table: TextTable, name: str, there: Sequence[str]) -> ColumnLabels:
    labels: list[tuple[str, ...]] = []
    for value, line in zip(table.columns[name], table.lines, strict=True):
        if is_missing(value):
            raise table.error(
                f"there is no class in column '{name}', which holds one class per image; "
                "where images may have no label, name the column 'labels' or give a delimiter",
                line=line,
            )
        labels.append((value,))
    spaces = "; spaces belong to the names" if any(" " in value for value in there) else ""
    return ColumnLabels("single", labels, f"column '{name}' holds one class per image{spaces}: {len(there)} classes")


# ---------------------------------------------------------------------- delimiters


def _find_delimiter(table: TextTable, name: str, there: Sequence[str]) -> str:
    """What splits the values, ``""`` when nothing does."""
    used = {mark: value for mark in ",;|" for value in there if mark in value}
    if len(used) > 1:
        (one, first), (other, second) = list(used.items())[:2]
        raise table.error(
            f"column '{name}' holds {_named(one)} as in '{first}' and {_named(other)} as in '{second}'; "
            "say which one stands between two labels (delimiter)",
            line=table.line_of(name, second),
        )
    if used:
        return next(iter(used))
    if plain_name(name) in SINGULARS or not any(" " in value for value in there):
        return ""
    words = {word for value in there for word in value.split()}
    return " " if plain_name(name) in PLURALS or len(words) < len(there) else ""


def _check_given(table: TextTable, name: str, there: Sequence[str], delimiter: str) -> None:
    """A delimiter that occurs nowhere while another one does is a mistake."""
    if not delimiter or any(delimiter in value for value in there):
        return
    other = next(((mark, value) for mark in ",;|" for value in there if mark in value), None)
    if other is not None:
        mark, value = other
        raise table.error(
            f"the delimiter {_named(delimiter)} occurs nowhere in column '{name}'; {_named(mark)} does, in '{value}'",
            line=table.line_of(name, value),
        )


# ---------------------------------------------------------------------- numbers

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_MANY = 20  # so many different whole numbers, in more than half of the rows, are no classes


def _refuse_measurements(table: TextTable, name: str, there: Sequence[str]) -> None:
    if not all(map(_NUMBER.fullmatch, there)):
        return
    fraction = next((value for value in there if not float(value).is_integer()), None)
    many = there[0] if len(there) > _MANY and len(there) > len(table.lines) / 2 else None
    example = fraction or many
    if example is not None:
        raise table.error(
            f"column '{name}' holds numbers such as '{example}' that look like a measurement, not like labels; "
            "to predict numbers use a RegressionBlock, and if they are names of classes give the delimiter ''",
            line=table.line_of(name, example),
        )


# ---------------------------------------------------------------------- lists

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


def _is_list(value: str) -> bool:
    return value.startswith("[") and value.endswith("]")


def _of_lists(table: TextTable, name: str, there: Sequence[str]) -> ColumnLabels:
    meaning: dict[str, tuple[str, ...]] = {}
    for value in there:
        items = _items(value) if _is_list(value) else None
        if items is None:
            raise table.error(
                f"column '{name}' holds lists, but '{value}' is none that can be understood",
                line=table.line_of(name, value),
            )
        meaning[value] = tuple(dict.fromkeys(item for item in items if not is_missing(item)))
    return _split(table, name, meaning, "are lists")


def _items(value: str) -> list[str] | None:
    """The items of a list as JSON, Python or numpy write it; None when it is none of them."""
    try:
        items = json.loads(value)
    except ValueError:
        return _quoted_items(value[1:-1])
    if any(isinstance(item, (list, dict)) for item in items):
        return None
    return ["" if item is None else str(item).strip() for item in items]


def _quoted_items(inside: str) -> list[str] | None:
    quoted = [re.sub(r"\\(.)", r"\1", one or other).strip() for one, other in _QUOTED.findall(inside)]
    if not quoted:
        return [item.strip() for item in inside.split(",")]
    rest = set(re.split(r"[,\s]+", _QUOTED.sub("", inside)))
    return quoted if rest <= {"", "nan", "None"} else None
