"""`source_of_tables`: several tables with the same columns, such as one for each part, as one `Source`."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eyebright._choices import Part
from eyebright.errors import TableError, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.column_roles import find_file_column
from eyebright.sources.file_names import leads_to_image
from eyebright.sources.format import ReadRequest
from eyebright.sources.part_names import parts_of_files
from eyebright.sources.source import Source
from eyebright.sources.table import TableColumns, source_of_table
from eyebright.sources.text_table import LINE_OFFSET, TextColumn, TextTable

_N_SAMPLED_NAMES = 20  # names of a table whose files are looked for beside it


def source_of_tables(tables: Sequence[TextTable], request: ReadRequest) -> Source:
    """The images of all tables; their parts are taken from the names of the files or of their folders.

    An image is searched for beside its table and in the folder of all tables.

    Args:
        tables: the tables with the same columns; tables for testing may lack those with the targets, and are then left
            out.
        request: what was asked for; its path is the folder with the tables.

    Raises:
        TableError: the tables have different columns, or are invalid or ambiguous.
    """
    root = request.root
    files = [Path(table.path) for table in tables]
    parts = parts_of_files(files, request)
    kept, messages = _with_columns(tables, parts)
    prepared = [_beside(tables[i], root, request) for i in kept]
    names = list(prepared[0].columns)
    joined = TextTable(
        path=str(request.path),
        columns={name: _joined([table.columns[name] for table in prepared]) for name in names},
        lines=np.concatenate([table.lines + i * LINE_OFFSET for i, table in enumerate(prepared)]),
        separator=prepared[0].separator,
        nameless=sum(table.nameless for table in prepared),
        files=tuple(table.path for table in prepared),
        notes=tuple(dict.fromkeys(note for table in prepared for note in table.notes)),
    )
    part = None
    if parts[kept[0]] is not None:
        part = Categorical[Part | None].of(parts[i] for i in kept for _ in range(len(tables[i])))
    source = source_of_table(joined, root, TableColumns.of(request), part=part)
    what = f"the rows of {len(kept)} tables are read together: {listing(file.name for file in files)}"
    return source.with_messages(what, *messages)


def _with_columns(tables: Sequence[TextTable], parts: Sequence[Part | None]) -> tuple[list[int], list[str]]:
    """(indices of the tables that are read, messages): tables for testing without labels are not."""
    columns = max((set(table.columns) for table in tables), key=len)
    kept: list[int] = []
    messages: list[str] = []
    for i, (table, part) in enumerate(zip(tables, parts, strict=True)):
        missing = columns - set(table.columns)
        if missing and part == "test":
            messages.append(f"'{Path(table.path).name}' has no {listing(sorted(missing))} and is not read")
        elif missing:
            raise table.error(f"there is no column {listing(sorted(missing))}, which the other tables have")
        else:
            kept.append(i)
    if not kept:
        raise TableError(f"{listing(table.path for table in tables)} have no columns in common")
    return kept, messages


def _beside(table: TextTable, root: Path, request: ReadRequest) -> TextTable:
    """The table, whose images are named relative to the root if they lie beside it."""
    folder = Path(table.path).parent
    if not folder.is_relative_to(root) or folder == root:
        return table
    column = find_file_column(table, request.files, leads_to_image(root))
    names = table.columns[column]
    first = (folder / names[i] for i in range(min(_N_SAMPLED_NAMES, len(names))))
    if not any(map(os.path.isfile, first)):  # Path.is_file raises for a name that is too long
        return table
    prefix = folder.relative_to(root).as_posix()
    moved = TextColumn.of(f"{prefix}/{name}" if name else name for name in names)
    return replace(table, columns={**table.columns, column: moved})


def _joined(columns: Sequence[TextColumn]) -> TextColumn:
    return TextColumn.of(cell for column in columns for cell in column)
