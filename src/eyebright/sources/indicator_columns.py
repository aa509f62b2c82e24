"""Reads 0/1 columns, one for each label, as the labels or the class of each image."""

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd

from eyebright._choices import BlankMeaning, UncertainMeaning
from eyebright.errors import InputError, listing
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.cells import UNKNOWN, is_flag, is_on, is_unknown
from eyebright.sources.targets import CellOptions, TargetColumns, unused_messages
from eyebright.sources.text_table import TextTable
from eyebright.types import LabelSet

States = np.ndarray[Any, np.dtype[np.int8]]

_NO, _YES, _UNKNOWN = 0, 1, 2
_MINUS_ONE = frozenset({"-1", "-1.0"})
_BLANK, _UNCERTAIN = get_args(BlankMeaning), get_args(UncertainMeaning)
_STATE_OF_CELL = {"no": _NO, "yes": _YES, "unknown": _UNKNOWN}
_DEFAULT_OPTIONS = CellOptions()


class _Meaning(NamedTuple):
    """The meaning of empty cells and -1 in the 0/1 columns of a table.

    Where the table writes 0 too, -1 is uncertain, and unknown; where it writes 1 and -1 only, it is no. A blank is
    unknown where the table writes 0 too, and otherwise no.
    """

    blank: str
    minus_one: str

    @staticmethod
    def of(table: TextTable, columns: Sequence[str], asked: CellOptions) -> "_Meaning":
        """The meaning that the user gives, or that follows from all cells of the table."""
        for name, value, known in (("blank", asked.blank, _BLANK), ("uncertain", asked.uncertain, _UNCERTAIN)):
            if value is not None and value not in known:
                raise InputError(f"`{name}` is {' or '.join(known)}, got '{value}'")
        cells = {cell for name in columns for cell in table.columns[name].unique()}
        has_off = any(is_flag(cell) and not is_on(cell) for cell in cells)
        default = "unknown" if has_off else "no"
        return _Meaning(asked.blank or default, asked.uncertain or default)

    def messages(self, table: TextTable, columns: Sequence[str]) -> list[str]:
        """Sentences for the user on how such cells were read; empty without such cells."""
        counts = [table.columns[name].value_counts() for name in columns]
        blank = sum(counts_of_column.get("", 0) for counts_of_column in counts)
        minus_one = sum(counts_of_column.get(cell, 0) for counts_of_column in counts for cell in _MINUS_ONE)
        messages: list[str] = []
        if blank:
            other = _BLANK[1 - _BLANK.index(self.blank)]
            messages.append(
                f"blank cells of these columns, which mean {self.blank}: {blank}; `blank='{other}'` changes it"
            )
        if minus_one:
            messages.append(
                f"cells of these columns that are -1, which mean {self.minus_one}: {minus_one}; `uncertain` changes it"
            )
        return messages


def looks_like_indicator(table: TextTable, name: str) -> bool:
    """True if at least 90 % of the known cells are 0, 1 or -1, and some are 0 or 1; the others are then mistakes."""
    known = {cell: count for cell, count in table.columns[name].value_counts().items() if cell and not is_unknown(cell)}
    right = sum(count for cell, count in known.items() if is_flag(cell) or cell in _MINUS_ONE)
    return any(map(is_flag, known)) and right >= 0.9 * sum(known.values())


def is_without_answer(table: TextTable, name: str) -> bool:
    """True if all cells are blank, unknown or -1."""
    return all(not cell or cell in _MINUS_ONE or is_unknown(cell) for cell in table.columns[name].unique())


def read_indicators(table: TextTable, columns: Sequence[str], cells: CellOptions = _DEFAULT_OPTIONS) -> TargetColumns:
    """Any number of labels for each image: the names of the columns in which it has a 1.

    ``?`` is unknown. The meaning of -1 and empty cells depends on the whole table, see `_Meaning`.

    Raises:
        TableError: a cell is none of these; the message names the line.
    """
    meaning = _Meaning.of(table, columns, cells)
    states = [_states(table, name, meaning) for name in columns]
    combinations, rows = _combinations(states)
    unused = _labels_without_image(columns, states)
    sets = [
        LabelSet(
            (name for name, state in zip(columns, combination, strict=True) if state == _YES),
            unknown=(name for name, state in zip(columns, combination, strict=True) if state == _UNKNOWN),
        )
        for combination in combinations
    ]
    head = (
        f"labels are the 0/1 columns {listing(columns)}" if len(columns) > 1 else f"the label is '{columns[0]}' (0/1)"
    )
    values = Categorical(tuple(sets), rows)
    messages = [head, *meaning.messages(table, columns), *_notes(table, columns), *unused_messages(unused)]
    if empty := int(values.isin([LabelSet()]).sum()):
        messages.append(f"images without a label: {empty} of {len(values)}")
    declared = tuple(columns)
    return TargetColumns(
        "labels", declared, values, tuple(messages), unused=unused, declared=declared, are_indicators=True
    )


