"""Every geometric change is one `Warp`: it moves points by a product and pixels by one resample.

Resizing, cropping, padding, flipping, rotating, zooming and perspective are all a 3x3 matrix between two sizes.
Warps compose by a product, so a chain of them still resamples the pixels once, and points and pixels cannot
drift apart. The coordinate convention is that of `eyebright.types`: (0, 0) is the top-left corner.

How pixels are resampled through such a matrix is `eyebright.image.resample`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.image.resample import Interpolation, Matrix, PadMode, resample, resample_batch, shift, slopes
from eyebright.types import Points, Size

_EPSILON = 1e-6  # pixels; far below what 8 bits can show
_DTYPES = ("uint8", "float32")
_NOTHING = np.eye(3)
_NOTHING.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Warp:
    """A geometric change from images of size ``source`` to images of size ``size``.

    Args:
        matrix: shape (3, 3), float64; takes (x, y, 1) of the source to the output, up to scale.
        source: size of the images that it applies to.
        size: size of the images that come out.
    """

    matrix: Matrix
    source: Size
    size: Size

    # ------------------------------------------------------------------ the changes that have a name

    @staticmethod
    def identity(size: Size) -> "Warp":
        """The warp that changes nothing."""
        return Warp(_NOTHING, size, size)

    @staticmethod
    def resize(source: Size, size: Size) -> "Warp":
        """The whole image, stretched to ``size``."""
        x, y = size.width / source.width, size.height / source.height
        return Warp(np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]]), source, size)

    @staticmethod
    def crop(source: Size, size: Size, *, left: float, top: float) -> "Warp":
        """The box of ``size`` whose corner lies at (left, top); outside the image it pads."""
        return Warp(shift(-left, -top), source, size)

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
        """Enlarged by ``factor`` about the point at the fraction (x, y) of the image, which stays in place.

        Raises:
            InputError: the factor is not greater than 0.
        """
        if not factor > 0:
            raise InputError(f"a zoom's factor is greater than 0, got {factor}")
        left, top = (1 - factor) * x * source.width, (1 - factor) * y * source.height
        return Warp(np.array([[factor, 0.0, left], [0.0, factor, top], [0.0, 0.0, 1.0]]), source, source)

    @staticmethod
    def perspective(source: Size, corners: Sequence[tuple[float, float]]) -> "Warp":
        """The image whose four corners move to ``corners``.

        Args:
            source: size of the image; the size stays.
            corners: where the top-left, top-right, bottom-right and bottom-left corners go, in pixels.

        Raises:
            InputError: the corners are not those of a convex shape: no image looks like that from anywhere.
        """
        after = np.asarray(corners, dtype=np.float64)
        if after.shape != (4, 2) or not _convex(after):
            raise InputError(f"a perspective needs the four corners of a convex shape, got {after.tolist()}")
        return Warp(_to_corners(source, after.tolist()), source, source)

    # ------------------------------------------------------------------ algebra

    def then(self, after: "Warp") -> "Warp":
        """This warp followed by ``after``, as one warp.

        Raises:
            InputError: ``after`` is for images of another size than this one gives.
        """
        if self.size != after.source:
            raise InputError(f"a warp for {after.source} images cannot follow one that gives {self.size}")
        # Many of the changes that could be drawn are not: a product for each of them would be a tenth of all drawing.
        matrix = self.matrix if after.matrix is _NOTHING else after.matrix @ self.matrix
        return Warp(matrix, self.source, after.size)

    def inverse(self) -> "Warp":
        """The way back: from the output's pixels to the source's."""
        return Warp(np.linalg.inv(self.matrix).astype(np.float64), self.size, self.source)

    @property
    def mirrored(self) -> bool:
        """True when the warp exchanges left and right (or top and bottom): names of sides must swap."""
        (xx, xy), (yx, yy) = slopes(self.matrix, self.size)
        return xx * yy < xy * yx

    def scale(self) -> tuple[float, float]:
        """Output pixels for each source pixel along x and y, where the output's centre comes from."""
        (xx, xy), (yx, yy) = slopes(self.matrix, self.size)
        return math.hypot(xx, yx), math.hypot(xy, yy)

    # ------------------------------------------------------------------ what it does

    def points(self, points: Points) -> Points:
        """The points where the warp puts them; those that leave the image are no longer visible."""
        matrix = torch.tensor(self.matrix)
        xy = points.xy.to(torch.float64)
        ones = torch.ones(len(xy), 1, dtype=torch.float64)
        moved = torch.cat([xy, ones], dim=1) @ matrix.T
        depth, moved = moved[:, 2], moved[:, :2] / moved[:, 2:]
        in_front = depth * self._depth() > 0
        edge = torch.tensor([self.size.width, self.size.height], dtype=torch.float64)
        inside = ((moved >= -_EPSILON) & (moved <= edge + _EPSILON)).all(dim=1)
        return Points(moved, points.visible & inside & in_front)

    def pixels(
        self,
        image: Shaped[np.ndarray, "h w c"],
        *,
        pad: PadMode = "reflection",
        interpolation: Interpolation = "bilinear",
    ) -> Shaped[np.ndarray, "h2 w2 c"]:
        """The image seen through the warp, resampled once; shrinking is antialiased.

        Args:
            image: uint8 or float32, of the size ``source``.
            pad: what lies outside the image: zeros, its border, or its reflection.
            interpolation: bilinear or bicubic.

        Raises:
            InputError: the image is of another size, shape or type.
        """
        if image.ndim != 3 or image.shape[:2] != self.source:
            raise InputError(f"a warp for {self.source} images got an array of shape {image.shape}")
        if image.dtype.name not in _DTYPES:
            raise InputError(f"a warp moves pixels of type uint8 or float32, got {image.dtype}")
        return resample(image, self.matrix, self.size, pad=pad, interpolation=interpolation)

    def _depth(self) -> float:
        """The third coordinate at the output's centre: what has the other sign lies behind the eye."""
        return 1 / float(np.linalg.solve(self.matrix, [self.size.width / 2, self.size.height / 2, 1.0])[2])


