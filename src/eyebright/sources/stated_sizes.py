"""`in_image_pixels`: the points of images that were resized after they were labelled.

Label files state the size that an image had when it was labelled. If the image has another size now, its points are
pixels of an image that is no longer there.
"""

from collections.abc import Sequence
from pathlib import Path

from eyebright.errors import ImageError, InputError
from eyebright.image.image import Image
from eyebright.sources.format import ReadRequest
from eyebright.sources.targets import Floats
from eyebright.types import Size

_ROUNDING = 1  # pixels by which a side may differ, since sizes are rounded
_MIN_SIDE = 2  # pixels; smaller ones are written where the size is not known


def stated_size(width: object, height: object) -> Size | None:
    """The size that a label file states; None if it states none, or only a placeholder such as 0 or 1.

    >>> stated_size(640, "480.0"), stated_size(None, 480), stated_size(1, 1)
    (Size(height=480, width=640), None, None)
    """
    try:
        sides = [round(float(str(side))) for side in (height, width)]
    except (ValueError, OverflowError):
        return None
    return Size(*sides) if min(sides) >= _MIN_SIDE else None


def in_image_pixels(
    request: ReadRequest, files: Sequence[str], points: Floats, stated: Sequence[Size | None]
) -> tuple[Floats, list[str]]:
    """(the points in pixels of the images as they are now, sentences for the user).

    Points of images of the stated size, of unreadable images and without a stated size stay as they are, and all points
    if the user gives their unit.

    Args:
        request: what was asked for.
        files: the paths of the images, relative to the root of the source.
        points: shape (n, p, 2), (x, y) in pixels of images of the stated sizes.
        stated: the size of each image that the label file states; None: it states none.

    Raises:
        InputError: an image has another shape than the stated size, so that its points cannot be scaled.
    """
    if request.unit is not None:
        return points, []
    points, first, count = points.copy(), "", 0
    for row, (file, size) in enumerate(zip(files, stated, strict=True)):
        image = None if size is None else _size_of(request.root / file)
        if size is None or image is None or _are_close(size, image):
            continue
        if not _is_resized(size, image):
            raise InputError(_another_shape(request.path, file, size, image))
        points[row] *= (image.width / size.width, image.height / size.height)
        first = first or f"'{file}' had {_text(size)} and has {_text(image)}"
        count += 1
    if not count:
        return points, []
    return points, [
        f"images that were resized after they were labelled, whose points are scaled with them: {count} ({first}); "
        "`unit='pixels'` takes the points as they are"
    ]


def _size_of(path: Path) -> Size | None:
    try:
        return Image.create(path).shape
    except ImageError:  # `headers.readable` reports it
        return None


def _are_close(size: Size, image: Size) -> bool:
    return abs(size.width - image.width) <= _ROUNDING and abs(size.height - image.height) <= _ROUNDING


def _is_resized(size: Size, image: Size) -> bool:
    """Whether one factor explains both sides of the image, except for rounding."""
    sides = list(zip(image, size, strict=True))
    low = max((now - _ROUNDING) / (before + _ROUNDING) for now, before in sides)
    high = min((now + _ROUNDING) / (before - _ROUNDING) for now, before in sides)
    return low <= high


def _another_shape(path: Path, file: str, size: Size, image: Size) -> str:
    turned = Size(size.width, size.height)
    hint = " (as if it were labelled without its EXIF orientation)" if _are_close(turned, image) else ""
    return (
        f"'{path}' states {_text(size)} for '{file}', which has {_text(image)}{hint}, so its points are at other "
        "places; correct the points and the size; `unit='pixels'` takes the points as they are"
    )


def _text(size: Size) -> str:
    return f"{size.width} x {size.height} pixels"
