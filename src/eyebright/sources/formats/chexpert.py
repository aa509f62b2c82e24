"""CheXpert: CSV with a row for each X-ray image, its properties, and 14 findings that are 1, 0, -1 or blank.

-1 (uncertain) and a blank (not mentioned) are unknown. Images of one patient are a group, which a folder
of the path says.
"""

from eyebright.sources.csv_file import read_csv
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.forms import parse_kind
from eyebright.sources.label_file import LabelFile
from eyebright.sources.source import Source
from eyebright.sources.table import TableColumns, source_of_table

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
    asked = TableColumns.of(request)
    findings = tuple(name for name in table.columns if name not in _PROPERTIES)
    columns = asked._replace(
        files=asked.files or _PATH, labels=asked.labels or findings, kind=asked.kind or parse_kind("labels")
    )
    return source_of_table(table, request.root, columns)


FORMAT = Format(
    name="chexpert",
    title="CheXpert",
    looks_like="CSV with Path, Sex, Age, Frontal/Lateral, AP/PA and findings",
    read=read,
    recognises_file=recognises,
    options=("files", "labels", "blank", "uncertain", "group", "split"),
)
