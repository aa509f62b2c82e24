"""Names of backbones, and what each one wants to be fed.

``"resnet18"``, ``"resnet34"`` and ``"resnet50"`` are torchvision's, as in the book; a name with a tag
(``"resnet18.a1_in1k"``) and every other name is timm's. Both libraries are loaded when they are needed first.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from eyebright.errors import InputError, listing
from eyebright.types import InputDescription, Size

TORCHVISION = ("resnet18", "resnet34", "resnet50")
"""The names that mean torchvision's models."""


def architecture_name(arch: str | Callable[..., nn.Module]) -> str:
    """The name that ``arch`` stands for.

    Args:
        arch: a timm name, or one of torchvision's three ResNets as a name or as the function.

    Raises:
        InputError: there is no such backbone; the message names the nearest ones.
    """
    if not isinstance(arch, str):
        return _name_of_function(arch)
    return arch if arch in TORCHVISION else _timm_name(arch)


def input_description(
    arch: str | Callable[..., nn.Module], *, size: int | Sequence[int] | None = None, n_in: int = 3
) -> InputDescription:
    """What the backbone's pretrained weights want to be fed.

    Args:
        arch: as :func:`architecture_name` takes it.
        size: of the images that it will see; by default the size that its weights were trained for.
        n_in: channels of the images. One channel gets the mean over red, green and blue; so do those after blue.
    """
    name = architecture_name(arch)
    own = _torchvision_input(name) if name in TORCHVISION else _timm_input(name)
    return InputDescription(
        size=own.size if size is None else Size.of(size),
        mean=_for_channels(own.mean, n_in),
        std=_for_channels(own.std, n_in),
        interpolation=own.interpolation,
    )


def _name_of_function(arch: Callable[..., nn.Module]) -> str:
    name = getattr(arch, "__name__", repr(arch))
    if name not in TORCHVISION:
        raise InputError(
            f"cannot use the function '{name}' as a backbone: only torchvision's {listing(TORCHVISION)} are taken"
            " as functions; give the name of a timm model as text instead"
        )
    return name


def _timm_name(arch: str) -> str:
    """The name as timm has it today; timm gave some models new names."""
    import timm
    from timm.models import get_deprecated_models

    arch = get_deprecated_models().get(arch) or arch
    base, _, tag = arch.partition(".")
    if not timm.is_model(base):
        near = difflib.get_close_matches(base, sorted({*timm.list_models(), *TORCHVISION}), n=3, cutoff=0.5)
        meant = f" Did you mean {listing(near)}?" if near else ""
        raise InputError(f"there is no backbone '{arch}'.{meant} Any name of timm.list_models() will do")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        raise InputError(f"the backbone '{base}' has no weights '{tag}'; there are: {listing(tags)}")
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

    known: Any = timm.get_pretrained_cfg(name)
    return InputDescription(
        size=Size.of(known.input_size[1:]),
        mean=tuple(known.mean),
        std=tuple(known.std),
        interpolation="bilinear" if known.interpolation == "bilinear" else "bicubic",
    )


def _for_channels(values: tuple[float, ...], n_in: int) -> tuple[float, ...]:
    if n_in == len(values):
        return values
    mean = sum(values) / len(values)
    return (mean,) if n_in == 1 else (*values[:n_in], *[mean] * (n_in - len(values)))