def warp_batch(
    images: Float[Tensor, "b c h w"], warps: Sequence[Warp], *, pad: PadMode = "reflection"
) -> Float[Tensor, "b c h2 w2"]:
    """Many images of one size, each through its own warp, in one bilinear resample on their device.

    The same law as `Warp.pixels` holds: points and pixels move together, shrinking is antialiased.

    Args:
        images: images of the warps' common source size.
        warps: one for each image, all with the same source and the same output size.
        pad: what lies outside an image.

    Raises:
        InputError: there is not one warp for each image, or they are of different sizes.
    """
    if not len(images) or len(warps) != len(images) or len({(warp.source, warp.size) for warp in warps}) > 1:
        raise InputError("a batch needs one warp for each image, all between the same two sizes")
    if images.shape[-2:] != warps[0].source:
        raise InputError(f"warps for {warps[0].source} images got some of {tuple(images.shape[-2:])}")
    return resample_batch(images, [warp.matrix for warp in warps], warps[0].size, pad=pad)


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


def _about_centre(linear: tuple[tuple[float, float], tuple[float, float]], source: Size, size: Size) -> Matrix:
    (a, b), (c, d) = linear
    x, y = source.width / 2, source.height / 2
    left, top = size.width / 2 - a * x - b * y, size.height / 2 - c * x - d * y
    return np.array([[a, b, left], [c, d, top], [0.0, 0.0, 1.0]])


def _convex(corners: Float[np.ndarray, "4 2"]) -> bool:
    """True when the path through the corners always turns the same way."""
    a, b, c, d = corners.tolist()
    turns = [_turn(*three) for three in ((a, b, c), (b, c, d), (c, d, a), (d, a, b))]
    return min(turns) > 0 or max(turns) < 0


def _turn(a: list[float], b: list[float], c: list[float]) -> float:
    """Positive where the path from a over b to c turns to one side, negative to the other."""
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


def _to_corners(source: Size, corners: list[list[float]]) -> Matrix:
    """The homography that takes an image's corners there (Heckbert, 1989, Fundamentals of Texture Mapping, 2.2.3)."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    sum_x, sum_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    determinant = (x1 - x2) * (y3 - y2) - (x3 - x2) * (y1 - y2)
    g = (sum_x * (y3 - y2) - (x3 - x2) * sum_y) / determinant
    h = ((x1 - x2) * sum_y - sum_x * (y1 - y2)) / determinant
    of_unit_square = [[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1.0]]
    return np.array(of_unit_square) / np.array([source.width, source.height, 1.0])
