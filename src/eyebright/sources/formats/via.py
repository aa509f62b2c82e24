"""VGG Image Annotator (VIA): JSON with an entry for each image, alone or in a saved project, or CSV.

An attribute of the image or of its regions holds the labels: the ticked options of a checkbox, or the chosen one of a
dropdown. VIA's own attributes (caption, public_domain, image_url) hold none.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from eyebright.errors import InputError, listing
from eyebright.io.json_keys import unique_keys
from eyebright.sources.csv_file import read_csv
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_records import Record, as_record
from eyebright.sources.json_stream import read_json
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source
from eyebright.sources.text_table import TextTable

_IMAGES, _ATTRIBUTES = "_via_img_metadata", "_via_attributes"
_COLUMNS = ("file_attributes", "region_count", "region_attributes")
_OWN_ATTRIBUTES = ("caption", "public_domain", "image_url")

Values = dict[str, list[str]]
"""By the name of an attribute, the labels that it gives an image."""


class _Image(NamedTuple):
    name: str
    line: int
    of_file: Values
    of_regions: Values


def recognises(file: LabelFile) -> bool:
    """True for a saved project, a JSON object of entries with ``filename`` and ``regions``, or the CSV of them."""
    if set(_COLUMNS) <= set(file.header) and file.header[0].lstrip("# ") == "filename":
        return True
    if file.json is None or file.json.layout != "object":
        return False
    first = next(iter(file.json.keys.values()), None)
    keys = {"filename", "regions", "file_attributes"}
    return _IMAGES in file.json.keys or (
        isinstance(first, dict) and len(keys & set(cast("dict[str, Any]", first))) == 3
    )


def read(request: ReadRequest) -> Source:
    """The images with the values of one attribute as labels.

    Raises:
        TableError: the file is broken.
        InputError: several attributes could hold the labels, or none.
    """
    declared: dict[str, list[str]] = {}
    images = list(_images(request, declared))
    name = _chosen(request, images, declared)
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    for image in images:
        labels = [*image.of_file.get(name, ()), *image.of_regions.get(name, ())]
        rows.add(names.find(image.name, line=image.line), labels)
    of_file = any(name in image.of_file for image in images)
    messages = [f"labels are the values of the attribute '{name}' of {'images' if of_file else 'regions'}"]
    return rows.source(
        request, messages=[*messages, *names.messages()], declared=declared.get(name, ()), may_be_single=of_file
    )


def _images(request: ReadRequest, declared: dict[str, list[str]]) -> Iterator[_Image]:
    """The images; the options of attributes are added to ``declared``."""
    outline = LabelFile(request.path).json
    if outline is None:
        yield from _images_of_csv(request)
        return
    is_project = _IMAGES in outline.keys
    for piece in read_json(request.path, opened=(_IMAGES,)):
        if piece.key == _ATTRIBUTES and isinstance(piece.value, dict):
            _add_options(cast("dict[str, Any]", piece.value), declared)
        elif piece.key == _IMAGES or (not is_project and not piece.key.startswith("_via")):
            record = as_record(request.path, piece)
            regions = record.values.get("regions") or []
            listed = list(cast("dict[str, Any]", regions).values()) if isinstance(regions, dict) else regions
            inner = Record(record.path, record.line, {"regions": listed}).records("regions")
            of_regions: Values = {}
            for region in inner:
                for key, labels in _values(region.values.get("region_attributes")).items():
                    of_regions.setdefault(key, []).extend(labels)
            of_file = _values(record.values.get("file_attributes"))
            yield _Image(record.text("filename"), record.line, of_file, of_regions)


def _images_of_csv(request: ReadRequest) -> Iterator[_Image]:
    """The images of a CSV file, which has a row for each region, and for each image without regions."""
    table = read_csv(request.path)
    name_column = next(name for name in table.columns if name.lstrip("# ") == "filename")
    images: dict[str, _Image] = {}
    columns = (table.columns[name] for name in (name_column, "file_attributes", "region_attributes"))
    for line, name, of_file, of_region in zip(table.lines.tolist(), *columns, strict=True):
        image = images.setdefault(name, _Image(name, line, _values(_parsed(table, line, of_file)), {}))
        for key, labels in _values(_parsed(table, line, of_region)).items():
            image.of_regions.setdefault(key, []).extend(labels)
    yield from images.values()


def _parsed(table: TextTable, line: int, cell: str) -> Any:
    try:
        return json.loads(cell or "{}", object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        raise table.error(
            f"the attributes are not valid JSON: '{cell[:60]}'; export the file again", line=line
        ) from None


def _values(attributes: Any) -> Values:
    """The labels by attribute; an attribute without a value has none."""
    labels: Values = {}
    for name, value in cast("dict[str, Any]", attributes).items() if isinstance(attributes, dict) else ():
        if name in _OWN_ATTRIBUTES:
            continue
        if isinstance(value, dict):
            labels[name] = [option for option, on in cast("dict[str, Any]", value).items() if on]
        elif isinstance(value, str):
            labels[name] = [value.strip()] if value.strip() else []
    return labels


def _add_options(attributes: Mapping[str, Any], declared: dict[str, list[str]]) -> None:
    for group in attributes.values():
        for name, attribute in cast("dict[str, Any]", group).items() if isinstance(group, dict) else ():
            options = cast("dict[str, Any]", attribute).get("options") if isinstance(attribute, dict) else None
            declared.setdefault(name, []).extend(cast("dict[str, Any]", options) if isinstance(options, dict) else ())


def _chosen(request: ReadRequest, images: Sequence[_Image], declared: Mapping[str, list[str]]) -> str:
    names = {name: None for image in images for name in (*image.of_file, *image.of_regions)}
    used = {name for image in images for values in (image.of_file, image.of_regions) for name in values if values[name]}
    if request.labels:
        if len(request.labels) > 1 or request.labels[0] not in {*names, *declared}:
            raise InputError(f"'{request.path}': `labels` is one of the attributes {listing(names)}")
        return request.labels[0]
    candidates = [name for name in names if name in used] or list(names)
    if len(candidates) == 1:
        return candidates[0]
    problem = f"labels may be in the attributes {listing(candidates)}" if candidates else "no attribute holds labels"
    raise InputError(f"'{request.path}': {problem}; name the one that is meant with `labels`")


FORMAT = Format(
    name="via",
    title="VGG Image Annotator",
    looks_like="a JSON object of entries with 'filename', 'regions' and 'file_attributes', a project with them, or CSV",
    read=read,
    recognises_file=recognises,
    options=("labels",),
)
