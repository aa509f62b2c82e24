"""CVAT for images: XML with an ``image`` for each image, which holds its tags and shapes.

The labels of an image are those of its tags and of its shapes. Its subset is its part. Shapes that are single points,
each label once in an image, are read as points.
"""

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from eyebright._choices import Part
from eyebright.errors import InputError, TableError
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile
from eyebright.sources.parts import part_of
from eyebright.sources.rows import LabelRows, named_points, point_source
from eyebright.sources.source import Source
from eyebright.sources.stated_sizes import in_image_pixels, stated_size
from eyebright.sources.xml_file import text_of, xml_elements
from eyebright.types import Size


class _Image(NamedTuple):
    file: str
    labels: list[str]
    points: list[tuple[str, float, float]]
    part: Part | None
    size: Size | None


def recognises(file: LabelFile) -> bool:
    """True for XML of ``annotations`` with images, tracks, or the settings of a task."""
    words = (b"<image", b"<track", b"<meta")
    return file.xml_root == "annotations" and any(word in file.head for word in words)


def read(request: ReadRequest) -> Source:
    """The images with their tags and the labels of their shapes, or with their points.

    Raises:
        TableError: the file is broken.
        InputError: the file has a video, or no image.
    """
    names = ImageNames(request.root, request.path)
    declared: list[str] = []
    images: list[_Image] = []
    for element in xml_elements(request.path, ("meta", "image", "track")):
        if element.tag == "track":
            raise InputError(
                f"'{request.path}' contains the tracks of a video; export the task as 'CVAT for images', with its "
                f"images"
            )
        if element.tag == "meta":
            declared = [text_of(label, "name") for label in element.iter("label")]
        else:
            images.append(_image(request, element, names))
    if _are_points(request, images):
        return _points(request, images, names.messages())
    rows = LabelRows(request.path)
    for image in images:
        rows.add(image.file, image.labels, part=image.part)
    return rows.source(request, messages=names.messages(), declared=declared)


def _image(request: ReadRequest, element: Element, names: ImageNames) -> _Image:
    name = element.get("name", "")
    if not name:
        raise TableError(f"'{request.path}': the image with the id '{element.get('id', '')}' has no name")
    labels: list[str] = []
    points: list[tuple[str, float, float]] = []
    for shape in element:
        label = shape.get("label", "").strip()
        if not label:
            raise TableError(f"'{request.path}': a {shape.tag} of '{name}' has no label")
        labels.append(label)
        if shape.tag == "points":
            points += _places(request, name, label, shape.get("points", ""))
    subset = element.get("subset", "")
    size = stated_size(element.get("width"), element.get("height"))
    return _Image(names.find(name), labels, points, part_of(subset) if subset else None, size)


def _places(request: ReadRequest, name: str, label: str, text: str) -> list[tuple[str, float, float]]:
    try:
        return [(label, *map(float, place.split(",", 1))) for place in text.split(";")]  # pyright: ignore[reportReturnType]
    except ValueError:
        raise TableError(f"'{request.path}': the points of '{name}' are not numbers: '{text[:60]}'") from None


def _are_points(request: ReadRequest, images: Sequence[_Image]) -> bool:
    """True if points are asked for or every shape is a point, and no image has a label twice."""
    if not request.accepts("points"):
        return False
    only = all(len(image.labels) == len(image.points) for image in images)
    once = all(len({label for label, _, _ in image.points}) == len(image.points) for image in images)
    return only and once and any(image.points for image in images)


def _points(request: ReadRequest, images: Sequence[_Image], messages: list[str]) -> Source:
    kept = [image for image in images if image.points]
    names, points = named_points([{label: (x, y) for label, x, y in image.points} for image in kept])
    left_out = {image.file: "without points" for image in images if not image.points}
    files = [image.file for image in kept]
    points, scaled = in_image_pixels(request, files, points, [image.size for image in kept])
    return point_source(request, files, points, names=names, messages=[*scaled, *messages], left_out=left_out)


FORMAT = Format(
    name="cvat",
    title="CVAT for images",
    looks_like="XML of 'annotations' with an 'image' for each image",
    read=read,
    recognises_file=recognises,
)
