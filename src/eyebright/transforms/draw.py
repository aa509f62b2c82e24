"""What a transform is: a value that draws one random change of an image.

A transform describes a distribution; `Transform.draw` gives one `Draw` from it: a `Warp` (geometry), a `Lighting`
(brightness and contrast), and whatever else happens to the pixels afterwards. Draws compose, so a whole list of
transforms is still one warp and one look-up table, and whoever runs it (OpenCV on the CPU, a batched resample on a
device) resamples the pixels once. Nothing here touches a pixel or a global generator.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from eyebright.image.warp import Interpolation, PadMode, Warp
from eyebright.types import Size

PixelFunction = Callable[[UInt8[Tensor, "c h w"]], UInt8[Tensor, "c h w"]]

_NEAREST_TO_BLACK = 1e-7  # as in the book: the logit of pure black and pure white must stay finite
_LEVELS = np.linspace(0, 1, 256).clip(_NEAREST_TO_BLACK, 1 - _NEAREST_TO_BLACK)
_LOGITS = np.log(_LEVELS / (1 - _LEVELS))  # of the 256 grey levels


@dataclass(frozen=True)
class Lighting:
    """Brightness and contrast as one affine map of the logit: ``sigmoid(gain * logit(x) + offset)``.

    In logit space no value leaves [0, 1], so nothing is clipped, and any number of changes compose into one.

    Args:
        gain: contrast; 1 leaves it, more than 1 drives values away from 0.5.
        offset: brightness; 0 leaves it, ``logit(0.6)`` makes mid-grey 0.6.
    """

    gain: float = 1.0
    offset: float = 0.0

    def then(self, after: "Lighting") -> "Lighting":
        """This change followed by ``after``, as one change."""
        if after.is_identity:
            return self
        return Lighting(after.gain * self.gain, after.gain * self.offset + after.offset)

    @property
    def is_identity(self) -> bool:
        """True when nothing changes."""
        return self.gain == 1 and self.offset == 0

    def table(self) -> UInt8[np.ndarray, " 256"]:
        """The new value of each of the 256 grey levels: for ``table[image]`` or ``cv2.LUT``."""
        if self.is_identity:
            return np.arange(256, dtype=np.uint8)
        values = 1 / (1 + np.exp(-(self.gain * _LOGITS + self.offset)))
        return np.rint(values * 255).astype(np.uint8)

    def apply(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The values after the change.

        Args:
            x: values in [0, 1], any shape.
        """
        if self.is_identity:
            return x
        return adjust_brightness_contrast(x, self.gain, self.offset)


def adjust_brightness_contrast(
    x: Float[Tensor, "*shape"], gain: float | Float[Tensor, "..."], offset: float | Float[Tensor, "..."]
) -> Float[Tensor, "*shape"]:
    """``sigmoid(gain * logit(x) + offset)``, with gain and offset numbers or tensors that broadcast against ``x``."""
    wide = x if x.dtype == torch.float64 else x.to(torch.float32)  # 1 - 1e-7 is 1 in 16 bits
    return torch.sigmoid(gain * torch.logit(wide, eps=_NEAREST_TO_BLACK) + offset).to(x.dtype)


@dataclass(frozen=True, eq=False)
class Draw:
    """One drawn change of one image, in the order in which it happens.

    Args:
        warp: the geometry, for points and pixels alike; the pixels are resampled once.
        lighting: brightness and contrast.
        pixel_functions: what happens to the warped and lit pixels after that: functions of a uint8 image of shape
            (c, h, w) that keep its shape.
        pad: what lies outside the image; None when no transform said it.
        interpolation: how pixels are resampled; None when no transform said it.
    """

    warp: Warp
    lighting: Lighting = Lighting()
    pixel_functions: tuple[PixelFunction, ...] = ()
    pad: PadMode | None = None
    interpolation: Interpolation | None = None

    def then(self, after: "Draw") -> "Draw":
        """This change followed by ``after``, still as one; of pad and interpolation the first one said counts."""
        return Draw(
            self.warp.then(after.warp),
            self.lighting.then(after.lighting),
            self.pixel_functions + after.pixel_functions,
            self.pad or after.pad,
            self.interpolation or after.interpolation,
        )


class Transform(ABC):
    """A distribution of changes. Subclasses are immutable values; all randomness comes from the generator."""

    @abstractmethod
    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """One change for an image.

        Args:
            size: of the image.
            generator: where the randomness comes from; None for the validation preprocessing, which has none.
        """


def draw_all(transforms: Sequence[Transform], size: Size, generator: np.random.Generator | None) -> Draw:
    """One change for an image from all transforms in their order: one warp, one lighting.

    Args:
        transforms: each sees the size that the one before it gives.
        size: of the image.
        generator: where the randomness comes from; None for the validation preprocessing, which has none.
    """
    drawn = Draw(Warp.identity(size))
    for transform in transforms:
        drawn = drawn.then(transform.draw(drawn.warp.size, generator))
    return drawn


def output_size(transforms: Sequence[Transform]) -> Size | None:
    """The size of every image that comes out, or None when it depends on the image or on the draw.

    Found by drawing for images of unlike shapes, so that no transform can say one size and draw another.
    """
    sizes = {draw.warp.size for draw in _tries(transforms)}
    return sizes.pop() if len(sizes) == 1 else None


def has_pixel_functions(transforms: Sequence[Transform]) -> bool:
    """True when some draw changes pixels after warp and lighting; found by drawing, as in `output_size`."""
    return any(draw.pixel_functions for draw in _tries(transforms))


def is_deterministic(transforms: Sequence[Transform]) -> bool:
    """True when no transform asks for a random number, so that an image looks the same each time."""
    generator = np.random.default_rng(0)
    untouched = generator.bit_generator.state
    for size in _UNLIKE:
        draw_all(transforms, size, generator)
    return generator.bit_generator.state == untouched


_UNLIKE = (Size(300, 400), Size(401, 299))
_TRIES = 16


def _tries(transforms: Sequence[Transform]) -> Iterator[Draw]:
    generators: list[Any] = [None, *(np.random.default_rng(seed) for seed in range(_TRIES))]
    return (draw_all(transforms, size, generator) for generator in generators for size in _UNLIKE)
