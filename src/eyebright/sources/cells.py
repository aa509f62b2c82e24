"""What single cells of a label file mean: missing, unknown, 0 or 1, a number."""

import math
import re

NO_LABEL = frozenset({"", "nan", "<na>", "[]", "['']", '[""]', "()"})
"""Cells of a column of labels that hold no label, in lower case."""

UNKNOWN = frozenset({"?", "unknown", "nan", "<na>", "na", "n/a", "null", "none"})
"""Cells of 0/1 columns, numbers and coordinates that are unknown, in lower case; a blank number is unknown too."""

_ON = frozenset({"1", "1.0", "true"})
_OFF = frozenset({"0", "0.0", "false"})
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII)


def is_missing(cell: str) -> bool:
    """True for a cell that means no label."""
    return cell.lower() in NO_LABEL


def is_unknown(cell: str) -> bool:
    """True for a cell whose value is unknown."""
    return cell.lower() in UNKNOWN


def is_on(cell: str) -> bool:
    """True for the cell of a 0/1 column that means that the image has the label."""
    return cell.lower() in _ON


def is_flag(cell: str) -> bool:
    """True for 0 and 1, however they are written."""
    return cell.lower() in _ON or cell.lower() in _OFF


def is_number(cell: str) -> bool:
    """True for a number in decimal digits, perhaps with an exponent."""
    return _NUMBER.fullmatch(cell) is not None


def is_fraction(cell: str) -> bool:
    """True for a number that is no whole number."""
    return is_number(cell) and not float(cell).is_integer()


def to_number(cell: str) -> float:
    """The number; NaN where the cell is blank or unknown.

    Raises:
        ValueError: the cell is neither.
    """
    if not cell or is_unknown(cell):
        return math.nan
    if not is_number(cell):
        raise ValueError(cell)
    return float(cell)
