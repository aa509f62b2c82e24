"""CheXpert: CSV with a row for each X-ray image, its properties, and 14 findings that are 1, 0, -1 or blank.

-1 (uncertain) and a blank (not mentioned) are unknown. Images of one patient are a group, which a folder
of the path names.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eyebright.sources.column_roles import split_at_commas
from eyebright.sources.csv_file import read_csv
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.label_file import LabelFile
from eyebright.sources.source import Source
from eyebright.sources.table import TableColumns, source_of_table
from eyebright.sources.tables import source_of_tables
from eyebright.sources.task_types import parse_kind
from eyebright.sources.text_table import TextTable

_PATH, _FIRST, _PROPERTIES = "Path", "No Finding", {"Path", "Sex", "Age", "Frontal/Lateral", "AP/PA"}


def recognises(file: LabelFile) -> bool:
    """True for CSV with the properties of an image and the finding ``No Finding``."""
    return {_PATH, "Frontal/Lateral", _FIRST} <= set(file.header)


def read(request: ReadRequest) -> Source:
    """The images with their findings as labels.

    Raises:
        TableError: the file is broken.
    """
    table = read_csv(request.path)
    return source_of_table(table, request.root, TableColumns.of(_with_declared(request, table)))


def read_several(files: Sequence[Path], request: ReadRequest) -> Source:
    """The images of several files, such as ``train.csv`` and ``valid.csv``; see `eyebright.sources.tables`."""
    tables = [read_csv(file) for file in files]
    return source_of_tables(tables, _with_declared(request, tables[0]))


def _with_declared(request: ReadRequest, table: TextTable) -> ReadRequest:
    """The request with what is known of these columns and cells, also if a file has no 0."""
    excluded = {*_PROPERTIES, *split_at_commas(request.not_labels, table.columns)}
    findings = tuple(name for name in table.columns if name not in excluded)
    cells = request.cells._replace(
        blank=request.cells.blank or "unknown", uncertain=request.cells.uncertain or "unknown"
    )
    return replace(
        request,
        files=request.files or _PATH,
        labels=request.labels or findings,
        kind=request.kind or parse_kind("labels"),
        cells=cells,
    )


FORMAT = Format(
    name="chexpert",
    title="CheXpert",
    looks_like="CSV with Path, Sex, Age, Frontal/Lateral, AP/PA and findings",
    read=read,
    recognises_file=recognises,
    options=("files", "labels", "not_labels", "blank", "uncertain", "group", "split"),
    has_columns=True,
    read_several=read_several,
)
