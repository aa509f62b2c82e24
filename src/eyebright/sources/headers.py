"""Reads the headers of a source's images: finds unreadable images, and converts points to pixels."""

import os
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from eyebright._choices import PointUnit
from eyebright.errors import ImageError, InputError, count_text, listing
from eyebright.image.decode import FIRST_FRAME, value_range
from eyebright.image.exif import DAMAGED_EXIF
from eyebright.image.image import Image
from eyebright.image.rgb import OWN_SCALE
from eyebright.image.value_range import RANGE_REMEDY, ValueRange
from eyebright.sources.source import Source
from eyebright.tasks.point_units import implausible_reason
from eyebright.types import Points, Size

UNITS: dict[PointUnit, float] = {"pixels": 1.0, "fraction": 1.0, "percent": 0.01}
"""Units of coordinates with their factors; fractions and percentages are also multiplied by the side of the image."""

_CHECKED_RANGES = 16  # images whose 16-bit values are compared with their range
_MAX_OUTSIDE = 2.0  # widths or heights of an image: points farther from its corner are given in another unit
_MIN_INSIDE_SHARE = 0.95  # of the coordinates
_MAX_NAMES = 5  # images that a message names
_CHECKED = 64  # images whose points are compared with the sizes of the images
_IMAGES_HINT = "`images` is the folder that the table's file names are relative to"


def readable(source: Source, *, skip_bad: bool) -> Source:
    """The source without images whose header cannot be read, and with the sizes of the others.

    Messages tell if 16-bit images use little of their range, as those of a 12-bit camera: they are nearly black; which
    images are taken as upright because their EXIF data are damaged, have several frames, or a scale of their own; and
    which points are far outside of their image.

    Headers that `points_in_pixels` has read are not read again; those of images with points whose size the label file
    states are (`eyebright.sources.stated_sizes`).

    Raises:
        InputError: there are such images and ``skip_bad`` is False, or no image is left.
    """
    source, bad = _with_sizes(source)
    source = source.with_messages(*_dark_messages(source, set(bad)), *_far_messages(source))
    if not bad:
        return source
    _check_readable(source, bad, skip_bad=skip_bad)
    keep = np.ones(len(source), dtype=np.bool_)
    keep[list(bad)] = False
    skipped = {**source.skipped, **{error.path: error.reason for error in bad.values()}}
    return replace(source.take(keep), skipped=skipped)


def points_in_pixels(source: Source, unit: PointUnit | None) -> Source:
    """The source with its points in pixels of their images.

    If points are converted, those of unreadable images become unknown; `readable` reports these images.

    Args:
        source: a source with points.
        unit: the unit of the points; ``"fraction"`` and ``"percent"`` are of the width and height of each image. None:
            pixels, after a check of some images that pixels are plausible.

    Raises:
        InputError: the unit is unknown, or the points are implausible as pixels.
    """
    if unit not in (None, *UNITS):
        raise InputError(f"`unit` must be {', '.join(UNITS)}, got '{unit}'")
    if unit is None:
        _check_plausible(source)
    if unit in (None, "pixels"):
        return source
    assert isinstance(source.targets, np.ndarray)
    points = source.targets
    known = points[np.isfinite(points)]
    if (
        unit == "percent"
        and len(source) > 1
        and len(known)
        and np.mean((known >= -0.05) & (known <= 1)) >= _MIN_INSIDE_SHARE
    ):
        raise InputError(
            f"'{source.name or source.root}': points look like fractions of the image, not like percentages: the "
            f"largest coordinate is {known.max():g}; `unit='fraction'` converts them"
        )
    beyond = (np.abs(points) * UNITS[unit] > _MAX_OUTSIDE).any(axis=2)
    if bool(beyond.any()):
        row, point = np.argwhere(beyond)[0].tolist()
        x, y = points[row, point].tolist()
        kind = "fractions" if unit == "fraction" else "percentages"
        raise InputError(
            f"{count_text(int(beyond.sum()), 'point')} cannot be {kind} of their image: the first is ({x:g}, {y:g}) in "
            f"{source[row]}; leave `unit` out if they are pixels"
        )
    source, _ = _with_sizes(source)
    assert source.sizes is not None
    sides = np.where(source.sizes > 0, source.sizes, np.nan)[:, None, ::-1]  # (n, 1, 2): width and height
    converted = replace(source, targets=points * sides * UNITS[unit])
    _check_converted(converted, unit)
    return converted.with_messages(
        f"points are converted from {'fractions' if unit == 'fraction' else 'percentages'} of their images to pixels"
    )


