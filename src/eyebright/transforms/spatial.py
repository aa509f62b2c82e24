"""Random geometry: resizing, cropping and the movements of `aug_transforms`, each drawn as one `Warp`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.image.warp import Interpolation, PadMode, Warp
from eyebright.transforms.draw import Draw, Transform
from eyebright.types import Size

ResizeMethod = Literal["crop", "pad", "squish"]


@dataclass(frozen=True)
class Resize(Transform):
    """Every image at one size, in one of three ways.

    ``"crop"`` fills the size and cuts what hangs over, at a random place (validation: the centre); ``"pad"`` shows the
    whole image and fills what is left, at a random place (validation: both sides alike); ``"squish"`` shows
    the whole image and changes its aspect ratio. Boxes are whole pixels of the image, as in the book.

    Args:
        size: one number (square) or (height, width).
        method: see above.
        pad_mode: what fills the rest with ``"pad"``.
        interpolation: how pixels are resampled; None: bilinear, unless another transform says it.
    """

    size: int | Sequence[int]
    method: ResizeMethod = "crop"
    pad_mode: PadMode = "reflection"
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        Size.of(self.size)
        _one_of("method", self.method, get_args(ResizeMethod))
        _check(1, self.pad_mode, self.interpolation)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """The warp to the size, at a random place of what can move; the middle for the validation preprocessing."""
        target = Size.of(self.size)
        if self.method == "squish":
            return Draw(Warp.resize(size, target), interpolation=self.interpolation)
        box = _whole_box(size, target, fill=self.method == "crop")
        x, y = (0.5, 0.5) if generator is None else generator.random(2).tolist()
        left, top = int(x * (size.width - box.width)), int(y * (size.height - box.height))
        warp = Warp.crop(size, box, left=left, top=top).then(Warp.resize(box, target))
        return Draw(warp, pad=self.pad_mode if self.method == "pad" else None, interpolation=self.interpolation)


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """A box of random area and aspect ratio, resized to one size.

    Validation shows the centre: the image is scaled, without a change of its aspect ratio, until it covers the size
    with a margin, and the middle is kept. (The book squishes the whole image there; its models were then judged on
    images of another shape than they learnt from.)

    Args:
        size: one number (square) or (height, width).
        min_scale: the smallest share of the image's area.
        ratio: the smallest and the largest width / height of the box.
        max_scale: the largest share of the image's area.
        val_xtra: how much larger than the size the validation image is before its middle is kept.
        interpolation: how pixels are resampled; None: bilinear, unless another transform says it.
    """

    size: int | Sequence[int]
    min_scale: float = 0.08
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    max_scale: float = 1.0
    val_xtra: float = 0.14
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        Size.of(self.size)
        if not 0 < self.min_scale <= self.max_scale <= 1:
            raise InputError(f"scales are 0 < min <= max <= 1, got {self.min_scale} to {self.max_scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise InputError(f"ratios are 0 < smallest <= largest, got {self.ratio}")
        if self.val_xtra < 0:
            raise InputError(f"val_xtra is 0 or more, got {self.val_xtra}")
        _check(1, interpolation=self.interpolation)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """The warp of a random box to the size; of the centre for the validation preprocessing."""
        target = Size.of(self.size)
        if generator is None:
            width, height = _centre_box(size, target, self.val_xtra)
            x, y = 0.5, 0.5
        else:
            width, height, x, y = self._random_box(size, generator)
        return Draw(_box_to(size, target, (width, height), at=(x, y)), interpolation=self.interpolation)

    def _random_box(self, size: Size, generator: np.random.Generator) -> tuple[float, float, float, float]:
        """Width, height, and the fraction of the free room left of it and above it."""
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
    """Left and right exchanged.

    Args:
        p: how often.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _check(self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """A flip or nothing; nothing for the validation preprocessing."""
        return Draw(Warp.flip(size) if _happens(self.p, generator) else Warp.identity(size))


@dataclass(frozen=True)
class Dihedral(Transform):
    """One of the 8 symmetries of the square, each as likely as the others (nothing among them).

    Args:
        p: how often one is drawn.
        keep_size: of an image that is not square, draw only from the 4 symmetries that do not exchange its height
            and width. Otherwise something after it has to bring all images to one size.
    """

    p: float = 0.5
    keep_size: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check(self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """A symmetry; nothing for the validation preprocessing."""
        if generator is None or not _happens(self.p, generator):
            return Draw(Warp.identity(size))
        choices = (0, 1, 2, 4) if self.keep_size and size.height != size.width else range(8)
        return Draw(Warp.dihedral(size, int(generator.choice(choices))))


@dataclass(frozen=True)
class Rotate(Transform):
    """A turn about the centre by an angle drawn evenly from both directions.

    Args:
        max_deg: the largest angle, in degrees.
        p: how often.
        pad_mode: what lies outside the image.
        interpolation: how pixels are resampled; None: bilinear, unless another transform says it.
    """

    max_deg: float = 10.0
    p: float = 0.5
    pad_mode: PadMode | None = None
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        _check(self.p, self.pad_mode, self.interpolation)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """A turn; none for the validation preprocessing."""
        if generator is None or not _happens(self.p, generator):
            return Draw(Warp.identity(size), pad=self.pad_mode, interpolation=self.interpolation)
        warp = Warp.rotate(size, generator.uniform(-self.max_deg, self.max_deg))
        return Draw(warp, pad=self.pad_mode, interpolation=self.interpolation)


@dataclass(frozen=True)
class Zoom(Transform):
    """The image enlarged about a random point by a factor drawn evenly.

    Args:
        min_zoom: the smallest factor; below 1 the image shrinks.
        max_zoom: the largest factor.
        p: how often.
        pad_mode: what lies outside the image.
        interpolation: how pixels are resampled; None: bilinear, unless another transform says it.
    """

    min_zoom: float = 1.0
    max_zoom: float = 1.1
    p: float = 0.5
    pad_mode: PadMode | None = None
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        _check(self.p, self.pad_mode, self.interpolation)
        if not 0 < self.min_zoom <= self.max_zoom:
            raise InputError(f"zooms are 0 < min <= max, got {self.min_zoom} to {self.max_zoom}")

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """A zoom; none for the validation preprocessing."""
        if generator is None or not _happens(self.p, generator):
            return Draw(Warp.identity(size), pad=self.pad_mode, interpolation=self.interpolation)
        x, y = generator.random(2).tolist()
        warp = Warp.zoom(size, generator.uniform(self.min_zoom, self.max_zoom), x=x, y=y)
        return Draw(warp, pad=self.pad_mode, interpolation=self.interpolation)


@dataclass(frozen=True)
class PerspectiveWarp(Transform):
    """The image seen from a little to the side and from a little above or below.

    The corners move by a tilt ``x`` (left edge longer or shorter than the right one) and a tilt ``y``, each drawn
    evenly and each present with probability ``p``, in fractions of half the image. (The book's ``Warp``.)

    Args:
        magnitude: the largest tilt; below 0.5, where two tilts together would fold the image.
        p: how often there is a tilt, for each of the two.
        pad_mode: what lies outside the image.
        interpolation: how pixels are resampled; None: bilinear, unless another transform says it.
    """

    magnitude: float = 0.2
    p: float = 0.5
    pad_mode: PadMode | None = None
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        _check(self.p, self.pad_mode, self.interpolation)
        if not 0 <= self.magnitude < 0.5:
            raise InputError(f"a perspective's magnitude lies in [0, 0.5), got {self.magnitude}")

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """A tilt; none for the validation preprocessing."""
        x, y = self._tilt(generator), self._tilt(generator)
        warp = tilt_warp(size, x=x, y=y) if x or y else Warp.identity(size)
        return Draw(warp, pad=self.pad_mode, interpolation=self.interpolation)

    def _tilt(self, generator: np.random.Generator | None) -> float:
        if generator is None or not _happens(self.p, generator):
            return 0.0
        return generator.uniform(-self.magnitude, self.magnitude)


def tilt_warp(size: Size, *, x: float, y: float) -> Warp:
    """The perspective of the book's ``Warp`` at a tilt: where its four corners go is in `PerspectiveWarp`."""
    corners = ((-1 - y, -1 - x), (1 + y, -1 + x), (1 - y, 1 - x), (-1 + y, 1 + x))
    return Warp.perspective(size, [((u + 1) * size.width / 2, (v + 1) * size.height / 2) for u, v in corners])


def _whole_box(size: Size, target: Size, *, fill: bool) -> Size:
    """The box of the target's shape in whole pixels: the largest inside the image, or the smallest around it."""
    nearest = min if fill else max
    scale = nearest(size.width / target.width, size.height / target.height)
    return Size(max(int(scale * target.height), 1), max(int(scale * target.width), 1))


def _centre_box(size: Size, target: Size, margin: float) -> tuple[float, float]:
    """Width and height of the box that becomes ``target`` when the image just covers it with a margin around."""
    extra = math.ceil(max(target) * margin / 8) * 8  # the book's multiple of 8
    scale = min(size.width / (target.width + extra), size.height / (target.height + extra))
    return target.width * scale, target.height * scale


def _box_to(size: Size, target: Size, box: tuple[float, float], *, at: tuple[float, float]) -> Warp:
    """The box (width, height) of an image, with the fractions ``at`` of the free room before it, at ``target``."""
    (width, height), (x, y) = box, at
    left, top = x * (size.width - width), y * (size.height - height)
    scale_x, scale_y = target.width / width, target.height / height
    matrix = np.array([[scale_x, 0.0, -left * scale_x], [0.0, scale_y, -top * scale_y], [0.0, 0.0, 1.0]])
    return Warp(matrix, size, target)


def _happens(p: float, generator: np.random.Generator | None) -> bool:
    return generator is not None and generator.random() < p


def _check(p: float, pad_mode: str | None = None, interpolation: str | None = None) -> None:
    if not 0 <= p <= 1:
        raise InputError(f"p is a probability in [0, 1], got {p}")
    if pad_mode is not None:
        _one_of("pad_mode", pad_mode, get_args(PadMode))
    if interpolation is not None:
        _one_of("interpolation", interpolation, get_args(Interpolation))


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"unknown {name} '{value}'.{did_you_mean(value, known)} It is one of {listing(known)}")
