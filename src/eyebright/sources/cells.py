"""Predicates for single cells of a label file: missing, unknown, 0 or 1, a number."""

import math
import re

NO_LABEL_TEXTS = frozenset({"", "nan", "<na>", "[]", "['']", '[""]', "()", "{}", "set()"})
"""Cells that mean "no label" in a column of labels, in lower case."""

UNKNOWN = frozenset({"?", "unknown", "nan", "<na>", "na", "n/a", "null", "none"})
"""Cells that mean unknown in columns of 0/1, numbers or coordinates, in lower case. A blank number is unknown too."""

_ON = frozenset({"1", "1.0", "true"})
_OFF = frozenset({"0", "0.0", "false"})
_LARGEST = 3.4e38  # of float32
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII)


def means_no_label(cell: str) -> bool:
    """True for a cell of a column of labels that means "no label"."""
    return cell.lower() in NO_LABEL_TEXTS


def is_unknown(cell: str) -> bool:
    """True for a cell whose value is unknown."""
    return cell.lower() in UNKNOWN


def is_on(cell: str) -> bool:
    """True for a cell of a 0/1 column that means 1."""
    return cell.lower() in _ON


def is_flag(cell: str) -> bool:
    """True for a cell of a 0/1 column that means 0 or 1."""
    return cell.lower() in _ON or cell.lower() in _OFF


def is_number(cell: str) -> bool:
    """True for a decimal number, with or without an exponent, however large."""
    return _NUMBER.fullmatch(cell) is not None


def has_decimal_comma(cell: str) -> bool:
    """True for a number with one comma in the place of the decimal point, such as ``0,5``; it may be ``1,500`` too."""
    return cell.count(",") == 1 and "." not in cell and cell[0] != "," and is_number(cell.replace(",", "."))


def is_fraction(cell: str) -> bool:
    """True for a number that is not a whole number."""
    return is_number(cell) and not float(cell).is_integer()


def to_number(cell: str) -> float:
    """The number; NaN for a blank or unknown cell.

    Raises:
        ValueError: the cell is neither a number nor blank nor unknown, or a model cannot hold the number, since it is
            beyond the largest float32 (3.4e38).
    """
    if not cell or is_unknown(cell):
        return math.nan
    if not is_number(cell):
        raise ValueError("a number was expected, or a blank cell where it is unknown")
    number = float(cell)
    if abs(number) > _LARGEST:
        raise ValueError(f"a number of at most {_LARGEST:.1e} was expected, or a blank cell where it is unknown")
    return number
