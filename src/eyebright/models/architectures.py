"""Backbone names, and the input (size, mean, std) that each backbone's pretrained weights expect.

``"resnet18"``, ``"resnet34"`` and ``"resnet50"`` are torchvision's models, as in fastai; a name with a tag
(``"resnet18.a1_in1k"``) and every other name is timm's. Both libraries are imported only when first needed.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from eyebright.errors import InputError, listing
from eyebright.types import InputDescription, Size

TORCHVISION = ("resnet18", "resnet34", "resnet50")
"""Names that select torchvision's models instead of timm's."""
_PACKAGES = ("torchvision", "eyebright")  # whose functions of these names mean torchvision's models


def architecture_name(arch: str | Callable[..., nn.Module]) -> str:
    """The name of the backbone ``arch``; deprecated timm names are replaced by the current ones.

    Args:
        arch: a timm name, or one of ``TORCHVISION`` as a name or as torchvision's function.

    Raises:
        InputError: there is no such backbone or tag; the message lists similar names.
    """
    if not isinstance(arch, str):
        return _function_name(arch)
    return arch if arch in TORCHVISION else _timm_name(arch)


def input_description(
    arch: str | Callable[..., nn.Module], *, size: int | Sequence[int] | None = None, n_in: int = 3
) -> InputDescription:
    """The input that the backbone's pretrained weights expect: size, mean, std and interpolation.

    Args:
        arch: as for ``architecture_name``.
        size: image size in pixels, (h, w) or one integer for a square; by default the pretraining size.
        n_in: number of image channels. A single channel, and each channel after the third, gets the average of the
            three RGB statistics.

    Raises:
        InputError: there is no such backbone.
    """
    name = architecture_name(arch)
    default = _torchvision_input(name) if name in TORCHVISION else _timm_input(name)
    return InputDescription(
        size=default.size if size is None else Size.of(size),
        mean=_adapt_statistics(default.mean, n_in),
        std=_adapt_statistics(default.std, n_in),
        interpolation=default.interpolation,
    )


def _function_name(arch: Callable[..., nn.Module]) -> str:
    name = getattr(arch, "__name__", repr(arch))
    if name not in TORCHVISION or (getattr(arch, "__module__", None) or "").split(".")[0] not in _PACKAGES:
        raise InputError(
            f"cannot use the function '{name}' as a backbone: only torchvision's {listing(TORCHVISION)} can be passed"
            " as functions; pass the name of a timm model as a string instead"
        )
    return name


def _timm_name(arch: str) -> str:
    """The current timm name of the model: timm has renamed some models."""
    import timm
    from timm.models import get_deprecated_models

    arch = get_deprecated_models().get(arch) or arch
    base, _, tag = arch.partition(".")
    if not timm.is_model(base):
        similar = difflib.get_close_matches(base, sorted({*timm.list_models(), *TORCHVISION}), n=3, cutoff=0.5)
        suggestion = f" Did you mean {listing(similar)}?" if similar else ""
        raise InputError(f"there is no backbone '{arch}'.{suggestion} Use any name from timm.list_models()")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        raise InputError(f"the backbone '{base}' has no weights '{tag}'; available: {listing(tags)}")
    return arch


def _torchvision_input(name: str) -> InputDescription:
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(name)
    preset = weights.DEFAULT.transforms()
    return InputDescription(
        size=Size.of(preset.crop_size[0]),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _timm_input(name: str) -> InputDescription:
    import timm

    config: Any = timm.get_pretrained_cfg(name)
    return InputDescription(
        size=Size.of(config.input_size[1:]),
        mean=tuple(config.mean),
        std=tuple(config.std),
        interpolation="bilinear" if config.interpolation == "bilinear" else "bicubic",
    )


def _adapt_statistics(values: tuple[float, ...], n_in: int) -> tuple[float, ...]:
    if n_in == len(values):
        return values
    mean = sum(values) / len(values)
    return (mean,) if n_in == 1 else (*values[:n_in], *[mean] * (n_in - len(values)))
