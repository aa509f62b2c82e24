"""From a description to a model: the description is plain data, so that a saved model needs no code to come back.

Names in a model's state dict, which are those in ``model.safetensors``: ``body.`` and the names of the origin
(torchvision: ``body.layer1.0.conv1.weight``; timm: ``body.model.blocks.0.0.conv_dw.weight``), ``head.`` and the place
in the head (``head.8.weight``). Mean and std are not in it: they are in the description.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.architectures import architecture_name, input_description
from eyebright.models.backbones import create_body
from eyebright.models.heads import Initialiser, create_head, initialise
from eyebright.models.weights import find_weights
from eyebright.types import InputDescription, Size


@dataclass(frozen=True)
class ModelDescription:
    """Everything that makes a model, apart from its weights.

    Args:
        arch: the backbone's name, torchvision's or timm's.
        classes: width of the output.
        input: what the model is fed.
        n_in: channels of the images.
        concat_pool: the head pools with maximum and average side by side, not with the average alone.
        lin_ftrs: widths of the head's hidden layers; None for one of 512.
        ps: the head's dropout, see :func:`eyebright.models.heads.create_head`.
        bn_final: a batch norm over the outputs.
        first_bn: a batch norm before the head's first linear layer.
        lin_first: the head's linear layers come before their batch norms.
        y_range: the outputs lie between these two numbers; None for unbounded logits.
        pool: the head pools the backbone's maps. Ignored for backbones that pool themselves.
        output_shape: the shape of one answer, for example (5, 2) for five points; None for (classes,).
    """

    arch: str
    classes: int
    input: InputDescription
    n_in: int = 3
    concat_pool: bool = True
    lin_ftrs: tuple[int, ...] | None = None
    ps: float | tuple[float, ...] = 0.5
    bn_final: bool = False
    first_bn: bool = True
    lin_first: bool = False
    y_range: tuple[float, float] | None = None
    pool: bool = True
    output_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise InputError(f"a model has at least one output, got classes={self.classes}")
        if self.n_in < 1:
            raise InputError(f"an image has at least one channel, got n_in={self.n_in}")
        if len(self.input.mean) != self.n_in or len(self.input.std) != self.n_in:
            raise InputError(f"images of {self.n_in} channels need {self.n_in} means and stds, got {self.input}")
        if self.y_range is not None and not self.y_range[0] < self.y_range[1]:
            raise InputError(f"y_range goes from low to high, got {self.y_range}")
        if self.output_shape is not None and prod(self.output_shape) != self.classes:
            raise InputError(f"answers of the shape {self.output_shape} do not hold {self.classes} numbers")

    def to_json(self) -> dict[str, Any]:
        """The description as JSON holds it."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "ModelDescription":
        """The description that :meth:`to_json` gave.

        Raises:
            InputError: a field is missing, unknown or of the wrong kind.
        """
        try:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
            fields["input"] = _input_from_json(data["input"])
            fields["ps"] = _numbers(fields.get("ps", 0.5))
            fields["lin_ftrs"] = None if (widths := fields.get("lin_ftrs")) is None else tuple(map(int, widths))
            return ModelDescription(**fields)
        except InputError:
            raise
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"this is not the description of a model: {error}") from error


def describe(
    arch: str | Callable[..., nn.Module],
    classes: int,
    *,
    size: int | Sequence[int] | None = None,
    n_in: int = 3,
    concat_pool: bool = True,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    bn_final: bool = False,
    first_bn: bool = True,
    lin_first: bool = False,
    y_range: Sequence[float] | None = None,
    pool: bool = True,
    output_shape: Sequence[int] | None = None,
) -> ModelDescription:
    """The description of a model with the backbone ``arch``; the other arguments as in :class:`ModelDescription`.

    Args:
        arch: a timm name, or one of torchvision's ResNets as name or function (``resnet18``).
        classes: width of the output.
        size: of the images that the model will see; by default the size its pretrained weights are for.
        n_in: channels of the images.
        concat_pool: the head pools with maximum and average side by side.
        lin_ftrs: widths of the head's hidden layers.
        ps: the head's dropout.
        bn_final: a batch norm over the outputs.
        first_bn: a batch norm before the head's first linear layer.
        lin_first: the head's linear layers come before their batch norms.
        y_range: the outputs lie between these two numbers.
        pool: the head pools the backbone's maps.
        output_shape: the shape of one answer.

    Raises:
        InputError: there is no such backbone, or the arguments do not fit together.
    """
    return ModelDescription(
        arch=architecture_name(arch),
        classes=classes,
        input=input_description(arch, size=size, n_in=n_in),
        n_in=n_in,
        concat_pool=concat_pool,
        lin_ftrs=None if lin_ftrs is None else tuple(lin_ftrs),
        ps=tuple(ps) if isinstance(ps, Sequence) else ps,
        bn_final=bn_final,
        first_bn=first_bn,
        lin_first=lin_first,
        y_range=None if y_range is None else (y_range[0], y_range[1]),
        pool=pool,
        output_shape=None if output_shape is None else tuple(output_shape),
    )


