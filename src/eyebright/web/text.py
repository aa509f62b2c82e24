"""Numbers as words: every number of a report is written here, so that all are written alike."""

import math

NO_VALUE = "–"  # there is no number


def score_text(value: float | None, *, decimals: int = 3) -> str:
    """A score with three decimals; a dash when there is none."""
    return NO_VALUE if value is None or not math.isfinite(value) else f"{value:,.{decimals}f}"


def number_text(value: float | None) -> str:
    """A number of any size with about three digits; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    size = abs(value)
    if size < 1:
        return f"{value:.3g}"
    return f"{value:,.2f}" if size < 10 else f"{value:,.1f}" if size < 100 else f"{value:,.0f}"


def count_text(count: int, one: str, many: str | None = None) -> str:
    """``"1 image"``, ``"2,510 images"``.

    Args:
        count: how many.
        one: what one of them is called.
        many: what several are called; an s is added when not given.
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
