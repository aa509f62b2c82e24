"""`Transform` and `TransformParams`: a distribution of image changes, and the parameters sampled from it.

`Transform.draw` samples the `TransformParams` of an image: a `Warp` (geometry), a `Lighting` (brightness and contrast)
and functions of the pixels that run afterwards. They compose: a whole list of transforms becomes one warp and one
look-up table, so that the pixels are resampled only once. `eyebright.transforms.pipeline` applies them, with OpenCV on
the CPU or to a batch on an accelerator. No global random generator is used.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from eyebright.image.canonical import CANONICAL, LIBRARY_PIXELS, PixelsVersion, Placement, canonical_placement
from eyebright.image.warp import Interpolation, PadMode, Warp
from eyebright.types import Size

PixelFunction = Callable[[UInt8[Tensor, "c h w"]], UInt8[Tensor, "c h w"]]
"""A function of a uint8 image that keeps its shape."""

_EPSILON = 1e-7  # as in fastai: keeps the logits of 0 and 1 finite
_LEVELS = np.linspace(0, 1, 256).clip(_EPSILON, 1 - _EPSILON)
_LOGITS = np.log(_LEVELS / (1 - _LEVELS))  # the logits of the 256 grey levels


@dataclass(frozen=True)
class Lighting:
    """A change of brightness and contrast, as in fastai: ``sigmoid(gain * logit(x) + offset)`` of values in [0, 1].

    The result is always in [0, 1], so that nothing is clipped, and several changes compose to one.

    Args:
        gain: the factor of the contrast; 1 is no change, more than 1 increases the contrast.
        offset: the change of the brightness; 0 is no change, ``logit(0.6)`` changes a value of 0.5 to 0.6.

    >>> brighter = Lighting(offset=float(np.log(0.6 / 0.4)))
    >>> round(brighter.apply(torch.tensor(0.5)).item(), 4)
    0.6
    """

    gain: float = 1.0
    offset: float = 0.0

    def then(self, after: "Lighting") -> "Lighting":
        """This `Lighting` followed by ``after``, composed to one."""
        if after.is_identity:
            return self
        return Lighting(after.gain * self.gain, after.gain * self.offset + after.offset)

    @property
    def is_identity(self) -> bool:
        """True if it changes nothing."""
        return self.gain == 1 and self.offset == 0

    def table(self) -> UInt8[np.ndarray, " 256"]:
        """A look-up table with the new value of each of the 256 grey levels, for ``table[image]`` or ``cv2.LUT``."""
        if self.is_identity:
            return np.arange(256, dtype=np.uint8)
        values = 1 / (1 + np.exp(-(self.gain * _LOGITS + self.offset)))
        return np.rint(values * 255).astype(np.uint8)

    def apply(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The changed values.

        Args:
            x: values in [0, 1], of any shape.
        """
        if self.is_identity:
            return x
        return adjust_brightness_contrast(x, self.gain, self.offset)


def adjust_brightness_contrast(
    x: Float[Tensor, "*shape"], gain: float | Float[Tensor, "..."], offset: float | Float[Tensor, "..."]
) -> Float[Tensor, "*shape"]:
    """``sigmoid(gain * logit(x) + offset)``.

    Args:
        x: values in [0, 1].
        gain: contrast; a number or a tensor that can be broadcast to ``x``.
        offset: brightness; a number or a tensor that can be broadcast to ``x``.
    """
    precise = x if x.dtype == torch.float64 else x.to(torch.float32)  # in 16 bits 1 - 1e-7 is 1
    return torch.sigmoid(gain * torch.logit(precise, eps=_EPSILON) + offset).to(x.dtype)


@dataclass(frozen=True, eq=False)
class TransformParams:
    """The sampled parameters of one random transform of an image, in the order in which they are applied.

    Args:
        warp: the geometric transform of pixels and points.
        lighting: the change of brightness and contrast.
        pixel_functions: functions that are applied to the pixels last.
        pad_mode: how to fill pixels outside of the image; None if no transform specifies it.
        interpolation: how to resample pixels; None if no transform specifies it.
    """

    warp: Warp
    lighting: Lighting = Lighting()
    pixel_functions: tuple[PixelFunction, ...] = ()
    pad_mode: PadMode | None = None
    interpolation: Interpolation | None = None

    def then(self, after: "TransformParams") -> "TransformParams":
        """This transform followed by ``after``, composed to one; the first ``pad_mode`` and ``interpolation`` win."""
        return TransformParams(
            self.warp.then(after.warp),
            self.lighting.then(after.lighting),
            self.pixel_functions + after.pixel_functions,
            self.pad_mode or after.pad_mode,
            self.interpolation or after.interpolation,
        )


