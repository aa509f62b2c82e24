"""Splits a model into backbone and head, so that a frozen backbone's features can be cached.

The first half is the body with the pooling at the beginning of the head, which has nothing to learn either and makes
the features small: some thousand numbers an image instead of a map.
"""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.models.build import ImageModel
from eyebright.models.heads import AdaptiveConcatPool2d

_POOLING = (AdaptiveConcatPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Identity)


class SplitModel(NamedTuple):
    """A model's two parts: ``head(backbone(images))`` is the model's output.

    Args:
        backbone: from images to features; learns nothing.
        head: from features to answers.
    """

    backbone: "FeatureExtractor"
    head: "Head"


def split_at_head(model: ImageModel) -> SplitModel:
    """The model cut behind what has no parameters and no chance in its head; both share its modules."""
    layers = list(model.head) if isinstance(model.head, nn.Sequential) else [model.head]
    pooling = next((place for place, layer in enumerate(layers) if not isinstance(layer, _POOLING)), len(layers))
    return SplitModel(FeatureExtractor(model, layers[:pooling]), Head(layers[pooling:], model.description.output_shape))


@final
class FeatureExtractor(nn.Module):
    """From images to features.

    Args:
        model: whose body it is.
        pooling: layers of the head.
    """

    def __init__(self, model: ImageModel, pooling: list[nn.Module]) -> None:
        super().__init__()
        self.body = model.body
        self.pooling = nn.Sequential(*pooling)
        self._normalise = model.normalise

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b *features"]:
        """The features of images; no gradient goes through."""
        with torch.no_grad():
            return self.pooling(self.body(self._normalise(x)))


@final
class Head(nn.Module):
    """From features to answers.

    Args:
        layers: of the head.
        shape: of one answer; None: as the head gives it.
    """

    def __init__(self, layers: list[nn.Module], shape: tuple[int, ...] | None) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self._shape = shape

    def forward(self, x: Float[Tensor, "b *features"]) -> Float[Tensor, "b *answer"]:
        """One answer for each image."""
        x = self.layers(x)
        return x if self._shape is None else x.view(-1, *self._shape)
