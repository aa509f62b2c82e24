"""Predicates for single cells of a label file: missing, unknown, 0 or 1, a number, an amount."""

import math
import re

from eyebright.errors import MAX_FLOAT32

NO_LABEL_TEXTS = frozenset({"", "nan", "<na>", "[]", "['']", '[""]', "()", "{}", "set()"})
"""Cells that mean "no label" in a column of labels, in lower case."""

UNKNOWN = frozenset({"?", "unknown", "nan", "<na>", "na", "n/a", "null", "none"})
"""Cells that mean unknown in columns of 0/1, numbers or coordinates, in lower case. A blank number is unknown too."""

_TRUE_CELLS = frozenset({"1", "1.0", "true"})
_FALSE_CELLS = frozenset({"0", "0.0", "false"})

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII)
_MINUS = "[-+\u2212\u2013]"  # the Unicode minus and the en dash too
_CURRENCY = "[$\u20ac\u00a3\u00a5\u20b9%]"  # dollar, euro, pound, yen, rupee, and per cent
_CURRENCY_CELL = re.compile(
    rf"{_MINUS}?\(?{_MINUS}?{_CURRENCY}?\s?{_MINUS}?(\d+\.?\d*|\.\d+)\s?{_CURRENCY}?\)?", re.ASCII
)
_AMOUNT = re.compile(
    rf"\(?{_MINUS}?\s?(?:{_CURRENCY}|EUR|USD|GBP|CHF)?\s?{_MINUS}?"
    r"\d+(?:[.,'\u2019_]\d+|[\u0020\u00a0\u202f]\d{3}(?!\d))*"  # with separators of thousands
    r"\s?(?P<unit>[^\d\s,;|][^\d,;|]{0,11})?"
)
_DATE_OR_TIME = re.compile(r"\d{1,4}[-/.:]\d{1,2}([-/.:]\d{1,4})?([T ]\d{1,2}:\d{2}(:\d{2})?(\.\d+)?Z?)?")
_HEXADECIMAL = re.compile(r"0x[0-9a-f]+", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}\.\d{3}", re.ASCII)


def means_no_label(cell: str) -> bool:
    """True for a cell of a column of labels that means "no label"."""
    return cell.lower() in NO_LABEL_TEXTS


def is_unknown(cell: str) -> bool:
    """True for a cell whose value is unknown."""
    return cell.lower() in UNKNOWN


def is_on(cell: str) -> bool:
    """True for a cell of a 0/1 column that means 1."""
    return cell.lower() in _TRUE_CELLS


def is_flag(cell: str) -> bool:
    """True for a cell of a 0/1 column that means 0 or 1."""
    return cell.lower() in _TRUE_CELLS or cell.lower() in _FALSE_CELLS


def is_number(cell: str) -> bool:
    """True for a decimal number, with or without an exponent, however large."""
    return _NUMBER.fullmatch(cell) is not None


def has_decimal_comma(cell: str) -> bool:
    """True for a number with one comma in the place of the decimal point, such as ``0,5``; it may be ``1,500`` too."""
    return cell.count(",") == 1 and "." not in cell and cell[0] != "," and is_number(cell.replace(",", "."))


def is_fraction(cell: str) -> bool:
    """True for a number that is not a whole number."""
    return is_number(cell) and not float(cell).is_integer()


def is_marked_number(cell: str) -> bool:
    """True for a number with a currency sign, a per cent sign, accounting brackets or a Unicode minus sign."""
    return not is_number(cell) and _CURRENCY_CELL.fullmatch(cell) is not None


def amount_unit(cell: str) -> str | None:
    """The unit, or other text next to the digits of an amount, date or time; None for any other text.

    >>> amount_unit("3.5 kg"), amount_unit("-2"), amount_unit("1 234"), amount_unit("03:25"), amount_unit("img3")
    ('kg', '', '', 'date or time', None)
    """
    if _DATE_OR_TIME.fullmatch(cell) and not is_number(cell):
        return "date or time"
    if _HEXADECIMAL.fullmatch(cell):
        return "hexadecimal"
    if is_number(cell):
        return ""
    match = _AMOUNT.fullmatch(cell)
    has_only_commas = "," in cell and re.fullmatch(r"[\d,]+", cell)  # they may be labels
    return None if match is None or has_only_commas else match["unit"] or ""


def may_have_thousands(cell: str) -> bool:
    """True for a number such as ``1.250``, which is 1250 where a point separates thousands."""
    return _THOUSANDS.fullmatch(cell) is not None


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
    if abs(number) > MAX_FLOAT32:
        raise ValueError(f"a number of at most {MAX_FLOAT32:.1e} was expected, or a blank cell where it is unknown")
    return number
