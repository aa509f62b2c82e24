"""CelebA: a text file with the number of images, the names of the attributes, and a row of 1 and -1 for each image.

``list_eval_partition.txt`` in the same folder has the part of each image: 0 training, 1 validation, 2 testing.
"""

from collections.abc import Iterator
from pathlib import Path

from eyebright._choices import Part
from eyebright.errors import TableError, listing
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile, numbered_lines
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_PARTITION = "list_eval_partition.txt"
_PARTS: dict[str, Part] = {"0": "train", "1": "valid", "2": "test"}
_CELL_STATES = {"1": True, "-1": False, "0": False}


def recognises(file: LabelFile) -> bool:
    """True for a line with only a number, then names, then rows of an image and as many 1 and -1."""
    lines = file.head[:100_000].decode("utf-8-sig", errors="replace").splitlines()[:3]
    if len(lines) < 3 or not lines[0].strip().isdecimal():
        return False
    name, *cells = lines[2].split() or [""]
    return (
        looks_like_image(name) and len(cells) == len(lines[1].split()) and all(cell in _CELL_STATES for cell in cells)
    )


def read(request: ReadRequest) -> Source:
    """The images with the attributes that are 1 as labels.

    Raises:
        TableError: a file cannot be read or is broken, or announces another number of images.
    """
    lines = _rows(request.path)
    _, count = next(lines, (0, ["0"]))
    _, attributes = next(lines, (0, list[str]()))
    partition = request.path.parent / _PARTITION
    parts = _parts(partition) if partition.is_file() else {}
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    for line, (name, *cells) in lines:
        if len(cells) != len(attributes) or not all(cell in _CELL_STATES for cell in cells):
            raise TableError(
                f"'{request.path}' line {line}: the name of an image and {len(attributes)} times 1 or -1 were expected"
            )
        labels = [attribute for attribute, cell in zip(attributes, cells, strict=True) if _CELL_STATES[cell]]
        if parts and name not in parts:
            raise TableError(f"'{partition}' has no part for '{name}'; complete it, or remove it")
        rows.add(names.find(name, line=line), labels, part=parts.get(name))
    if len(rows) != int(count[0]):
        raise TableError(f"'{request.path}' announces {count[0]} images and has {len(rows)}; is it cut off?")
    messages = [f"the parts are those of '{_PARTITION}'"] if parts else []
    return rows.source(request, messages=[*names.messages(), *messages], declared=attributes)


def _parts(path: Path) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    for line, cells in _rows(path):
        if len(cells) != 2 or cells[1] not in _PARTS:
            raise TableError(f"'{path}' line {line}: an image and one of {listing(_PARTS)} were expected")
        parts[cells[0]] = _PARTS[cells[1]]
    return parts


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each line that is not blank."""
    return ((line, text.split()) for line, text in numbered_lines(path))


FORMAT = Format(
    name="celeba",
    title="CelebA",
    looks_like="a text file with a number, the names of attributes, and rows of an image with 1 and -1",
    read=read,
    recognises_file=recognises,
    reads_companions=True,
)
