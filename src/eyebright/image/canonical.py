"""Canonical evaluation pixels: how an image is resized, cropped and padded for a model, to 0.01 of an 8-bit level.

Pillow, OpenCV, torchvision and ONNX Runtime resize 8-bit images in slightly different ways, and one version of Pillow
differs from the next by up to 11 of 255. So the pixels that almost all models are evaluated with are
defined here, and do not depend on the libraries that are installed. ``canonical-1`` is:

1. The whole image is decoded to upright 8-bit RGB (`eyebright.image.decode`).
2. It is resized to whole pixels (rounded half up, at least 1) with an antialiasing triangle filter, in floating point
   and without rounding between the two axes. Along an axis with n input and m output pixels, the scale is m / n. Output
   pixel i is the weighted mean of the input pixels j with ``weight = max(0, 1 - |j + 0.5 - c| / s)``, where
   ``c = (i + 0.5) * n / m`` and ``s = max(n / m, 1)``; the weights of the pixels inside the image sum to one. This is
   what torch's ``interpolate(mode="bilinear", antialias=True)`` computes for floats, and ONNX's ``Resize`` with
   ``antialias=1, exclude_outside=1``.
3. It is cropped, or padded with black, by whole pixels (rounded towards zero).
4. It is divided by 255. The result is not rounded.

``legacy-1`` is everything else: 8-bit pixels from `eyebright.image.warp.Warp.pixels`, resized by Pillow or OpenCV from
an image that its decoder may have reduced. Models saved before ``canonical-1`` existed have it, and so have new models
whose validation transforms do more than resize, crop and pad with black
(`eyebright.transforms.draw.evaluation_pixels_version` decides).
"""

import functools
import math
from typing import Literal, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from eyebright.image.resample import Array, translation
from eyebright.image.warp import Warp
from eyebright.types import Size

PixelsVersion = Literal["legacy-1", "canonical-1"]
"""The versions of the decoding and resizing that a model is evaluated with; a saved model keeps its own."""

CANONICAL: PixelsVersion = "canonical-1"
LIBRARY_PIXELS: PixelsVersion = "legacy-1"
"""The pixels that the installed libraries compute; the stored name is from the first version."""

Weights = NDArray[np.float32]

EPSILON = 1e-6
"""Tolerance for rounding errors, in pixels or relative to the scale."""
_MAX_PRODUCT = 2**18  # multiplications in one matrix product: OpenBLAS computes larger ones in several threads
_MAX_OUTPUTS = 8  # rows of one weight matrix: it is banded, so more rows multiply by more zeros
_MAX_WIDTH = 4096  # floats of a row that are resized together, so that a block fits into the processor's caches
_MAX_CONVERTED = 2**20  # values that are converted to float32 in one call: faster as long as a cache holds them


class Placement(NamedTuple):
    """A resize to whole pixels, followed by a crop or a padding by whole pixels.

    Args:
        input_size: size of the image.
        resized: its size after the resize.
        left: column of the output in which the resized image begins; negative where it is cropped.
        top: row of the output in which the resized image begins; negative where it is cropped.
        output_size: size of the output.
    """

    input_size: Size
    resized: Size
    left: int
    top: int
    output_size: Size

    @property
    def warp(self) -> Warp:
        """The same transform as a warp."""
        return Warp.resize(self.input_size, self.resized).then(
            Warp(translation(self.left, self.top), self.resized, self.output_size)
        )

    @property
    def is_padded(self) -> bool:
        """Whether some of the output is outside of the image."""
        bottom, right = self.top + self.resized.height, self.left + self.resized.width
        return max(self.top, self.left) > 0 or bottom < self.output_size.height or right < self.output_size.width


def resized_side(side: float) -> int:
    """A side in pixels, rounded half up and at least 1."""
    return max(math.floor(side + 0.5 + EPSILON), 1)


def fit_size(input_size: Size, output_size: Size, *, cover: bool) -> Size:
    """The size to which an image is resized so that it covers ``output_size``, or fits into it, with its aspect ratio.

    >>> fit_size(Size(375, 500), Size(224, 224), cover=True)
    Size(height=224, width=299)

    Args:
        input_size: size of the image.
        output_size: size of the output.
        cover: cover the output; False: fit into it.
    """
    ratios = output_size.height / input_size.height, output_size.width / input_size.width
    scale = max(ratios) if cover else min(ratios)
    height, width = (resized_side(scale * side) for side in input_size)
    return Size(height, width)


def place_center(input_size: Size, resized: Size, output_size: Size) -> Placement:
    """A resize to ``resized``, then a crop or padding to ``output_size`` about the centre; offsets round towards 0."""
    left, top = (
        int((out - side) / 2)
        for out, side in ((output_size.width, resized.width), (output_size.height, resized.height))
    )
    return Placement(input_size, resized, left, top, output_size)


def canonical_placement(warp: Warp) -> Placement | None:
    """The resize and crop or padding by whole pixels that approximates a warp; None for a warp that does more.

    For a warp that consists of a resize to whole pixels and a crop or padding by whole pixels it is the same transform.

    Args:
        warp: any warp.
    """
    (a, b, tx), (c, d, ty), (p, q, w) = warp.matrix.tolist()
    skewed = max(abs(value) for value in (b, c, p, q)) > EPSILON * abs(w)
    if skewed or a / w <= 0 or d / w <= 0:
        return None
    (height, top), (width, left) = (
        _place_axis(side, factor / w, shift / w)
        for side, factor, shift in ((warp.input_size.height, d, ty), (warp.input_size.width, a, tx))
    )
    return Placement(warp.input_size, Size(height, width), left, top, warp.output_size)


