"""Geometric transforms: resize, random crop, flip, rotation, zoom and perspective, each sampled as one `Warp`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from eyebright.errors import InputError, check_choice
from eyebright.image.canonical import fit_size, place_center
from eyebright.image.warp import Interpolation, PadMode, Warp
from eyebright.transforms.draw import Transform, TransformParams
from eyebright.types import Size, check_side

ResizeMethod = Literal["crop", "pad", "squish"]

_MAX_RATIO = 10_000  # of the sides of a crop
_DIHEDRAL_KEEPING_SIZE = (0, 1, 2, 4)  # of `Warp.dihedral`: identity, both flips and the half turn


@dataclass(frozen=True)
class Resize(Transform):
    """A resize of every image to one size, by one of three methods.

    ``"crop"`` resizes the image to cover the size and crops the rest, at a random position in training and at the
    centre in validation. ``"pad"`` resizes the image to fit into the size and pads the rest, at a random position in
    training and equally on both sides in validation. ``"squish"`` changes the aspect ratio. As in fastai, crops are
    rounded to whole pixels of the image.

    Args:
        size: one number (square) or (height, width), in pixels.
        method: ``"crop"``, ``"pad"`` or ``"squish"``.
        pad_mode: the padding of ``"pad"``: ``"zeros"``, ``"border"`` or ``"reflection"``.
        interpolation: ``"bilinear"`` or ``"bicubic"``; None for bilinear, unless another transform specifies it.

    Raises:
        InputError: an argument has an unknown value.

    >>> params = Resize(224).draw(Size(333, 500), None)
    >>> params.warp.input_size, params.warp.output_size
    (Size(height=333, width=500), Size(height=224, width=224))
    """

    size: int | Sequence[int]
    method: ResizeMethod = "crop"
    pad_mode: PadMode = "reflection"
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        check_side(Size.of(self.size))
        check_choice("`method`", self.method, get_args(ResizeMethod))
        _check_resampling(self.pad_mode, self.interpolation)

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A warp to the size, with a random position; at the centre without a generator, as for `legacy-1` pixels."""
        target = Size.of(self.size)
        if self.method == "squish":
            return TransformParams(Warp.resize(size, target), interpolation=self.interpolation)
        box = _rounded_box(size, target, inside=self.method == "crop")
        x, y = (0.5, 0.5) if generator is None else generator.random(2).tolist()
        left, top = int(x * (size.width - box.width)), int(y * (size.height - box.height))
        warp = Warp.crop(size, box, left=left, top=top).then(Warp.resize(box, target))
        return TransformParams(
            warp, pad_mode=self.pad_mode if self.method == "pad" else None, interpolation=self.interpolation
        )

    def evaluation_params(self, size: Size) -> TransformParams:
        """A warp to the size about the centre, in whole pixels of the resized image."""
        target = Size.of(self.size)
        resized = target if self.method == "squish" else fit_size(size, target, cover=self.method == "crop")
        pad_mode = self.pad_mode if self.method == "pad" else None
        return TransformParams(
            place_center(size, resized, target).warp, pad_mode=pad_mode, interpolation=self.interpolation
        )


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """A crop of random area, aspect ratio and position, resized to one size.

    A validation image is resized, without a change of its aspect ratio, to cover the size with a margin, and cropped at
    the centre. (fastai squishes the whole validation image, so that its aspect ratio differs from training.)

    Args:
        size: one number (square) or (height, width), in pixels.
        min_scale: minimum area of the crop, as a fraction of the area of the image.
        ratio: minimum and maximum aspect ratio (width / height) of the crop.
        max_scale: maximum area of the crop, as a fraction of the area of the image.
        val_xtra: margin of validation images, as a fraction of the longer side of ``size``.
        interpolation: ``"bilinear"`` or ``"bicubic"``; None for bilinear, unless another transform specifies it.

    Raises:
        InputError: an argument is out of its range.
    """

    size: int | Sequence[int]
    min_scale: float = 0.08
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    max_scale: float = 1.0
    val_xtra: float = 0.14
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        check_side(Size.of(self.size))
        if not 0 < self.min_scale <= self.max_scale <= 1:
            raise InputError(
                f"scales must satisfy 0 < min_scale <= max_scale <= 1, got {self.min_scale} to {self.max_scale}"
            )
        if len(self.ratio) != 2 or not 0 < self.ratio[0] <= self.ratio[1] < _MAX_RATIO:
            raise InputError(f"ratio must satisfy 0 < minimum <= maximum < {_MAX_RATIO:,}, got {self.ratio[:4]}")
        if not 0 <= self.val_xtra <= 1:
            raise InputError(f"val_xtra must be a share of the size, from 0 to 1; got {self.val_xtra}")
        _check_resampling(None, self.interpolation)

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A warp from a random crop to the size; from the centre for validation images."""
        target = Size.of(self.size)
        if generator is None:
            width, height = _center_box(size, target, self.val_xtra)
            x, y = 0.5, 0.5
        else:
            width, height, x, y = self._random_box(size, generator)
        return TransformParams(
            _box_to(size, target, (width, height), position=(x, y)), interpolation=self.interpolation
        )

    def evaluation_params(self, size: Size) -> TransformParams:
        """A warp from the centre to the size, in whole pixels of the resized image."""
        target = Size.of(self.size)
        margin = crop_margin(target, self.val_xtra)
        resized = fit_size(size, Size(target.height + margin, target.width + margin), cover=True)
        return TransformParams(place_center(size, resized, target).warp, interpolation=self.interpolation)

    def _random_box(self, size: Size, generator: np.random.Generator) -> tuple[float, float, float, float]:
        """Width and height of a random crop, and its position (x, y) as fractions of the free space around it."""
        smallest, largest = self.ratio
        for _ in range(10):
            area = generator.uniform(self.min_scale, self.max_scale) * size.width * size.height
            ratio = math.exp(generator.uniform(math.log(smallest), math.log(largest)))
            width, height = math.sqrt(area * ratio), math.sqrt(area / ratio)
            if width <= size.width and height <= size.height:
                x, y = generator.random(2).tolist()
                return width, height, x, y
        ratio = min(max(size.width / size.height, smallest), largest)
        width, height = min(size.width, size.height * ratio), min(size.height, size.width / ratio)
        return width, height, 0.5, 0.5


@dataclass(frozen=True)
class Flip(Transform):
    """A random horizontal flip.

    Args:
        p: probability of a flip.

    Raises:
        InputError: ``p`` is not in [0, 1].
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A random flip; the identity for validation images."""
        return TransformParams(Warp.flip(size) if _occurs(self.p, generator) else Warp.identity(size))


@dataclass(frozen=True)
class Dihedral(Transform):
    """A random choice among the 8 flips and quarter turns of a square (the dihedral group), the identity included.

    Args:
        p: probability of a choice; otherwise the identity.
        keep_size: for images that are not square, choose only from the 4 that do not swap height and width. Without it
            a later transform has to resize all images to one size.

    Raises:
        InputError: ``p`` is not in [0, 1].
    """

    p: float = 0.5
    keep_size: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_probability(self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A random flip or quarter turn; the identity for validation images."""
        if generator is None or not _occurs(self.p, generator):
            return TransformParams(Warp.identity(size))
        choices = _DIHEDRAL_KEEPING_SIZE if self.keep_size and size.height != size.width else range(8)
        return TransformParams(Warp.dihedral(size, int(generator.choice(choices))))


