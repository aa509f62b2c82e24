"""Google AutoML: CSV without a header, in each row a part, the address of an image, and its labels.

The part may be missing. Rows of boxes have a label and coordinates; an image has the labels of all of its rows.
"""

import csv
from collections.abc import Iterator, Sequence

from eyebright._choices import Part
from eyebright.errors import TableError, os_reason
from eyebright.sources.cells import is_number
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_PARTS: dict[str, Part | None] = {"TRAIN": "train", "VALIDATION": "valid", "TEST": "test", "UNASSIGNED": None}
_COORDINATES = 8  # cells of a box: x and y of two or four corners


def recognises(file: LabelFile) -> bool:
    """True if each of the first rows is a part and the address of an image, or begins with such an address."""
    rows = file.rows
    return bool(rows) and all(_is_row(row) for row in rows)


def read(request: ReadRequest) -> Source:
    """The images with their labels.

    Raises:
        TableError: the file cannot be read, or a row is another one.
    """
    names = ImageNames(request.root, request.path)
    images: dict[str, tuple[Part | None, set[str], int]] = {}
    has_boxes = False
    for line, cells in _rows(request):
        if not _is_row(cells):
            raise TableError(
                f"'{request.path}' line {line}: TRAIN, VALIDATION, TEST or UNASSIGNED, the address of an image and "
                f"labels were expected, got '{','.join(cells)[:80]}'"
            )
        part = _PARTS.get(cells[0])
        address, *given = cells[1:] if cells[0] in _PARTS else cells
        is_box = len(given) > _COORDINATES and any(map(is_number, given[1:]))
        has_boxes = has_boxes or is_box
        labels = {label for label in (given[:1] if is_box else given) if label}
        before = images.setdefault(address, (part, set(), line))
        if before[0] != part:
            raise TableError(f"'{request.path}' line {line}: '{address}' has another part on line {before[2]}")
        before[1].update(labels)
    rows = LabelRows(request.path)
    for address, (part, labels, line) in images.items():
        rows.add(names.find(address, line=line), labels, part=part)
    return rows.source(request, messages=names.messages(), may_be_single=not has_boxes)


def _rows(request: ReadRequest) -> Iterator[tuple[int, list[str]]]:
    try:
        with request.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield reader.line_num, cells
    except (OSError, ValueError, csv.Error) as error:
        raise TableError(f"cannot read '{request.path}': {os_reason(error)}") from None


def _is_row(cells: Sequence[str]) -> bool:
    if cells[0] in _PARTS:
        return len(cells) > 1 and _is_address(cells[1])
    return cells[0].startswith("gs://") and looks_like_image(cells[0])


def _is_address(cell: str) -> bool:
    return cell.startswith("gs://") or looks_like_image(cell)


FORMAT = Format(
    name="automl",
    title="Google AutoML",
    looks_like="CSV without a header: TRAIN,gs://bucket/1.jpg,label,label",
    read=read,
    recognises_file=recognises,
)
