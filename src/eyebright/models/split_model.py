"""Splits a model into feature extractor and head, so that a frozen backbone's features can be cached.

The feature extractor includes the pooling at the start of the head: pooling has no parameters, and it reduces each
image's feature map to a vector of one or two thousand values.
"""

from typing import NamedTuple, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from eyebright.models.build import ImageModel
from eyebright.models.heads import AdaptiveConcatPool2d

_POOLING = (AdaptiveConcatPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Identity)


class SplitModel(NamedTuple):
    """A model in two parts: ``head(feature_extractor(images))`` equals ``model(images)``.

    Args:
        feature_extractor: the part from images to pooled features, without gradients.
        head: the part from pooled features to outputs.
    """

    feature_extractor: "FeatureExtractor"
    head: "Head"


def split_at_head(model: ImageModel) -> SplitModel:
    """The model split after the pooling layers of its head; both parts share the model's modules.

    Args:
        model: the model; it is not changed.
    """
    layers = list(model.head) if isinstance(model.head, nn.Sequential) else [model.head]
    start = next((index for index, layer in enumerate(layers) if not isinstance(layer, _POOLING)), len(layers))
    return SplitModel(FeatureExtractor(model, layers[:start]), Head(layers[start:], model.description.output_shape))


@final
class FeatureExtractor(nn.Module):
    """Normalisation, backbone and pooling of a model.

    Args:
        model: the model whose normalisation and backbone are used.
        pooling: the layers without parameters at the start of its head.
    """

    def __init__(self, model: ImageModel, pooling: list[nn.Module]) -> None:
        super().__init__()
        self.backbone = model.body
        self.pooling = nn.Sequential(*pooling)
        self._normalize = model.normalize

    def forward(self, x: Float[Tensor, "b c h w"] | UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b *features"]:
        """The pooled features, computed without gradients."""
        with torch.no_grad():
            return self.pooling(self.backbone(self._normalize(x)))


@final
class Head(nn.Module):
    """The layers of a model's head after the pooling.

    Args:
        layers: the layers, applied in order.
        output_shape: output shape for one image; None does not change the output of the last layer.
    """

    def __init__(self, layers: list[nn.Module], output_shape: tuple[int, ...] | None) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self._output_shape = output_shape

    def forward(self, x: Float[Tensor, "b *features"]) -> Float[Tensor, "b *output"]:
        """The model's outputs for pooled features."""
        x = self.layers(x)
        return x if self._output_shape is None else x.view(-1, *self._output_shape)
