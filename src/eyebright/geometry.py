"""Every geometric change is one `Warp`: it moves points by a product and pixels by one resample.

Resizing, cropping, padding, flipping, rotating, zooming and perspective are all a 3x3 matrix between two sizes.
Warps compose by a product, so a chain of them still resamples the pixels once, and points and pixels cannot
drift apart. The coordinate convention is that of `eyebright.types`: (0, 0) is the top-left corner.

Shrinking is antialiased. Axis-aligned warps inside the picture use Pillow's exact filters (the ones that pretrained
models were measured with); every other warp is a Gaussian prefilter of the same variance and one perspective resample.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped
from PIL import Image
from torch import Tensor
from torch.nn import functional

from eyebright.errors import InputError
from eyebright.types import Points, Size

PadMode = Literal["zeros", "border", "reflection"]
Interpolation = Literal["bilinear", "bicubic"]

_CV2_BORDER = {
    "zeros": cv2.BORDER_CONSTANT,
    "border": cv2.BORDER_REPLICATE,
    "reflection": cv2.BORDER_REFLECT,
}
_CV2_FILTER = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_PIL_FILTER = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_EPSILON = 1e-6  # pixels; far below what 8 bits can show


@dataclass(frozen=True, eq=False)
class Warp:
    """A geometric change from pictures of size ``source`` to pictures of size ``size``.

    Args:
        matrix: shape (3, 3), float64; takes (x, y, 1) of the source to the output, up to scale.
        source: size of the pictures that it applies to.
        size: size of the pictures that come out.
    """

    matrix: np.ndarray[Any, np.dtype[np.float64]]
    source: Size
    size: Size

    # ------------------------------------------------------------------ the changes that have a name

    @staticmethod
    def identity(size: Size) -> "Warp":
        """The warp that changes nothing."""
        return Warp(np.eye(3), size, size)

    @staticmethod
    def resize(source: Size, size: Size) -> "Warp":
        """The whole picture, stretched to ``size``."""
        return Warp(np.diag([size.width / source.width, size.height / source.height, 1.0]), source, size)

    @staticmethod
    def crop(source: Size, size: Size, *, left: float, top: float) -> "Warp":
        """The box of ``size`` whose corner lies at (left, top); outside the picture it pads."""
        return Warp(_shift(-left, -top), source, size)

    @staticmethod
    def flip(source: Size) -> "Warp":
        """Left and right exchanged."""
        return Warp.dihedral(source, 1)

    @staticmethod
    def dihedral(source: Size, k: int) -> "Warp":
        """One of the 8 symmetries of the square, numbered as in the book; 3, 5, 6, 7 exchange height and width.

        In coordinates about the centre: 0 (x, y), 1 (-x, y), 2 (x, -y), 3 (y, -x), 4 (-x, -y), 5 (-y, x),
        6 (y, x), 7 (-y, -x).
        """
        if not 0 <= k <= 7:
            raise InputError(f"a dihedral symmetry is numbered 0 to 7, got {k}")
        turned = k in (3, 5, 6, 7)
        size = Size(source.width, source.height) if turned else source
        linear = _DIHEDRAL[k]
        return Warp(_about_centre(linear, source, size), source, size)

    @staticmethod
    def rotate(source: Size, degrees: float) -> "Warp":
        """A turn about the centre, clockwise on the screen; the size stays."""
        angle = math.radians(degrees)
        c, s = math.cos(angle), math.sin(angle)
        return Warp(_about_centre(((c, -s), (s, c)), source, source), source, source)

    @staticmethod
    def zoom(source: Size, factor: float, *, x: float = 0.5, y: float = 0.5) -> "Warp":
        """Enlarged by ``factor`` about the point at the fraction (x, y) of the picture, which stays in place."""
        keep = (1 - factor) * np.array([x * source.width, y * source.height])
        return Warp(_shift(*keep) @ np.diag([factor, factor, 1.0]), source, source)

    @staticmethod
    def perspective(source: Size, corners: Sequence[tuple[float, float]]) -> "Warp":
        """The picture whose four corners move to ``corners``.

        Args:
            source: size of the picture; the size stays.
            corners: where the top-left, top-right, bottom-right and bottom-left corners go, in pixels.
        """
        w, h = source.width, source.height
        before = np.array([(0, 0), (w, 0), (w, h), (0, h)], dtype=np.float64)
        return Warp(_four_points(before, np.asarray(corners, dtype=np.float64)), source, source)

    # ------------------------------------------------------------------ algebra

    def then(self, after: "Warp") -> "Warp":
        """This warp followed by ``after``, as one warp.

        Raises:
            InputError: ``after`` is for pictures of another size than this one gives.
        """
        if self.size != after.source:
            raise InputError(f"a warp for {after.source} pictures cannot follow one that gives {self.size}")
        return Warp(after.matrix @ self.matrix, self.source, after.size)

    def inverse(self) -> "Warp":
        """The way back: from the output's pixels to the source's."""
        return Warp(np.linalg.inv(self.matrix).astype(np.float64), self.size, self.source)

    @property
    def mirrored(self) -> bool:
        """True when the warp exchanges left and right (or top and bottom): names of sides must swap."""
        return bool(np.linalg.det(self.matrix) * self.matrix[2, 2] < 0)

    def scale(self) -> tuple[float, float]:
        """Output pixels for each source pixel along x and along y, where the output's centre comes from."""
        jacobian = self._jacobian()
        return float(np.hypot(*jacobian[:, 0])), float(np.hypot(*jacobian[:, 1]))

    # ------------------------------------------------------------------ what it does

    def points(self, points: Points) -> Points:
        """The points where the warp puts them; those that leave the picture are no longer visible."""
        matrix = torch.from_numpy(self.matrix)
        xy = points.xy.to(torch.float64)
        ones = torch.ones(len(xy), 1, dtype=torch.float64)
        moved = torch.cat([xy, ones], dim=1) @ matrix.T
        moved = moved[:, :2] / moved[:, 2:]
        edge = torch.tensor([self.size.width, self.size.height], dtype=torch.float64)
        inside = ((moved >= -_EPSILON) & (moved <= edge + _EPSILON)).all(dim=1)
        return Points(moved, points.visible & inside)

    def pixels(
        self,
        image: Shaped[np.ndarray, "h w c"],
        *,
        pad: PadMode = "reflection",
        interpolation: Interpolation = "bilinear",
    ) -> Shaped[np.ndarray, "h2 w2 c"]:
        """The picture seen through the warp, resampled once; shrinking is antialiased.

        Args:
            image: uint8 (or float32) of the size ``source``.
            pad: what lies outside the picture: zeros, its border, or its reflection.
            interpolation: bilinear or bicubic.

        Raises:
            InputError: the picture is not of the size ``source``.
        """
        if image.shape[:2] != (self.source.height, self.source.width):
            raise InputError(f"a warp for {self.source} pictures got one of {image.shape[:2]}")
        box = self._box_inside()
        if box is not None and image.dtype == np.uint8 and image.shape[2] in (1, 3, 4):
            return self._resize_box(image, box, interpolation)
        matrix = _shift(-0.5, -0.5) @ self.matrix @ _shift(0.5, 0.5)
        out = cv2.warpPerspective(
            _prefilter(image, *self.scale()),
            matrix,
            (self.size.width, self.size.height),
            flags=_CV2_FILTER[interpolation],
            borderMode=_CV2_BORDER[pad],
        )
        return out.reshape(self.size.height, self.size.width, image.shape[2])

    # ------------------------------------------------------------------ how

    def _jacobian(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """d(output)/d(source), 2x2, at the source of the output's centre."""
        centre = np.array([self.size.width / 2, self.size.height / 2, 1.0])
        x, y, one = np.linalg.solve(self.matrix, centre)
        source = np.array([x / one, y / one, 1.0])
        u, v, w = self.matrix @ source
        m = self.matrix
        return np.array([m[0, :2] / w - u * m[2, :2] / w**2, m[1, :2] / w - v * m[2, :2] / w**2])

    def _box_inside(self) -> tuple[float, float, float, float] | None:
        """(left, top, right, bottom) in the source when the output is just that box, resized (and flipped)."""
        (a, b, tx), (c, d, ty), (p, q, one) = self.matrix.tolist()
        if abs(b) + abs(c) + abs(p) + abs(q) > 1e-12 or one == 0 or a == 0 or d == 0:
            return None
        xs = sorted((-tx / a, (self.size.width * one - tx) / a))
        ys = sorted((-ty / d, (self.size.height * one - ty) / d))
        left, top, right, bottom = xs[0], ys[0], xs[1], ys[1]
        outside = max(-left, -top, right - self.source.width, bottom - self.source.height)
        if outside > _EPSILON:
            return None
        w, h = self.source.width, self.source.height
        return max(left, 0.0), max(top, 0.0), min(right, w), min(bottom, h)

    def _resize_box(
        self,
        image: np.ndarray[Any, Any],
        box: tuple[float, float, float, float],
        interpolation: Interpolation,
    ) -> np.ndarray[Any, Any]:
        grey = image.shape[2] == 1
        picture = Image.fromarray(image[:, :, 0] if grey else image)
        size = (self.size.width, self.size.height)
        out = np.asarray(picture.resize(size, _PIL_FILTER[interpolation], box=box))
        out = out[:, :, None] if grey else out
        step_x = -1 if self.matrix[0, 0] < 0 else 1
        step_y = -1 if self.matrix[1, 1] < 0 else 1
        return np.ascontiguousarray(out[::step_y, ::step_x])


def warp_batch(
    images: Float[Tensor, "b c h w"], warps: Sequence[Warp], *, pad: PadMode = "reflection"
) -> Float[Tensor, "b c h2 w2"]:
    """Many pictures of one size, each through its own warp, in one bilinear resample on their device.

    The same law as `Warp.pixels` holds: points and pixels move together, shrinking is antialiased.

    Args:
        images: pictures of the warps' common source size.
        warps: one for each picture, all with the same source and the same output size.
        pad: what lies outside a picture.
    """
    source, size = warps[0].source, warps[0].size
    if any(w.source != source or w.size != size for w in warps) or len(warps) != len(images):
        raise InputError("a batch needs one warp for each picture, all between the same two sizes")
    if images.shape[-2:] != (source.height, source.width):
        raise InputError(f"warps for {source} pictures got some of {tuple(images.shape[-2:])}")
    back = np.stack([np.linalg.inv(w.matrix) for w in warps])
    grid = _sampling_grid(torch.as_tensor(back, dtype=torch.float32).to(images.device), source, size)
    scales = torch.tensor([w.scale() for w in warps])
    smooth = _prefilter_batch(images, scales)
    return functional.grid_sample(smooth, grid, "bilinear", pad, align_corners=False)


def _sampling_grid(back: Float[Tensor, "b 3 3"], source: Size, size: Size) -> Float[Tensor, "b h w 2"]:
    """Where each output pixel's centre comes from, in grid_sample's [-1, 1] (corners at -1 and 1)."""
    y = torch.arange(size.height, device=back.device, dtype=back.dtype) + 0.5
    x = torch.arange(size.width, device=back.device, dtype=back.dtype) + 0.5
    ones = torch.ones(size.height, size.width, device=back.device, dtype=back.dtype)
    out = torch.stack([x.expand(size.height, -1), y[:, None].expand(-1, size.width), ones], dim=-1)
    at = torch.einsum("hwi,bji->bhwj", out, back)
    span = torch.tensor([2 / source.width, 2 / source.height], device=back.device, dtype=back.dtype)
    return at[..., :2] / at[..., 2:] * span - 1


# The antialias filter. Pillow's bilinear filter at a shrink factor s is a triangle of half-width s, whose variance is
# s^2/6; the bilinear resample itself brings 1/6. A Gaussian with the remaining (s^2 - 1)/6 gives the same blur.


def _sigma(scale: float) -> float:
    shrink = 1 / scale
    return math.sqrt((shrink * shrink - 1) / 6) if shrink > 1.02 else 0.0


def _prefilter(image: np.ndarray[Any, Any], scale_x: float, scale_y: float) -> np.ndarray[Any, Any]:
    x, y = _sigma(scale_x), _sigma(scale_y)
    if x == 0 and y == 0:
        return image
    kernel_x, kernel_y = _gaussian(x), _gaussian(y)
    return cv2.sepFilter2D(image, -1, kernel_x, kernel_y, borderType=cv2.BORDER_REFLECT)


@functools.lru_cache(maxsize=256)
def _gaussian(sigma: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    radius = max(math.ceil(3 * sigma), 1) if sigma > 0 else 0
    at = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (at / max(sigma, 1e-9)) ** 2)
    return kernel / kernel.sum()


def _prefilter_batch(images: Float[Tensor, "b c h w"], scales: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    sigmas = [[_sigma(float(s)) for s in row] for row in scales.tolist()]
    largest = max(max(row) for row in sigmas)
    if largest == 0:
        return images
    b, c, h, w = images.shape
    radius = min(math.ceil(3 * largest), h - 1, w - 1)
    flat = images.reshape(1, b * c, h, w)
    for axis in (0, 1):
        weights = torch.stack([_centred(_gaussian(row[axis]), radius) for row in sigmas])
        weights = weights.to(images).repeat_interleave(c, dim=0)
        shape = (b * c, 1, 1, 2 * radius + 1) if axis == 0 else (b * c, 1, 2 * radius + 1, 1)
        sides = (radius, radius, 0, 0) if axis == 0 else (0, 0, radius, radius)
        padded = functional.pad(flat, sides, mode="replicate")
        flat = functional.conv2d(padded, weights.reshape(shape), groups=b * c)
    return flat.reshape(b, c, h, w)


def _centred(kernel: np.ndarray[Any, Any], radius: int) -> Tensor:
    """The kernel in the middle of 2 * radius + 1 taps (its far tails cut where it does not fit)."""
    half = len(kernel) // 2
    keep = kernel[max(half - radius, 0) : half + radius + 1]
    out = torch.zeros(2 * radius + 1, dtype=torch.float64)
    start = radius - len(keep) // 2
    out[start : start + len(keep)] = torch.as_tensor(keep / keep.sum())
    return out


_DIHEDRAL = (
    ((1, 0), (0, 1)),
    ((-1, 0), (0, 1)),
    ((1, 0), (0, -1)),
    ((0, 1), (-1, 0)),
    ((-1, 0), (0, -1)),
    ((0, -1), (1, 0)),
    ((0, 1), (1, 0)),
    ((0, -1), (-1, 0)),
)


def _shift(x: float, y: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _about_centre(
    linear: tuple[tuple[float, float], tuple[float, float]], source: Size, size: Size
) -> np.ndarray[Any, np.dtype[np.float64]]:
    (a, b), (c, d) = linear
    middle = np.array([[a, b, 0.0], [c, d, 0.0], [0.0, 0.0, 1.0]])
    to = _shift(size.width / 2, size.height / 2)
    return to @ middle @ _shift(-source.width / 2, -source.height / 2)


def _four_points(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The homography through four pairs of points: 8 linear equations (Hartley & Zisserman, 2003, section 4.1)."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(before.tolist(), after.tolist(), strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solution = np.linalg.solve(np.array(rows), after.reshape(-1))
    return np.append(solution, 1.0).reshape(3, 3)