def _with_sizes(source: Source) -> tuple[Source, dict[int, ImageError]]:
    """(source with the height and width of each image, error by row); known sizes are not read again."""
    sizes = np.zeros((len(source), 2), dtype=np.int32) if source.sizes is None else source.sizes.copy()
    bad: dict[int, ImageError] = {}
    noted: dict[str, list[int]] = {}
    for i in np.flatnonzero(sizes[:, 0] == 0).tolist():
        try:
            image = Image.create(source[i].path)
        except ImageError as error:
            bad[i] = error
            continue
        sizes[i] = image.shape
        for note in image.notes:
            noted.setdefault(note, []).append(i)
    messages = [_note_message(note, [source.files[i] for i in rows]) for note, rows in noted.items()]
    return replace(source, sizes=sizes).with_messages(*messages), bad


_TEXT_OF_NOTE = {
    DAMAGED_EXIF: "images whose EXIF data are damaged, which are taken as upright",
    OWN_SCALE: "images of 32-bit integers or floats, each of which is scaled from its own minimum to its maximum, "
    "unless it holds floats between 0 and 1, so their brightness cannot be compared",
    FIRST_FRAME: "images of several frames or pages, of which the first is read",
}


def _note_message(note: str, files: list[str]) -> str:
    more = f" and {len(files) - _MAX_NAMES} more" if len(files) > _MAX_NAMES else ""
    return f"{_TEXT_OF_NOTE[note]}: {listing(files[:_MAX_NAMES])}{more}"


def _dark_messages(source: Source, bad: set[int]) -> list[str]:
    rows = [i for i in range(0, len(source), -(-len(source) // _CHECKED_RANGES)) if i not in bad] if len(source) else []
    ranges = list(filter(None, map(_range_of, (str(source[i].path) for i in rows))))
    if not ranges or not all(pixel_range.is_hardly_used for pixel_range in ranges):
        return []
    return [
        f"16-bit images use little of their range: in {len(ranges)} of them the largest value is "
        f"{max(pixel_range.largest for pixel_range in ranges):,} of {ranges[0].white:,}, and the files do not "
        f"state that they have fewer bits, so that they are dark and not scaled; {RANGE_REMEDY}"
    ]


def _far_messages(source: Source) -> list[str]:
    """A sentence about points that are farther outside of their image than it is wide or high."""
    if not source.block().is_geometric:
        return []
    sizes = source.sizes
    assert isinstance(source.targets, np.ndarray)
    assert sizes is not None
    sides = sizes[:, None, ::-1].astype(np.float64)  # (n, 1, 2): width and height; 0 for unreadable images
    far = (((source.targets < -sides) | (source.targets > 2 * sides)) & (sides > 0)).any(axis=2)
    if not far.any():
        return []
    row, point = (int(index) for index in np.argwhere(far)[0])
    (x, y), (height, width) = source.targets[row, point].tolist(), sizes[row].tolist()
    return [
        f"points that are far outside of their image: {int(far.sum())}; the first is ({x:g}, {y:g}) in {source[row]}, "
        f"an image of {width} x {height} pixels; points outside of what the model sees are not learnt"
    ]


def _range_of(path: str) -> ValueRange | None:
    try:
        return value_range(path)
    except ImageError:  # reading the pixels reports it
        return None


def _check_readable(source: Source, bad: dict[int, ImageError], *, skip_bad: bool) -> None:
    first = next(iter(bad))
    row, reason = source[first], bad[first].reason
    if len(bad) == len(source):
        exists = os.path.exists(row.path)  # noqa: PTH110  # Path.exists raises for some names
        hint = "" if exists or source.lines is None else f"; {_IMAGES_HINT}"
        raise InputError(f"none of the {len(source)} images can be read; {row}: {reason}{hint}")
    if not skip_bad:
        others = f", and {len(bad) - 1} more cannot be read either" if len(bad) > 1 else ""
        raise InputError(f"{row}: {reason}{others}; `skip_bad=True` skips them and lists them")


def _check_converted(source: Source, unit: str) -> None:
    """Raises `InputError` if converted points are implausible as pixels, so that they had another unit."""
    assert source.sizes is not None
    rows = [i for i in range(0, len(source), -(-len(source) // _CHECKED)) if source.sizes[i].all()]
    wrong = implausible_reason([(Points.of(source[i].target), Size(*source.sizes[i].tolist())) for i in rows])
    if wrong is not None and wrong.unit != "percent":  # a few large images may have points only near the corner
        raise InputError(
            f"'{source.name or source.root}': converted from `unit='{unit}'`, {wrong.reason}; leave `unit` out to have "
            "it checked, or give another"
        )


def _check_plausible(source: Source) -> None:
    step = -(-len(source) // _CHECKED)
    wrong = implausible_reason(list(_samples(source, range(0, len(source), step))))
    if wrong is not None:
        convert = "" if wrong.unit is None else f"`unit='{wrong.unit}'` converts them, "
        name = source.name or source.root
        raise InputError(f"'{name}': {wrong.reason}; {convert}`unit='pixels'` takes them as they are")


def _samples(source: Source, rows: Iterable[int]) -> Iterable[tuple[Points, Size]]:
    for i in rows:
        try:
            yield Points.of(source[i].target), Image.create(source[i].path).shape
        except ImageError:  # `readable` reports it
            continue
