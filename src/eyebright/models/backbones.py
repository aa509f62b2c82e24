"""Backbones: what turns a picture into features, from torchvision (the book's ResNets) or from timm (any name).

``"resnet18"``, ``"resnet34"`` and ``"resnet50"`` are torchvision's, as in the book; a name with a tag
(``"resnet18.a1_in1k"``) and every other name is timm's. Both libraries are loaded when the first backbone is made.

timm's models answer in several shapes. What comes out here is one of two: maps (b, c, h, w), or, for models of tokens
(ViT and kin) whose own pooling knows their class tokens, vectors (b, c).
"""

import copy
import difflib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import InputError, WeightsError, listing
from eyebright.types import InputDescription, Size

TORCHVISION = ("resnet18", "resnet34", "resnet50")
"""The names that mean torchvision's models."""


def resnet18(weights: str | None = None) -> nn.Module:
    """torchvision's 18-layer ResNet; as an ``arch`` it stands for its name."""
    return _torchvision_model("resnet18", weights)


def resnet34(weights: str | None = None) -> nn.Module:
    """torchvision's 34-layer ResNet; as an ``arch`` it stands for its name."""
    return _torchvision_model("resnet34", weights)


def resnet50(weights: str | None = None) -> nn.Module:
    """torchvision's 50-layer ResNet; as an ``arch`` it stands for its name."""
    return _torchvision_model("resnet50", weights)


def architecture_name(arch: str | Callable[..., nn.Module]) -> str:
    """The name that ``arch`` stands for.

    Args:
        arch: a timm name, or one of torchvision's three ResNets as a name or as the function.

    Raises:
        InputError: there is no such backbone; the message names the nearest ones.
    """
    if callable(arch):
        name = getattr(arch, "__name__", repr(arch))
        if name in TORCHVISION:
            return name
        raise InputError(
            f"cannot use the function '{name}' as a backbone: only torchvision's {listing(TORCHVISION)} are taken"
            f" as functions; give the name of a timm model as text instead, for example '{name}'"
        )
    if arch in TORCHVISION:
        return arch
    _check_timm_name(arch)
    return arch


def input_description(
    arch: str | Callable[..., nn.Module], *, size: int | Sequence[int] | None = None, n_in: int = 3
) -> InputDescription:
    """What the backbone's pretrained weights want to be fed.

    Args:
        arch: as :func:`architecture_name` takes it.
        size: of the pictures that it will see; by default the size that its weights were trained for.
        n_in: channels of the pictures. One channel gets the mean over red, green and blue; further ones too.
    """
    own = _torchvision_input(name) if (name := architecture_name(arch)) in TORCHVISION else _timm_input(name)
    return InputDescription(
        size=own.size if size is None else Size.of(size),
        mean=_for_channels(own.mean, n_in),
        std=_for_channels(own.std, n_in),
        interpolation=own.interpolation,
    )


@dataclass(frozen=True)
class Backbone:
    """A body and what comes out of it.

    Args:
        body: the module; its state dict holds the origin's own names.
        width: channels of its features.
        pooled: the features are vectors (b, c), not maps (b, c, h, w).
    """

    body: nn.Module
    width: int
    pooled: bool


class TimmBody(nn.Module):
    """A timm model up to its features; the names in its state dict are timm's behind ``model.``.

    Args:
        model: a timm model without its classifier.
        form: what its ``forward_features`` gives: ``"maps"``, ``"maps, channels last"``, or ``"tokens"`` that its
            own ``forward_head`` pools.
        fixed_size: the only picture size that it can work with; None when it does not matter.
    """

    def __init__(self, model: nn.Module, *, form: str, fixed_size: Size | None) -> None:
        super().__init__()
        self.model = model
        self.form = form
        self.fixed_size = fixed_size

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b *features"]:
        if self.fixed_size is not None and tuple(x.shape[-2:]) != self.fixed_size:
            raise InputError(
                f"this model was made for pictures of {self.fixed_size} and got {x.shape[-2]}x{x.shape[-1]};"
                " resize the pictures, or make the model with the size that they have"
            )
        return _features(self.model, x, self.form)


