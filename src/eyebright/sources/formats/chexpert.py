"""CheXpert: CSV with a row for each X-ray image, its properties, and 14 findings that are 1, 0, -1 or blank.

-1 (uncertain) and a blank (not mentioned) are unknown. Images of one patient are a group: a folder of the path says it.
"""

import re
from dataclasses import replace

from eyebright.sources.categorical import Categorical
from eyebright.sources.csv_file import read_csv
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.forms import parse_kind
from eyebright.sources.label_file import LabelFile
from eyebright.sources.source import Source
from eyebright.sources.table import TableColumns, source_of_table

_PATH, _FIRST, _PROPERTIES = "Path", "No Finding", {"Path", "Sex", "Age", "Frontal/Lateral", "AP/PA"}
_PATIENT = re.compile(r"(?:^|/)(patient\d+)/")


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
    source = source_of_table(table, request.root, columns)
    found = [_PATIENT.search(str(file)) for file in source.files]
    if source.group is not None or not all(found):
        return source
    patients = Categorical[str].of(one[1] for one in found if one is not None)
    return replace(source, group=patients).with_messages(
        f"images in the folder of one patient are one group: {len(patients.categories)} patients"
    )


FORMAT = Format(
    name="chexpert",
    title="CheXpert",
    looks_like="CSV with Path, Sex, Age, Frontal/Lateral, AP/PA and findings",
    read=read,
    recognises_file=recognises,
    options=("files", "labels", "blank", "uncertain"),
)
