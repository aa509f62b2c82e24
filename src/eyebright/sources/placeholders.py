"""Finds values that some files write where a value is unknown: points at (0, 0) or (-1, -1), numbers such as -999.

Nothing is left out for it: only the user knows whether such a value was measured. Messages say how many there are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eyebright.errors import count_text, listing
from eyebright.sources.categorical import Mask
from eyebright.sources.format import Format
from eyebright.sources.placeholder_numbers import placeholder_numbers
from eyebright.sources.source import Source
from eyebright.sources.targets import Floats

_MAX_PLACES = 3  # places and numbers that have a message each
_MAX_NAMES = 5
_MIN_PIXEL = 2.0  # coordinates from which on an image has pixels, not fractions


def with_placeholder_messages(source: Source, format_: Format) -> Source:
    """The source with messages about values that may stand for unknown; labels and classes have none.

    Args:
        source: the images, with points in the unit of the file.
        format_: how the file is read, which gives the remedy.
    """
    targets = source.targets
    if not isinstance(targets, np.ndarray):
        return source
    if targets.ndim == 2:
        names = source.names or tuple(str(i + 1) for i in range(targets.shape[1]))
        return source.with_messages(*_number_messages(targets, names, format_))
    names = source.names or tuple(f"point {i + 1}" for i in range(targets.shape[1]))
    return source.with_messages(*_corner_messages(targets, names, format_), *_mixed_messages(source, targets))


def _number_messages(numbers: Floats, names: Sequence[str], format_: Format) -> list[str]:
    """A sentence for each repeated number that is far from the others.

    Args:
        numbers: shape (n, k).
        names: those of the numbers.
        format_: how they are read, which gives the remedy.
    """
    messages: list[str] = []
    for name, values in zip(names, numbers.T, strict=True):
        found = placeholder_numbers(values)
        others = values[~np.isnan(values) & ~np.isin(values, found)]
        for number in found[:_MAX_PLACES]:
            count = int((values == number).sum())
            messages.append(
                f"number '{name}' is {number:.15g} in {count} of {count_text(len(values), 'image')}, apart from the "
                f"others ({others.min():g} to {others.max():g}); where numbers are unknown, {format_.unknown_values}"
            )
    return messages


def _corner_messages(points: Floats, names: Sequence[str], format_: Format) -> list[str]:
    """Sentences about places in the corner (0, 0) or beyond at which several points are.

    Args:
        points: shape (n, p, 2).
        names: those of the points.
        format_: how they are read: which offset they have, and how they are written if they are unknown.
    """
    written = points - format_.point_offset
    with np.errstate(invalid="ignore"):
        in_corner = (written <= 0).all(axis=2)
    places, counts = np.unique(written[in_corner], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MAX_PLACES]
    n_known = int((~np.isnan(points).any(axis=2)).sum())
    messages: list[str] = []
    for place, count in zip(places[order].tolist(), counts[order].tolist(), strict=True):
        if count > 1:
            there = in_corner & np.asarray((written == place).all(axis=2))
            x, y = place
            images = count_text(int(there.any(axis=1).sum()), "image")
            named = listing([names[i] for i in np.flatnonzero(there.any(axis=0)).tolist()], limit=_MAX_NAMES)
            messages.append(
                f"points at ({x:g}, {y:g}), where some files put unknown ones: {count} of {n_known}, in {images} "
                f"({named}); where they are unknown, {format_.unknown_values}"
            )
    return messages


def _mixed_messages(source: Source, points: Floats) -> list[str]:
    """A sentence about images whose points are all between 0 and 1 while those of others are pixels."""
    flat = points.reshape(len(points), -1)
    are_known = np.logical_not(np.isnan(flat))
    with np.errstate(invalid="ignore"):
        fractions = _all_of(are_known, (flat >= 0) & (flat <= 1)) & ((flat > 0) & (flat < 1)).any(axis=1)
        others = (flat > _MIN_PIXEL).any(axis=1)
    count = int(fractions.sum())
    if not count or not others.any():
        return []
    row = int(fractions.argmax())
    x, y = points[row][~np.isnan(points[row]).any(axis=1)][0].tolist()
    return [
        f"images whose points are all between 0 and 1, as fractions of an image are, while those of others are not: "
        f"{count} of {len(source)} (such as '{source.files[row]}' with ({x:g}, {y:g})); write all points in one unit"
    ]


def _all_of(are_known: Mask, are_so: "np.ndarray[Any, np.dtype[np.bool_]]") -> Mask:
    """Shape (n,): whether a row has a known value, and all of them are so."""
    return np.asarray(are_known.any(axis=1) & (are_so | ~are_known).all(axis=1))