def create_body(
    arch: str,
    *,
    n_in: int = 3,
    size: Size | None = None,
    state: Mapping[str, Tensor] | None = None,
    origin: str = "the weights",
) -> Backbone:
    """The backbone ``arch`` without its classifier.

    Args:
        arch: as :func:`architecture_name` gives it.
        n_in: channels of the pictures; another number than 3 changes the first layer, see :func:`adapt_first_conv`.
        size: of the pictures; matters for models that are made for one size (ViT and kin).
        state: pretrained tensors by the names of the origin (torchvision or timm); None for random ones.
        origin: where ``state`` came from, for messages.

    Raises:
        InputError: the backbone cannot work with such pictures.
        WeightsError: ``state`` does not fit; the message names what differs.
    """
    if arch in TORCHVISION:
        return _torchvision_body(arch, n_in=n_in, state=state, origin=origin)
    return _timm_body(arch, n_in=n_in, size=size, state=state, origin=origin)


def adapt_first_conv(weight: Float[Tensor, "o 3 h w"], n_in: int) -> Float[Tensor, "o n h w"]:
    """The weight of a first convolution for ``n_in`` channels instead of 3, as in the book.

    One channel gets the sum over the three (a grey picture then gives what its three equal channels gave), two get
    the first two times 1.5, and from four on the further ones start at 0.
    """
    if n_in == 1:
        return weight.sum(dim=1, keepdim=True)
    if n_in == 2:
        return weight[:, :2] * 1.5
    if n_in == 3:
        return weight
    return torch.cat([weight, weight.new_zeros(len(weight), n_in - 3, *weight.shape[2:])], dim=1)


