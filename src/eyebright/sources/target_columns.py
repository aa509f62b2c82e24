"""Detects which columns of a label file hold the targets, and of which task type they are.

They are searched in this order: a column named ``labels``, ``class`` or similar; the only column of text
whose name ends like that, such as ``Finding Labels``; columns of points (``nose_x,
nose_y``); 0/1 columns; the only column without another role; columns of numbers with decimals, if all are. A single
column of numbers with decimals holds numbers to predict; whole numbers are classes.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from eyebright.errors import TableError, listing
from eyebright.sources.cells import amount_unit, has_decimal_comma
from eyebright.sources.column_roles import (
    GROUP_NAMES,
    PROPERTY_NAMES,
    checked_no_labels,
    named,
    plain_name,
    requested_columns,
    target_candidates,
)
from eyebright.sources.indicator_columns import looks_like_indicator, read_indicators_or_one_hot
from eyebright.sources.label_column import PLURALS, SINGULARS, read_labels_or_class
from eyebright.sources.number_columns import looks_like_fractions, looks_like_numbers, read_numbers
from eyebright.sources.targets import CellOptions, TargetColumns
from eyebright.sources.task_types import TARGET_FUNCTIONS, Reader, columns_with_points, indicator_columns, label_names
from eyebright.sources.text_table import TextTable
from eyebright.tasks.task_type import TaskType

NO_TARGETS = "no column holds"
"""The message of each error for a table without targets."""

_ENDING = re.compile(rf"_({'|'.join((*PLURALS, *SINGULARS))})$")  # finding_labels


class FoundColumns(NamedTuple):
    """The columns with the targets, and the function that reads them.

    Args:
        columns: their names.
        read: the function from the table, these columns and how their cells are read to the targets.
        messages: which other columns might hold targets, sentences for the user.
    """

    columns: list[str]
    read: Reader
    messages: tuple[str, ...] = ()


def find_targets(
    table: TextTable,
    taken: Sequence[str],
    *,
    labels: Sequence[str] = (),
    not_labels: Sequence[str] = (),
    task_type: TaskType | None = None,
) -> FoundColumns:
    """The columns with the targets.

    Args:
        table: the label file.
        taken: the columns with another role.
        labels: the columns that the user named; empty: detected from the table.
        not_labels: the columns that are not targets, although they may look so.
        task_type: the type of the targets; None: detected from their cells when they are read.

    Raises:
        TableError: there are none, not those that were asked for, or several readings are possible.
    """
    excluded = checked_no_labels(table, not_labels, labels)
    if labels:
        return FoundColumns(requested_columns(table, labels, taken), _reader(task_type))
    taken = [*taken, *excluded]
    candidates = target_candidates(table, taken)
    if excluded and not candidates:
        raise table.error(f"{NO_TARGETS} labels: none is left beside {listing(taken)}; `not_labels` names too many")
    no_labels = named(candidates, (*GROUP_NAMES, *PROPERTY_NAMES))
    candidates = [name for name in candidates if name not in no_labels] or candidates
    if task_type is not None:
        columns = TARGET_FUNCTIONS[task_type].find(table, candidates)
        if not columns:
            raise _no_columns(table, candidates, f"{NO_TARGETS} {TARGET_FUNCTIONS[task_type].description}")
        return FoundColumns(columns, _reader(task_type))
    target_columns = _find(table, candidates, target_candidates(table, taken))
    flags = [name for name in indicator_columns(table, no_labels) if name not in target_columns.columns]
    if not flags:
        return target_columns
    message = f"0/1 columns that are not taken for labels: {listing(flags)}; `labels` names the columns with the labels"
    return target_columns._replace(messages=(message,))


def _find(table: TextTable, candidates: Sequence[str], listed: Sequence[str]) -> FoundColumns:
    if known := label_names(candidates):
        return FoundColumns(known[:1], _read_by_content)
    called = [name for name in candidates if _ENDING.search(plain_name(name)) and _content(table, name) == "text"]
    if len(called) == 1:
        return FoundColumns(called, _read_by_content)
    if points := columns_with_points(table, candidates):
        return FoundColumns(points, TARGET_FUNCTIONS["points"].read)
    if indicators := indicator_columns(table, candidates):
        if len(indicators) == 1 and any(_looks_like_class(table, name) for name in candidates):
            raise _no_columns(table, listed, "more than one column may hold the labels")
        return FoundColumns(indicators, _read_indicators)
    if len(candidates) == 1 or (candidates and all(looks_like_fractions(table, name) for name in candidates)):
        return FoundColumns(list(candidates), _read_by_content)
    raise _no_columns(table, listed, "no column is called 'labels' or 'class'")


def _reader(task_type: TaskType | None) -> Reader:
    return _read_by_content if task_type is None else TARGET_FUNCTIONS[task_type].read


def _read_indicators(table: TextTable, columns: Sequence[str], cells: CellOptions) -> TargetColumns:
    return read_indicators_or_one_hot(table, columns, cells)


def _read_by_content(table: TextTable, columns: Sequence[str], cells: CellOptions) -> TargetColumns:
    """Reads target columns as the task type detected from their cells."""
    delimiter = cells.delimiter
    if len(columns) == 1:
        if delimiter is None and looks_like_fractions(table, columns[0]):
            return read_numbers(table, columns)
        if delimiter is None and looks_like_indicator(table, columns[0]) and not label_names(columns):
            return _read_indicators(table, columns, cells)  # as where the table has no other column
        return read_labels_or_class(table, columns[0], delimiter)
    if set(columns_with_points(table, columns)) == set(columns):
        return TARGET_FUNCTIONS["points"].read(table, columns, cells)
    numeric = all(looks_like_numbers(table, name) for name in columns)
    fractions = any(looks_like_fractions(table, name) for name in columns)
    if numeric and (fractions or not any(looks_like_indicator(table, name) for name in columns)):
        return read_numbers(table, columns)
    return read_indicators_or_one_hot(table, columns, cells)


def _no_columns(table: TextTable, candidates: Sequence[str], problem: str) -> TableError:
    if not candidates:
        return table.error(f"{NO_TARGETS} labels: there is no other column than {listing(table.columns)}")
    contents = ", ".join(f"'{name}' ({_content(table, name)})" for name in candidates[:12])
    return table.error(f"{problem}; there are {contents}; name those that hold the targets with `labels`")


def _looks_like_class(table: TextTable, name: str) -> bool:
    """True for a column of text in which cells recur, as the names of classes do."""
    return _content(table, name) == "text" and 2 <= len(table.columns[name].unique()) <= len(table) / 2


def _content(table: TextTable, name: str) -> str:
    if looks_like_fractions(table, name):
        return "numbers with decimals"
    if looks_like_indicator(table, name):
        return "0 and 1"
    if looks_like_numbers(table, name):
        return "whole numbers"
    cells = table.columns[name].unique()
    amounts = [cell for cell in cells if has_decimal_comma(cell) or amount_unit(cell) is not None]
    return f"amounts such as '{amounts[0]}', which are not plain numbers" if len(amounts) > len(cells) / 2 else "text"
