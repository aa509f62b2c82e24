"""Random brightness and contrast with the distributions of fastai, and their batched application."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Lighting, Transform, TransformParams, adjust_brightness_contrast
from eyebright.types import Size


@dataclass(frozen=True)
class Brightness(Transform):
    """A random brightness that changes 0.5 to a uniform value in ``0.5 * (1 - max_lighting, 1 + max_lighting)``.

    Args:
        max_lighting: maximum relative change of a value of 0.5, in [0, 1).
        p: probability that the image is changed.

    Raises:
        InputError: an argument is out of its range.
    """

    max_lighting: float = 0.2
    p: float = 0.75

    def __post_init__(self) -> None:
        _check(self.max_lighting, self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A random brightness; the identity for validation images."""
        return _drawn(size, generator, self.p, self._lighting)

    def _lighting(self, generator: np.random.Generator) -> Lighting:
        grey = 0.5 * (1 + generator.uniform(-self.max_lighting, self.max_lighting))
        return Lighting(offset=math.log(grey / (1 - grey)))


@dataclass(frozen=True)
class Contrast(Transform):
    """A random contrast: a log-uniform factor from ``1 - max_lighting`` to its reciprocal.

    Args:
        max_lighting: 1 minus the smallest factor, in [0, 1).
        p: probability that the image is changed.

    Raises:
        InputError: an argument is out of its range.
    """

    max_lighting: float = 0.2
    p: float = 0.75

    def __post_init__(self) -> None:
        _check(self.max_lighting, self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """A random contrast; the identity for validation images."""
        return _drawn(size, generator, self.p, self._lighting)

    def _lighting(self, generator: np.random.Generator) -> Lighting:
        log_minimum = math.log(1 - self.max_lighting)
        return Lighting(gain=math.exp(generator.uniform(log_minimum, -log_minimum)))


def apply_lighting_batch(images: Float[Tensor, "b c h w"], lightings: Sequence[Lighting]) -> Float[Tensor, "b c h w"]:
    """The images, each with its own lighting applied, on their device.

    Args:
        images: shape (batch, channels, height, width), values in [0, 1].
        lightings: one per image.

    Raises:
        InputError: the number of lightings differs from the number of images.
    """
    if len(lightings) != len(images):
        raise InputError(f"a batch needs one lighting per image, got {len(lightings)} for {len(images)} images")
    if all(lighting.is_identity for lighting in lightings):
        return images
    parameters = torch.tensor([(lighting.gain, lighting.offset) for lighting in lightings], device=images.device)
    gain, offset = parameters.reshape(-1, 2, 1, 1, 1).unbind(1)
    return adjust_brightness_contrast(images, gain, offset)


def _drawn(
    size: Size, generator: np.random.Generator | None, p: float, lighting: Callable[[np.random.Generator], Lighting]
) -> TransformParams:
    """A change of the lighting with probability p; the identity otherwise, and for validation images."""
    if generator is None or generator.random() >= p:
        return TransformParams(Warp.identity(size))
    return TransformParams(Warp.identity(size), lighting(generator))


def _check(max_lighting: float, p: float) -> None:
    if not 0 <= max_lighting < 1:
        raise InputError(f"max_lighting must be in [0, 1), got {max_lighting}")
    if not 0 <= p <= 1:
        raise InputError(f"p must be a probability in [0, 1], got {p}")
