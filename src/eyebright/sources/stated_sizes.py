"""`in_image_pixels`: the points of images that were resized after they were labelled.

Label files state the size that an image had when it was labelled. If the image has another size now, its points are
pixels of an image that is no longer there.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

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

    Points of images of the stated size, of unreadable images and without a stated size stay as they are; so do those of
    an image with points outside the stated size that are all inside the image, since that size is wrong, and all points
    if the user gives their unit.

    Args:
        request: what was asked for.
        files: the paths of the images, relative to the root of the source.
        points: shape (n, p, 2), (x, y) in pixels of images of the stated sizes.
        stated: the size of each image that the label file states; None: it states none.

    Raises:
        InputError: images have another shape than the stated size, so that their points cannot be scaled.
    """
    if request.unit is not None:
        return points, []
    points = points.copy()
    resized: list[str] = []
    wrong: list[str] = []
    others: list[str] = []
    for row, (file, size) in enumerate(zip(files, stated, strict=True)):
        image = None if size is None else _size_of(request.root / file)
        if size is None or image is None or _are_close(size, image):
            continue
        if not _are_inside(points[row], size) and _are_inside(points[row], image):
            wrong.append(f"'{file}' has {_text(image)}, not {_text(size)}")
        elif _is_resized(size, image):
            points[row] *= (image.width / size.width, image.height / size.height)
            resized.append(f"'{file}' had {_text(size)} and has {_text(image)}")
        else:
            hint = " (as if it were labelled without its EXIF orientation)" if _is_turned(size, image) else ""
            others.append(f"{_text(size)} for '{file}', which has {_text(image)}{hint}")
    if others:
        raise InputError(
            f"'{request.path}' states {others[0]}; so for {len(others)} of {len(files)} images it is not known where "
            "their points are; correct the sizes and the points; `unit='pixels'` takes all points as they are"
        )
    messages: list[str] = []
    if resized:
        messages.append(
            "images that were resized after they were labelled, whose points are scaled with them: "
            f"{len(resized)} ({resized[0]}); `unit='pixels'` takes the points as they are"
        )
    if wrong:
        messages.append(
            "images whose stated size is wrong, since points are outside of it and inside the image; "
            f"their points are taken as they are: {len(wrong)} ({wrong[0]})"
        )
    return points, messages


def _size_of(path: Path) -> Size | None:
    try:
        return Image.create(path).shape
    except ImageError:  # `headers.readable` reports it
        return None


def _are_close(size: Size, image: Size) -> bool:
    return abs(size.width - image.width) <= _ROUNDING and abs(size.height - image.height) <= _ROUNDING


def _are_inside(points: Floats, size: Size) -> bool:
    """Whether all known points, shape (p, 2), are inside an image of this size, or at most a pixel outside."""
    known = points[~np.isnan(points).any(axis=1)]
    ends = np.array([size.width, size.height]) + _ROUNDING
    return bool(((known >= -_ROUNDING) & (known <= ends)).all())


def _is_resized(size: Size, image: Size) -> bool:
    """Whether one factor explains both sides of the image, which are rounded; a crop leaves one side as it was."""
    sides = list(zip(image, size, strict=True))
    low = max((now - _ROUNDING) / before for now, before in sides)
    high = min((now + _ROUNDING) / before for now, before in sides)
    return low <= high and all(now != before for now, before in sides)


def _is_turned(size: Size, image: Size) -> bool:
    return _are_close(Size(size.width, size.height), image)


def _text(size: Size) -> str:
    return f"{size.width} x {size.height} pixels"
