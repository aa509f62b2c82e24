"""The columns of a label file that have no role, such as a camera or a site: kept to compare scores between groups."""

import numpy as np
import pandas as pd

from eyebright.errors import MAX_FLOAT32
from eyebright.sources.cells import is_number, is_unknown, to_number
from eyebright.sources.text_table import TextColumn


def to_series(column: TextColumn) -> pd.Series:
    """The column as numbers where all cells are numbers, else as text; missing where a cell is blank or unknown.

    Numbers with leading zeros, such as postcodes and patient numbers, stay text.
    """
    cells = column.categorical
    known = [cell for cell in cells.categories if cell and not is_unknown(cell)]
    if known and all(_is_plain_number(cell) for cell in known):
        numbers = np.array([to_number(cell) for cell in cells.categories])
        whole = len(known) == len(cells.categories) and all(
            number.is_integer() and abs(number) < 2**53 for number in numbers
        )
        return pd.Series((numbers.astype(np.int64) if whole else numbers)[cells.codes])
    categories = dict.fromkeys(known)
    code_of = {cell: code for code, cell in enumerate(categories)}
    codes = np.array([code_of.get(cell, -1) for cell in cells.categories], dtype=np.int64)
    return pd.Series(pd.Categorical.from_codes(codes[cells.codes].tolist(), categories=list(categories)))


def _is_plain_number(cell: str) -> bool:
    return is_number(cell) and not _has_leading_zero(cell) and abs(float(cell)) <= MAX_FLOAT32


def _has_leading_zero(cell: str) -> bool:
    digits = cell.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdecimal()
