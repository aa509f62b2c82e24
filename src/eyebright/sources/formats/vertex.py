"""Google Vertex AI: JSON Lines with the address of an image, its annotations and its part."""

from eyebright._choices import Part
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_records import Record, read_records
from eyebright.sources.label_file import LabelFile
from eyebright.sources.parts import part_of
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_PART = "aiplatform.googleapis.com/ml_use"
_SEVERAL, _SINGLE, _BOXES = "classificationAnnotations", "classificationAnnotation", "boundingBoxAnnotations"


def recognises(file: LabelFile) -> bool:
    """True for JSON Lines with ``imageGcsUri``."""
    return file.json is not None and file.json.layout == "lines" and "imageGcsUri" in file.json.record()


def read(request: ReadRequest) -> Source:
    """The images with the names of their annotations as labels; a single annotation is the class of an image.

    Raises:
        TableError: the file is broken, or names a part that does not exist.
    """
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    is_single = True
    for record in read_records(request.path):
        file = names.find(record.text("imageGcsUri"), line=record.line)
        if not any(key in record.values for key in (_SEVERAL, _SINGLE, _BOXES)):
            rows.leave_out(file, "not labelled yet")
            continue
        is_single = is_single and _SINGLE in record.values
        rows.add(file, _labels(record), part=_part(record))
    return rows.source(request, messages=names.messages(), is_single=is_single)


def _labels(record: Record) -> list[str]:
    single = record.values.get(_SINGLE)
    if single is not None:
        single = single if isinstance(single, dict) else {}
        return [Record(record.path, record.line, single).text("displayName").strip()]  # pyright: ignore[reportUnknownArgumentType]
    annotations = [*record.records(_SEVERAL), *record.records(_BOXES)]
    return [annotation.text("displayName").strip() for annotation in annotations]


def _part(record: Record) -> Part | None:
    labels = record.values.get("dataItemResourceLabels")
    use = labels.get(_PART) if isinstance(labels, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if use is None or str(use) == "unassigned":  # pyright: ignore[reportUnknownArgumentType]
        return None
    part = part_of(str(use))  # pyright: ignore[reportUnknownArgumentType]
    if part is None:
        raise record.error(f"'{_PART}' is training, validation or test, got '{use}'")
    return part


FORMAT = Format(
    name="vertex",
    title="Google Vertex AI",
    looks_like="JSON Lines with 'imageGcsUri' and 'classificationAnnotations'",
    read=read,
    recognises_file=recognises,
)
