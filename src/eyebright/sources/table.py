"""`source_of_table`: reads a label file (CSV or TSV) as a `Source`.

Everything that is detected is told in `Source.messages`; what is invalid or ambiguous is an error with its line.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from eyebright.errors import InputError, count_text, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.cells import is_unknown
from eyebright.sources.column_roles import find_file_column, find_group_column, split_at_commas
from eyebright.sources.duplicates import first_row_of_each_image
from eyebright.sources.file_names import leads_to_image, outside_message, with_extensions, with_folders
from eyebright.sources.format import ReadRequest
from eyebright.sources.merged_rows import with_rows_merged
from eyebright.sources.other_columns import to_series
from eyebright.sources.source import Source
from eyebright.sources.spelling import one_spelling
from eyebright.sources.split_column import find_split_column, read_part, without_unlabeled_test
from eyebright.sources.target_columns import find_targets
from eyebright.sources.targets import CellOptions, TargetColumns
from eyebright.sources.task_types import Kind, block_name
from eyebright.sources.text_table import Strings, TextColumn, TextTable
from eyebright.tasks.registry import TARGET_BLOCKS

ENDED_BY = "; `group='none'` turns this off"
"""What ends groups that were detected, at the end of a message."""

_FILES_GIVE = "the names of files or folders give"
_MAX_PATH_LENGTH = 4096  # characters; the limit of Linux, and more than those of macOS and Windows in practice


class TableColumns(NamedTuple):
    """The columns of a table that the user names, and what they hold.

    Args:
        files: the column with the image files; None: detected.
        labels: the columns with the targets; empty: detected.
        not_labels: the columns that are not targets, although they may look so.
        cells: how the cells of the targets are read.
        kind: what the columns hold and the target block for it; None: detected.
        group: the column with the groups, or ``"none"``; None: detected.
        split: the column with the parts, or ``"none"``; None: detected.
        valid_fold: the fold for validation, where that column numbers folds.
    """

    files: str | None = None
    labels: tuple[str, ...] = ()
    cells: CellOptions = CellOptions()
    kind: Kind | None = None
    group: str | None = None
    split: str | None = None
    not_labels: tuple[str, ...] = ()
    valid_fold: int | None = None

    @staticmethod
    def of(request: ReadRequest) -> "TableColumns":
        """The columns that a request names."""
        return TableColumns(
            request.files,
            tuple(request.labels),
            request.cells,
            request.kind,
            request.group,
            request.split,
            tuple(request.not_labels),
            request.valid_fold,
        )


_DEFAULT_COLUMNS = TableColumns()


def source_of_table(
    table: TextTable, folder: Path, asked: TableColumns = _DEFAULT_COLUMNS, *, part: Categorical[Any] | None = None
) -> Source:
    """The images of a table that is read already, with their targets.

    Args:
        table: a row for each image.
        folder: that its file names are relative to.
        asked: its columns and their contents, where the user specifies them.
        part: the part of each row, where the names of files give it; None: a column may.

    Raises:
        InputError: there is no such folder.
        TableError: the table is invalid or ambiguous; the message names the file and, if possible, the line.
    """
    _check_folder(folder)
    labels, kind = split_at_commas(asked.labels, table.columns), asked.kind
    not_labels = split_at_commas(asked.not_labels, table.columns)
    file_column = find_file_column(table, asked.files, leads_to_image(folder))
    split_column = find_split_column(table, labels, asked=asked.split)
    part = None if asked.split is not None else part
    _check_one_split(table, split_column, part)
    taken = [name for name in (file_column, split_column) if name]
    task_type = None if kind is None else kind.task_type
    targets_found = find_targets(table, taken, labels=labels, not_labels=not_labels, task_type=task_type)
    if part is None:
        table, part, messages = read_part(table, split_column, targets_found.columns, valid_fold=asked.valid_fold)
    else:
        table, part, messages = without_unlabeled_test(table, part, targets_found.columns, origin=_FILES_GIVE)
    targets = targets_found.read(table, targets_found.columns, asked.cells)
    _check_cell_options(table, targets, asked.cells)
    group_column = find_group_column(table, [*taken, *targets.columns], asked=asked.group)
    used = [*taken, *targets.columns, *([group_column] if group_column else [])]
    file_names, file_messages = _found_names(table, folder, file_column)
    targets = with_rows_merged(targets, file_names, task_type, table, delimiter=asked.cells.delimiter)
    source = Source(
        kind=block_name(targets.task_type) if kind is None else kind.block,
        root=folder,
        files=file_names,
        targets=targets.values,
        name="" if table.files else Path(table.path).name,
        names=targets.names,
        part=part,
        group=None if group_column is None else _groups(table.columns[group_column]),
        group_name=group_column or "",
        columns=pd.DataFrame({name: to_series(column) for name, column in table.columns.items() if name not in used}),
        lines=None if table.files else table.lines,
        unused=targets.unused,
        declared=targets.declared,
    )
    source = _with_known_targets(source, targets)
    kept = source.take(first_row_of_each_image(source))
    messages = [
        *table.notes,
        f"images are named in column '{file_column}'",
        *targets.messages,
        *source.messages,
        *targets_found.messages,
        *messages,
        *file_messages,
        *outside_message(folder, file_names, table),
        *_group_messages(table, group_column, is_asked=asked.group is not None),
        *_row_messages(table, used, n_duplicates=len(source) - len(kept)),
    ]
    return replace(kept, messages=tuple(messages))


def _check_folder(folder: Path) -> None:
    """Raises `InputError` unless there is a folder."""
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise InputError(f"there is no folder of images '{folder}'; name it with `images`")


def _check_one_split(table: TextTable, split_column: str | None, part: Categorical[Any] | None) -> None:
    """Raises `TableError` if a column and the names of the files both give the split."""
    if part is not None and split_column is not None:
        raise table.error(f"column '{split_column}' and the names of the files both give the split; take one out")


def _with_known_targets(source: Source, targets: TargetColumns) -> Source:
    """The images with a target, labels in one spelling, and a message on the order of classes that have one."""
    if targets.known is not None:
        source = source.take(targets.known)
    source = one_spelling(source)
    words = TARGET_BLOCKS[source.kind].also_called
    return source.with_messages(*_order_messages(source, words)) if words else source


def _found_names(table: TextTable, folder: Path, column: str) -> tuple[Strings, list[str]]:
    """(the names of the files in the folder, sentences on extensions and folders that the table leaves out)."""
    written = _written_names(table, column)
    names = with_extensions(table, folder, written)
    messages = [*_extension_message(written, names)]
    names, more = with_folders(table, folder, names)
    return names, [*messages, *more]


def _order_messages(source: Source, words: str) -> list[str]:
    """The classes from the lowest to the highest, with the images of each; empty if their order is not known."""
    assert isinstance(source.targets, Categorical)
    block = source.block()
    classes_of_rows = source.targets.map(block.read)
    try:
        classes = block.fit(classes_of_rows.categories).label_names
    except InputError:  # words, whose order a user may give in Python
        return []
    images = dict(
        zip(
            classes_of_rows.categories,
            np.bincount(classes_of_rows.codes, minlength=len(classes_of_rows.categories)).tolist(),
            strict=True,
        )
    )
    counted = listing(f"{name} ({count_text(images[name], 'image')})" for name in classes)
    return [f"{words} from the lowest to the highest: {counted}"]


def _extension_message(written_names: Strings, files: Strings) -> list[str]:
    """How many files were found with an extension that their names in the table lack; empty for none."""
    differ = np.flatnonzero(files != written_names)
    if not len(differ):
        return []
    first = differ[0]
    return [
        f"names without the extension of an image, whose files were found with one: {len(differ)} "
        f"('{written_names[first]}' is '{files[first]}')"
    ]


def _group_messages(table: TextTable, column: str | None, *, is_asked: bool) -> Iterator[str]:
    """Sentences on the column with the groups, and on images without one."""
    if column is None:
        return
    yield f"images with the same value in column '{column}' are one group{'' if is_asked else ENDED_BY}"
    if blank := sum(not cell or is_unknown(cell) for cell in table.columns[column]):
        yield f"images without a known '{column}', each of which is on its own: {blank}"


def _row_messages(table: TextTable, used: Sequence[str], *, n_duplicates: int) -> Iterator[str]:
    """Sentences on rows and columns that are ignored."""
    if n_duplicates:
        yield f"duplicate rows (same image and target), which are ignored: {n_duplicates}"
    if table.nameless:
        yield f"columns without a name in the header, which are ignored: {table.nameless}"
    if others := [name for name in table.columns if name not in used]:
        yield f"not used for training: the columns {listing(others)}"


def _groups(column: TextColumn) -> Categorical[str]:
    """The group of each row; a row whose cell is blank or unknown is a group of its own."""
    known = {cell for cell in column.unique() if cell and not is_unknown(cell)}
    return Categorical.of(cell if cell in known else f"\0{row}" for row, cell in enumerate(column))


def _check_cell_options(table: TextTable, targets: TargetColumns, asked: CellOptions) -> None:
    """Raises `TableError` where the user specifies what cells of 0/1 columns mean, and there are no such columns."""
    for name, value in (("blank", asked.blank), ("uncertain", asked.uncertain)):
        if value is not None and not targets.are_indicators:
            raise table.error(
                f"`{name}` specifies what cells of 0/1 columns mean, and the targets are in "
                f"{listing(targets.columns)}, which hold other cells; leave `{name}` out"
            )


def _written_names(table: TextTable, column: str) -> Strings:
    cells = table.columns[column]
    files = np.strings.replace(cells.strings(), "\\", "/")
    blank = np.flatnonzero(np.strings.str_len(files) == 0)
    if len(blank):
        raise table.error(f"there is no name of an image in column '{column}'", line=int(table.lines[blank[0]]))
    long = np.flatnonzero(np.strings.str_len(files) > _MAX_PATH_LENGTH)
    if len(long):
        name = str(files[long[0]])
        raise table.error(
            f"the name of an image in column '{column}' has {len(name):,} characters, and no system has names of more"
            f" than {_MAX_PATH_LENGTH:,}: '{name[:60]}...'",
            line=int(table.lines[long[0]]),
        )
    return files
