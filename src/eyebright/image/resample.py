"""Pixels through a 3x3 matrix: one resample, antialiased where it shrinks, the same on the CPU and on a device.

A matrix takes (x, y, 1) of the source to the output in the coordinates of `eyebright.types`; who composes such matrices
and moves points by them is `eyebright.image.warp`.

Boxes of the image are resized by Pillow's exact filters (the ones that pretrained models were measured with). Every
other matrix is a blur of the same width (`_blur`) and one perspective resample; where the image has far more
pixels than the output needs, it is reduced to twice of what it needs first, so that the blur stays small.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import PIL.Image
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from eyebright.types import Size

PadMode = Literal["zeros", "border", "reflection"]
Interpolation = Literal["bilinear", "bicubic"]
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Pixels = np.ndarray[Any, np.dtype[Any]]
Row = tuple[float, float, float]

_CV2_BORDER = {
    "zeros": cv2.BORDER_CONSTANT,
    "border": cv2.BORDER_REPLICATE,
    "reflection": cv2.BORDER_REFLECT,
}
_CV2_FILTER = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_PIL_FILTER = {"bilinear": PIL.Image.Resampling.BILINEAR, "bicubic": PIL.Image.Resampling.BICUBIC}
_EPSILON = 1e-6  # pixels; far below what 8 bits can show
_MOST_PADDING = 8  # times the image's area: beyond that, padding it costs more than resampling it
_FAR_TOO_LARGE = 4  # source pixels for each output pixel, above which the image is reduced first


def resample(
    image: Shaped[np.ndarray, "h w c"],
    matrix: Float[np.ndarray, "3 3"],
    size: Size,
    *,
    pad: PadMode,
    interpolation: Interpolation,
) -> Shaped[np.ndarray, "h2 w2 c"]:
    """The image of the given size that the matrix makes of ``image`` (uint8 or float32)."""
    if _exchanges_axes(matrix):
        image, matrix = np.swapaxes(image, 0, 1), matrix[:, [1, 0, 2]]
    shrink = _shrink(matrix, size)
    image, matrix = _crop_to_seen(image, matrix, size, shrink)
    box = _as_box(matrix, Size(*image.shape[:2]), size)
    if box is not None:
        out = _resize_box(image, box, size, pad, interpolation)
        flips = tuple(axis for axis in (0, 1) if matrix[1 - axis, 1 - axis] * matrix[2, 2] < 0)
        return np.ascontiguousarray(np.flip(out, flips))
    image, matrix = _antialiased(image, matrix, pad, shrink)
    # OpenCV's bilinear kernel moves four bytes at once: with a fourth channel the same pixels take half the time.
    fourth = interpolation == "bilinear" and image.dtype == np.uint8 and image.shape[2] == 3
    out = cv2.warpPerspective(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if fourth else image,
        shift(-0.5, -0.5) @ matrix @ shift(0.5, 0.5),  # OpenCV counts from the first pixel's centre
        (size.width, size.height),
        flags=_CV2_FILTER[interpolation],
        borderMode=_CV2_BORDER[pad],
    )
    return cv2.cvtColor(out, cv2.COLOR_RGBA2RGB) if fourth else out.reshape(*size, image.shape[2])


def resample_batch(
    images: Float[Tensor, "b c h w"], matrices: Sequence[Matrix], size: Size, *, pad: PadMode
) -> Float[Tensor, "b c h2 w2"]:
    """Many images, each through its own matrix, to one size: bilinear, on their device."""
    smooth, matrices = _antialiased_batch(images.float(), matrices, size, pad)
    back = torch.from_numpy(np.stack([np.linalg.inv(matrix) for matrix in matrices])).float().to(images.device)
    grid = _sampling_grid(back, Size(*smooth.shape[-2:]), size)
    return functional.grid_sample(smooth, grid, "bilinear", pad, align_corners=False).to(images.dtype)


def slopes(matrix: Matrix, size: Size) -> tuple[tuple[float, float], tuple[float, float]]:
    """d(output)/d(source) at the centre of an output of the given size: the rows of x and of y, along x and y."""
    (a, b, _), (d, e, _), (p, q, r) = matrix.tolist()
    u, v = size.width / 2, size.height / 2
    back_x, back_y, back_z = _adjugate(matrix)
    determinant = p * back_x[2] + q * back_y[2] + r * back_z[2]
    depth = determinant / _product(back_z, u, v)  # the centre's source is (x, y, 1) there
    return ((a - u * p) / depth, (b - u * q) / depth), ((d - v * p) / depth, (e - v * q) / depth)


def shift(x: float, y: float) -> Matrix:
    """The matrix that adds (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


# ---------------------------------------------------------------------- which part of the image, and is it a box?


def _exchanges_axes(matrix: Matrix) -> bool:
    (a, b, _), (c, d, _), _ = matrix.tolist()
    return max(abs(a), abs(d)) <= 1e-12 * min(abs(b), abs(c))


# For nine numbers numpy's calls would cost more than the arithmetic.


def _adjugate(matrix: Matrix) -> tuple[Row, Row, Row]:
    """The rows of the inverse, times the determinant: of points up to scale it is the inverse."""
    (a, b, c), (d, e, f), (p, q, r) = matrix.tolist()
    return (
        (e * r - f * q, c * q - b * r, b * f - c * e),
        (f * p - d * r, a * r - c * p, c * d - a * f),
        (d * q - e * p, b * p - a * q, a * e - b * d),
    )


def _product(row: Row, x: float, y: float) -> float:
    """With (x, y, 1)."""
    return row[0] * x + row[1] * y + row[2]


def _crop_to_seen(image: Pixels, matrix: Matrix, size: Size, shrink: tuple[float, float]) -> tuple[Pixels, Matrix]:
    """The part of the image that the output shows, with what its filter and its reflections reach."""
    w, h = size.width, size.height
    corners = (0, 0), (w, 0), (0, h), (w, h)
    xs, ys, depths = ([_product(row, *corner) for corner in corners] for row in _adjugate(matrix))
    if min(depths) * max(depths) <= 0:  # the horizon is in the output: it shows the source to infinity
        return image, matrix
    left, right = _seen([x / z for x, z in zip(xs, depths, strict=True)], image.shape[1], _reach(shrink[0]))
    top, bottom = _seen([y / z for y, z in zip(ys, depths, strict=True)], image.shape[0], _reach(shrink[1]))
    return image[top:bottom, left:right], matrix @ shift(left, top)


def _seen(at: list[float], length: int, reach: int) -> tuple[int, int]:
    low, high = min(at) - reach, max(at) + reach
    if low < 0:
        high = max(high, -low)
    if high > length:
        low = min(low, 2 * length - high)
    start = min(max(math.floor(low), 0), length - 1)
    return start, max(min(math.ceil(high), length), start + 1)


def _as_box(matrix: Matrix, source: Size, size: Size) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) in the source when the output is just that box, resized (and flipped)."""
    (a, b, tx), (c, d, ty), (p, q, one) = matrix.tolist()
    h, w = source
    bent = max(abs(b) * h, abs(c) * w, abs(p) * w * w, abs(q) * h * h)  # in output pixels, at most
    if bent > _EPSILON * abs(one) or a == 0 or d == 0:
        return None
    left, right = sorted((-tx / a, (size.width * one - tx) / a))
    top, bottom = sorted((-ty / d, (size.height * one - ty) / d))
    padded = (max(right, w) - min(left, 0)) * (max(bottom, h) - min(top, 0))
    return (left, top, right, bottom) if padded <= _MOST_PADDING * w * h else None


def _resize_box(
    image: Pixels,
    box: tuple[float, float, float, float],
    size: Size,
    pad: PadMode,
    interpolation: Interpolation,
) -> Pixels:
    h, w = image.shape[:2]
    beyond = (-box[1], box[3] - h, -box[0], box[2] - w)
    top, bottom, left, right = (max(math.ceil(side - _EPSILON), 0) for side in beyond)
    image = _bordered(image, (top, bottom, left, right), pad)
    h, w = image.shape[:2]
    within = (max(box[0] + left, 0), max(box[1] + top, 0), min(box[2] + left, w), min(box[3] + top, h))

    def resized(plane: Pixels) -> Pixels:
        pillow = PIL.Image.fromarray(np.ascontiguousarray(plane))  # older numpy gives a part of an image byte by byte
        return np.array(pillow.resize((size.width, size.height), _PIL_FILTER[interpolation], box=within))

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return resized(image)
    return np.stack([resized(image[:, :, c]) for c in range(image.shape[2])], axis=2)


def _bordered(image: Pixels, sides: tuple[int, int, int, int], pad: PadMode) -> Pixels:
    """The image with so many pixels more at its top, bottom, left and right."""
    if not any(sides):
        return image
    out = cv2.copyMakeBorder(image, *sides, _CV2_BORDER[pad])
    return out[:, :, None] if out.ndim == 2 else out


# ---------------------------------------------------------------------- antialiasing


def _shrink(matrix: Matrix, size: Size) -> tuple[float, float]:
    """Source pixels under one output pixel along x and y, at the centre of the output."""
    (xx, xy), (yx, yy) = slopes(matrix, size)
    determinant = abs(xx * yy - xy * yx)
    return math.hypot(yy, xy) / determinant, math.hypot(xx, yx) / determinant


def _reduced(source: Size, shrink: tuple[float, float]) -> Size:
    """The source's size with at most two pixels left for each output pixel, where it has far more."""
    width, height = (
        max(round(length * 2 / s), 1) if s > _FAR_TOO_LARGE else length
        for length, s in zip((source.width, source.height), shrink, strict=True)
    )
    return Size(height, width)


