"""Whether coordinates can be pixels: fractions and percentages of an image look like points in its top-left corner."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyebright.types import Points, Size

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

_NEARLY_ALL = 0.95  # of the points: some lie a little outside of their image
_LARGE = 200  # pixels: percentages would then leave more than half of each side empty
_IMPROBABLE = 1e-4  # the chance that points which are spread over their images all lie within 100 pixels of the corner


@dataclass(frozen=True)
class Implausible:
    """Why points can hardly be pixels.

    Args:
        unit: what they seem to be: ``"fraction"`` or ``"percent"`` of the image; None: nothing that is known.
        reason: a sentence with two example values and the size of their image.
    """

    unit: str | None
    reason: str


def implausible_points(samples: Sequence[tuple[Points, Size]]) -> Implausible | None:
    """Why the points of these images can hardly be in pixels; None where they can.

    Args:
        samples: the points of each image, and its size. A few dozen are enough; of one image alone nothing can be told.
    """
    known = [(points.xy[points.visible].numpy(), size) for points, size in samples if bool(points.visible.any())]
    if len(known) < 2:
        return None
    xy = np.concatenate([points for points, _ in known])
    wh = np.concatenate([np.tile((size.width, size.height), (len(points), 1)) for points, size in known])
    example = _example(*known[0])
    if wh.min() > 4 and _share_within(xy, -1.0, 1.0) >= _NEARLY_ALL:
        if _share_within(xy, -0.05, 1.0) >= _NEARLY_ALL:
            return Implausible("fraction", f"points look like fractions of the image, not like pixels: {example}")
        return Implausible(None, f"points lie between -1 and 1, and pixels were expected: {example}")
    if _share_within(xy, -5.0, 100.0) >= _NEARLY_ALL and _corner_chance(known) < _IMPROBABLE:
        return Implausible("percent", f"points look like percentages of the image, not like pixels: {example}")
    outside = ((xy < 0) | (xy > wh)).any(axis=1)
    if outside.mean() > 0.5:
        swapped = bool((((xy[:, ::-1] >= 0) & (xy[:, ::-1] <= wh)).all(axis=1)).mean() >= _NEARLY_ALL)
        hint = "; with x and y exchanged they would lie inside" if swapped else ""
        count = f"{int(outside.sum())} of {len(xy)} points lie outside of their image"
        return Implausible(None, f"{count}: {_example(*known[_first_outside(known)])}{hint}")
    return None


def _share_within(xy: FloatArray, low: float, high: float) -> float:
    return float(((xy >= low) & (xy <= high)).all(axis=1).mean())


def _corner_chance(known: Sequence[tuple[FloatArray, Size]]) -> float:
    """The chance that one point of each large image is within 100 pixels of the corner, if it could be anywhere."""
    large = [size for _, size in known if min(size) >= _LARGE]
    return math.exp(sum(math.log(100 / size.width) + math.log(100 / size.height) for size in large))


def _first_outside(known: Sequence[tuple[FloatArray, Size]]) -> int:
    return next(i for i, (xy, size) in enumerate(known) if bool(((xy < 0) | (xy > (size.width, size.height))).any()))


def _example(xy: FloatArray, size: Size) -> str:
    values = " and ".join(f"({x:g}, {y:g})" for x, y in xy[:2].tolist())
    return f"{values} in an image of {size.width} x {size.height} pixels"
