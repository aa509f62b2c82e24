"""Backbones, which turn images into features: torchvision's ResNets, as in fastai, or any timm model."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import WeightsError
from eyebright.models.architectures import TORCHVISION
from eyebright.models.timm_backbone import FeatureLayout, create_timm_backbone
from eyebright.models.weights import Weights, mismatch
from eyebright.types import Size


def resnet18(weights: str | None = None) -> nn.Module:
    """The torchvision ResNet-18 with its classifier; passed as ``arch`` it is the same as the name "resnet18"."""
    return _torchvision_model("resnet18", weights)


def resnet34(weights: str | None = None) -> nn.Module:
    """The torchvision ResNet-34 with its classifier; passed as ``arch`` it is the same as the name "resnet34"."""
    return _torchvision_model("resnet34", weights)


def resnet50(weights: str | None = None) -> nn.Module:
    """The torchvision ResNet-50 with its classifier; passed as ``arch`` it is the same as the name "resnet50"."""
    return _torchvision_model("resnet50", weights)


@dataclass(frozen=True)
class Backbone:
    """A feature extractor and the shape of its features.

    Args:
        module: a network from images (b, n_in, h, w) to features; its state dict has the parameter names of torchvision
            or timm.
        num_features: channels c of the features.
        pooled: the features are vectors (b, c), not feature maps (b, c, h, w).
    """

    module: nn.Module
    num_features: int
    pooled: bool


def create_backbone(arch: str, *, size: Size, n_in: int = 3, weights: Weights | None = None) -> Backbone:
    """The backbone ``arch`` without its classifier.

    Args:
        arch: a name from ``architecture_name``.
        size: image size (h, w) in pixels; only models with a fixed input size, such as ViT, depend on it.
        n_in: number of image channels; other than 3, the first layer is adapted, see ``adapt_first_conv``.
        weights: the result of ``find_weights``; None for random initialisation.

    Raises:
        InputError: the backbone cannot process images of this size and number of channels.
        WeightsError: the weights do not fit the backbone; the message lists the differing tensors.
    """
    if arch in TORCHVISION:
        return _torchvision_backbone(arch, n_in=n_in, weights=weights)
    module = create_timm_backbone(arch, n_in=n_in, size=size, weights=weights)
    return Backbone(module, num_features=module.num_features, pooled=module.layout is FeatureLayout.TOKENS)


def adapt_first_conv(weight: Float[Tensor, "o 3 h w"], n_in: int) -> Float[Tensor, "o n h w"]:
    """The first convolution's weight for ``n_in`` input channels instead of 3, as in fastai.

    One channel: the sum over the three, so that a grey image gives the same features as its RGB version. Two channels:
    the first two, times 1.5. Four or more: the additional channels start at 0.

    Args:
        weight: the weight of a convolution with 3 input channels.
        n_in: number of input channels, at least 1.
    """
    if n_in == 1:
        return weight.sum(dim=1, keepdim=True)
    if n_in == 2:
        return weight[:, :2] * 1.5
    return torch.cat([weight, weight.new_zeros(len(weight), n_in - 3, *weight.shape[2:])], dim=1)


def _torchvision_model(name: str, weights: str | None) -> nn.Module:
    from torchvision.models import get_model

    return get_model(name, weights=weights)


def _torchvision_backbone(name: str, *, n_in: int, weights: Weights | None) -> Backbone:
    model: Any = _torchvision_model(name, None)
    module = nn.Sequential(OrderedDict(list(model.named_children())[:-2]))  # without avgpool and fc
    if weights is not None:
        _load(module, weights)
    if n_in != 3:
        module.conv1 = _first_conv(model.conv1, n_in, pretrained=weights is not None)
    return Backbone(module, num_features=model.fc.in_features, pooled=False)


def _load(module: nn.Module, weights: Weights) -> None:
    expected = module.state_dict()
    # Files from before torch 0.4.1 have no num_batches_tracked; torchvision's batch norms (with momentum) ignore it.
    counters = {name: tensor for name, tensor in expected.items() if name.endswith("num_batches_tracked")}
    state = counters | {name: tensor for name, tensor in weights.state.items() if not name.startswith("fc.")}
    if difference := mismatch(expected, state):
        raise WeightsError(f"the weights from {weights.origin} do not fit the backbone: {difference}")
    module.load_state_dict(state)


def _first_conv(conv: Any, n_in: int, *, pretrained: bool) -> nn.Conv2d:
    """The first convolution for ``n_in`` channels: adapted if pretrained, else initialised as in torchvision."""
    new = nn.Conv2d(n_in, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
    if pretrained:
        new.weight = nn.Parameter(adapt_first_conv(conv.weight.detach(), n_in))
    else:
        nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    return new
