"""Image models, built from a description in plain data, so that loading a saved model runs no code from its folder.

The keys of a model's state dict, also used in ``model.safetensors``, are ``body.`` plus torchvision's or timm's name
(``body.layer1.0.conv1.weight``, ``body.model.blocks.0.0.conv_dw.weight``) and ``head.`` plus the layer's index in the
head (``head.8.weight``). Mean and std are not in the state dict but in the description.
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

from eyebright._defaults import DROPOUT
from eyebright.errors import InputError, short_repr
from eyebright.models.architectures import architecture_name, input_description
from eyebright.models.backbones import create_backbone
from eyebright.models.heads import Initializer, create_head, initialize
from eyebright.models.weights import find_weights
from eyebright.types import InputDescription, Size, check_side

MAX_OUTPUTS = 100_000
"""The maximum number of outputs of a model."""
MAX_CHANNELS = 1000
"""The maximum number of channels of an image."""
MAX_POOL_SIZE = 16
"""The largest height and width of pooled feature maps."""
_MAX_LAYERS, _MAX_WIDTH = 16, 65_536  # most layers of the head, and their largest size
_KEYS = {"n_out": "classes"}  # of fields that saved folders have under an older name
_MAX_CONSTANT = 1e6  # absolute value of mean, std and y_range


@dataclass(frozen=True)
class ModelDescription:
    """The configuration of a model: everything needed to build it, except its weights.

    Args:
        arch: name of the backbone, torchvision's or timm's.
        n_out: number of outputs per image, at least 1: one for each class, two for each point.
        input: size, mean and std of the images, and the interpolation used for resizing.
        n_in: number of image channels, at least 1.
        concat_pool: concatenate max and average pooling in the head; False uses only average pooling.
        lin_ftrs: sizes of the head's hidden layers; None for one of 512.
        ps: dropout probability in the head, see ``create_head``.
        bn_final: end the head with a batch norm over the outputs.
        first_bn: place a batch norm before the head's first linear layer.
        lin_first: in each block of the head, place the linear layer before batch norm and dropout.
        y_range: (low, high) range of the outputs, by a scaled sigmoid; None for unbounded outputs.
        pool: pool the backbone's feature maps in the head; ignored for backbones that pool themselves.
        pool_size: height and width of the pooled feature maps, whose cells are separate inputs of the head; 1: one
            value of each channel.
        output_shape: output shape for one image, for example (5, 2) for five points; None for a vector of all outputs.

    Raises:
        InputError: a value is out of range, or two of them contradict each other.
    """

    arch: str
    n_out: int
    input: InputDescription
    n_in: int = 3
    concat_pool: bool = True
    lin_ftrs: tuple[int, ...] | None = None
    ps: float | tuple[float, ...] = DROPOUT
    bn_final: bool = False
    first_bn: bool = True
    lin_first: bool = False
    y_range: tuple[float, float] | None = None
    pool: bool = True
    pool_size: int = 1
    output_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.n_out <= MAX_OUTPUTS:
            raise InputError(
                f"a model has at least one output, and at most {MAX_OUTPUTS:,}, got n_out={self.n_out:.6g}"
            )
        if not 1 <= self.n_in <= MAX_CHANNELS:
            raise InputError(
                f"an image has at least one channel, and at most {MAX_CHANNELS:,}, got n_in={self.n_in:.6g}"
            )
        _check_input(self.input, self.n_in)
        _check_head(self.lin_ftrs, self.ps)
        if not 1 <= self.pool_size <= MAX_POOL_SIZE:
            raise InputError(f"pool_size must be from 1 to {MAX_POOL_SIZE}, got {self.pool_size:.6g}")
        if self.y_range is not None and not -_MAX_CONSTANT < self.y_range[0] < self.y_range[1] < _MAX_CONSTANT:
            raise InputError(f"y_range must be (low, high) with low < high, both finite, got {self.y_range}")
        shape = self.output_shape
        if shape is not None and (len(shape) > _MAX_LAYERS or min(shape, default=1) < 1 or prod(shape) != self.n_out):
            raise InputError(
                f"output_shape {shape[:_MAX_LAYERS]} does not have {self.n_out} elements, one for each output (n_out)"
            )

    def to_json(self) -> dict[str, Any]:
        """The description as a dictionary that can be written as JSON."""
        return {_KEYS.get(name, name): value for name, value in dataclasses.asdict(self).items()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "ModelDescription":
        """The description read from the dictionary that ``to_json`` returned.

        Args:
            data: the parsed JSON object.

        Raises:
            InputError: a field is missing, unknown, of the wrong type or out of range.
        """
        _check_json(data, _FIELDS, required=("arch", "classes", "input"))
        _check_json(data["input"], _INPUT_FIELDS, required=tuple(_INPUT_FIELDS), prefix="input.")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
        for name, key in _KEYS.items():
            values[name] = values.pop(key)
        values["input"] = _input_from_json(data["input"])
        if "ps" in values:
            values["ps"] = _floats(values["ps"])
        return ModelDescription(**values)


def model_description(
    arch: str | Callable[..., nn.Module],
    n_out: int,
    *,
    size: int | Sequence[int] | None = None,
    n_in: int = 3,
    concat_pool: bool = True,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = DROPOUT,
    bn_final: bool = False,
    first_bn: bool = True,
    lin_first: bool = False,
    y_range: Sequence[float] | None = None,
    pool: bool = True,
    output_shape: Sequence[int] | None = None,
) -> ModelDescription:
    """The description of a model with the backbone ``arch``, for ``build_model``.

    Args:
        arch: a timm name, or one of torchvision's ResNets as a name or function (``resnet18``).
        n_out: number of outputs per image.
        size: image size in pixels, (h, w) or one integer for a square; by default the pretraining size.
        n_in: number of image channels.
        concat_pool: as in ``ModelDescription``, like all arguments below.
        lin_ftrs: sizes of the head's hidden layers.
        ps: dropout probability in the head.
        bn_final: end the head with a batch norm.
        first_bn: start the head's linear part with a batch norm.
        lin_first: place the head's linear layers before batch norm and dropout.
        y_range: (low, high) range of the outputs.
        pool: pool the backbone's feature maps in the head.
        output_shape: output shape for one image.

    Raises:
        InputError: the backbone is unknown, or the arguments contradict each other.
    """
    return ModelDescription(
        arch=architecture_name(arch),
        n_out=n_out,
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
    """A backbone and a head, with normalisation: takes images as floats in [0, 1] or as uint8.

    ``model[0]`` is the backbone and ``model[1]`` the head, as in fastai; also ``model.body`` and ``model.head``: `body`
    is the backbone (fastai's name).

    Args:
        body: the backbone, from normalised images to features.
        head: the part of the model from features to outputs.
        description: the description that both were built from.
        origin: source of the pretrained weights, for messages; None for random initialisation.

    Attributes:
        backbone_was_trained: set to True once the backbone is trained, so that its features depend on the images.
        inputs_normalized: set to True if the inputs are already normalised; ``forward`` then skips normalisation.
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
        self.inputs_normalized = False
        self.backbone_was_trained = False
        for name, values in (("mean", description.input.mean), ("std", description.input.std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # nn.Sequential calls it ``input``
        self, x: Float[Tensor, "b c h w"] | UInt8[Tensor, "b c h w"]
    ) -> Float[Tensor, "b *output"]:
        """The model's outputs: logits, unless the description has a ``y_range``."""
        x = self.normalize(x)
        with torch.set_grad_enabled(self._backbone_needs_grad(x)):
            x = self.body(x)
        x = self.head(x)
        shape = self.description.output_shape
        return x if shape is None else x.view(-1, *shape)

    def normalize(self, x: Float[Tensor, "b c h w"] | UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The images normalised for the backbone: uint8 scaled to [0, 1], then (x - mean) / std."""
        if x.dtype == torch.uint8:
            x = x.to(self.mean.dtype) / 255
        if self.inputs_normalized:
            return x
        return _normalize(x, self.mean.to(x.dtype), self.std.to(x.dtype))

    def _backbone_needs_grad(self, x: Tensor) -> bool:
        """False if no parameter of the backbone is trainable: its forward pass then stores no activations."""
        return torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in self.body.parameters()))


def _normalize(
    x: Float[Tensor, "b c h w"], mean: Float[Tensor, "c 1 1"], std: Float[Tensor, "c 1 1"]
) -> Float[Tensor, "b c h w"]:
    """(x - mean) / std."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    if x.device.type != "cpu" or not channels_last or torch.compiler.is_exporting():
        return (x - mean) / std
    # On a channels_last tensor, broadcasting mean and std makes torch process one pixel (3 values) at a time, which
    # takes 6 times as long as processing whole rows. A single addcmul takes 0.6 of the time of two operations.
    rows, scale, offset = x.permute(0, 2, 3, 1).flatten(2), (1 / std).flatten(), (-mean / std).flatten()
    normalized = torch.addcmul(offset.repeat(x.shape[3]), rows, scale.repeat(x.shape[3]))
    return normalized.unflatten(2, (x.shape[3], -1)).permute(0, 3, 1, 2)


def build_model(
    description: ModelDescription,
    *,
    pretrained: bool | Literal["auto"] = False,
    init: Initializer | None = nn.init.kaiming_normal_,
    zero_last_layer: bool = False,
) -> ImageModel:
    """The model of ``description``, with a randomly initialised head.

    Args:
        description: the result of `model_description`, or the description of a saved model.
        pretrained: True loads the backbone's pretrained weights, False initialises it at random; ``"auto"`` loads
            them if they are found (the model's ``origin`` tells).
        init: initialises one weight tensor of the head in place; None keeps PyTorch's default initialisation.
        zero_last_layer: the weights of the head's last layer become 0 after that, see `initialize`.

    Raises:
        InputError: the backbone does not exist or cannot process the described input, or its feature maps need pooling.
        WeightsError: pretrained weights are required and were not found, cannot be read, or do not match.
    """
    arch = architecture_name(description.arch)
    weights = find_weights(arch, required=pretrained is True) if pretrained else None
    backbone = create_backbone(arch, size=description.input.size, n_in=description.n_in, weights=weights)
    if not description.pool and not backbone.pooled:
        raise InputError(f"the backbone '{arch}' returns feature maps, which the head must pool: pool must be True")
    head = create_head(
        backbone.num_features,
        description.n_out,
        description.lin_ftrs,
        description.ps,
        pool=description.pool and not backbone.pooled,
        pool_size=description.pool_size,
        concat_pool=description.concat_pool,
        first_bn=description.first_bn,
        bn_final=description.bn_final,
        lin_first=description.lin_first,
        y_range=description.y_range,
    )
    if init is not None:
        initialize(head, init, zero_last_layer=zero_last_layer)
    return ImageModel(backbone.module, head, description, origin=None if weights is None else weights.origin)


def _check_input(given: InputDescription, n_in: int) -> None:
    """Raises `InputError` unless the statistics can normalise an image, and the size can be one."""
    if len(given.mean) != n_in or len(given.std) != n_in:
        raise InputError(
            f"mean and std need one value per channel: n_in is {n_in}, mean has {len(given.mean)} and std"
            f" {len(given.std)} values"
        )
    if not all(abs(mean) <= _MAX_CONSTANT for mean in given.mean):
        raise InputError(f"mean must be finite, got {given.mean[:8]}")
    if not all(1 / _MAX_CONSTANT <= std <= _MAX_CONSTANT for std in given.std):
        raise InputError(f"std must be positive and finite, got {given.std[:8]}")
    check_side(given.size)


def _check_head(lin_ftrs: Sequence[int] | None, ps: float | Sequence[float]) -> None:
    """Raises `InputError` unless a head can have these hidden layers and dropout probabilities."""
    if lin_ftrs is not None and not (len(lin_ftrs) <= _MAX_LAYERS and all(0 < n <= _MAX_WIDTH for n in lin_ftrs)):
        raise InputError(
            f"lin_ftrs must be at most {_MAX_LAYERS} sizes of hidden layers, each from 1 to {_MAX_WIDTH:,}; got"
            f" {len(lin_ftrs):,} sizes: {', '.join(f'{n:.6g}' for n in lin_ftrs[:4])}"
        )
    dropouts = [ps] if isinstance(ps, (int, float)) else ps
    if len(dropouts) > _MAX_LAYERS + 1 or not all(0 <= p < 1 for p in dropouts):
        raise InputError(f"ps must be dropout probabilities, each at least 0 and below 1; got {list(dropouts)[:8]}")


def _floats(value: Any) -> float | tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, (list, tuple)) else float(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_list(value: Any, is_element: Callable[[Any], bool], length: int | None = None) -> bool:
    return isinstance(value, (list, tuple)) and all(map(is_element, value)) and length in (None, len(value))


_JsonType = tuple[str, Callable[[Any], bool]]
_BOOLEAN: _JsonType = ("true or false", lambda v: isinstance(v, bool))
_STRING: _JsonType = ("a string", lambda v: isinstance(v, str))
_INTEGER: _JsonType = ("an integer", _is_integer)
_NUMBERS: _JsonType = ("a list of numbers", lambda v: _is_list(v, _is_number))
_INTEGERS_OR_NULL: _JsonType = ("a list of integers or null", lambda v: v is None or _is_list(v, _is_integer))

_FIELDS: Mapping[str, _JsonType] = {
    "arch": _STRING,
    "classes": _INTEGER,
    "input": ("a JSON object", lambda v: isinstance(v, Mapping)),
    "n_in": _INTEGER,
    "concat_pool": _BOOLEAN,
    "lin_ftrs": _INTEGERS_OR_NULL,
    "ps": ("a number or a list of numbers", lambda v: _is_number(v) or _is_list(v, _is_number)),
    "bn_final": _BOOLEAN,
    "first_bn": _BOOLEAN,
    "lin_first": _BOOLEAN,
    "y_range": ("two numbers or null", lambda v: v is None or _is_list(v, _is_number, 2)),
    "pool": _BOOLEAN,
    "pool_size": _INTEGER,
    "output_shape": _INTEGERS_OR_NULL,
}
"""For each field of a model description in JSON: its type as text, and a function that checks a value."""

_INPUT_FIELDS: Mapping[str, _JsonType] = {
    "size": ("two integers", lambda v: _is_list(v, _is_integer, 2)),
    "mean": _NUMBERS,
    "std": _NUMBERS,
    "interpolation": _STRING,
}


def _check_json(data: Any, fields: Mapping[str, _JsonType], *, required: Sequence[str], prefix: str = "") -> None:
    """Raises `InputError` unless ``data`` is an object with the required fields, known fields only and valid types.

    Args:
        data: the parsed JSON value.
        fields: the type of each known field.
        required: the names of the required fields.
        prefix: precedes the names of fields in error messages.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"not a model description: expected a JSON object, got {short_repr(data)}")
    for name in data:
        if name not in fields:
            raise InputError(f"not a model description: unknown field '{prefix}{str(name)[:80]}'")
    for name in required:
        if name not in data:
            raise InputError(f"not a model description: '{prefix}{name}' is missing")
    for name, value in data.items():
        text, is_valid = fields[name]
        if not is_valid(value):
            raise InputError(f"not a model description: {prefix}{name} must be {text}, got {short_repr(value)}")


def _input_from_json(data: Mapping[str, Any]) -> InputDescription:
    return InputDescription(
        size=Size.of(data["size"]),
        mean=tuple(map(float, data["mean"])),
        std=tuple(map(float, data["std"])),
        interpolation=data["interpolation"],
    )
