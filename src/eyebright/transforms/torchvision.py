"""torchvision's pixel transforms (colour jitter, blur, noise, ...) beside our own, with counted randomness.

They draw from torch's global generator, which other threads use at the same time: a training step's dropout, or
another loader's image. So they run here with every random function of torch taking its numbers from a generator of
their own, in their own thread only; the global one is neither read nor moved.

Transforms that move pixels are refused: torchvision would move the pixels and not our points.
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
from eyebright.transforms.draw import Draw, PixelFunction, Transform
from eyebright.types import Size


@dataclass(frozen=True)
class PixelTransform(Transform):
    """Any function of a uint8 image (c, h, w) that keeps its shape and moves nothing: torchvision v2's above all.

    It runs after warp and lighting, on training images only unless ``always``.

    Args:
        transform: for example ``torchvision.transforms.v2.ColorJitter(hue=0.1)``. Its random numbers are torch's.
        always: also on validation images and at prediction, for transforms without chance (``Grayscale(3)``).

    Raises:
        InputError: the transform is one of torchvision's that move pixels; the message names ours.
    """

    transform: PixelFunction
    always: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for part in _parts(self.transform):
            _refuse_what_does_not_fit(part)

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """The transform with a seed of its own; nothing for the validation preprocessing unless ``always``."""
        if generator is None and not self.always:
            return Draw(Warp.identity(size))
        seed = 0 if generator is None else int(generator.integers(2**63))
        return Draw(Warp.identity(size), pixel_functions=(_Seeded(self.transform, seed),))


def as_transform(value: object) -> Transform:
    """``value`` if it is one of our transforms, or torchvision's pixel transform as one of ours.

    Raises:
        InputError: it is neither; the message says what can be used.
    """
    if isinstance(value, Transform):
        return value
    if callable(value) and _is_torchvision(value):
        return PixelTransform(cast(PixelFunction, value))
    raise InputError(
        f"{value!r} is not a transform: use one of eyebright's or torchvision's, or PixelTransform(function) for a "
        "function of uint8 images of shape (c, h, w)"
    )


@dataclass(frozen=True)
class _Seeded:
    """A drawn pixel change: the same numbers each time it runs."""

    transform: PixelFunction
    seed: int

    def __call__(self, image: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "c h w"]:
        with _OwnRandomness(self.seed):
            out = self.transform(image)
        if out.shape != image.shape or out.dtype != image.dtype:
            raise InputError(
                f"{self.transform!r} made {out.dtype} {tuple(out.shape)} of a {image.dtype} {tuple(image.shape)} "
                "image; a pixel transform keeps type and shape"
            )
        return out


class _OwnRandomness(TorchFunctionMode):
    """While it is entered, this thread's calls of torch's random functions draw from one seeded generator."""

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
        if getattr(func, "__name__", "") in _RANDOM and kwargs.get("generator") is None:
            kwargs["generator"] = self._generator
        return func(*args, **kwargs)


def _parts(transform: object) -> Iterator[object]:
    """The transform itself and those inside it (``Compose``, ``RandomApply``, ``nn.Sequential``, ...)."""
    yield transform
    inside = list(transform.children()) if isinstance(transform, torch.nn.Module) else []
    if _is_torchvision(transform):
        inside += getattr(transform, "transforms", [])
    for part in inside:
        yield from _parts(part)


def _refuse_what_does_not_fit(part: object) -> None:
    name = type(part).__name__
    if not _is_torchvision(part) or (name not in _OURS_INSTEAD and name not in _ELSEWHERE):
        return
    if name in _ELSEWHERE:
        raise InputError(f"torchvision's {name} is not a pixel transform: {_ELSEWHERE[name]}")
    raise InputError(
        f"torchvision's {name} moves pixels and would leave the points behind: use eyebright's {_OURS_INSTEAD[name]} "
        f"(for images without points, PixelTransform(lambda image: transform(image)) lets it through)"
    )


def _is_torchvision(value: object) -> bool:
    return type(value).__module__.startswith("torchvision.transforms")


_OURS_INSTEAD = {
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

_ELSEWHERE = {
    "Normalize": "use eyebright's Normalize (the model normalises)",
    "MixUp": "it needs a whole batch and its targets",
    "CutMix": "it needs a whole batch and its targets",
}

# Every function of torch, and method of Tensor, that takes a generator.
_RANDOM = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "bernoulli",
    "multinomial", "poisson", "binomial", "_sample_dirichlet", "_standard_gamma", "uniform_", "normal_", "random_",
    "bernoulli_", "exponential_", "geometric_", "cauchy_", "log_normal_",
}  # fmt: skip
