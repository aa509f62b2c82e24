"""Formatting of numbers, so that they look the same in all pages."""

import math

NO_VALUE = "–"  # shown instead of a missing number


def score_text(value: float | None, *, decimals: int = 3) -> str:
    """A score with a fixed number of decimals; a dash if it is missing or not finite."""
    return NO_VALUE if value is None or not math.isfinite(value) else f"{value:,.{decimals}f}"


def number_text(value: float | None) -> str:
    """A number with about three significant digits; a dash if it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    size = abs(value)
    if size < 1:
        return f"{value:.3g}"
    return f"{value:,.2f}" if size < 10 else f"{value:,.1f}" if size < 100 else f"{value:,.0f}"


def count_text(count: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: ``"1 image"``, ``"2,510 images"``.

    Args:
        count: the number.
        singular: the noun for a count of 1.
        plural: the noun for other counts; by default ``singular`` with an s.

    >>> count_text(2510, "class", "classes")
    '2,510 classes'
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