def read_one_hot(table: TextTable, columns: Sequence[str], cells: CellOptions = _DEFAULT_OPTIONS) -> TargetColumns:
    """One class for each image: the name of the only column in which it has a 1.

    Raises:
        TableError: a cell is neither 0 nor 1, or an image has no 1 or several; the message names the line.
    """
    meaning = _Meaning.of(table, columns, cells)
    states = np.stack([_states(table, name, meaning) for name in columns], axis=1)
    wrong = np.flatnonzero((states == _YES).sum(axis=1) != 1)
    if len(wrong):
        count = int((states[wrong[0]] == _YES).sum())
        raise table.error(
            f"one class for each image needs exactly one 1 in the columns {listing(columns)}, got {count}",
            line=int(table.lines[wrong[0]]),
        )
    message = (
        f"each image has a 1 in exactly one of the columns {listing(columns)}, which is its class; "
        "`kind='labels'` makes them independent labels"
    )
    codes = (states == _YES).argmax(axis=1).astype(np.int32)
    unused = tuple(name for i, name in enumerate(columns) if not bool((codes == i).any()))
    messages = (message, *unused_messages(unused))
    values = Categorical(tuple(columns), codes)
    return TargetColumns("classes", tuple(columns), values, messages, unused=unused, are_indicators=True)


def read_indicators_or_one_hot(
    table: TextTable, columns: Sequence[str], cells: CellOptions = _DEFAULT_OPTIONS
) -> TargetColumns:
    """One class per image if every image has exactly one 1 and no cell is unknown, else any number of labels.

    Raises:
        TableError: a cell is not 0, 1, blank or unknown; the message names the line.
    """
    if len(columns) > 1:
        meaning = _Meaning.of(table, columns, cells)
        states = np.stack([_states(table, name, meaning) for name in columns], axis=1)
        if bool(((states == _YES).sum(axis=1) == 1).all()) and not bool((states == _UNKNOWN).any()):
            return read_one_hot(table, columns, cells)
    return read_indicators(table, columns, cells)


def _states(table: TextTable, name: str, meaning: _Meaning) -> States:
    """Shape (n,): `_NO`, `_YES` or `_UNKNOWN` for each row."""
    cells = table.columns[name].categorical
    for cell in cells.categories:
        if cell and not is_flag(cell) and not is_unknown(cell) and cell not in _MINUS_ONE:
            raise table.error(
                f"'{cell}' in column '{name}'; 0 or 1 was expected, or ? where it is unknown",
                line=table.line_of(name, cell),
            )
    special = {"": _STATE_OF_CELL[meaning.blank], **dict.fromkeys(_MINUS_ONE, _STATE_OF_CELL[meaning.minus_one])}
    states = [
        special.get(cell, _YES if is_on(cell) else _UNKNOWN if is_unknown(cell) else _NO) for cell in cells.categories
    ]
    return np.array(states, dtype=np.int8)[cells.codes]


def _combinations(states: Sequence[States]) -> tuple[list[list[int]], Codes]:
    """The unique rows, and for each row the index of the unique row that equals it."""
    codes = np.zeros(len(states[0]), dtype=np.int64)
    for column in states:
        codes = pd.factorize(codes * 3 + column)[0]
    _, first = np.unique(codes, return_index=True)
    return [[int(column[row]) for column in states] for row in first], codes.astype(np.int32)


def _notes(table: TextTable, columns: Sequence[str]) -> list[str]:
    counts = [table.columns[name].value_counts() for name in columns]
    unknown = sum(
        count for counts_of_column in counts for cell, count in counts_of_column.items() if cell.lower() in UNKNOWN
    )
    if not unknown:
        return []
    cells = {cell for counts_of_column in counts for cell in counts_of_column if cell.lower() in UNKNOWN}
    return [f"cells of these columns that are unknown ({listing(sorted(cells))}): {unknown}"]


def _labels_without_image(columns: Sequence[str], states: Sequence[States]) -> tuple[str, ...]:
    """The labels that no image has."""
    return tuple(name for name, column in zip(columns, states, strict=True) if not bool((column == _YES).any()))
