"""Open Images: CSV with a row for each image and label that a person has verified.

``Confidence`` 1 means that the image has the label, 0 that it does not. A label that nobody has verified on an image is
unknown there; machine-generated labels are ignored. The names of the labels are in ``class-descriptions.csv`` beside
it.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eyebright._all_but import AllBut
from eyebright.errors import InputError, TableError, os_reason
from eyebright.sources.cells import is_flag, is_on
from eyebright.sources.csv_file import read_csv
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source
from eyebright.sources.text_table import TextTable

_COLUMNS = ("ImageID", "Source", "LabelName", "Confidence")
_DESCRIPTIONS = "class-descriptions"
_HUMAN = ("verification", "crowdsource-verification")
_NOT_VERIFIED_REASON = "without a label that a person has verified"


def recognises(file: LabelFile) -> bool:
    """True for CSV with exactly the columns of image labels; files with boxes have more."""
    return file.suffix == ".csv" and sorted(file.header) == sorted(_COLUMNS)


def read(request: ReadRequest) -> Source:
    """The images with the labels that people have verified.

    Raises:
        TableError: a file is broken, or a confidence of a verified label is neither 0 nor 1.
        InputError: nobody has verified a label of an image.
    """
    table = read_csv(request.path)
    names = _class_names(request.path.parent)
    states, machine, differ = _verified(table)
    used = sorted({label for label_states in states.values() for label, is_there in label_states.items() if is_there})
    if not used:
        raise InputError(f"'{request.path}' has no label that a person has verified to be there")
    vocabulary = frozenset(names.get(label, label) for label in used)
    finder = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    for image, label_states in states.items():
        file = finder.find(image)
        if not label_states:
            rows.leave_out(file, _NOT_VERIFIED_REASON)
            continue
        rows.add(
            file,
            [names.get(label, label) for label, is_there in label_states.items() if is_there],
            unknown=AllBut(
                vocabulary, (names.get(label, label) for label, state in label_states.items() if state is not None)
            ),
        )
    sentences = [*finder.messages(), "a label that was not verified by a person is unknown on the image"]
    sentences += [f"rows of labels that no person has verified, which are ignored: {machine}"] if machine else []
    sentences += [f"labels that one row confirms and another denies, which are unknown: {differ}"] if differ else []
    return rows.source(
        request, messages=sentences, declared={*names.values(), *(names.get(category, category) for category in used)}
    )


def _verified(table: TextTable) -> tuple[dict[str, dict[str, bool | None]], int, int]:
    """(for each image its verified labels, rows that are not verified, labels whose rows differ: None)."""
    for name in ("ImageID", "LabelName"):
        if "" in table.columns[name].unique():
            raise table.error(f"there is nothing in column '{name}'", line=table.line_of(name, ""))
    human = table.columns["Source"].categorical.isin(_HUMAN)
    confidence = table.columns["Confidence"].categorical
    flags = np.array([is_flag(cell) for cell in confidence.categories], dtype=np.bool_)[confidence.codes]
    wrong = np.flatnonzero(human & ~flags)
    if len(wrong):
        row = int(wrong[0])
        raise table.error(
            f"'{confidence[row]}' in column 'Confidence'; 1 (the image has the label) or 0 was expected",
            line=int(table.lines[row]),
        )
    states: dict[str, dict[str, bool | None]] = {}
    differ = 0
    columns = (table.columns["ImageID"], table.columns["LabelName"], confidence, human.tolist())
    for image, label, cell, is_human in zip(*columns, strict=True):
        label_states = states.setdefault(image, {})
        if is_human and label_states.setdefault(label, is_on(cell)) not in (None, is_on(cell)):
            label_states[label] = None
            differ += 1
    return states, int((~human).sum()), differ


def _class_names(folder: Path) -> Mapping[str, str]:
    """The name of each label; where several have one name, with the code behind it."""
    names: dict[str, str] = {}
    for path in sorted(folder.glob(f"*{_DESCRIPTIONS}*.csv")):
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = [(number, row) for number, row in enumerate(csv.reader(file, strict=True), start=1) if row]
        except (OSError, ValueError, csv.Error) as error:
            raise TableError(f"cannot read '{path}': {os_reason(error)}") from None
        for number, row in rows:
            if len(row) != 2 or not all(map(str.strip, row)):
                raise TableError(f"'{path}' line {number}: the code of a label and its name were expected")
            if row[0] != "LabelName":
                names[row[0].strip()] = row[1].strip()
    counts = Counter(names.values())
    return {code: name if counts[name] == 1 else f"{name} ({code})" for code, name in names.items()}


FORMAT = Format(
    name="open-images",
    title="Open Images",
    looks_like="CSV with ImageID, Source, LabelName and Confidence",
    read=read,
    recognises_file=recognises,
    reads_companions=True,
)
