"""Perceptual hashes: equal bits mean similar images, also after an image was cropped a little, rotated or mirrored.

Both hashes are of the lowest 8 x 8 coefficients of the discrete cosine transform (DCT) of the grey image, without the
mean: their signs, the pHash of Zauner (2010, "Implementation and benchmarking of perceptual image hash functions"); and
which of them are large, that is above the median of their magnitudes. Images of few shapes on an even ground, or two
drawings in one layout, often agree in the signs and differ in the magnitudes. Three properties make it cheap to find an
image that was changed:

- The DCT of a crop is a product of the same pixels with other cosines, so that the hashes of many crops are two matrix
  products.
- Mirroring an image changes the signs of its odd coefficients, and transposing it transposes them. So the hashes of all
  eight orientations are operations on the bits, see `orientations` and `transposed`.
- Images whose hashes differ in few bits are found without comparing each with each, see `eyebright.check.hash_search`.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8, UInt64

SIDE = 64
"""Height and width, in pixels, of the grey image that is hashed."""

Box = tuple[float, float, float, float]

_CROPPED_SHARE = 0.05  # of a side
_COEFFICIENTS = 8


def _boxes() -> tuple[Box, ...]:
    """The whole image; 2.5 % and 5 % cut off from each side; and 5 % cut off from one side, or from two that meet."""
    inner = [(cut, cut, 1 - cut, 1 - cut) for cut in (0.0, _CROPPED_SHARE / 2, _CROPPED_SHARE)]
    ends = ((0.0, 1.0), (_CROPPED_SHARE, 1.0), (0.0, 1 - _CROPPED_SHARE))
    outer = [(left, top, right, bottom) for (left, right), (top, bottom) in product(ends, ends)]
    return (*inner, *outer[1:])


BOXES: tuple[Box, ...] = _boxes()
"""The parts of an image that are hashed: left, top, right and bottom as shares of its width and height. The first is
the whole image."""


class Hashes(NamedTuple):
    """The hashes of each of `BOXES`, 63 bits each; bit 8 u + v is of the coefficient of row u and column v.

    Args:
        signs: a bit is set where the coefficient is above 0.
        magnitudes: a bit is set where the magnitude of the coefficient is above the median of the 63.
    """

    signs: UInt64[np.ndarray, "k"]
    magnitudes: UInt64[np.ndarray, "k"]


def hashes(grey: UInt8[np.ndarray, "64 64"]) -> Hashes:
    """The hashes of an image.

    Args:
        grey: the whole image, shrunk to 64 x 64 pixels.
    """
    centred = grey.astype(np.float32) - np.float32(grey.mean())
    coefficients = (_BASIS @ centred @ _BASIS.T).reshape(len(_CUTS), _COEFFICIENTS, len(_CUTS), _COEFFICIENTS)
    blocks = coefficients[_ROWS, :, _COLUMNS, :].reshape(len(BOXES), -1)
    sizes = np.abs(blocks)
    sizes[:, 0] = -1  # the mean: the 64 values have the median of the other 63 at position 32
    medians = np.partition(sizes, _COEFFICIENTS**2 // 2, axis=1)[:, _COEFFICIENTS**2 // 2, None]
    blocks[:, 0] = 0
    return Hashes(_packed(blocks > 0), _packed(sizes > medians))


def _packed(bits: "np.ndarray[Any, np.dtype[np.bool_]]") -> UInt64[np.ndarray, "k"]:
    return np.packbits(bits, axis=1, bitorder="little").view(np.uint64)[:, 0]


def orientations(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "... 8"]:
    """The hashes of signs of the images in their eight orientations; the first is the given one.

    Orientation ``4 t + 2 y + x`` is: transposed if t is 1, then mirrored top to bottom if y is 1, then left to right if
    x is 1.
    """
    both = np.stack([values, transposed(values)], axis=-1)
    flips = np.array([0, _ODD_COLUMNS, _ODD_ROWS, _ODD_COLUMNS ^ _ODD_ROWS], dtype=np.uint64)
    return (both[..., None] ^ flips).reshape(*values.shape, 8)


def transposed(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """The hashes, of signs or of magnitudes, of the transposed images.

    Magnitudes do not change when an image is mirrored. The bits are a matrix of 8 x 8, transposed by three exchanges
    (Warren, "Hacker's Delight", 2nd edition, 7-3).
    """
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0)):
        step = np.uint64(shift)
        changed = (values ^ (values >> step)) & np.uint64(mask)
        values = values ^ changed ^ (changed << step)
    return values


def in_orientation(box: Box, orientation: int) -> Box:
    """A part of an image after the image was brought into one of the orientations of `orientations`."""
    left, top, right, bottom = box
    if orientation & 4:
        left, top, right, bottom = top, left, bottom, right
    if orientation & 2:
        top, bottom = 1 - bottom, 1 - top
    if orientation & 1:
        left, right = 1 - right, 1 - left
    return left, top, right, bottom


def oriented(pixels: "np.ndarray[Any, Any]", orientation: int) -> "np.ndarray[Any, Any]":
    """The pixels, shape (height, width, ...), in one of the orientations of `orientations`; a view."""
    if orientation & 4:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation & 2:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation & 1 else pixels


# ---------------------------------------------------------------------- tables


def _cosines(begin: float, end: float) -> Float[np.ndarray, "8 64"]:
    """The mean of each cosine over the part of each pixel that is between ``begin`` and ``end``, shares of the side."""
    edges = np.clip(np.arange(SIDE + 1) / SIDE, begin, end)
    frequencies = np.pi * np.arange(1, _COEFFICIENTS) / (end - begin)
    integral = np.sin(frequencies[:, None] * (edges - begin)) / frequencies[:, None]
    return np.concatenate([np.diff(edges)[None], np.diff(integral, axis=1)]).astype(np.float32)


_CUTS = sorted({(left, right) for left, _, right, _ in BOXES})
_BASIS = np.concatenate([_cosines(*cut) for cut in _CUTS])
_ROWS = [_CUTS.index((top, bottom)) for _, top, _, bottom in BOXES]
_COLUMNS = [_CUTS.index((left, right)) for left, _, right, _ in BOXES]
_ODD_ROWS = sum(1 << 8 * u + v for u in (1, 3, 5, 7) for v in range(8))
_ODD_COLUMNS = sum(1 << 8 * u + v for u in range(8) for v in (1, 3, 5, 7))
