"""Parquet: a table in which a column has the names or the bytes of the images.

The package ``datasets`` of Hugging Face notes the names of classes in the metadata of the file (``ClassLabel``).
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from eyebright.errors import EyebrightError, InputError, TableError, listing
from eyebright.io.containers import SEPARATOR, ImageColumn, Signature, image_column, parquet_file, parquet_members
from eyebright.sources.categorical import Categorical
from eyebright.sources.column_roles import split_at_commas
from eyebright.sources.csv_file import ColumnBuilder
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.label_file import LabelFile
from eyebright.sources.parquet_classes import ClassNames, name_of_class, read_class_names
from eyebright.sources.source import Source
from eyebright.sources.table import TableColumns, source_of_table
from eyebright.sources.tables import source_of_tables
from eyebright.sources.targets import unused_messages
from eyebright.sources.task_types import label_names
from eyebright.sources.text_table import TextTable

_ROWS = 10_000  # of a batch
_N_SAMPLED_ROWS = 20  # rows from which a column with names of images is recognised


class _File(NamedTuple):
    """A Parquet file as a table.

    Args:
        table: its columns as text.
        image: the column with the images; None: another column may name their files.
        has_bytes: the images are in the file; otherwise the column holds their paths.
        classes: by column the names of its classes.
    """

    table: TextTable
    image: str | None
    has_bytes: bool
    classes: Mapping[str, ClassNames]


def recognises(file: LabelFile) -> bool:
    """True for Parquet with bytes or names of images, and also if it is broken, which reading reports."""
    if file.suffix != ".parquet" or not file.head.startswith(b"PAR1"):
        return False
    try:
        opened = parquet_file(file.path)
        if image_column(file.path, opened.schema_arrow) is not None:
            return True
        batch = next(opened.iter_batches(batch_size=_N_SAMPLED_ROWS), None)
    except EyebrightError:
        return True
    columns: list[list[Any]] = [] if batch is None else list(batch.to_pydict().values())
    return any(all(isinstance(cell, str) and looks_like_image(cell) for cell in column) for column in columns)


def read(request: ReadRequest) -> Source:
    """The images of the file with their targets, see `eyebright.sources.table`; those in it are ``FILE::MEMBER``.

    Raises:
        TableError: a number of a class has no name, or the table is invalid or ambiguous.
        InputError: the file is broken.
    """
    file = _read(request.path, request.root)
    folder = request.path.parent if request.images is None and not file.has_bytes else request.root
    declared = _with_declared(request, file)
    return _with_unused(source_of_table(file.table, folder, TableColumns.of(declared)), declared, file)


def read_several(files: Sequence[Path], request: ReadRequest) -> Source:
    """The images of several files; see `read` and `eyebright.sources.tables`."""
    opened = [_read(file, request.root) for file in files]
    declared = _with_declared(request, opened[0])
    return _with_unused(source_of_tables([file.table for file in opened], declared), declared, opened[0])


def _read(path: Path, root: Path) -> _File:
    file = parquet_file(path)
    schema = file.schema_arrow
    if not file.metadata.num_rows:
        raise TableError(f"'{path}' has no row; a row for each image was expected")
    names = Counter(field.name.strip() for field in schema)
    if twice := [name for name, count in names.items() if count > 1]:
        raise TableError(f"'{path}' names the columns {listing(twice)} twice; rename one of each")
    image = image_column(path, schema)
    has_bytes = image is not None and _has_bytes(file, image)
    classes = read_class_names(path, schema)
    builders = {field.name: ColumnBuilder() for field in schema}
    others = [field.name for field in schema if image is None or field.name != image.name]
    for batch in _batches(path, file, others):
        for name in others:
            convert = _cells(schema.field(name).type)
            numbers = classes.get(name)
            cells = (
                batch[name] if numbers is None else (name_of_class(path, name, cell, numbers) for cell in batch[name])
            )
            builders[name].extend([convert(cell).strip() for cell in cells])
    if image is not None:
        place = (path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)) + SEPARATOR
        place = place if has_bytes else ""
        builders[image.name].extend([f"{place}{name}" for name in parquet_members(Signature.of(path))])
    lines = np.arange(1, file.metadata.num_rows + 1, dtype=np.int64)
    columns = {name.strip(): builder.column() for name, builder in builders.items()}
    return _File(TextTable(str(path), columns, lines), None if image is None else image.name, has_bytes, classes)


def _batches(path: Path, file: Any, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """The columns as lists of Python's values, some rows at a time."""
    import pyarrow as pa

    if not columns:
        raise TableError(f"'{path}' has no column beside the images; one with labels was expected")
    try:
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
            yield batch.to_pydict()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be read as Parquet: {(str(error).splitlines() or ['it is damaged'])[0]}"
        ) from None


