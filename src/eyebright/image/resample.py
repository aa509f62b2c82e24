"""Antialiased resampling of images through a 3x3 matrix: one image on the CPU, or a batch on its device.

A batch is resampled bilinearly only. Its result differs from the CPU's by rounding, and where an image is only cropped,
scaled and flipped by the filter: Pillow's on the CPU, the blur below in a batch.

The matrix maps homogeneous pixel coordinates (x, y, 1) of the input to the output, in the convention of
`eyebright.types`. `eyebright.image.warp` builds and composes these matrices.

A matrix that only crops, scales and flips is executed by Pillow's antialiased resize, the filter with which pretrained
models were evaluated. Any other matrix is executed as an antialiasing blur (`_blur_kernel`) followed by one perspective
resample. Along an axis with more than four input pixels per output pixel, the image is first resized to two, which
keeps the blur kernel short.
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
Matrix = Float[np.ndarray, "3 3"]
Kernel = np.ndarray[Any, np.dtype[np.float64]]
Array = np.ndarray[Any, np.dtype[Any]]
Row = tuple[float, float, float]

_CV2_BORDER = {
    "zeros": cv2.BORDER_CONSTANT,
    "border": cv2.BORDER_REPLICATE,
    "reflection": cv2.BORDER_REFLECT,
}
_CV2_FILTER = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_PIL_FILTER = {"bilinear": PIL.Image.Resampling.BILINEAR, "bicubic": PIL.Image.Resampling.BICUBIC}
EPSILON = 1e-6  # pixels; too small to change an 8-bit value
_ROUNDING = 1e-12  # relative; rounding errors in the elements of a composed matrix
_MAX_PADDED_AREA = 8  # times the image's area; padding more is slower than a perspective resample
_REDUCE_ABOVE = 4  # input pixels per output pixel along an axis; above it the image is resized before the blur


def resample(
    image: Shaped[np.ndarray, "h w c"],
    matrix: Matrix,
    size: Size,
    *,
    pad_mode: PadMode,
    interpolation: Interpolation,
) -> Shaped[np.ndarray, "h2 w2 c"]:
    """The image resampled through the matrix.

    Args:
        image: shape (height, width, channels), uint8 or float32.
        matrix: maps (x, y, 1) of ``image`` to the output, in pixels.
        size: (height, width) of the output.
        pad_mode: how to fill pixels outside of the image: ``"zeros"``, ``"border"`` or ``"reflection"``.
        interpolation: ``"bilinear"`` or ``"bicubic"``.
    """
    if _swaps_axes(matrix):
        image, matrix = np.swapaxes(image, 0, 1), matrix[:, [1, 0, 2]]
    shrink = _shrink(matrix, size)
    image, matrix = _crop_to_visible(image, matrix, size, shrink)
    box = _as_box(matrix, Size(*image.shape[:2]), size)
    if box is not None:
        out = _resize_box(image, box, size, pad_mode, interpolation)
        flips = tuple(axis for axis in (0, 1) if matrix[1 - axis, 1 - axis] * matrix[2, 2] < 0)
        return np.ascontiguousarray(np.flip(out, flips))
    image, matrix = _antialias(image, matrix, pad_mode, shrink)
    # OpenCV's bilinear resample is vectorised for four channels: an added alpha channel halves the time.
    add_alpha = interpolation == "bilinear" and image.dtype == np.uint8 and image.shape[2] == 3
    out = cv2.warpPerspective(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if add_alpha else image,
        translation(-0.5, -0.5) @ matrix @ translation(0.5, 0.5),  # in OpenCV (0, 0) is the first pixel's centre
        (size.width, size.height),
        flags=_CV2_FILTER[interpolation],
        borderMode=_CV2_BORDER[pad_mode],
    )
    return cv2.cvtColor(out, cv2.COLOR_RGBA2RGB) if add_alpha else out.reshape(*size, image.shape[2])


def resample_batch(
    images: Float[Tensor, "b c h w"], matrices: Sequence[Matrix], size: Size, *, pad_mode: PadMode
) -> Float[Tensor, "b c h2 w2"]:
    """A batch of images, each resampled through its own matrix; bilinear, on their device.

    Args:
        images: shape (batch, channels, height, width).
        matrices: one per image; each maps (x, y, 1) of the image to the output, in pixels.
        size: (height, width) of the output.
        pad_mode: how to fill pixels outside of an image: ``"zeros"``, ``"border"`` or ``"reflection"``.
    """
    smooth, matrices = _antialias_batch(images.float(), matrices, size, pad_mode)
    inverse = torch.from_numpy(np.stack([np.linalg.inv(matrix) for matrix in matrices])).float().to(images.device)
    grid = _sampling_grid(inverse, Size(*smooth.shape[-2:]), size)
    return functional.grid_sample(smooth, grid, "bilinear", pad_mode, align_corners=False).to(images.dtype)


# ---------------------------------------------------------------------- 3x3 matrices


def jacobian(matrix: Matrix, size: Size) -> tuple[tuple[float, float], tuple[float, float]]:
    """The Jacobian of a homography at the centre of the output: rows are output x and y, columns are input x and y.

    Args:
        matrix: maps (x, y, 1) of the input to the output, in pixels.
        size: (height, width) of the output.
    """
    (a, b, _), (c, d, _), (p, q, _) = matrix.tolist()
    u, v = size.width / 2, size.height / 2
    depth = center_depth(matrix, size)
    return ((a - u * p) / depth, (b - u * q) / depth), ((c - v * p) / depth, (d - v * q) / depth)


def center_depth(matrix: Matrix, size: Size) -> float:
    """The third coordinate of the matrix times (x, y, 1) for the input point that it maps to the output's centre.

    Args:
        matrix: maps (x, y, 1) of the input to the output, in pixels.
        size: (height, width) of the output.
    """
    p, q, w = matrix[2].tolist()
    inverse_x, inverse_y, inverse_z = _adjugate(matrix)
    determinant = p * inverse_x[2] + q * inverse_y[2] + w * inverse_z[2]
    return determinant / _dot(inverse_z, size.width / 2, size.height / 2)


def translation(x: float, y: float) -> Matrix:
    """The 3x3 matrix of a translation by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _adjugate(matrix: Matrix) -> tuple[Row, Row, Row]:
    """The rows of the adjugate matrix: the inverse up to a scale factor, which homogeneous coordinates ignore."""
    # In plain Python: for a 3x3 matrix numpy's calls take longer than the computation.
    (a, b, tx), (c, d, ty), (p, q, w) = matrix.tolist()
    return (
        (d * w - ty * q, tx * q - b * w, b * ty - tx * d),
        (ty * p - c * w, a * w - tx * p, tx * c - a * ty),
        (c * q - d * p, b * p - a * q, a * d - b * c),
    )