class Transform(ABC):
    """A distribution of image changes. Subclasses are immutable, and all randomness comes from the given generator."""

    @abstractmethod
    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """The parameters of one transform, sampled for an image.

        Args:
            size: (height, width) of the image in pixels.
            generator: the random generator; None for the deterministic preprocessing of validation images.
        """

    def evaluation_params(self, size: Size) -> TransformParams:
        """The transform of images that are evaluated or predicted, in whole pixels where it can be.

        Unless overridden, it is `draw` without a generator.

        Args:
            size: (height, width) of the image in pixels.
        """
        return self.draw(size, None)


def draw_all(transforms: Sequence[Transform], size: Size, generator: np.random.Generator | None) -> TransformParams:
    """The parameters of all transforms, sampled for an image and composed in order.

    Args:
        transforms: the transforms; each gets the output size of the one before it.
        size: (height, width) of the image in pixels.
        generator: the random generator; None for the deterministic preprocessing of validation images.
    """
    params = TransformParams(Warp.identity(size))
    for transform in transforms:
        params = params.then(transform.draw(params.warp.output_size, generator))
    return params


def evaluation_params(transforms: Sequence[Transform], size: Size) -> TransformParams:
    """The evaluation parameters of all transforms, composed in order.

    Args:
        transforms: the transforms; each gets the output size of the one before it.
        size: (height, width) of the image in pixels.
    """
    params = TransformParams(Warp.identity(size))
    for transform in transforms:
        params = params.then(transform.evaluation_params(params.warp.output_size))
    return params


def canonical_placement_of(transforms: Sequence[Transform], size: Size) -> Placement | None:
    """The placement of canonical pixels; None if the transforms do more than resize, crop and pad with black.

    Args:
        transforms: the transforms of validation images.
        size: (height, width) of the image in pixels.
    """
    params = evaluation_params(transforms, size)
    placement = canonical_placement(params.warp)
    if placement is None or not params.lighting.is_identity or params.pixel_functions:
        return None
    black = params.pad_mode == "zeros" or not placement.is_padded
    return placement if black and params.interpolation in (None, "bilinear") else None


def evaluation_pixels_version(transforms: Sequence[Transform]) -> PixelsVersion:
    """The version of the pixels of validation images.

    They are canonical if the images are only resized, cropped and padded with black, which is tried for several sizes.
    """
    sizes = (*_SAMPLE_SIZES, Size(1, 1), Size(7, 3000), Size(3000, 7))
    return CANONICAL if all(canonical_placement_of(transforms, size) is not None for size in sizes) else LIBRARY_PIXELS


def output_size(transforms: Sequence[Transform]) -> Size | None:
    """The output size if it is the same for all images and parameters, otherwise None.

    It is found by sampling parameters for images of different sizes. A transform therefore need not declare it.
    """
    sizes = {params.warp.output_size for params in _sampled_params(transforms)}
    return sizes.pop() if len(sizes) == 1 else None


def has_pixel_functions(transforms: Sequence[Transform]) -> bool:
    """True if some parameters have pixel functions; found by sampling, as in `output_size`."""
    return any(params.pixel_functions for params in _sampled_params(transforms))


def is_deterministic(transforms: Sequence[Transform]) -> bool:
    """True if no transform uses a random number, so that every epoch gives the same image."""
    generator = np.random.default_rng(0)
    unused_state = generator.bit_generator.state
    for size in _SAMPLE_SIZES:
        draw_all(transforms, size, generator)
    return generator.bit_generator.state == unused_state


_SAMPLE_SIZES = (Size(300, 400), Size(401, 299))
_SAMPLE_SEEDS = 16


def _sampled_params(transforms: Sequence[Transform]) -> Iterator[TransformParams]:
    """The deterministic and 16 random parameters for each of two image sizes."""
    generators: list[Any] = [None, *(np.random.default_rng(seed) for seed in range(_SAMPLE_SEEDS))]
    return (draw_all(transforms, size, generator) for generator in generators for size in _SAMPLE_SIZES)