def _has_bytes(file: Any, image: ImageColumn) -> bool:
    """False if the bytes of all images are null, as where only their paths were saved."""
    for i in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(i)
        for j in range(group.num_columns):
            chunk = group.column(j)
            if chunk.path_in_schema == image.data:
                statistics = chunk.statistics
                if statistics is None or not statistics.has_null_count or statistics.null_count < group.num_rows:
                    return True
    return False


def _cells(kind: Any) -> Any:
    """The function that makes a cell of a table from a value of this type of pyarrow."""
    import pyarrow.types as types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    is_short = types.is_float32(kind)

    def cell(value: Any) -> str:
        if value is None:
            return "?" if is_list else ""  # unknown; no label is an empty list
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, bytes):
            return "bytes"
        if isinstance(value, list):
            value = ["?" if element is None else element for element in cast("list[Any]", value)]
        if isinstance(value, (list, dict)):
            return json.dumps(value, ensure_ascii=False, default=str)
        return str(np.float32(value)) if is_short else str(value)

    return cell


def _with_declared(request: ReadRequest, file: _File) -> ReadRequest:
    """The request with the columns that the file itself declares."""
    if file.image is not None and request.files is None:
        request = replace(request, files=file.image)
    request = replace(request, labels=split_at_commas(request.labels, file.table.columns))
    columns = _may_hold_labels(request, file)
    classes = [name for name in file.classes if name in columns]
    if not request.labels and not label_names(columns) and len(classes) == 1:
        request = replace(request, labels=tuple(classes))
    declared = file.classes.get(_label_column(request, file))
    if declared is not None and not declared.is_list and request.cells.delimiter is None:
        request = replace(request, cells=request.cells._replace(delimiter=""))  # names of classes may hold commas
    return request


def _label_column(request: ReadRequest, file: _File) -> str:
    named = request.labels or label_names(_may_hold_labels(request, file))
    return named[0] if named else ""


def _may_hold_labels(request: ReadRequest, file: _File) -> list[str]:
    excluded = split_at_commas(request.not_labels, file.table.columns)
    return [name for name in file.table.columns if name not in excluded]


def _with_unused(source: Source, request: ReadRequest, file: _File) -> Source:
    """The source with the classes that the file declares and no image has."""
    declared = file.classes.get(_label_column(request, file))
    if declared is None or not isinstance(source.targets, Categorical):
        return source
    used = source.targets.remove_unused_categories().categories
    labels = {label for category in used for label in ([category] if isinstance(category, str) else category)}
    unused = tuple(sorted(set(declared.names) - labels))
    if not unused:
        return source
    return replace(source, unused=unused).with_messages(*unused_messages(unused))


FORMAT = Format(
    name="parquet",
    title="Parquet",
    looks_like="Parquet with a row for each image: its file or its bytes, and labels",
    read=read,
    recognises_file=recognises,
    options=("files", "labels", "not_labels", "delimiter", "blank", "uncertain", "group", "split"),
    is_general=True,
    read_several=read_several,
    unknown_values="write null",
)
