"""torchvision's pixel transforms (colour jitter, blur, noise, ...) as transforms of Eyebright, with reproducible seeds.

torchvision's transforms use torch's global generator, which other threads use at the same time, for example for dropout
or for another image. Here they run in a mode in which all random functions of torch use a generator of their own, for
the current thread only. The global generator is neither used nor changed.

Geometric transforms are refused, because torchvision would transform the pixels and not the points.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.overrides import TorchFunctionMode

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import PixelFunction, Transform, TransformParams
from eyebright.types import Size


@dataclass(frozen=True)
class PixelTransform(Transform):
    """A pixel transform of torchvision v2, or another function of a uint8 image that does not change the geometry.

    It is applied after warp and lighting.

    Args:
        transform: a function of a uint8 tensor of shape (c, h, w) that keeps shape and dtype, for example
            ``torchvision.transforms.v2.ColorJitter(hue=0.1)``. Its randomness must come from torch.
        always: True applies it to validation images and in prediction too; for deterministic transforms such as
            ``Grayscale(3)``.

    Raises:
        InputError: the transform is a geometric transform of torchvision; the message names Eyebright's.
    """

    transform: PixelFunction
    always: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for part in _parts(self.transform):
            _check_supported(part)

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """The transform with a random seed; the identity for validation images unless ``always``."""
        if generator is None and not self.always:
            return TransformParams(Warp.identity(size))
        seed = 0 if generator is None else int(generator.integers(2**63))
        return TransformParams(Warp.identity(size), pixel_functions=(_Seeded(self.transform, seed),))


def as_transform(value: object) -> Transform:
    """``value`` if it is a `Transform`, or a pixel transform of torchvision as a `PixelTransform`.

    Raises:
        InputError: it is neither, or a geometric transform of torchvision.
    """
    if isinstance(value, Transform):
        return value
    if callable(value) and _is_torchvision(value):
        return PixelTransform(cast(PixelFunction, value))
    raise InputError(
        f"{value!r} is not a transform: use a transform of eyebright or torchvision, or PixelTransform(function) for a "
        "function of uint8 images of shape (c, h, w)"
    )


@dataclass(frozen=True)
class _Seeded:
    """A pixel transform with a fixed seed, which gives the same result in every call."""

    transform: PixelFunction
    seed: int

    def __call__(self, image: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "c h w"]:
        with _SeededRandomness(self.seed):
            out = self.transform(image)
        if out.shape != image.shape or out.dtype != image.dtype:
            raise InputError(
                f"{self.transform!r} changed a {image.dtype} image of shape {tuple(image.shape)} to {out.dtype} of "
                f"shape {tuple(out.shape)}; a pixel transform must keep dtype and shape"
            )
        return out


class _SeededRandomness(TorchFunctionMode):
    """A context in which torch's random functions, called in this thread, use one seeded generator."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in _RANDOM_FUNCTIONS and kwargs.get("generator") is None:
            kwargs["generator"] = self._generator
        return func(*args, **kwargs)


def _parts(transform: object) -> Iterator[object]:
    """The transform and all transforms it contains (``Compose``, ``RandomApply``, ``nn.Sequential``, ...)."""
    yield transform
    children = list(transform.children()) if isinstance(transform, torch.nn.Module) else []
    if _is_torchvision(transform):
        children += getattr(transform, "transforms", [])
    for part in children:
        yield from _parts(part)


def _check_supported(part: object) -> None:
    name = type(part).__name__
    if not _is_torchvision(part) or (name not in _REPLACEMENTS and name not in _OTHER_REPLACEMENTS):
        return
    if name in _OTHER_REPLACEMENTS:
        raise InputError(f"torchvision's {name} is not a pixel transform: {_OTHER_REPLACEMENTS[name]}")
    raise InputError(
        f"torchvision's {name} would transform the pixels and not the points: use eyebright's {_REPLACEMENTS[name]} "
        f"(for images without points, PixelTransform(lambda image: transform(image)) allows it)"
    )


def _is_torchvision(value: object) -> bool:
    return type(value).__module__.startswith("torchvision.transforms")


_REPLACEMENTS = {
    "Resize": "Resize",
    "CenterCrop": "Resize",
    "Pad": "Resize(method='pad')",
    "RandomCrop": "Resize",
    "FiveCrop": "Resize",
    "TenCrop": "Resize",
    "RandomResizedCrop": "RandomResizedCrop",
    "RandomIoUCrop": "RandomResizedCrop",
    "ScaleJitter": "Zoom",
    "RandomZoomOut": "Zoom",
    "RandomResize": "Resize",
    "RandomShortestSize": "Resize",
    "RandomHorizontalFlip": "Flip",
    "RandomVerticalFlip": "Dihedral",
    "RandomRotation": "Rotate",
    "RandomAffine": "Rotate and Zoom",
    "RandomPerspective": "PerspectiveWarp",
    "ElasticTransform": "PerspectiveWarp",
    "AutoAugment": "aug_transforms",
    "RandAugment": "aug_transforms",
    "TrivialAugmentWide": "aug_transforms",
    "AugMix": "aug_transforms",
}

_OTHER_REPLACEMENTS = {
    "Normalize": "use eyebright's Normalize (the model normalises)",
    "MixUp": "it needs a whole batch and its targets",
    "CutMix": "it needs a whole batch and its targets",
}

# All functions of torch and methods of Tensor that take a generator.
_RANDOM_FUNCTIONS = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "bernoulli",
    "multinomial", "poisson", "binomial", "_sample_dirichlet", "_standard_gamma", "uniform_", "normal_", "random_",
    "bernoulli_", "exponential_", "geometric_", "cauchy_", "log_normal_",
}  # fmt: skip
