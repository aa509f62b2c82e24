"""Create ML: a JSON list with an entry for each image, whose annotations are labels, or boxes with a label."""

from eyebright.errors import short_repr
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_records import Record, read_records
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_IMAGE = ("image", "imagefilename", "filename")


def recognises(file: LabelFile) -> bool:
    """True for a JSON list of objects with a file name and ``annotations``, and without Label Studio's ``data``."""
    first = file.json.record() if file.json is not None and file.json.layout == "list" else {}
    named = any(isinstance(first.get(key), str) for key in _IMAGE)
    return named and isinstance(first.get("annotations"), list) and "data" not in first


def read(request: ReadRequest) -> Source:
    """The images with their annotations as labels.

    Raises:
        TableError: the file is broken.
    """
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    has_boxes = False
    for record in read_records(request.path):
        labels = _labels(record)
        has_boxes = has_boxes or any(
            isinstance(annotation, dict) for annotation in record.values.get("annotations", ())
        )
        rows.add(names.find(record.text(*_IMAGE), line=record.line), labels)
    return rows.source(request, messages=names.messages(), may_be_single=not has_boxes)


def _labels(record: Record) -> list[str]:
    annotations = record.values.get("annotations")
    if not isinstance(annotations, list):
        raise record.error(f"'annotations' is a list of labels or of boxes, got {short_repr(annotations)}")
    return record.labels_or_boxes("annotations")


FORMAT = Format(
    name="create-ml",
    title="Create ML",
    looks_like="a JSON list of objects with 'image', 'imagefilename' or 'filename', and 'annotations'",
    read=read,
    recognises_file=recognises,
)
