"""Reads columns of numbers as the numbers of each image."""

from collections.abc import Sequence

import numpy as np

from eyebright.errors import listing
from eyebright.sources.cells import has_decimal_comma, is_fraction, is_number, is_unknown, to_number
from eyebright.sources.targets import Floats, TargetColumns
from eyebright.sources.text_table import TextTable


def looks_like_numbers(table: TextTable, name: str) -> bool:
    """True if more than half of the known cells are numbers; the others are then mistakes."""
    known = {cell: count for cell, count in table.columns[name].value_counts().items() if cell and not is_unknown(cell)}
    return sum(count for cell, count in known.items() if is_number(cell)) > 0.5 * sum(known.values())


def looks_like_fractions(table: TextTable, name: str) -> bool:
    """True for a column that looks like numbers, and they are not all whole numbers."""
    return looks_like_numbers(table, name) and any(map(is_fraction, table.columns[name].unique()))


def read_numbers(table: TextTable, columns: Sequence[str]) -> TargetColumns:
    """The numbers of each image, shape (n, k); NaN where a cell is blank or unknown.

    Raises:
        TableError: a cell is no number, or a column has none; the message names the line.
    """
    values = np.stack([number_array(table, name) for name in columns], axis=1)
    empty = [name for name, column in zip(columns, values.T, strict=True) if bool(np.isnan(column).all())]
    if empty:
        raise table.error(f"column '{empty[0]}' holds no number at all")
    several = f"numbers to predict are in the columns {listing(columns)}"
    messages = [several if len(columns) > 1 else f"the number to predict is in column '{columns[0]}'"]
    if unknown := int(np.isnan(values).sum()):
        messages.append(f"numbers that are unknown: {unknown} of {values.size}")
    return TargetColumns("numbers", tuple(columns), values, tuple(messages), names=tuple(columns))


def number_array(table: TextTable, name: str) -> Floats:
    """Shape (n,): the numbers of a column; NaN where a cell is blank or unknown.

    Raises:
        TableError: a cell is no number; the message names its line.
    """
    cells = table.columns[name].categorical
    numbers = np.empty(len(cells.categories), dtype=np.float64)
    for i, cell in enumerate(cells.categories):
        try:
            numbers[i] = to_number(cell)
        except ValueError as error:
            comma = "; write a decimal point, and no thousands separator" if has_decimal_comma(cell) else ""
            raise table.error(f"'{cell}' in column '{name}'; {error}{comma}", line=table.line_of(name, cell)) from None
    return numbers[cells.codes]
