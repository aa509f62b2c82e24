"""From a table of labels on disk to the labels of each image, with nothing guessed in silence.

Three layouts are understood:

* a file column and a labels column (`eyebright.sources.label_text` says how its values are split);
* a file column and one 0/1 column for each label (an empty cell is 0);
* a file column and a class column.

An ``is_valid`` column (true/false) or a ``split`` column (train/valid/test) is honoured. Every choice that was made is
a sentence in `LabelTable.said`; what cannot be understood is an error with its line.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eyebright import _html as html
from eyebright.errors import listing
from eyebright.sources.columns import ON, find_file_column, find_label_columns, find_split_column
from eyebright.sources.csv_rows import TextTable, read_rows
from eyebright.sources.label_text import ColumnLabels, Kind, plain_name, read_label_column

_SHOWN = 5  # images, in a notebook


@dataclass(frozen=True, repr=False)
class LabelTable:
    """Which image has which labels.

    Args:
        files: as they stand in the table, each once; backslashes are turned into slashes.
        labels: of each file; empty where it has none.
        kind: ``"multi"`` for any number of labels per image, ``"single"`` for exactly one.
        valid: True for the images to validate on; None when the table does not say.
        lines: the line of the table on which each file stands; the first line is 1.
        columns: the names of all columns.
        said: how the table was understood, sentences for the user.
    """

    files: list[str]
    labels: list[tuple[str, ...]]
    kind: Kind
    valid: list[bool] | None
    lines: list[int]
    columns: tuple[str, ...]
    said: tuple[str, ...]

    def __repr__(self) -> str:
        return "; ".join([f"LabelTable: {len(self.files)} images", *self.said])

    def _repr_html_(self) -> str:
        """What a notebook shows: how it was understood, and its first images."""
        pairs = zip(self.files[:_SHOWN], self.labels[:_SHOWN], strict=True)
        rows = [(file, ", ".join(labels)) for file, labels in pairs]
        return html.block(
            f"LabelTable: {len(self.files):,} images",
            *map(html.paragraph, self.said),
            html.table(("image", "labels"), rows, text_columns=2, left_out=len(self.files) - len(rows)),
        )


def read_labels(
    path: str | Path,
    *,
    files: str | None = None,
    labels: str | Sequence[str] | None = None,
    delimiter: str | None = None,
) -> LabelTable:
    """The images and their labels in a CSV or TSV file.

    Args:
        path: the file: UTF-8, a header, a row for each image.
        files: the column with the images' names; by default one with a known name (``file``, ``image``, ...) or the
            first whose values look like names of images.
        labels: the column with the labels, or the 0/1 columns with one label each; by default one with a known name
            (``labels``, ``class``, ...), or all 0/1 columns, or the only column that is left.
        delimiter: what stands between two labels; ``""`` when nothing does and a value is one class; found when absent.

    Raises:
        TableError: the table cannot be understood; the message names the file and, where it can, the line.
    """
    whole = read_rows(path)
    file_column, split_column = find_file_column(whole, files), find_split_column(whole)
    parts = None if split_column is None else _parts(whole, split_column)
    table = whole if parts is None else whole.only([i for i, part in enumerate(parts) if part != "test"])
    valid = None if parts is None else [part == "valid" for part in parts if part != "test"]

    chosen = find_label_columns(table, labels, [name for name in (file_column, split_column) if name])
    found = (
        read_label_column(table, chosen, delimiter=delimiter) if isinstance(chosen, str) else _zero_one(table, chosen)
    )
    names = _file_names(table, file_column)
    keep = _each_once(table, names, found.labels, valid)

    used = {file_column, split_column, *([chosen] if isinstance(chosen, str) else chosen)}
    said = [f"images are named in column '{file_column}'", found.said]
    said += _said_of_split(split_column, parts) + _said_of_rows(table, found, keep) + _said_of_unused(table, used)
    return LabelTable(
        files=[names[i] for i in keep],
        labels=[found.labels[i] for i in keep],
        kind=found.kind,
        valid=None if valid is None else [valid[i] for i in keep],
        lines=[table.lines[i] for i in keep],
        columns=tuple(table.columns),
        said=tuple(said),
    )


# ---------------------------------------------------------------------- columns

_PARTS = {
    "is_valid": {
        **dict.fromkeys(("false", "0", "0.0", "no", "n", "f"), "train"),
        **dict.fromkeys(("true", "1", "1.0", "yes", "y", "t"), "valid"),
    },
    "split": {
        **dict.fromkeys(("train", "training"), "train"),
        **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
        **dict.fromkeys(("test", "testing"), "test"),
    },
}


def _parts(table: TextTable, column: str) -> list[str]:
    """``"train"``, ``"valid"`` or ``"test"`` for each row."""
    meaning = _PARTS[plain_name(column)]
    parts = [meaning.get(value.lower()) for value in table.columns[column]]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        value = table.columns[column][parts.index(None)]
        expected = "true or false" if plain_name(column) == "is_valid" else "train, valid or test"
        line = table.line_of(column, value)
        raise table.error(f"'{value}' in column '{column}'; {expected} was expected", line=line)
    if "test" in known and set(known) == {"test"}:
        raise table.error(f"column '{column}' says that every image is for testing; nothing is left to train on")
    if plain_name(column) == "is_valid" and "valid" not in known:
        raise table.error(
            f"column '{column}' leaves nothing to validate, it is false in every row; mark some rows, or take the "
            "column out to split at random"
        )
    return known


def _zero_one(table: TextTable, columns: Sequence[str]) -> ColumnLabels:
    """The labels of 0/1 columns, each label the name of its column."""
    rows = list(zip(*(table.columns[name] for name in columns), strict=True))
    meaning = {
        values: tuple(name for name, value in zip(columns, values, strict=True) if value.lower() in ON)
        for values in set(rows)
    }
    said = (
        f"labels are the 0/1 columns {listing(columns)}" if len(columns) > 1 else f"the label is '{columns[0]}' (0/1)"
    )
    return ColumnLabels("multi", [meaning[values] for values in rows], said)


def _file_names(table: TextTable, column: str) -> list[str]:
    names = [value.replace("\\", "/") for value in table.columns[column]]
    if "" in names:
        raise table.error(f"there is no name of an image in column '{column}'", line=table.line_of(column, ""))
    return names


def _each_once(
    table: TextTable, names: Sequence[str], labels: Sequence[tuple[str, ...]], valid: Sequence[bool] | None
) -> list[int]:
    """The positions of the rows that name an image for the first time; a repetition must say the same."""
    first: dict[str, int] = {}
    repeated = np.zeros(len(names), dtype=np.bool_)
    for i in _perhaps_repeated(names):
        before = first.setdefault(posixpath.normpath(names[i]), i)
        if before == i:
            continue
        name, repeated[i] = names[i], True
        if set(labels[i]) != set(labels[before]):
            raise table.error(
                f"image '{name}' has the labels {listing(labels[i]) or 'none'}, but on line {table.lines[before]} "
                f"it has {listing(labels[before]) or 'none'}; give each image one row with all its labels",
                line=table.lines[i],
            )
        if valid is not None and valid[i] != valid[before]:
            both = f"image '{name}' is for training and for validation (see line {table.lines[before]})"
            raise table.error(f"{both}; it can only be for one", line=table.lines[i])
    return np.flatnonzero(~repeated).tolist()


def _perhaps_repeated(names: Sequence[str]) -> list[int]:
    """The rows whose names have a number in common with others: nearly always none, so that no name is kept twice.

    './a.jpg' is 'a.jpg'; links are not looked into.
    """
    numbers = np.fromiter((hash(posixpath.normpath(name)) for name in names), dtype=np.int64, count=len(names))
    order = np.argsort(numbers, kind="stable")
    same = numbers[order[1:]] == numbers[order[:-1]]
    return np.unique(np.concatenate([order[1:][same], order[:-1][same]])).tolist()


# ---------------------------------------------------------------------- what the user is told


def _said_of_split(column: str | None, parts: Sequence[str] | None) -> list[str]:
    if column is None or parts is None:
        return []
    test, valid = parts.count("test"), parts.count("valid")
    said = f"column '{column}' says what to validate on: {valid} of {len(parts) - test} rows"
    return [said, f"rows that are left out because they are for testing: {test}"] if test else [said]


def _said_of_rows(table: TextTable, found: ColumnLabels, keep: Sequence[int]) -> list[str]:
    said: list[str] = []
    if repeated := len(table.lines) - len(keep):
        said.append(f"rows that are left out because they repeat an image with the same labels: {repeated}")
    if empty := sum(not found.labels[i] for i in keep):
        said.append(f"images without a label: {empty} of {len(keep)}")
    return said


def _said_of_unused(table: TextTable, used: set[str | None]) -> list[str]:
    unused = [name for name in table.columns if name not in used]
    return [f"not used: the columns {listing(unused)}"] if unused else []