def _dot(row: Row, x: float, y: float) -> float:
    """The dot product of a matrix row with (x, y, 1)."""
    return row[0] * x + row[1] * y + row[2]


# ---------------------------------------------------------------------- crops and boxes


def _swaps_axes(matrix: Matrix) -> bool:
    """True if input x leads to output y and the reverse: a quarter turn or a transpose, with any scale along the axes.

    The perspective row is ignored.
    """
    (a, b, _), (c, d, _), _ = matrix.tolist()
    return max(abs(a), abs(d)) <= _ROUNDING * min(abs(b), abs(c))


def _crop_to_visible(image: Array, matrix: Matrix, size: Size, shrink: tuple[float, float]) -> tuple[Array, Matrix]:
    """The crop of the image that the output, its antialiasing filter and its reflected borders need."""
    w, h = size.width, size.height
    corners = (0, 0), (w, 0), (0, h), (w, h)
    xs, ys, depths = ([_dot(row, *corner) for corner in corners] for row in _adjugate(matrix))
    if min(depths) * max(depths) <= 0:  # the horizon crosses the output: the visible part of the input is unbounded
        return image, matrix
    left, right = _visible_range([x / z for x, z in zip(xs, depths, strict=True)], image.shape[1], shrink[0])
    top, bottom = _visible_range([y / z for y, z in zip(ys, depths, strict=True)], image.shape[0], shrink[1])
    return image[top:bottom, left:right], matrix @ translation(left, top)


def _visible_range(corners: list[float], length: int, shrink: float) -> tuple[int, int]:
    """(start, stop) of the visible pixels along one axis, from the input positions of the output's corners."""
    low, high = min(corners) - _filter_radius(shrink), max(corners) + _filter_radius(shrink)
    if low < 0:  # pixels below 0 are reflections of those from 0 to -low
        high = max(high, -low)
    if high > length:
        low = min(low, 2 * length - high)
    start = min(max(math.floor(low), 0), length - 1)
    return start, max(min(math.ceil(high), length), start + 1)


