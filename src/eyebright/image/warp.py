"""`Warp`: a geometric transform of an image (a homography between two image sizes), for pixels and points alike.

Resizing, cropping, padding, flipping, rotating, zooming and perspective are all a 3x3 matrix between two sizes.
Warps are composed by multiplying their matrices. A chain of transforms therefore resamples the pixels only once, and
points and pixels always get the same transform. The coordinate convention is that of `eyebright.types`: (0, 0) is the
top-left corner of the image and (0.5, 0.5) is the centre of its first pixel.

`eyebright.image.resample` does the resampling.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.image.resample import (
    EPSILON,
    Interpolation,
    Matrix,
    PadMode,
    center_depth,
    jacobian,
    resample,
    resample_batch,
    translation,
)
from eyebright.types import Points, Size

_DTYPES = ("uint8", "float32")
_IDENTITY = np.eye(3)
_IDENTITY.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Warp:
    """A geometric transform from images of size ``input_size`` to images of size ``output_size``.

    Args:
        matrix: shape (3, 3), float64; maps homogeneous pixel coordinates (x, y, 1) of the input to the output.
        input_size: (height, width) of the input images, in pixels.
        output_size: (height, width) of the output images, in pixels.

    >>> from eyebright.types import Points, Size
    >>> warp = Warp.flip(Size(300, 400)).then(Warp.resize(Size(300, 400), Size(150, 200)))
    >>> warp.points(Points.of([[100, 50]])).xy
    tensor([[150.,  25.]], dtype=torch.float64)
    >>> warp.pixels(np.zeros((300, 400, 3), np.uint8)).shape
    (150, 200, 3)
    """

    matrix: Matrix
    input_size: Size
    output_size: Size

    # ------------------------------------------------------------------ constructors

    @staticmethod
    def identity(size: Size) -> "Warp":
        """The identity warp."""
        return Warp(_IDENTITY, size, size)

    @staticmethod
    def resize(input_size: Size, output_size: Size) -> "Warp":
        """A resize of the whole image to ``output_size``; the aspect ratio may change."""
        x, y = output_size.width / input_size.width, output_size.height / input_size.height
        return Warp(np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]]), input_size, output_size)

    @staticmethod
    def crop(input_size: Size, output_size: Size, *, left: float, top: float) -> "Warp":
        """A crop with its top-left corner at (left, top), in pixels; padded where it leaves the image."""
        return Warp(translation(-left, -top), input_size, output_size)

    @staticmethod
    def flip(input_size: Size) -> "Warp":
        """A horizontal flip."""
        return Warp.dihedral(input_size, 1)

    @staticmethod
    def dihedral(input_size: Size, k: int) -> "Warp":
        """One of the 8 flips and quarter turns (the dihedral group D4), numbered as in fastai.

        Relative to the centre of the image, (x, y) goes to: 0 (x, y), 1 (-x, y), 2 (x, -y), 3 (y, -x), 4 (-x, -y),
        5 (-y, x), 6 (y, x), 7 (-y, -x). The numbers 3, 5, 6 and 7 exchange height and width.

        Args:
            input_size: (height, width) of the image, in pixels.
            k: 0 to 7.

        Raises:
            InputError: ``k`` is not in 0 to 7.
        """
        if not 0 <= k <= 7:
            raise InputError(f"a dihedral transform is numbered 0 to 7, got {k}")
        output_size = Size(input_size.width, input_size.height) if k in (3, 5, 6, 7) else input_size
        return Warp(_about_center(_DIHEDRAL[k], input_size, output_size), input_size, output_size)

    @staticmethod
    def rotate(input_size: Size, degrees: float) -> "Warp":
        """A rotation about the centre, clockwise on the screen; the size does not change."""
        angle = math.radians(degrees)
        c, s = math.cos(angle), math.sin(angle)
        return Warp(_about_center(((c, -s), (s, c)), input_size, input_size), input_size, input_size)

    @staticmethod
    def zoom(input_size: Size, factor: float, *, x: float = 0.5, y: float = 0.5) -> "Warp":
        """A zoom about a fixed point; the size does not change.

        Args:
            input_size: (height, width) of the image, in pixels.
            factor: greater than 1 enlarges, less than 1 shrinks.
            x: the fixed point, as a fraction of the width.
            y: the fixed point, as a fraction of the height.

        Raises:
            InputError: the factor is not greater than 0.
        """
        if not factor > 0:
            raise InputError(f"a zoom factor must be greater than 0, got {factor}")
        left, top = (1 - factor) * x * input_size.width, (1 - factor) * y * input_size.height
        return Warp(np.array([[factor, 0.0, left], [0.0, factor, top], [0.0, 0.0, 1.0]]), input_size, input_size)

    @staticmethod
    def perspective(input_size: Size, corners: Sequence[tuple[float, float]]) -> "Warp":
        """A perspective transform that moves the four corners of the image to ``corners``; the size does not change.

        Args:
            input_size: (height, width) of the image, in pixels.
            corners: new positions (x, y) of the top-left, top-right, bottom-right and bottom-left corners, in pixels.

        Raises:
            InputError: the corners form no convex quadrilateral, and a perspective transform maps a rectangle to one.
        """
        new = np.asarray(corners, dtype=np.float64)
        if new.shape != (4, 2) or not _is_convex(new):
            raise InputError(f"a perspective needs the four corners of a convex quadrilateral, got {new.tolist()}")
        return Warp(_corner_homography(input_size, new.tolist()), input_size, input_size)

    # ------------------------------------------------------------------ composition

    def then(self, after: "Warp") -> "Warp":
        """This warp followed by ``after``, composed to one warp.

        Raises:
            InputError: the output size of this warp is not the input size of ``after``.
        """
        if self.output_size != after.input_size:
            raise InputError(f"a warp for {after.input_size} images cannot follow one that gives {self.output_size}")
        # Most random transforms often give the identity; multiplying by it would take a tenth of the sampling time.
        matrix = self.matrix if after.matrix is _IDENTITY else after.matrix @ self.matrix
        return Warp(matrix, self.input_size, after.output_size)

    def inverse(self) -> "Warp":
        """The inverse warp: from output pixels back to input pixels."""
        return Warp(np.linalg.inv(self.matrix).astype(np.float64), self.output_size, self.input_size)

    @property
    def is_mirrored(self) -> bool:
        """True when the warp contains a mirror image (negative determinant): left/right point names must be swapped."""
        (xx, xy), (yx, yy) = jacobian(self.matrix, self.output_size)
        return xx * yy < xy * yx

    def scale(self) -> tuple[float, float]:
        """(x, y): the length in the output of an input pixel's edge along each axis of the input, in output pixels.

        It is measured at the centre of the output: the norms of the columns of the Jacobian.
        """
        (xx, xy), (yx, yy) = jacobian(self.matrix, self.output_size)
        return math.hypot(xx, yx), math.hypot(xy, yy)

    # ------------------------------------------------------------------ application

    def points(self, points: Points) -> Points:
        """The warped points, float64, in pixels of the output; those that end outside are marked as unknown."""
        matrix = torch.tensor(self.matrix)
        xy = points.xy.to(torch.float64)
        ones = torch.ones(len(xy), 1, dtype=torch.float64)
        moved = torch.cat([xy, ones], dim=1) @ matrix.T
        depth, moved = moved[:, 2], moved[:, :2] / moved[:, 2:]
        in_front = depth * center_depth(self.matrix, self.output_size) > 0  # others are behind the camera
        edge = torch.tensor([self.output_size.width, self.output_size.height], dtype=torch.float64)
        inside = ((moved >= -EPSILON) & (moved <= edge + EPSILON)).all(dim=1)
        return Points(moved, points.known & inside & in_front)

    def pixels(
        self,
        image: Shaped[np.ndarray, "h w c"],
        *,
        pad_mode: PadMode = "reflection",
        interpolation: Interpolation = "bilinear",
    ) -> Shaped[np.ndarray, "h2 w2 c"]:
        """The warped image, resampled once; shrinking is antialiased.

        Args:
            image: shape (height, width, channels) with the size ``input_size``; uint8 or float32.
            pad_mode: how to fill pixels outside of the image: ``"zeros"``, ``"border"`` (repeat the edge) or
                ``"reflection"``.
            interpolation: ``"bilinear"`` or ``"bicubic"``.

        Raises:
            InputError: the image has another size, number of axes or dtype.
        """
        size = self.input_size
        if image.ndim != 3 or image.shape[:2] != size:
            raise InputError(
                f"the warp is for an image of {size} (height x width), but the array has the shape {image.shape}"
            )
        if image.dtype.name not in _DTYPES:
            raise InputError(f"a warp takes images of dtype uint8 or float32, got {image.dtype}")
        return resample(image, self.matrix, self.output_size, pad_mode=pad_mode, interpolation=interpolation)


def warp_batch(
    images: Float[Tensor, "b c h w"], warps: Sequence[Warp], *, pad_mode: PadMode = "reflection"
) -> Float[Tensor, "b c h2 w2"]:
    """A batch of images, each warped by its own warp, in one bilinear resample on their device.

    Positions and antialiasing agree with `Warp.pixels`.

    Args:
        images: float, shape (batch, channels, height, width), with the input size of the warps.
        warps: one per image, all with the same input size and the same output size.
        pad_mode: how to fill pixels outside of an image, see `Warp.pixels`.

    Raises:
        InputError: the number of warps differs from the number of images, or sizes differ.
    """
    if not len(images) or len(warps) != len(images) or len({(warp.input_size, warp.output_size) for warp in warps}) > 1:
        raise InputError("a batch needs one warp per image, all with the same input size and output size")
    if images.shape[-2:] != warps[0].input_size:
        raise InputError(f"warps for {warps[0].input_size} images got images of size {tuple(images.shape[-2:])}")
    return resample_batch(images, [warp.matrix for warp in warps], warps[0].output_size, pad_mode=pad_mode)


# The linear part of each of the 8 transforms of `Warp.dihedral`, as two rows; the index is ``k``.
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


def _about_center(
    linear: tuple[tuple[float, float], tuple[float, float]], input_size: Size, output_size: Size
) -> Matrix:
    (a, b), (c, d) = linear
    x, y = input_size.width / 2, input_size.height / 2
    left, top = output_size.width / 2 - a * x - b * y, output_size.height / 2 - c * x - d * y
    return np.array([[a, b, left], [c, d, top], [0.0, 0.0, 1.0]])


def _is_convex(corners: Float[np.ndarray, "4 2"]) -> bool:
    """True when the path around the corners always turns in the same direction."""
    a, b, c, d = corners.tolist()
    turns = [_turn(*triple) for triple in ((a, b, c), (b, c, d), (c, d, a), (d, a, b))]
    return min(turns) > 0 or max(turns) < 0


def _turn(a: list[float], b: list[float], c: list[float]) -> float:
    """Cross product of the edges a-b and b-c: its sign is the direction of the turn at b."""
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


def _corner_homography(input_size: Size, corners: list[list[float]]) -> Matrix:
    """The homography that maps the corners of an image to ``corners``.

    Heckbert, Fundamentals of Texture Mapping and Image Warping, 1989, section 2.2.3.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    sum_x, sum_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    determinant = (x1 - x2) * (y3 - y2) - (x3 - x2) * (y1 - y2)
    g = (sum_x * (y3 - y2) - (x3 - x2) * sum_y) / determinant
    h = ((x1 - x2) * sum_y - sum_x * (y1 - y2)) / determinant
    from_unit_square = [[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1.0]]
    return np.array(from_unit_square) / np.array([input_size.width, input_size.height, 1.0])
