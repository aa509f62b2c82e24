"""JSON Lines with an object for each image, such as ``metadata.jsonl`` of Hugging Face's image folders.

The keys are the columns of a table: lists of strings are labels, and all that the columns of a table may hold is
possible.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.errors import TableError
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.json_records import read_records
from eyebright.sources.label_file import LabelFile
from eyebright.sources.source import Source
from eyebright.sources.table import TableColumns, source_of_table
from eyebright.sources.tables import source_of_tables
from eyebright.sources.text_table import TextColumn, TextTable

_FILE_KEYS = ("file_name", "filename", "file", "image", "image_path", "path")
_MAX_KEYS = 10_000


def recognises(file: LabelFile) -> bool:
    """True for JSON Lines, or a JSON list of flat objects, in which a known key or ``*_file_name`` names an image."""
    if file.json is None or file.json.layout == "object":
        return False
    first = file.json.record()
    names = [key for key in first if key in _FILE_KEYS or key.endswith("_file_name")]
    return any(isinstance(first[key], str) and looks_like_image(first[key]) for key in names) and _is_flat(first)


def read(request: ReadRequest) -> Source:
    """The images with the values of some keys as labels, class, points or numbers; see `eyebright.sources.table`."""
    folder = request.path.parent if request.images is None else request.images
    return source_of_table(text_table(request.path), folder, TableColumns.of(request))


def read_several(files: Sequence[Path], request: ReadRequest) -> Source:
    """The images of several files; see `eyebright.sources.tables`."""
    return source_of_tables([text_table(file) for file in files], request)


def text_table(path: Path) -> TextTable:
    """The objects of a file as rows, their keys as columns; a list becomes a cell with a JSON list.

    Raises:
        TableError: the file is broken, or contains no object.
    """
    columns: dict[str, list[str]] = {}
    lines: list[int] = []
    for record in read_records(path):
        for key, value in record.values.items():
            if key not in columns:
                if len(columns) == _MAX_KEYS:
                    raise record.error(f"there are more than {_MAX_KEYS:,} different keys")
                columns[key] = [""] * len(lines)
            try:
                columns[key].append(_cell(value).encode().decode())
            except UnicodeEncodeError:
                raise record.error(f"the text of '{key}' has a broken character; write it again as UTF-8") from None
        lines.append(record.line)
        for cells in columns.values():
            if len(cells) < len(lines):
                cells.append("")
    if not lines:
        raise TableError(f"'{path}' holds no object; one for each image was expected")
    cells = {key.strip(): TextColumn.of(map(str.strip, column)) for key, column in columns.items()}
    return TextTable(str(path), cells, np.array(lines, dtype=np.int64))


def _is_flat(record: Mapping[str, Any]) -> bool:
    """True if no value is an object, or a list of objects."""
    lists = [value for value in record.values() if isinstance(value, list)]
    return not any(
        isinstance(value, dict) for value in (*record.values(), *(element for values in lists for element in values))
    )  # pyright: ignore[reportUnknownVariableType]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


FORMAT = Format(
    name="json-table",
    title="JSON Lines",
    looks_like="JSON Lines with an object for each image that has 'file_name' and labels",
    read=read,
    recognises_file=recognises,
    options=("files", "labels", "not_labels", "delimiter", "blank", "uncertain", "group", "split"),
    is_general=True,
    has_columns=True,
    read_several=read_several,
    unknown_values="write null",
)
