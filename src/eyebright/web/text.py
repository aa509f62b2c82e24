"""Formatting of numbers and file names, so that they look the same in all pages."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

NO_VALUE = "–"  # shown instead of a missing number


def score_text(value: float | None, *, decimals: int = 3) -> str:
    """A score with a fixed number of decimals; a dash if it is missing or not finite."""
    return NO_VALUE if value is None or not math.isfinite(value) else f"{value:z,.{decimals}f}"


def number_text(value: float | None) -> str:
    """A number with about three significant digits; a dash if it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    size = abs(value)
    if size < 1:
        return f"{value:z.3g}"
    return f"{value:,.2f}" if size < 10 else f"{value:,.1f}" if size < 100 else f"{value:,.0f}"


def short_names(paths: Sequence[str], chosen: Sequence[int]) -> list[str]:
    """Paths relative to the folder that all ``paths`` have in common.

    Args:
        paths: all paths.
        chosen: the indices of the paths to return.
    """
    folders = {str(Path(path).parent) for path in paths}
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # absolute and relative paths, or different drives
        return [str(paths[i]) for i in chosen]
    return [os.path.relpath(paths[i], common) if common else str(paths[i]) for i in chosen]
