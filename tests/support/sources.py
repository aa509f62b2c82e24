"""Labelled images that need no files: sources with given targets."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.targets import Targets
from eyebright.sources.text_table import strings
from eyebright.types import LabelSet


def names(count: int) -> list[str]:
    """The names of so many image files."""
    return [f"{i}.jpg" for i in range(count)]


def source_of(kind: str, targets: Targets, files: Sequence[str] | None = None, **columns: Any) -> Source:
    """A source with these targets; ``part`` and ``group`` are lists."""
    for name in ("part", "group"):
        if columns.get(name) is not None:
            columns[name] = Categorical.of(columns[name])
    files = names(len(targets)) if files is None else files
    return Source(kind=kind, root=Path("images"), files=strings(files), targets=targets, **columns)


def source_of_labels(labels: Iterable[Iterable[str]], files: Sequence[str] | None = None, **columns: Any) -> Source:
    """A source with any number of labels for each image."""
    sets = [one if isinstance(one, LabelSet) else LabelSet(one) for one in labels]
    return source_of("multicategory", Categorical.of(sets), files, **columns)


def source_of_classes(classes: Iterable[str], files: Sequence[str] | None = None, **columns: Any) -> Source:
    """A source with one class for each image."""
    return source_of("category", Categorical.of(classes), files, **columns)


def source_of_numbers(rows: Any, files: Sequence[str] | None = None, **columns: Any) -> Source:
    """A source with numbers, shape (n, k), NaN where unknown."""
    return source_of("regression", np.asarray(rows, dtype=np.float64), files, **columns)


def source_of_points(rows: Any, files: Sequence[str] | None = None, **columns: Any) -> Source:
    """A source with points, shape (n, p, 2), NaN where unknown."""
    return source_of("points", np.asarray(rows, dtype=np.float64), files, **columns)
