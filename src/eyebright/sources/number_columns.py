"""Reads columns of numbers as the numbers of each image."""

from collections.abc import Sequence

import numpy as np

from eyebright.errors import listing
from eyebright.sources.cells import (
    amount_unit,
    has_decimal_comma,
    is_fraction,
    is_marked_number,
    is_number,
    is_unknown,
    may_have_thousands,
    to_number,
)
from eyebright.sources.targets import Floats, TargetColumns
from eyebright.sources.text_table import TextTable


def looks_like_numbers(table: TextTable, name: str) -> bool:
    """True if more than half of the known cells are numbers; the others are then mistakes.

    Numbers with a currency sign, accounting brackets or a Unicode minus sign also count as mistakes if others have
    none.
    """
    known = {cell: count for cell, count in table.columns[name].value_counts().items() if cell and not is_unknown(cell)}
    others = {cell: count for cell, count in known.items() if not is_number(cell)}
    marked = sum(count for cell, count in others.items() if is_marked_number(cell)) if len(others) < len(known) else 0
    return sum(others.values()) - marked < 0.5 * sum(known.values())


def looks_like_fractions(table: TextTable, name: str) -> bool:
    """True for a column that looks like numbers, and they are not all whole numbers."""
    return looks_like_numbers(table, name) and any(map(is_fraction, table.columns[name].unique()))


def read_numbers(table: TextTable, columns: Sequence[str]) -> TargetColumns:
    """The numbers of each image, shape (n, k); NaN where a cell is blank or unknown.

    Raises:
        TableError: a cell is not a number, or a column has none; the message names the line.
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
        TableError: a cell is not a number, or the points may separate thousands; the message names its line.
    """
    cells = table.columns[name].categorical
    _check_no_thousands(table, name, cells.categories)
    numbers = np.empty(len(cells.categories), dtype=np.float64)
    for i, cell in enumerate(cells.categories):
        try:
            numbers[i] = to_number(cell)
        except ValueError as error:
            raise table.error(
                f"'{cell}' in column '{name}'; {error}{_remedy(cell)}", line=table.line_of(name, cell)
            ) from None
    return numbers[cells.codes]


def _remedy(cell: str) -> str:
    if has_decimal_comma(cell):
        return "; write a decimal point, and no thousands separator"
    if amount_unit(cell) is not None:
        return "; write digits with a decimal point, without unit, currency or thousands separators, and - for minus"
    return ""


def _check_no_thousands(table: TextTable, name: str, cells: Sequence[str]) -> None:
    """Raises `TableError` where 1.250 may be 1250: fractions have three digits, and other numbers at most three.

    A program that omits trailing zeros would have written 1.25, and one that keeps them 950.000.
    """
    thousands, other = "", ""
    for cell in cells:
        if may_have_thousands(cell):
            thousands = thousands or cell
        elif cell.lstrip("+-").isdecimal() and len(cell.lstrip("+-")) <= 3:
            other = other or cell
        elif is_number(cell):
            return
    if thousands and other:
        raise table.error(
            f"'{thousands}' in column '{name}' may be {float(thousands)}, or {thousands.replace('.', '')} with a "
            f"thousands separator; write that without a separator, or '{other}' with decimals too, '{other}.000'",
            line=table.line_of(name, thousands),
        )