@dataclass(frozen=True)
class Rotate(Transform):
    """A random rotation about the centre, by a uniform angle.

    Args:
        max_deg: maximum angle in both directions, in degrees.
        p: probability of a rotation.
        pad_mode: how to fill pixels outside of the image; None for reflection, unless another transform specifies it.
        interpolation: ``"bilinear"`` or ``"bicubic"``; None for bilinear, unless another transform specifies it.

    Raises:
        InputError: an argument has an unknown value or is out of its range.
    """

    max_deg: float = 10.0
    p: float = 0.5
    pad_mode: PadMode | None = None
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        _check_probability(self.p)
        _check_resampling(self.pad_mode, self.interpolation)
        if not 0 <= self.max_deg < math.inf:
            raise InputError(f"max_deg must be a finite number of degrees from 0, got {self.max_deg}")

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A random rotation; the identity for validation images."""
        warp = Warp.identity(size)
        if generator is not None and _occurs(self.p, generator):
            warp = Warp.rotate(size, generator.uniform(-self.max_deg, self.max_deg))
        return TransformParams(warp, pad_mode=self.pad_mode, interpolation=self.interpolation)


@dataclass(frozen=True)
class Zoom(Transform):
    """A random zoom about a random point, by a uniform factor.

    Args:
        min_zoom: minimum factor; less than 1 shrinks the image.
        max_zoom: maximum factor.
        p: probability of a zoom.
        pad_mode: how to fill pixels outside of the image; None for reflection, unless another transform specifies it.
        interpolation: ``"bilinear"`` or ``"bicubic"``; None for bilinear, unless another transform specifies it.

    Raises:
        InputError: an argument has an unknown value or is out of its range.
    """

    min_zoom: float = 1.0
    max_zoom: float = 1.1
    p: float = 0.5
    pad_mode: PadMode | None = None
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        _check_probability(self.p)
        _check_resampling(self.pad_mode, self.interpolation)
        if not 0 < self.min_zoom <= self.max_zoom < math.inf:
            raise InputError(f"zooms must satisfy 0 < min_zoom <= max_zoom, got {self.min_zoom} to {self.max_zoom}")

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A random zoom; the identity for validation images."""
        warp = Warp.identity(size)
        if generator is not None and _occurs(self.p, generator):
            x, y = generator.random(2).tolist()
            warp = Warp.zoom(size, generator.uniform(self.min_zoom, self.max_zoom), x=x, y=y)
        return TransformParams(warp, pad_mode=self.pad_mode, interpolation=self.interpolation)


