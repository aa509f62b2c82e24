"""Random brightness and contrast, drawn as in the book, and their batched form for a device."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Draw, Lighting, Transform, adjust_brightness_contrast
from eyebright.types import Size


@dataclass(frozen=True)
class Brightness(Transform):
    """Mid-grey moves to a value drawn evenly from ``0.5 * (1 - max_lighting)`` to ``0.5 * (1 + max_lighting)``.

    Args:
        max_lighting: in [0, 1).
        p: how often; otherwise nothing changes.
    """

    max_lighting: float = 0.2
    p: float = 0.75

    def __post_init__(self) -> None:
        _check(self.max_lighting, self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """A brightness; none for the validation preprocessing."""
        if generator is None or generator.random() >= self.p:
            return Draw(Warp.identity(size))
        grey = 0.5 * (1 + generator.uniform(-self.max_lighting, self.max_lighting))
        return Draw(Warp.identity(size), Lighting(offset=math.log(grey / (1 - grey))))


@dataclass(frozen=True)
class Contrast(Transform):
    """Contrast multiplied by a factor from ``1 - max_lighting`` to its reciprocal, even on a logarithmic scale.

    Args:
        max_lighting: in [0, 1).
        p: how often; otherwise nothing changes.
    """

    max_lighting: float = 0.2
    p: float = 0.75

    def __post_init__(self) -> None:
        _check(self.max_lighting, self.p)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """A contrast; none for the validation preprocessing."""
        if generator is None or generator.random() >= self.p:
            return Draw(Warp.identity(size))
        least = math.log(1 - self.max_lighting)
        return Draw(Warp.identity(size), Lighting(gain=math.exp(generator.uniform(least, -least))))


def apply_lighting_batch(images: Float[Tensor, "b c h w"], lightings: Sequence[Lighting]) -> Float[Tensor, "b c h w"]:
    """Many images, each with its own lighting, on their device.

    Args:
        images: values in [0, 1].
        lightings: one for each image.

    Raises:
        InputError: there is not one lighting for each image.
    """
    if len(lightings) != len(images):
        raise InputError(f"a batch needs one lighting for each image; got {len(lightings)} for {len(images)}")
    if all(lighting.is_identity for lighting in lightings):
        return images
    of_each = torch.tensor([(lighting.gain, lighting.offset) for lighting in lightings], device=images.device)
    gain, offset = of_each.reshape(-1, 2, 1, 1, 1).unbind(1)
    return adjust_brightness_contrast(images, gain, offset)


def _check(max_lighting: float, p: float) -> None:
    if not 0 <= max_lighting < 1:
        raise InputError(f"max_lighting lies in [0, 1), got {max_lighting}")
    if not 0 <= p <= 1:
        raise InputError(f"p is a probability in [0, 1], got {p}")
