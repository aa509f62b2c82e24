"""Reads 0/1 columns, one for each label, as the labels or the class of each image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from eyebright.errors import listing
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.cells import UNKNOWN, is_flag, is_on, is_unknown
from eyebright.sources.targets import TargetColumns
from eyebright.sources.text_table import TextTable
from eyebright.types import LabelSet

States = np.ndarray[Any, np.dtype[np.int8]]

_NO, _YES, _UNKNOWN = 0, 1, 2
_MINUS_ONE = ("-1", "-1.0")  # some datasets write -1 for unknown, others for no


def looks_like_indicator(table: TextTable, name: str) -> bool:
    """True if at least 90 % of the known cells are 0, 1 or -1, and some are 0 or 1; the others are then mistakes."""
    known = {cell: count for cell, count in table.columns[name].value_counts().items() if cell and not is_unknown(cell)}
    right = sum(count for cell, count in known.items() if is_flag(cell) or cell in _MINUS_ONE)
    return any(map(is_flag, known)) and right >= 0.9 * sum(known.values())


def read_indicators(table: TextTable, columns: Sequence[str]) -> TargetColumns:
    """Any number of labels for each image: the names of the columns in which it has a 1.

    A blank cell is a 0; ``?`` is unknown.

    Raises:
        TableError: a cell is none of these; the message names the line.
    """
    states = [_states(table, name) for name in columns]
    combinations, rows = _combinations(states)
    sets = [
        LabelSet(
            (name for name, state in zip(columns, cells, strict=True) if state == _YES),
            unknown=(name for name, state in zip(columns, cells, strict=True) if state == _UNKNOWN),
        )
        for cells in combinations
    ]
    head = (
        f"labels are the 0/1 columns {listing(columns)}" if len(columns) > 1 else f"the label is '{columns[0]}' (0/1)"
    )
    values = Categorical(tuple(sets), rows)
    messages = [head, *_notes(table, columns, states)]
    if empty := int(values.isin([LabelSet()]).sum()):
        messages.append(f"images without a label: {empty} of {len(values)}")
    return TargetColumns("labels", tuple(columns), values, tuple(messages))


def read_one_hot(table: TextTable, columns: Sequence[str]) -> TargetColumns:
    """One class for each image: the name of the only column in which it has a 1.

    Raises:
        TableError: a cell is neither 0 nor 1, or an image has no 1 or several; the message names the line.
    """
    states = np.stack([_states(table, name) for name in columns], axis=1)
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
    messages = (message, *_nowhere([name for i, name in enumerate(columns) if not bool((codes == i).any())]))
    return TargetColumns("class", tuple(columns), Categorical(tuple(columns), codes), messages)


def read_indicators_or_one_hot(table: TextTable, columns: Sequence[str]) -> TargetColumns:
    """One class per image if every image has exactly one 1 and no cell is unknown, else any number of labels.

    Raises:
        TableError: a cell is not 0, 1, blank or unknown; the message names the line.
    """
    if len(columns) > 1:
        states = np.stack([_states(table, name) for name in columns], axis=1)
        if bool(((states == _YES).sum(axis=1) == 1).all()) and not bool((states == _UNKNOWN).any()):
            return read_one_hot(table, columns)
    return read_indicators(table, columns)


def _states(table: TextTable, name: str) -> States:
    """Shape (n,): `_NO`, `_YES` or `_UNKNOWN` for each row."""
    cells = table.columns[name].categorical
    for cell in cells.categories:
        if cell and not is_flag(cell) and not is_unknown(cell):
            raise table.error(
                f"'{cell}' in column '{name}'; 0 or 1 was expected, or ? where it is unknown",
                line=table.line_of(name, cell),
            )
    each = [_YES if is_on(cell) else _UNKNOWN if is_unknown(cell) else _NO for cell in cells.categories]
    return np.array(each, dtype=np.int8)[cells.codes]


def _combinations(states: Sequence[States]) -> tuple[list[list[int]], Codes]:
    """The unique rows, and for each row the index of the unique row that equals it."""
    codes = np.zeros(len(states[0]), dtype=np.int64)
    for column in states:
        codes = pd.factorize(codes * 3 + column)[0]
    _, first = np.unique(codes, return_index=True)
    return [[int(column[row]) for column in states] for row in first], codes.astype(np.int32)


def _notes(table: TextTable, columns: Sequence[str], states: Sequence[States]) -> list[str]:
    notes: list[str] = []
    blank = sum(table.columns[name].value_counts().get("", 0) for name in columns)
    if blank:
        notes.append(f"blank cells of these columns, which mean no: {blank}")
    unknown = sum(int((column == _UNKNOWN).sum()) for column in states)
    if unknown:
        cells = {cell for name in columns for cell in table.columns[name].unique() if cell.lower() in UNKNOWN}
        notes.append(f"cells of these columns that are unknown ({listing(sorted(cells))}): {unknown}")
    notes += _nowhere([name for name, column in zip(columns, states, strict=True) if not bool((column == _YES).any())])
    return notes


def _nowhere(names: Sequence[str]) -> list[str]:
    return [f"labels that no image has, which cannot be learnt: {listing(names)}"] if names else []