@dataclass(frozen=True)
class PerspectiveWarp(Transform):
    """A random perspective: the image tilted about its vertical and its horizontal axis (fastai's ``Warp``).

    The tilt ``x`` makes the left edge longer or shorter than the right edge, and ``y`` does the same for the top and
    bottom edges. Both are uniform, and each is applied with probability ``p``.

    Args:
        magnitude: maximum tilt in [0, 0.5): how far each corner moves, as a fraction of half the side of the image.
            Two tilts of 0.5 or more would fold the image.
        p: probability of each tilt.
        pad_mode: how to fill pixels outside of the image; None for reflection, unless another transform specifies it.
        interpolation: ``"bilinear"`` or ``"bicubic"``; None for bilinear, unless another transform specifies it.

    Raises:
        InputError: an argument has an unknown value or is out of its range.
    """

    magnitude: float = 0.2
    p: float = 0.5
    pad_mode: PadMode | None = None
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        _check_probability(self.p)
        _check_resampling(self.pad_mode, self.interpolation)
        if not 0 <= self.magnitude < 0.5:
            raise InputError(f"magnitude must be in [0, 0.5), got {self.magnitude}")

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A random perspective; the identity for validation images."""
        x, y = self._tilt(generator), self._tilt(generator)
        warp = tilt_warp(size, x=x, y=y) if x or y else Warp.identity(size)
        return TransformParams(warp, pad_mode=self.pad_mode, interpolation=self.interpolation)

    def _tilt(self, generator: np.random.Generator | None) -> float:
        if generator is None or not _occurs(self.p, generator):
            return 0.0
        return generator.uniform(-self.magnitude, self.magnitude)


def tilt_warp(size: Size, *, x: float, y: float) -> Warp:
    """The perspective warp for two tilts.

    Args:
        size: (height, width) of the image in pixels.
        x: tilt of the left and right edges, in (-0.5, 0.5), see `PerspectiveWarp`.
        y: tilt of the top and bottom edges, in (-0.5, 0.5).

    Raises:
        InputError: the corners are not those of a convex quadrilateral, since a tilt is too large.
    """
    corners = ((-1 - y, -1 - x), (1 + y, -1 + x), (1 - y, 1 - x), (-1 + y, 1 + x))
    return Warp.perspective(size, [((u + 1) * size.width / 2, (v + 1) * size.height / 2) for u, v in corners])


def _rounded_box(size: Size, target: Size, *, inside: bool) -> Size:
    """A box of whole pixels with the target's aspect ratio: the largest inside the image, or the smallest around it."""
    min_or_max = min if inside else max
    scale = min_or_max(size.width / target.width, size.height / target.height)
    return Size(max(int(scale * target.height), 1), max(int(scale * target.width), 1))


def _center_box(size: Size, target: Size, margin: float) -> tuple[float, float]:
    """Width and height of the centre crop for ``target``, so that the image just covers it with the margin around."""
    extra = crop_margin(target, margin)
    scale = min(size.width / (target.width + extra), size.height / (target.height + extra))
    return target.width * scale, target.height * scale


def crop_margin(target: Size, share: float) -> int:
    """A share of the longer side, in pixels; a multiple of 8, as in fastai."""
    return math.ceil(max(target) * share / 8) * 8


def _box_to(size: Size, target: Size, box: tuple[float, float], *, position: tuple[float, float]) -> Warp:
    """The warp from a box (width, height) to ``target``; ``position`` is (x, y) as fractions of the free space."""
    (width, height), (x, y) = box, position
    left, top = x * (size.width - width), y * (size.height - height)
    scale_x, scale_y = target.width / width, target.height / height
    matrix = np.array([[scale_x, 0.0, -left * scale_x], [0.0, scale_y, -top * scale_y], [0.0, 0.0, 1.0]])
    return Warp(matrix, size, target)


def _occurs(p: float, generator: np.random.Generator | None) -> bool:
    return generator is not None and generator.random() < p


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise InputError(f"p must be a probability in [0, 1], got {p}")


def _check_resampling(pad_mode: str | None, interpolation: str | None) -> None:
    if pad_mode is not None:
        check_choice("`pad_mode`", pad_mode, get_args(PadMode))
    if interpolation is not None:
        check_choice("interpolation", interpolation, get_args(Interpolation))