def _as_box(matrix: Matrix, source: Size, size: Size) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) in the input if the matrix only crops, scales and flips; None otherwise.

    None too where the box would need so much padding that a perspective resample is faster (`_MAX_PADDED_AREA`).
    """
    (a, b, tx), (c, d, ty), (p, q, scale) = matrix.tolist()
    h, w = source
    distortion = max(abs(b) * h, abs(c) * w, abs(p) * w * w, abs(q) * h * h)  # upper bound, in output pixels
    if distortion > EPSILON * abs(scale) or a == 0 or d == 0:
        return None
    left, right = sorted((-tx / a, (size.width * scale - tx) / a))
    top, bottom = sorted((-ty / d, (size.height * scale - ty) / d))
    padded_area = (max(right, w) - min(left, 0)) * (max(bottom, h) - min(top, 0))
    return (left, top, right, bottom) if padded_area <= _MAX_PADDED_AREA * w * h else None


def _resize_box(
    image: Array,
    box: tuple[float, float, float, float],
    size: Size,
    pad_mode: PadMode,
    interpolation: Interpolation,
) -> Array:
    """A box of the image, padded where it leaves the image and resized to ``size``."""
    h, w = image.shape[:2]
    outside = (-box[1], box[3] - h, -box[0], box[2] - w)  # of the image, at (top, bottom, left, right)
    top, bottom, left, right = (max(math.ceil(side - EPSILON), 0) for side in outside)
    image = _pad_image(image, (top, bottom, left, right), pad_mode)
    h, w = image.shape[:2]
    padded_box = (max(box[0] + left, 0), max(box[1] + top, 0), min(box[2] + left, w), min(box[3] + top, h))

    def resized(plane: Array) -> Array:
        pillow = PIL.Image.fromarray(np.ascontiguousarray(plane))  # older numpy copies views byte by byte
        return np.array(pillow.resize((size.width, size.height), _PIL_FILTER[interpolation], box=padded_box))

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return resized(image)
    return np.stack([resized(image[:, :, c]) for c in range(image.shape[2])], axis=2)


def _pad_image(image: Array, sides: tuple[int, int, int, int], pad_mode: PadMode) -> Array:
    """The image padded by ``sides`` pixels at (top, bottom, left, right)."""
    if not any(sides):
        return image
    out = cv2.copyMakeBorder(image, *sides, _CV2_BORDER[pad_mode])
    return out[:, :, None] if out.ndim == 2 else out


# ---------------------------------------------------------------------- antialiasing


def _shrink(matrix: Matrix, size: Size) -> tuple[float, float]:
    """(x, y): how far one output pixel reaches along each axis of the input, in input pixels, at the output's centre.

    These are the norms of the rows of the inverse Jacobian. With shear they are more than the reciprocals of
    `eyebright.image.warp.Warp.scale`, which are the norms of the Jacobian's columns.
    """
    (xx, xy), (yx, yy) = jacobian(matrix, size)
    determinant = abs(xx * yy - xy * yx)
    return math.hypot(yy, xy) / determinant, math.hypot(xx, yx) / determinant


def _size_before_blur(source: Size, shrink: tuple[float, float]) -> Size:
    """The input size, reduced to two input pixels per output pixel along each axis that has more than four."""
    width, height = (
        max(round(length * 2 / s), 1) if s > _REDUCE_ABOVE else length
        for length, s in zip((source.width, source.height), shrink, strict=True)
    )
    return Size(height, width)


def _blur_kernel(shrink: float, reduction: float) -> Kernel:
    """A symmetric 1-d blur kernel that antialiases a bilinear resample.

    Pillow's bilinear filter for a shrink factor s is a triangle of half-width s, which has the variance s^2 / 6. The
    bilinear resample itself adds 1/6 on average, and nothing where it samples at a pixel's centre. A blur of variance
    0.18 (s^2 - 1) was measured to come closest to Pillow's result, on photographs and factors from 1.1 to 9.

    A reduction by r before the blur has already added (r^2 - 1) / 3 to the variance: (r^2 - 1) / 6 by the triangle
    filter of the reduction, and as much because the bilinear resample then interpolates between pixels that are r
    apart, which adds r^2 / 6 instead of 1/6. The kernel is for the reduced pixels, hence the division by r^2.

    Args:
        shrink: s, input pixels per output pixel.
        reduction: r, the factor by which the image has already been reduced with an antialiased resize.
    """
    variance = (0.18 * (shrink**2 - 1) - (reduction**2 - 1) / 3) / reduction**2
    if shrink <= 1 or variance <= 0:
        return np.ones(1)
    if variance < 0.5:  # sampling so narrow a Gaussian changes its variance; three taps give it exactly
        return np.array([variance / 2, 1 - variance, variance / 2])
    return _gaussian(round(math.sqrt(variance), 3))


@functools.lru_cache(maxsize=256)
def _gaussian(sigma: float) -> Kernel:
    radius = math.ceil(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return kernel / kernel.sum()


def _filter_radius(shrink: float) -> int:
    """An upper bound of the radius of the antialiasing filter, in input pixels."""
    return math.ceil(2 * shrink) + 2  # of the triangle or of 3 sigma of the blur, and of the interpolation


def _antialias(image: Array, matrix: Matrix, pad_mode: PadMode, shrink: tuple[float, float]) -> tuple[Array, Matrix]:
    """The image, reduced and blurred so that sampling it at the output's pixels does not alias, and its matrix."""
    if max(shrink) <= 1:
        return image, matrix
    if pad_mode != "reflection":  # the padding is blurred too; with reflection, padding after the blur is the same
        pad_x, pad_y = (_filter_radius(s) for s in shrink)
        image, matrix = _pad_image(image, (pad_y, pad_y, pad_x, pad_x), pad_mode), matrix @ translation(-pad_x, -pad_y)
    source = Size(*image.shape[:2])
    small = _size_before_blur(source, shrink)
    factors = source.width / small.width, source.height / small.height
    if small != source:
        image = _resize_box(image, (0, 0, source.width, source.height), small, pad_mode, "bilinear")
    kernel_x, kernel_y = (_blur_kernel(s, factor) for s, factor in zip(shrink, factors, strict=True))
    out = cv2.sepFilter2D(image, -1, kernel_x, kernel_y, borderType=_CV2_BORDER[pad_mode])
    return out.reshape(image.shape), matrix @ np.diag([*factors, 1.0])