def _blur(shrink: float, reduced: float) -> Matrix:
    """The symmetric kernel for what ``shrink`` still needs after the image was reduced by the factor ``reduced``.

    Pillow's bilinear filter at a shrink s is a triangle of half-width s, whose variance is s^2/6; the bilinear resample
    brings 1/6 on average, and nothing where it hits a pixel's centre. With 0.18 (s^2 - 1) for the blur, the result
    is nearest to Pillow's over photographs and shrinks from 1.1 to 9.
    """
    variance = (0.18 * (shrink**2 - 1) - (reduced**2 - 1) / 3) / reduced**2
    if shrink <= 1 or variance <= 0:
        return np.ones(1)
    if variance < 0.5:  # a sampled Gaussian so narrow has another variance; three taps have it exactly
        return np.array([variance / 2, 1 - variance, variance / 2])
    return _gaussian(round(math.sqrt(variance), 3))


@functools.lru_cache(maxsize=256)
def _gaussian(sigma: float) -> Matrix:
    radius = math.ceil(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return kernel / kernel.sum()


def _reach(shrink: float) -> int:
    """Source pixels from the middle of an output pixel to the end of the filter that makes it."""
    return math.ceil(2 * shrink) + 2


def _antialiased(image: Pixels, matrix: Matrix, pad: PadMode, shrink: tuple[float, float]) -> tuple[Pixels, Matrix]:
    """The image reduced and blurred so that sampling it at the output's pixels does not alias."""
    if max(shrink) <= 1:
        return image, matrix
    if pad != "reflection":  # what lies outside is blurred too; a reflection of the blurred image is that already
        x, y = (_reach(s) for s in shrink)
        image, matrix = _bordered(image, (y, y, x, x), pad), matrix @ shift(-x, -y)
    source = Size(*image.shape[:2])
    small = _reduced(source, shrink)
    factors = source.width / small.width, source.height / small.height
    if small != source:
        image = _resize_box(image, (0, 0, source.width, source.height), small, pad, "bilinear")
    kernel_x, kernel_y = (_blur(s, factor) for s, factor in zip(shrink, factors, strict=True))
    out = cv2.sepFilter2D(image, -1, kernel_x, kernel_y, borderType=_CV2_BORDER[pad])
    return out.reshape(image.shape), matrix @ np.diag([*factors, 1.0])


def _antialiased_batch(
    images: Float[Tensor, "b c h w"], matrices: Sequence[Matrix], size: Size, pad: PadMode
) -> tuple[Float[Tensor, "b c h3 w3"], list[Matrix]]:
    """The same for a batch: reduced as far as the image that needs most pixels allows, then each with its blur."""
    shrinks = [_shrink(matrix, size) for matrix in matrices]
    x = y = 0
    if pad != "reflection":
        x, y = (_reach(max(of_one)) for of_one in zip(*shrinks, strict=True))
        images = _extended(_extended(images, x, 3, pad), y, 2, pad)
    source = Size(*images.shape[-2:])
    least_x, least_y = (min(of_one) for of_one in zip(*shrinks, strict=True))
    small = _reduced(source, (least_x, least_y))
    factors = source.width / small.width, source.height / small.height
    if small != source:
        images = functional.interpolate(images, list(small), mode="bilinear", antialias=True)
    for axis in (0, 1):
        kernels = [_blur(shrink[axis], factors[axis]) for shrink in shrinks]
        images = _convolved(images, kernels, axis=3 - axis, pad=pad)
    change = shift(-x, -y) @ np.diag([*factors, 1.0])
    return images, [matrix @ change for matrix in matrices]


def _convolved(
    images: Float[Tensor, "b c h w"], kernels: Sequence[Matrix], *, axis: int, pad: PadMode
) -> Float[Tensor, "b c h w"]:
    """Each image convolved with its own kernel along an axis."""
    radius = max(len(kernel) for kernel in kernels) // 2
    if radius == 0:
        return images
    weights = torch.tensor(np.stack([np.pad(kernel, radius - len(kernel) // 2) for kernel in kernels])).to(images)
    first, *others = weights[:, :, None, None, None].unbind(1)
    padded, length = _extended(images, radius, axis, pad), images.shape[axis]
    out = padded.narrow(axis, 0, length) * first
    for k, weight in enumerate(others, start=1):
        out.addcmul_(padded.narrow(axis, k, length), weight)
    return out


def _extended(images: Float[Tensor, "b c h w"], by: int, axis: int, pad: PadMode) -> Float[Tensor, "b c h3 w3"]:
    if pad == "zeros":
        return functional.pad(images, (by, by) if axis == 3 else (0, 0, by, by))
    rule = "edge" if pad == "border" else "symmetric"
    places = torch.from_numpy(np.pad(np.arange(images.shape[axis]), by, mode=rule))
    return images.index_select(axis, places.to(images.device))


def _sampling_grid(back: Float[Tensor, "b 3 3"], source: Size, size: Size) -> Float[Tensor, "b h w 2"]:
    """Where each output pixel's centre comes from, in grid_sample's [-1, 1] (corners at -1 and 1)."""
    y = torch.arange(size.height, device=back.device, dtype=back.dtype) + 0.5
    x = torch.arange(size.width, device=back.device, dtype=back.dtype) + 0.5
    ones = torch.ones(size.height, size.width, device=back.device, dtype=back.dtype)
    out = torch.stack([x.expand(size.height, -1), y[:, None].expand(-1, size.width), ones], dim=-1)
    at = torch.einsum("hwi,bji->bhwj", out, back)
    span = torch.tensor([2 / source.width, 2 / source.height], device=back.device, dtype=back.dtype)
    return at[..., :2] / at[..., 2:] * span - 1