def mismatch(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What keeps ``given`` from being ``expected``, by name; the empty string when they fit."""
    lacking = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    shapes = [
        f"{name} is {tuple(given[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    parts = {"lacks": lacking, "has unknown": unknown, "has other shapes:": shapes}
    return " and ".join(f"{verb} {listing(names, most=3)}" for verb, names in parts.items() if names)


def _torchvision_model(name: str, weights: str | None) -> nn.Module:
    from torchvision.models import get_model

    return get_model(name, weights=weights)


def _torchvision_input(name: str) -> InputDescription:
    from torchvision.models import get_model_weights

    preset: Any = get_model_weights(name).DEFAULT.transforms()  # type: ignore[attr-defined]
    return InputDescription(
        size=Size.of(preset.crop_size[0]),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _torchvision_body(name: str, *, n_in: int, state: Mapping[str, Tensor] | None, origin: str) -> Backbone:
    model: Any = _torchvision_model(name, None)
    body = nn.Sequential(OrderedDict(list(model.named_children())[:-2]))  # all but avgpool and fc
    if state is not None:
        _load_body(body, {key: value for key, value in state.items() if not key.startswith("fc.")}, origin)
    if n_in != 3:
        body.conv1 = _with_channels(model.conv1, n_in, pretrained=state is not None)
    return Backbone(body, width=model.fc.in_features, pooled=False)


def _load_body(body: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    expected = body.state_dict()
    # Files from before torch 0.4.1 do not count batches; nothing that is used here depends on the count.
    counters = {key: value for key, value in expected.items() if key.endswith("num_batches_tracked")}
    state = {**counters, **state}
    if difference := mismatch(expected, state):
        raise WeightsError(f"{origin} does not fit the backbone: it {difference}")
    body.load_state_dict(state)


def _with_channels(conv: nn.Conv2d, n_in: int, *, pretrained: bool) -> nn.Conv2d:
    """The first convolution for ``n_in`` channels: adapted when it was trained, else drawn anew as torch draws it."""
    new = nn.Conv2d(
        n_in,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        stride=conv.stride,  # type: ignore[arg-type]
        padding=conv.padding,  # type: ignore[arg-type]
        bias=conv.bias is not None,
    )
    if pretrained:
        new.weight = nn.Parameter(adapt_first_conv(conv.weight.detach(), n_in))
    return new


def _check_timm_name(arch: str) -> None:
    import timm

    if not timm.is_model(arch):
        near = difflib.get_close_matches(arch, [*timm.list_models(), *TORCHVISION], n=3, cutoff=0.5)
        meant = f" Did you mean {listing(near)}?" if near else ""
        raise InputError(f"there is no backbone '{arch}'.{meant} Any name of timm.list_models() will do")
    base, _, tag = arch.partition(".")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        raise InputError(f"the backbone '{base}' has no weights '{tag}'; there are: {listing(tags)}")


def _timm_input(name: str) -> InputDescription:
    import timm

    known: Any = timm.get_pretrained_cfg(name)
    if known is None or known.input_size is None:
        return InputDescription(size=Size(224, 224))
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


def _timm_body(name: str, *, n_in: int, size: Size | None, state: Mapping[str, Tensor] | None, origin: str) -> Backbone:
    import timm

    known: Any = timm.get_pretrained_cfg(name)
    size = size or _timm_input(name).size
    fixed = size if known is not None and known.fixed_input_size else None
    if state is None:
        model = _timm_model(name, n_in=n_in, fixed=fixed)
    else:
        model = _timm_pretrained(name, n_in=n_in, fixed=fixed, state=state, origin=origin)
    model.reset_classifier(0)
    try:
        form, width = _settle(model, n_in, size)
    except Exception as error:  # any of a thousand models' own complaints
        raise InputError(
            f"the backbone '{name}' cannot work with {n_in}-channel pictures of {size}: {error}"
        ) from error
    return Backbone(TimmBody(model, form=form, fixed_size=fixed), width=width, pooled=form == "tokens")


def _timm_model(name: str, *, n_in: int, fixed: Size | None, state: Mapping[str, Tensor] | None = None) -> Any:
    import timm

    return timm.create_model(
        name,
        pretrained=state is not None,
        pretrained_cfg_overlay=None if state is None else {"state_dict": dict(state)},
        in_chans=n_in,
        img_size=None if fixed is None else tuple(fixed),
    )


def _timm_pretrained(name: str, *, n_in: int, fixed: Size | None, state: Mapping[str, Tensor], origin: str) -> Any:
    """The model with ``state`` in it: timm converts old layouts, other picture sizes and other channels itself.

    timm loads strictly when the classifier is complete. A file of the user's own may have another classifier or none:
    the second try puts one of the right shape in its place, since it is cut off afterwards.
    """
    try:
        return _timm_model(name, n_in=n_in, fixed=fixed, state=state)
    except RuntimeError:
        fresh = _timm_model(name, n_in=3, fixed=None)
        expected: dict[str, Tensor] = fresh.state_dict()
        classifier = _classifier_names(fresh)
    state = {key: value for key, value in state.items() if not key.startswith(classifier)}
    state |= {key: value for key, value in expected.items() if key.startswith(classifier)}
    try:
        return _timm_model(name, n_in=n_in, fixed=fixed, state=state)
    except RuntimeError as error:
        difference = mismatch(expected, state) or str(error).replace("\n\t", " ")
        raise WeightsError(f"{origin} does not fit the backbone '{name}': it {difference}") from None


def _classifier_names(model: Any) -> tuple[str, ...]:
    names = model.pretrained_cfg.get("classifier") or ()
    return tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))


def _settle(model: Any, n_in: int, size: Size) -> tuple[str, int]:
    """Finds out what the features look like and drops the parts behind them; gives the form and the width.

    Tried on a copy on torch's meta device, which computes shapes only. Parts that get no gradient (the layers of the
    old head) would weigh down files and the optimizer, and stop distributed training.
    """
    trial = copy.deepcopy(model).to("meta").eval()
    picture = torch.zeros(1, n_in, *size, device="meta")
    with torch.enable_grad():
        form = _form(trial.forward_features(picture), model.num_features)
        features = _features(trial, picture, form)
        features.sum().backward()
    if features.ndim != (2 if form == "tokens" else 4):
        raise InputError(f"its features have the shape {tuple(features.shape)}")
    for name, part in trial.named_children():
        parameters = list(part.parameters())
        if parameters and all(parameter.grad is None for parameter in parameters):
            setattr(model, name, nn.Identity())
    model.pretrained_cfg = model.default_cfg = {}  # holds the pretrained tensors once more
    return form, features.shape[1]


def _form(features: Any, width: int) -> str:
    if isinstance(features, Tensor) and features.ndim == 4:
        if features.shape[1] == width:
            return "maps"
        if features.shape[3] == width:
            return "maps, channels last"
    return "tokens"


def _features(model: Any, x: Float[Tensor, "b c h w"], form: str) -> Float[Tensor, "b *features"]:
    features = model.forward_features(x)
    if form == "tokens":
        return model.forward_head(features, pre_logits=True)
    return features.permute(0, 3, 1, 2) if form == "maps, channels last" else features