class ImageModel(nn.Sequential):
    """A backbone and a head that take images as they are: values in [0, 1], or bytes.

    ``model[0]`` is the body and ``model[1]`` the head, as in the book; also ``model.body`` and ``model.head``.

    Args:
        body: gives features.
        head: gives answers.
        description: what the two were made from.
        origin: where the pretrained weights came from; None for random ones.

    Attributes:
        normalised_outside: set it when the images come normalised already; then ``forward`` does not do it again.
    """

    body: nn.Module
    head: nn.Module
    mean: Tensor
    std: Tensor

    def __init__(
        self, body: nn.Module, head: nn.Module, description: ModelDescription, *, origin: str | None = None
    ) -> None:
        super().__init__(OrderedDict(body=body, head=head))
        self.description = description
        self.origin = origin
        self.normalised_outside = False
        for name, values in (("mean", description.input.mean), ("std", description.input.std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # nn.Sequential calls it ``input``
        self, x: Float[Tensor, "b c h w"] | UInt8[Tensor, "b c h w"]
    ) -> Float[Tensor, "b *answer"]:
        """One answer for each image; logits, unless the description has a ``y_range``."""
        x = self.normalise(x)
        with torch.set_grad_enabled(self._body_needs_graph(x)):
            x = self.body(x)
        x = self.head(x)
        shape = self.description.output_shape
        return x if shape is None else x.view(-1, *shape)

    def normalise(self, x: Float[Tensor, "b c h w"] | UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The image as the body wants it: bytes become numbers in [0, 1], then mean and std of the description."""
        if x.dtype == torch.uint8:
            x = x.to(self.mean.dtype) / 255
        if self.normalised_outside:
            return x
        return _standardised(x, self.mean.to(x.dtype), self.std.to(x.dtype))

    def _body_needs_graph(self, x: Tensor) -> bool:
        """False when nothing in the body learns: then its part of a step costs no more than a prediction."""
        return torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in self.body.parameters()))


def _standardised(
    x: Float[Tensor, "b c h w"], mean: Float[Tensor, "c 1 1"], std: Float[Tensor, "c 1 1"]
) -> Float[Tensor, "b c h w"]:
    """(x - mean) / std."""
    rows_are_whole = x.is_contiguous(memory_format=torch.channels_last)
    if x.device.type != "cpu" or not rows_are_whole or torch.compiler.is_exporting():
        return (x - mean) / std
    # With the channels last, torch goes over three numbers at a time, which takes six times as long as over whole rows.
    # One pass for a product and a sum takes 0.6 of the time of two passes.
    rows, scale, offset = x.permute(0, 2, 3, 1).flatten(2), (1 / std).flatten(), (-mean / std).flatten()
    standardised = torch.addcmul(offset.repeat(x.shape[3]), rows, scale.repeat(x.shape[3]))
    return standardised.unflatten(2, (x.shape[3], -1)).permute(0, 3, 1, 2)


def build_model(
    description: ModelDescription,
    *,
    pretrained: bool | Literal["auto"] = False,
    init: Initialiser | None = nn.init.kaiming_normal_,
) -> ImageModel:
    """The model that ``description`` says, with a freshly drawn head.

    Args:
        description: from :func:`describe` or a saved model.
        pretrained: True loads the backbone's pretrained weights; ``"auto"`` does where they can be had, see the
            model's ``origin``.
        init: draws the head's weights, one at a time and in place; None leaves torch's own.

    Raises:
        InputError: the backbone cannot work with what is described.
        WeightsError: pretrained weights were asked for and cannot be had, or do not fit.
    """
    arch = architecture_name(description.arch)
    weights = find_weights(arch, required=pretrained is True) if pretrained else None
    backbone = create_body(arch, size=description.input.size, n_in=description.n_in, weights=weights)
    if not description.pool and not backbone.pooled:
        raise InputError(f"the backbone '{arch}' gives maps, which the head must pool: leave pool at True")
    head = create_head(
        backbone.width,
        description.classes,
        description.lin_ftrs,
        description.ps,
        pool=description.pool and not backbone.pooled,
        concat_pool=description.concat_pool,
        first_bn=description.first_bn,
        bn_final=description.bn_final,
        lin_first=description.lin_first,
        y_range=description.y_range,
    )
    if init is not None:
        initialise(head, init)
    return ImageModel(backbone.body, head, description, origin=None if weights is None else weights.origin)


def _numbers(value: Any) -> float | tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, (list, tuple)) else float(value)


def _input_from_json(data: Mapping[str, Any]) -> InputDescription:
    return InputDescription(
        size=Size.of(data["size"]),
        mean=tuple(map(float, data["mean"])),
        std=tuple(map(float, data["std"])),
        interpolation=data["interpolation"],
    )
