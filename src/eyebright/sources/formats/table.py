"""Tables: CSV and TSV with a header and a row for each image."""

from eyebright.sources.csv_file import looks_like_image
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.label_file import LabelFile
from eyebright.sources.source import Source
from eyebright.sources.table import table_source


def recognises(file: LabelFile) -> bool:
    """True for a file with a header in which some column names images, and another column."""
    if file.suffix not in (".csv", ".tsv") or file.json is not None or file.xml_root or b"\0" in file.head[:1000]:
        return False
    header, rows = file.header, file.rows[1:]
    columns = list(zip(*(row for row in rows if len(row) == len(header)), strict=True))
    return any(sum(map(looks_like_image, column)) > len(column) / 2 for column in columns) and len(header) > 1


def read(request: ReadRequest) -> Source:
    """The images of the table; see `eyebright.sources.table`."""
    return table_source(
        request.path,
        images=request.images if request.images is not None else request.path.parent,
        files=request.files,
        labels=request.labels,
        delimiter=request.delimiter,
        kind=request.kind,
    )


FORMAT = Format(
    name="table",
    title="a table",
    looks_like="CSV or TSV with a header and a row for each image",
    read=read,
    recognises_file=recognises,
    options=("files", "labels", "delimiter"),
    is_general=True,
)
