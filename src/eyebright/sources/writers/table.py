"""A table, as CSV or Parquet: a row for each image with its labels, class, points or numbers, and its other columns.

Labels are one column of lists, or a column for each label with 1, 0 and nothing for unknown, where some are unknown or
no delimiter between labels would be sure.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from eyebright.errors import InputError, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.label_column import is_label_text
from eyebright.sources.source import Source
from eyebright.sources.task_types import kind_word
from eyebright.sources.writer import ReadBack, Writer, count_unknown, labels_of, vocabulary
from eyebright.tasks.task_type import TaskType

_FILE, _LABELS, _PART, _GROUP = "file", "labels", "split", "group"
_DELIMITERS = (";", "|", "/", ",", "&", "+", "#")


def write_csv(source: Source, path: Path) -> ReadBack:
    """Writes a CSV file; returns how it is read.

    Raises:
        InputError: two columns would have the same name.
    """
    table, options = _table(source)
    table.to_csv(path, index=False, encoding="utf-8", errors="surrogateescape", lineterminator="\n")
    return options


def write_parquet(source: Source, path: Path) -> ReadBack:
    """Writes a Parquet file; returns how it is read.

    Raises:
        InputError: two columns would have the same name.
    """
    table, options = _table(source)
    table.to_parquet(path, index=False)
    return options


def _table(source: Source) -> tuple[pd.DataFrame, dict[str, Any]]:
    columns: dict[str, Any] = {_FILE: [str(file) for file in source.files]}
    targets, options = _targets(source)
    columns |= targets
    options |= {"files": _FILE}
    if source.part is not None:
        columns[_PART] = [part or "train" for part in source.part]
        options["split"] = _PART
    if source.group is not None:
        columns[_GROUP] = ["" if name.startswith("\0") else name for name in source.group]
        options["group"] = _GROUP
    others = {str(name): source.columns[name].tolist() for name in source.columns.columns}
    if twice := sorted(set(columns) & set(others)):
        raise InputError(f"the columns {listing(twice)} of the data have names that the table needs; rename them")
    return pd.DataFrame(columns | others), options


def _targets(source: Source) -> tuple[dict[str, Any], dict[str, Any]]:
    """(columns, options of reading them)."""
    block = source.block()
    kind = kind_word(block)
    if not isinstance(source.targets, Categorical):
        names = _coordinates(source) if block.is_geometric else list(source.names)
        flat = source.targets.reshape(len(source), -1)
        columns = dict(zip(names, np.ascontiguousarray(flat.T), strict=True))
        return _unique(columns, names), {"kind": kind, "labels": names}
    if block.is_exclusive:
        _check_classes(source.targets.categories)
        return {_LABELS: list(source.targets)}, {"kind": kind, "labels": [_LABELS], "delimiter": ""}
    delimiter = None if count_unknown(source) else _delimiter(source)
    if delimiter is None:
        names = vocabulary(source)
        sets = {name: [_cell(name, category) for category in source.targets.categories] for name in names}
        columns = {name: [cells[code] for code in source.targets.codes.tolist()] for name, cells in sets.items()}
        return _unique(columns, names), {"kind": kind, "labels": names, "blank": "unknown"}
    joined = [delimiter.join(labels_of(category)) for category in source.targets.categories]
    cells = [joined[code] for code in source.targets.codes.tolist()]
    return {_LABELS: cells}, {"kind": kind, "labels": [_LABELS], "delimiter": delimiter}


def _check_classes(names: Iterable[Any]) -> None:
    """Raises `InputError` for a class that a reader of the table would take for an unknown or missing one."""
    for name in map(str, names):
        if not is_label_text(name):
            raise InputError(
                f"class '{name}' cannot be the text of a cell, where it would be read as an unknown or missing class; "
                "rename it, or give `to='coco'` or `to='folders'`"
            )


def _cell(name: str, target: Any) -> str:
    return "" if name in target.unknown else str(int(name in target))


def _unique(columns: dict[str, Any], names: list[str]) -> dict[str, Any]:
    reserved = sorted({_FILE, _PART, _GROUP} & set(names))
    if reserved:
        raise InputError(f"a label or number is called {listing(reserved)}, as a column of the table is; rename it")
    return columns


def _coordinates(source: Source) -> list[str]:
    assert isinstance(source.targets, np.ndarray)
    points = source.names or [str(i + 1) for i in range(source.targets.shape[1])]
    return [f"{name}_{axis}" for name in points for axis in "xy"]


def _delimiter(source: Source) -> str | None:
    """A delimiter that is in no label; None if there is none, or if a reader might take another one for it.

    None also where a label is a word that means none or unknown in a cell.
    """
    assert isinstance(source.targets, Categorical)
    labels = vocabulary(source)
    if not all(map(is_label_text, labels)):
        return None
    used = [delimiter for delimiter in _DELIMITERS if any(delimiter in label for label in labels)]
    if used and all(len(labels_of(target)) < 2 for target in source.targets.categories):
        return None
    return next((delimiter for delimiter in _DELIMITERS if delimiter not in used), None)


_ALL_TASK_TYPES: frozenset[TaskType] = frozenset(get_args(TaskType))
CSV = Writer(
    "csv", "CSV", _ALL_TASK_TYPES, write_csv, holds_unknown=True, holds_parts=True, holds_columns=True, suffix=".csv"
)
PARQUET = Writer(
    "parquet", "Parquet", _ALL_TASK_TYPES, write_parquet, holds_unknown=True, holds_parts=True, holds_columns=True,
    suffix=".parquet",
)  # fmt: skip