def _antialias_batch(
    images: Float[Tensor, "b c h w"], matrices: Sequence[Matrix], size: Size, pad_mode: PadMode
) -> tuple[Float[Tensor, "b c h3 w3"], list[Matrix]]:
    """`_antialias` for a batch: one reduction, limited by the least shrunk image, then a blur for each image."""
    shrinks = [_shrink(matrix, size) for matrix in matrices]
    pad_x = pad_y = 0
    if pad_mode != "reflection":
        pad_x, pad_y = (_filter_radius(max(along_axis)) for along_axis in zip(*shrinks, strict=True))
        images = _pad_dim(_pad_dim(images, pad_x, 3, pad_mode), pad_y, 2, pad_mode)
    source = Size(*images.shape[-2:])
    min_x, min_y = (min(along_axis) for along_axis in zip(*shrinks, strict=True))
    small = _size_before_blur(source, (min_x, min_y))
    factors = source.width / small.width, source.height / small.height
    if small != source:
        images = functional.interpolate(images, list(small), mode="bilinear", antialias=True)
    for x_or_y, dim in ((0, 3), (1, 2)):
        kernels = [_blur_kernel(shrink[x_or_y], factors[x_or_y]) for shrink in shrinks]
        images = _convolve(images, kernels, dim=dim, pad_mode=pad_mode)
    change = translation(-pad_x, -pad_y) @ np.diag([*factors, 1.0])
    return images, [matrix @ change for matrix in matrices]


def _convolve(
    images: Float[Tensor, "b c h w"], kernels: Sequence[Kernel], *, dim: int, pad_mode: PadMode
) -> Float[Tensor, "b c h w"]:
    """The images, each convolved with its own kernel along dimension ``dim``: 2 (rows) or 3 (columns)."""
    radius = max(len(kernel) for kernel in kernels) // 2
    if radius == 0:
        return images
    weights = torch.tensor(np.stack([np.pad(kernel, radius - len(kernel) // 2) for kernel in kernels])).to(images)
    first, *others = weights[:, :, None, None, None].unbind(1)
    padded, length = _pad_dim(images, radius, dim, pad_mode), images.shape[dim]
    out = padded.narrow(dim, 0, length) * first
    for k, weight in enumerate(others, start=1):
        out.addcmul_(padded.narrow(dim, k, length), weight)
    return out


def _pad_dim(images: Float[Tensor, "b c h w"], by: int, dim: int, pad_mode: PadMode) -> Float[Tensor, "b c h3 w3"]:
    """The images padded by ``by`` pixels at both ends of dimension ``dim``: 2 (rows) or 3 (columns)."""
    if pad_mode == "zeros":
        return functional.pad(images, (by, by) if dim == 3 else (0, 0, by, by))
    mode = "edge" if pad_mode == "border" else "symmetric"
    indices = torch.from_numpy(np.pad(np.arange(images.shape[dim]), by, mode=mode))
    return images.index_select(dim, indices.to(images.device))


def _sampling_grid(inverse: Float[Tensor, "b 3 3"], source: Size, size: Size) -> Float[Tensor, "b h w 2"]:
    """The input position (x, y) of each output pixel's centre, in grid_sample's [-1, 1] (image corners at -1 and 1)."""
    y = torch.arange(size.height, device=inverse.device, dtype=inverse.dtype) + 0.5
    x = torch.arange(size.width, device=inverse.device, dtype=inverse.dtype) + 0.5
    ones = torch.ones(size.height, size.width, device=inverse.device, dtype=inverse.dtype)
    out = torch.stack([x.expand(size.height, -1), y[:, None].expand(-1, size.width), ones], dim=-1)
    positions = torch.einsum("hwi,bji->bhwj", out, inverse)
    span = torch.tensor([2 / source.width, 2 / source.height], device=inverse.device, dtype=inverse.dtype)
    return positions[..., :2] / positions[..., 2:] * span - 1