def canonical_pixels(image: UInt8[np.ndarray, "h w 3"], placement: Placement) -> Float32[np.ndarray, "h2 w2 3"]:
    """The image, resized and then cropped or padded with black, in [0, 1].

    Args:
        image: upright 8-bit RGB, not reduced by its decoder.
        placement: the placement of images of this size.
    """
    rows = _visible(placement.top, placement.resized.height, placement.output_size.height)
    columns = _visible(placement.left, placement.resized.width, placement.output_size.width)
    out = np.zeros((*placement.output_size, 3), np.float32)
    if len(rows) and len(columns):
        inputs = _input_range(placement.input_size.width, placement.resized.width, columns)
        partial = cv2.transpose(
            _resize_rows(
                image[:, inputs.start : inputs.stop], placement.input_size.height, 0, rows, placement.resized.height
            )
        )
        partial = _resize_rows(partial, placement.input_size.width, inputs.start, columns, placement.resized.width)
        top, left = max(placement.top, 0), max(placement.left, 0)
        partial = np.minimum(cv2.transpose(partial) / 255, 1)  # sums of rounded weights can exceed 1
        out[top : top + len(rows), left : left + len(columns)] = partial
    return out


def _place_axis(side: int, scale: float, shift: float) -> tuple[int, int]:
    """(resized side, offset in the output) of one axis; the image's centre moves by less than one pixel."""
    resized = resized_side(scale * side)
    offset = shift + (scale * side - resized) / 2
    return resized, int(offset + math.copysign(EPSILON, offset))


def _visible(offset: int, resized: int, size: int) -> range:
    """The pixels of the resized image that are in the output, along one axis."""
    return range(max(-offset, 0), min(size - offset, resized))


def _resize_rows(image: Array, length: int, first: int, outputs: range, resized: int) -> Float32[np.ndarray, "m w 3"]:
    """Some rows of the image after a resize along its first axis.

    Args:
        image: uint8 or float32; of the input it has row ``first`` and those after it that are needed.
        length: the number of rows of the input.
        first: see ``image``.
        outputs: the rows that are computed.
        resized: the number of rows of the whole output.
    """
    flat = image.reshape(len(image), -1)
    if resized == length:
        rows = flat[outputs.start - first : outputs.stop - first]
        return rows.astype(np.float32).reshape(len(outputs), *image.shape[1:])
    out = np.empty((len(outputs), flat.shape[1]), np.float32)
    for left in range(0, flat.shape[1], _MAX_WIDTH):
        tile = flat[:, left : left + _MAX_WIDTH]
        if tile.size <= _MAX_CONVERTED:
            tile = tile.astype(np.float32)
        for weights, start, block in _blocks(length, resized, outputs, tile.shape[1]):
            needed = tile[start - first : start - first + weights.shape[1]]
            needed = needed.astype(np.float32, copy=False)
            np.matmul(weights, needed, out=out[block.start : block.stop, left : left + _MAX_WIDTH])
    return out.reshape(len(outputs), *image.shape[1:])


@functools.lru_cache(maxsize=256)  # many images of a dataset have the same size
def _blocks(length: int, resized: int, outputs: range, width: int) -> list[tuple[Weights, int, range]]:
    """(weights, first input pixel, positions in ``outputs``) of several outputs at a time, along one axis.

    The weights have one row for each output, and one column for each input pixel that any of them needs.
    """
    starts, taps = _triangle_filter(length, resized, outputs)
    n_taps = taps.shape[1]
    shrink = length / resized  # input pixels per output pixel: each additional row needs that many more columns
    sizes = range(_MAX_OUTPUTS, 1, -1)  # the most rows whose product with ``width`` is small enough, see _MAX_PRODUCT
    n_rows = next((n for n in sizes if n * (n_taps + (n - 1) * shrink) * width <= _MAX_PRODUCT), 1)
    blocks: list[tuple[Weights, int, range]] = []
    for position in range(0, len(outputs), n_rows):
        rows = range(position, min(position + n_rows, len(outputs)))
        start, stop = int(starts[rows[0]]), min(int(starts[rows[-1]]) + n_taps, length)
        weights = np.zeros((len(rows), stop - start), np.float32)
        for weight, row in zip(weights, rows, strict=True):
            offset = int(starts[row]) - start
            weight[offset : offset + n_taps] = taps[row, : len(weight) - offset]  # others are outside of the image
        blocks.append((weights, start, rows))
    return blocks


@functools.lru_cache(maxsize=64)
def _triangle_filter(
    length: int, resized: int, outputs: range
) -> tuple[NDArray[np.int64], Float32[np.ndarray, "m taps"]]:
    """(first input pixel, taps) of output pixels along one axis: the weights of the input pixels from the first one on.

    Taps outside of the image are 0.

    Args:
        length: number of input pixels.
        resized: number of pixels of the whole output.
        outputs: those that are needed; an elongated image can have millions that are outside of the crop.
    """
    shrink = length / resized  # input pixels per output pixel: the reciprocal of the scale
    support = max(shrink, 1.0)
    centers = (np.asarray(outputs) + 0.5) * shrink
    starts = np.maximum(np.floor(centers - support - 0.5).astype(np.int64) + 1, 0)
    inputs = starts[:, None] + np.arange(math.ceil(2 * support) + 1)
    taps = np.maximum(1 - np.abs(inputs + 0.5 - centers[:, None]) / support, 0)
    taps[inputs >= length] = 0
    return starts, (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)


def _input_range(length: int, resized: int, outputs: range) -> range:
    """The input pixels that some outputs need, along one axis."""
    if length == resized:
        return outputs
    starts, taps = _triangle_filter(length, resized, outputs)
    return range(int(starts[0]), min(int(starts[-1]) + taps.shape[1], length))
