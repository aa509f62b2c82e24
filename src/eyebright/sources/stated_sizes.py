"""`in_image_pixels`: the points of images that were resized after they were labelled.

Label files state the size that an image had when it was labelled. If the image has another size now, its points are
pixels of an image that is no longer there.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eyebright.errors import ImageError, InputError, count_text
from eyebright.image.image import Image
from eyebright.sources.format import ReadRequest
from eyebright.sources.targets import Floats
from eyebright.types import Size

_ROUNDING = 1  # pixels by which a side may differ, since sizes are rounded
_OUTSIDE = 0.1  # share of a side by which a point outside of its stated size shows that this is wrong
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
    images of one size and one stated size of which some are far outside of the stated size and all inside the images,
    since that size is wrong; and all points if the user gives their unit.

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
    rows_of_sizes: dict[tuple[Size, Size], list[int]] = {}  # by (the stated size, that of the image)
    for row, (file, size) in enumerate(zip(files, stated, strict=True)):
        image = None if size is None else _size_of(request.root / file)
        if size is not None and image is not None and not _are_close(size, image):
            rows_of_sizes.setdefault((size, image), []).append(row)
    resized: list[str] = []
    wrong: list[str] = []
    others: list[str] = []
    for (size, image), rows in rows_of_sizes.items():
        named = [files[row] for row in rows]
        is_resized = _is_resized(size, image)
        if _is_wrong(points[rows], size, image, margin=_OUTSIDE if is_resized else 0):
            wrong += [f"'{file}' has {_text(image)}, not {_text(size)}" for file in named]
        elif is_resized:
            points[rows] *= (image.width / size.width, image.height / size.height)
            resized += [f"'{file}' had {_text(size)} and has {_text(image)}" for file in named]
        else:
            hint = " (as if it were labelled without its EXIF orientation)" if _is_turned(size, image) else ""
            others += [f"{_text(size)} for '{file}', which has {_text(image)}{hint}" for file in named]
    if others:
        raise InputError(
            f"'{request.path}' states {others[0]}; so for {len(others)} of {count_text(len(files), 'image')} it is not "
            "known where their points are; correct the sizes and the points; `unit='pixels'` takes all points as they "
            "are"
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


def _is_wrong(points: Floats, size: Size, image: Size, *, margin: float) -> bool:
    """Whether known points, shape (n, p, 2), are outside of the stated size and all are inside the image.

    Args:
        points: the points, as they are written.
        size: the stated size.
        image: the size of the images.
        margin: the share of a side by which they must be outside; a point may lie a little outside of its image.
    """
    known = points[~np.isnan(points).any(axis=2)]
    stated, now = (np.array([sides.width, sides.height], dtype=np.float64) for sides in (size, image))
    are_inside = ((known >= -_ROUNDING) & (known <= now + _ROUNDING)).all()
    return bool(are_inside and (known > stated * (1 + margin) + _ROUNDING).any())


def _is_resized(size: Size, image: Size) -> bool:
    """Whether one factor explains both sides of the image, all of which are rounded; a crop leaves one as it was."""
    sides = list(zip(image, size, strict=True))
    low = max((now - _ROUNDING) / (before + 0.5) for now, before in sides)
    high = min((now + _ROUNDING) / (before - 0.5) for now, before in sides)
    return low <= high and all(now != before for now, before in sides)


def _is_turned(size: Size, image: Size) -> bool:
    return _are_close(Size(size.width, size.height), image)


def _text(size: Size) -> str:
    return f"{size.width} x {size.height} pixels"
