"""FiftyOne: ``labels.json`` of an image classification export, or ``samples.json`` of a whole dataset.

``labels.json`` has the label of each image by its name without extension, as a number in ``classes`` or as a string, or
a list of them. ``samples.json`` has a field with a classification, classifications or detections for each image.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from eyebright.errors import InputError, TableError, listing, short_repr
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_records import Record, as_record
from eyebright.sources.json_stream import Piece, read_json
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_KINDS = {"Classification": "", "Classifications": "classifications", "Detections": "detections"}
"""The kinds of fields with labels, and where a list of them is."""

_NOT_LABELLED_REASON = "not labelled yet"


def recognises(file: LabelFile) -> bool:
    """True for a JSON object with ``classes`` and ``labels``, or with ``samples`` that have a ``filepath``."""
    if file.json is None or file.json.layout != "object":
        return False
    return {"classes", "labels"} <= set(file.json.keys) or "filepath" in file.json.record("samples")


def read(request: ReadRequest) -> Source:
    """The images with their labels.

    Raises:
        TableError: the file is broken, or a number has no class.
        InputError: several fields of the samples could hold the labels.
    """
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    outline = LabelFile(request.path).json
    if outline is not None and "filepath" in outline.record("samples"):
        has_several = _add_samples(request, names, rows)
        declared: Iterable[str] = ()
    else:
        has_several, declared = _add_labels(request, names, rows)
    return rows.source(request, messages=names.messages(), declared=list(declared), is_single=not has_several)


def _add_labels(request: ReadRequest, names: ImageNames, rows: LabelRows) -> tuple[bool, list[str]]:
    """(whether an image has a list of labels, the classes)."""
    classes: list[str] = []
    labels: list[Piece] = []
    for piece in read_json(request.path, opened=("labels",)):
        if piece.key == "classes":
            classes.append(str(piece.value))
        elif piece.key == "labels":
            labels.append(piece)
    for piece in labels:
        file = names.find(piece.name, line=piece.line)
        if piece.value is None:
            rows.leave_out(file, _NOT_LABELLED_REASON)
            continue
        given = cast("list[Any]", piece.value) if isinstance(piece.value, list) else [piece.value]
        rows.add(file, [_label(request, piece, document, classes) for document in given])
    return any(isinstance(piece.value, list) for piece in labels), classes


def _label(request: ReadRequest, piece: Piece, given: Any, classes: list[str]) -> str:
    value: Any = cast("dict[str, Any]", given).get("label") if isinstance(given, dict) else given
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(classes):
        return classes[value]
    raise TableError(
        f"'{request.path}' line {piece.line}: the label of '{piece.name}' must be a string or the "
        f"index of one of {len(classes)} classes, got {short_repr(value)}"
    )


def _add_samples(request: ReadRequest, names: ImageNames, rows: LabelRows) -> bool:
    """Whether an image may have several labels."""
    samples = [as_record(request.path, piece) for piece in read_json(request.path) if piece.key == "samples"]
    fields = {name: None for sample in samples for name, value in sample.values.items() if _kind(value) in _KINDS}
    chosen = list(request.labels or fields)
    if len(chosen) != 1 or chosen[0] not in fields:
        raise InputError(f"'{request.path}' has labels in the fields {listing(fields)}; name one of them with `labels`")
    kinds = {kind for sample in samples if (kind := _kind(sample.values.get(chosen[0])))}
    for sample in samples:
        file = names.find(sample.text("filepath"), line=sample.line)
        field = sample.values.get(chosen[0])
        if field is None:
            rows.leave_out(file, _NOT_LABELLED_REASON)
            continue
        inner = Record(sample.path, sample.line, cast("dict[str, Any]", field) if isinstance(field, dict) else {})
        listed = _KINDS.get(_kind(field), "")
        label_records = inner.records(listed) if listed else [inner]
        rows.add(file, [record.text("label").strip() for record in label_records])
    return kinds != {"Classification"}


def _kind(value: Any) -> str:
    return str(cast("Mapping[str, Any]", value).get("_cls")) if isinstance(value, dict) else ""


FORMAT = Format(
    name="fiftyone",
    title="FiftyOne",
    looks_like="JSON with 'classes' and 'labels', or with 'samples'",
    read=read,
    recognises_file=recognises,
    options=("labels",),
)
