"""Azure Custom Vision: the list of tagged images that its API returns, as JSON.

The file of an image is called by its id, or by the end of its address. An image whose only tag is the service's own tag
``Negative`` has no label; one without tags is not labelled yet.
"""

from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_records import read_records
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_ADDRESSES = ("originalImageUri", "resizedImageUri", "thumbnailUri")
_NEGATIVE = "Negative"


def recognises(file: LabelFile) -> bool:
    """True for a JSON list of images with an ``id``, ``tags`` and one of the service's addresses."""
    first = file.json.record() if file.json is not None and file.json.layout == "list" else {}
    return {"id", "tags"} <= set(first) and any(key in first for key in _ADDRESSES)


def read(request: ReadRequest) -> Source:
    """The images with their tags as labels.

    Raises:
        TableError: the file is broken.
    """
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    negative, regions = 0, 0
    for record in read_records(request.path):
        addresses = [record.values[key] for key in _ADDRESSES if isinstance(record.values.get(key), str)]
        file = names.find(record.text("id"), *addresses, line=record.line)
        boxes = [region.text("tagName").strip() for region in record.records("regions")]
        regions += len(boxes)
        tags = [*(tag.text("tagName").strip() for tag in record.records("tags")), *boxes]
        if not tags:
            rows.leave_out(file, "not labelled yet")
            continue
        negative += tags == [_NEGATIVE]
        rows.add(file, [] if tags == [_NEGATIVE] else tags)
    messages = names.messages()
    if negative:
        messages.append(f"images whose only tag is '{_NEGATIVE}', which have no label: {negative}")
    return rows.source(request, messages=messages, may_be_single=not regions)


FORMAT = Format(
    name="custom-vision",
    title="Azure Custom Vision",
    looks_like="a JSON list of objects with 'id', 'tags' and 'originalImageUri'",
    read=read,
    recognises_file=recognises,
)
