"""Checks whether coordinates can be pixels: fractions and percentages look like points in the top-left corner."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyebright._choices import PointUnit
from eyebright.errors import count_text
from eyebright.types import Points, Size

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

_MIN_INSIDE_SHARE = 0.95  # share of the points; a few may be outside their image
_MIN_LARGE_SIDE = 200  # pixels; on a shorter side, points below 100 do not indicate percentages
_MAX_CHANCE = 1e-4  # probability of being within 100 pixels of the corner by chance, below which points are percentages


@dataclass(frozen=True)
class Implausible:
    """The reason why points are implausible as pixels.

    Args:
        unit: the apparent unit: ``"fraction"`` or ``"percent"`` of the image; None: unknown.
        reason: a sentence with two example values and the size of their image.
    """

    unit: PointUnit | None
    reason: str


def implausible_reason(samples: Sequence[tuple[Points, Size]]) -> Implausible | None:
    """The reason why the points of these images are implausible as pixels; None if they are plausible.

    Args:
        samples: (points, size) of each image. A few dozen suffice; a single image is never checked.
    """
    known = [(points.xy[points.known].numpy(), size) for points, size in samples if bool(points.known.any())]
    if len(known) < 2:
        return None
    xy = np.concatenate([points for points, _ in known])
    wh = np.concatenate([np.tile((size.width, size.height), (len(points), 1)) for points, size in known])
    example = _example(*known[0])
    if wh.min() > 4 and _share_within(xy, -1.0, 1.0) >= _MIN_INSIDE_SHARE:
        if _share_within(xy, -0.05, 1.0) >= _MIN_INSIDE_SHARE:
            return Implausible("fraction", f"points look like fractions of the image, not like pixels: {example}")
        return Implausible(None, f"points are between -1 and 1, but pixels were expected: {example}")
    if _share_within(xy, -5.0, 100.0) >= _MIN_INSIDE_SHARE and _corner_chance(known) < _MAX_CHANCE:
        return Implausible("percent", f"points look like percentages of the image, not like pixels: {example}")
    outside = ((xy < 0) | (xy > wh)).any(axis=1)
    if outside.mean() > 0.5:
        swapped = bool((((xy[:, ::-1] >= 0) & (xy[:, ::-1] <= wh)).all(axis=1)).mean() >= _MIN_INSIDE_SHARE)
        hint = "; with x and y exchanged they would be inside" if swapped else ""
        count = f"{int(outside.sum())} of {count_text(len(xy), 'point')} are outside their image"
        return Implausible(None, f"{count}: {_example(*known[_first_outside(known)])}{hint}")
    return None


def _share_within(xy: FloatArray, low: float, high: float) -> float:
    return float(((xy >= low) & (xy <= high)).all(axis=1).mean())


def _corner_chance(known: Sequence[tuple[FloatArray, Size]]) -> float:
    """The probability that one uniformly random point of each large image is within 100 pixels of the corner."""
    large = [size for _, size in known if min(size) >= _MIN_LARGE_SIDE]
    return math.exp(sum(math.log(100 / size.width) + math.log(100 / size.height) for size in large))


def _first_outside(known: Sequence[tuple[FloatArray, Size]]) -> int:
    return next(i for i, (xy, size) in enumerate(known) if bool(((xy < 0) | (xy > (size.width, size.height))).any()))


def _example(xy: FloatArray, size: Size) -> str:
    values = " and ".join(f"({x:g}, {y:g})" for x, y in xy[:2].tolist())
    return f"{values} in an image of {size.width} x {size.height} pixels"
