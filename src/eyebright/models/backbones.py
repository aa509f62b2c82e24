"""Backbones: what turns an image into features, from torchvision (the book's ResNets) or from timm (any name)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import WeightsError
from eyebright.models.architectures import TORCHVISION
from eyebright.models.timm_body import Form, create_timm_body
from eyebright.models.weights import Weights, mismatch
from eyebright.types import Size


def resnet18(weights: str | None = None) -> nn.Module:
    """The 18-layer ResNet of torchvision; as an ``arch`` this function stands for its name."""
    return _torchvision_model("resnet18", weights)


def resnet34(weights: str | None = None) -> nn.Module:
    """The 34-layer ResNet of torchvision; as an ``arch`` this function stands for its name."""
    return _torchvision_model("resnet34", weights)


def resnet50(weights: str | None = None) -> nn.Module:
    """The 50-layer ResNet of torchvision; as an ``arch`` this function stands for its name."""
    return _torchvision_model("resnet50", weights)


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


def create_body(arch: str, *, size: Size, n_in: int = 3, weights: Weights | None = None) -> Backbone:
    """The backbone ``arch`` without its classifier.

    Args:
        arch: as :func:`eyebright.models.architectures.architecture_name` gives it.
        size: of the images; matters for models that are made for one size (ViT and kin).
        n_in: channels of the images; another number than 3 changes the first layer, see :func:`adapt_first_conv`.
        weights: from :func:`eyebright.models.weights.find_weights`; None for random ones.

    Raises:
        InputError: the backbone cannot work with such images.
        WeightsError: the weights do not fit; the message names what differs.
    """
    if arch in TORCHVISION:
        return _torchvision_body(arch, n_in=n_in, weights=weights)
    body = create_timm_body(arch, n_in=n_in, size=size, weights=weights)
    return Backbone(body, width=body.width, pooled=body.form is Form.TOKENS)


def adapt_first_conv(weight: Float[Tensor, "o 3 h w"], n_in: int) -> Float[Tensor, "o n h w"]:
    """The weight of a first convolution for ``n_in`` channels instead of 3, as in the book.

    One channel gets the sum over the three (a grey image then gives what its three equal channels gave), two get
    the first two times 1.5, and from four on the further ones start at 0.
    """
    if n_in == 1:
        return weight.sum(dim=1, keepdim=True)
    if n_in == 2:
        return weight[:, :2] * 1.5
    return torch.cat([weight, weight.new_zeros(len(weight), n_in - 3, *weight.shape[2:])], dim=1)


def _torchvision_model(name: str, weights: str | None) -> nn.Module:
    from torchvision.models import get_model

    return get_model(name, weights=weights)


def _torchvision_body(name: str, *, n_in: int, weights: Weights | None) -> Backbone:
    model: Any = _torchvision_model(name, None)
    body = nn.Sequential(OrderedDict(list(model.named_children())[:-2]))  # all but avgpool and fc
    if weights is not None:
        _load(body, weights)
    if n_in != 3:
        body.conv1 = _for_channels(model.conv1, n_in, pretrained=weights is not None)
    return Backbone(body, width=model.fc.in_features, pooled=False)


def _load(body: nn.Module, weights: Weights) -> None:
    expected = body.state_dict()
    # Files from before torch 0.4.1 do not count batches; nothing that is used here depends on the count.
    counters = {name: tensor for name, tensor in expected.items() if name.endswith("num_batches_tracked")}
    state = counters | {name: tensor for name, tensor in weights.state.items() if not name.startswith("fc.")}
    if difference := mismatch(expected, state):
        raise WeightsError(f"{weights.origin} does not fit the backbone: it {difference}")
    body.load_state_dict(state)


def _for_channels(conv: Any, n_in: int, *, pretrained: bool) -> nn.Conv2d:
    """The first convolution for ``n_in`` channels: adapted when it was trained, else drawn anew as torchvision does."""
    new = nn.Conv2d(n_in, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
    if pretrained:
        new.weight = nn.Parameter(adapt_first_conv(conv.weight.detach(), n_in))
    else:
        nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    return new
