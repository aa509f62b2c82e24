"""Azure Machine Learning (AutoML): JSON Lines with the address of an image and its label, labels, or boxes."""

from eyebright.errors import short_repr
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_records import Record, read_records
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source


def recognises(file: LabelFile) -> bool:
    """True for JSON Lines with ``image_url`` and ``label``."""
    return file.json is not None and file.json.layout == "lines" and {"image_url", "label"} <= set(file.json.record())


def read(request: ReadRequest) -> Source:
    """The images with their labels: a string is the class of an image, a list its labels.

    Raises:
        TableError: the file is broken.
    """
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    is_single = True
    for record in read_records(request.path):
        is_single = is_single and isinstance(record.values.get("label"), str)
        rows.add(names.find(record.text("image_url"), line=record.line), _labels(record))
    return rows.source(request, messages=names.messages(), is_single=is_single)


def _labels(record: Record) -> list[str]:
    label = record.values.get("label")
    if isinstance(label, str):
        return [record.text("label").strip()]
    if not isinstance(label, list):
        raise record.error(f"'label' must be a string, or a list of strings or boxes, got {short_repr(label)}")
    return record.labels_or_boxes("label")


FORMAT = Format(
    name="azure-ml",
    title="Azure Machine Learning",
    looks_like="JSON Lines with 'image_url' and 'label'",
    read=read,
    recognises_file=recognises,
)
