"""How findings word counts, and how many files they list."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from eyebright.sources.source import Source

MAX_FILES = 10_000
"""Images that one finding lists; `eyebright.check.finding.Finding.figure` counts all."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """The number with its noun.

    >>> counted(1, "image"), counted(1200, "image"), counted(2, "class", "classes")
    ('1 image', '1,200 images', '2 classes')

    Args:
        count: the number.
        noun: the noun in the singular.
        plural: the noun in the plural; empty: with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def files_at(source: Source, rows: "Iterable[int] | np.ndarray[Any, Any]") -> tuple[str, ...]:
    """The files of these images, at most `MAX_FILES`.

    Args:
        source: the labelled images.
        rows: indices, or shape (n,), whether each image is meant.
    """
    if isinstance(rows, np.ndarray):
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        rows = rows[:MAX_FILES].tolist()
    return tuple(str(source.files[row]) for row in list(rows)[:MAX_FILES])
