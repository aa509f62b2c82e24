"""`reading`: the interpretation of a label file or a folder, as data for JSON."""

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from eyebright._all_but import AllBut
from eyebright.sources.categorical import Categorical
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Source
from eyebright.tasks.task_type import TaskType
from eyebright.types import LabelSet

KINDS: dict[TaskType, str] = {"labels": "multi", "classes": "single", "points": "points", "numbers": "numbers"}
"""The entry ``kind`` of `reading` for each task type."""

_MAX_CELLS = 1_000_000  # unknown labels of images that are listed
_CHECKED_PARTS = ("train", "valid", "test")
"""Parts that are counted also where they have no image."""


def reading(source: Source) -> dict[str, Any]:
    """The interpretation of the data.

    - ``kind``: multi, single, points or numbers; ``block``: the name of the target block.
    - ``classes``: the labels that images have, sorted; ``unused``: those that are declared and that no image has.
    - ``count``: how many images; ``split``: how many in each part, None where the data do not specify it.
    - ``unknown``: how many labels, points or numbers of images are unknown; ``unknown_cells``: the labels by image.
      Labels that no image has are in neither. Where there are more than a million, they are counted only.
    - ``rows``: by image its labels, points ([x, y] or None) or numbers, in the order of the data. An image is called by
      its path: the folder as it was given, and the path below it.
    - ``split_of``, ``groups``: the part and the group of each image that has one.
    - ``left_out``: images that are named and not used, with the reason.
    - ``points``, ``pairs``, ``numbers``: the names of points and numbers; points that swap in a mirrored image.
    - ``messages``: how the data were read, sentences.

    Args:
        source: the labelled images.
    """
    block = source.block()
    paths = [_path(source, str(file)) for file in source.files]
    counted = counts(source)
    result: dict[str, Any] = {
        "kind": KINDS[block.task_type],
        "block": source.kind,
        **counted,
        "rows": dict(zip(paths, _targets(source), strict=True)),
        "left_out": {_path(source, file): reason for file, reason in source.left_out.items()},
        "unused": list(source.unused),
        "messages": list(source.messages),
    }
    if isinstance(source.targets, np.ndarray):
        result["points" if block.is_geometric else "numbers"] = list(source.names) or None
    elif counted["unknown"] <= _MAX_CELLS:
        result["unknown_cells"] = _unknown_labels(source.targets, paths, frozenset(counted["classes"]))
    else:
        result["unknown_cells"] = None
    if block.is_geometric:
        pairs = [[i, j] for i, j in enumerate(source.mirror or ()) if i < j]
        result["pairs"] = pairs or None
    if source.part is not None:
        result["split_of"] = {path: part for path, part in zip(paths, source.part, strict=True) if part is not None}
    if source.group is not None:  # an image that is on its own has a group without a name
        named = zip(paths, source.group, strict=True)
        result["groups"] = {path: group for path, group in named if not group.startswith("\0")}
    return result


def counts(source: Source) -> dict[str, Any]:
    """``classes``, ``count``, ``split`` and ``unknown`` of `reading`, without going through the images."""
    classes = _classes(source)
    if isinstance(source.targets, np.ndarray):
        cells = np.isnan(source.targets)
        unknown = int(cells.any(axis=2).sum() if cells.ndim == 3 else cells.sum())
    else:
        used = frozenset(classes)
        unknown_counts = np.array([_count(category, used) for category in source.targets.categories], dtype=np.int64)
        unknown = int(unknown_counts[source.targets.codes].sum()) if len(unknown_counts) else 0
    return {"classes": classes, "count": len(source), "split": _split(source), "unknown": unknown}


def _path(source: Source, file: str) -> str:
    return os.path.normpath(source.root / file).replace(os.sep, "/")


def _classes(source: Source) -> list[str]:
    if not isinstance(source.targets, Categorical):
        return []
    used = source.targets.remove_unused_categories().categories
    return sorted({label for category in used for label in ([category] if isinstance(category, str) else category)})


def _split(source: Source) -> dict[str, int] | None:
    if source.part is None:
        return None
    images = Counter[Any]()
    for part, count in zip(source.part.categories, np.bincount(source.part.codes).tolist(), strict=False):
        images[part or "train"] += count
    return {part: images[part] for part in PART_WORDS if images[part] or part in _CHECKED_PARTS}


def _targets(source: Source) -> Iterator[Any]:
    """Labels, points or numbers of each image; equal sets of labels are one list."""
    if isinstance(source.targets, Categorical):
        each = [[category] if isinstance(category, str) else sorted(category) for category in source.targets.categories]
        return (each[code] for code in source.targets.codes)
    if source.targets.ndim == 3:
        return ([None if math.isnan(x + y) else [x, y] for x, y in points] for points in map(_list, source.targets))
    return ([None if math.isnan(number) else number for number in numbers] for numbers in map(_list, source.targets))


def _list(row: "np.ndarray[Any, np.dtype[np.float64]]") -> list[Any]:
    return row.tolist()


def _count(target: LabelSet | str, used: frozenset[str]) -> int:
    """How many of the used labels are unknown."""
    if isinstance(target, str) or not target.unknown:
        return 0
    if isinstance(target.unknown, AllBut):
        return len(used & target.unknown.vocabulary) - len(used & target.unknown.known)
    return len(target.unknown & used)


def _unknown_labels(
    targets: Categorical[LabelSet] | Categorical[str], paths: Sequence[str], used: frozenset[str]
) -> dict[str, list[str]]:
    """Which of the used labels are unknown, of each image with such labels."""
    lists = [
        sorted(category.unknown & used) if not isinstance(category, str) and _count(category, used) else None
        for category in targets.categories
    ]
    coded = zip(paths, targets.codes.tolist(), strict=True)
    return {path: found for path, code in coded if (found := lists[code])}
