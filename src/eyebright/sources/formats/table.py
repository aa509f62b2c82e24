"""Tables: CSV and TSV with a header and a row for each image; several of them are read as one."""

from collections.abc import Sequence
from pathlib import Path

from eyebright.sources.column_roles import FILE_NAMES, named
from eyebright.sources.csv_file import read_csv
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.label_file import LabelFile
from eyebright.sources.source import Source
from eyebright.sources.table import TableColumns, source_of_table
from eyebright.sources.tables import source_of_tables


def recognises(file: LabelFile) -> bool:
    """True for a file with a header and another column beside one that names images, perhaps without extension."""
    if file.suffix not in (".csv", ".tsv") or file.json is not None or file.xml_root or b"\0" in file.head[:1000]:
        return False
    header, rows = file.header, file.rows[1:]
    columns = list(zip(*(row for row in rows if len(row) == len(header)), strict=True))
    if len(header) < 2:
        return False
    if any(sum(map(looks_like_image, column)) > len(column) / 2 for column in columns):
        return True
    known = dict(zip(header, columns, strict=False))
    return any(not any(map(str.isdecimal, known.get(name, ("0",)))) for name in named(header, FILE_NAMES))


def read(request: ReadRequest) -> Source:
    """The images of the table; see `eyebright.sources.table`."""
    folder = request.path.parent if request.images is None else request.images
    return source_of_table(read_csv(request.path), folder, TableColumns.of(request))


def read_several(files: Sequence[Path], request: ReadRequest) -> Source:
    """The images of several tables; see `eyebright.sources.tables`."""
    return source_of_tables([read_csv(file) for file in files], request)


FORMAT = Format(
    name="table",
    title="a table",
    looks_like="CSV or TSV with a header and a row for each image",
    read=read,
    recognises_file=recognises,
    options=("files", "labels", "not_labels", "delimiter", "blank", "uncertain", "group", "split"),
    is_general=True,
    has_columns=True,
    read_several=read_several,
    unknown_values="leave the cells blank",
)
