"""`with_rows_merged`: tables with a row for each image and label, as exports of annotations are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eyebright.errors import listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.targets import TargetColumns
from eyebright.sources.text_table import Strings, TextTable
from eyebright.tasks.task_type import TaskType
from eyebright.types import LabelSet

_UNKNOWN = "?"
_SHARE, _MIN_YES_ANSWERS = 0.1, 5  # images that have rows with different labels; fewer may be contradictions


def with_rows_merged(
    targets: TargetColumns, files: Strings, asked: TaskType | None, table: TextTable, *, delimiter: str | None
) -> TargetColumns:
    """The targets, merged so that each row of an image has the labels of all its rows; others unchanged.

    Rows are merged if they hold labels or a class, and a tenth of the images, and at least five, have rows that differ;
    or if the user asks for labels.

    Args:
        targets: the targets of each row.
        files: the image of each row.
        asked: the type of the targets that the user asks for; None: detected.
        table: the table that they are from.
        delimiter: between two labels, if the user gives it.

    Raises:
        TableError: cells were split at spaces, which may belong to the names of labels where each has its own row.
    """
    values = targets.values
    if isinstance(values, np.ndarray) or len(targets.columns) != 1 or asked not in (None, "labels"):
        return targets
    images = Categorical[str].of(files.tolist()).codes.astype(np.int64)
    count = int(images.max(initial=-1)) + 1
    if count == len(files):
        return targets
    pairs = np.unique(images * len(values.categories) + values.codes)
    image, code = pairs // len(values.categories), pairs % len(values.categories)
    several = int((np.bincount(image, minlength=count) > 1).sum())
    if not several or (asked is None and several < max(_SHARE * count, _MIN_YES_ANSWERS)):
        return targets
    if delimiter is None and targets.splits_at == " ":
        _check_spaces(table, targets.columns[0])
    sets = _as_sets(values.categories)
    begin = np.searchsorted(image, np.arange(count + 1))
    merged = [_union([sets[i] for i in code[begin[k] : begin[k + 1]].tolist()]) for k in range(count)]
    labels = sorted({label for label_set in sets for label in label_set})
    how = f"split at '{targets.splits_at}' and " if targets.splits_at else ""
    messages = [
        f"labels in column '{targets.columns[0]}', of which an image may have several rows, are {how}merged: "
        f"{len(labels)} different labels, {listing(labels)}",
        f"images with rows of different labels: {several} of {count}",
    ]
    by_image = Categorical[LabelSet].of(merged)
    result = Categorical(by_image.categories, by_image.codes[images])
    return replace(targets, task_type="labels", values=result, messages=tuple(messages), known=None)


def _check_spaces(table: TextTable, name: str) -> None:
    """Raises `TableError` for a cell such as ``red car`` unless each of its words is also a cell by itself."""
    cells = set(table.columns[name].unique())
    example = next((cell for cell in sorted(cells) if " " in cell and not cells.issuperset(cell.split())), None)
    if example is not None:
        raise table.error(
            f"'{example}' in column '{name}', of which an image may have several rows, may be one label, or "
            f"{listing(example.split())}; `delimiter=''` takes each cell for one label, `delimiter=' '` splits them",
            line=table.line_of(name, example),
        )


def _as_sets(categories: Sequence[str | LabelSet]) -> list[LabelSet]:
    """Each value as a set of labels; of an unknown class every label is unknown."""
    classes = [category for category in categories if isinstance(category, str) and category != _UNKNOWN]
    return [
        category
        if not isinstance(category, str)
        else LabelSet(unknown=classes)
        if category == _UNKNOWN
        else LabelSet([category])
        for category in categories
    ]


def _union(sets: Sequence[LabelSet]) -> LabelSet:
    if len(sets) == 1:
        return sets[0]
    labels = frozenset[str]().union(*sets)
    return LabelSet(labels, unknown=frozenset[str]().union(*(label_set.unknown for label_set in sets)) - labels)
