"""A linear head: pooling, and one linear layer from the pooled features to the outputs."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.models.build import ImageModel
from eyebright.models.split_model import FeatureExtractor, split_at_head


def pooled_features(model: ImageModel, pool_size: int = 1) -> FeatureExtractor:
    """Normalisation, backbone and pooling of a model with a linear head.

    Args:
        model: the model, whose modules are shared.
        pool_size: 1 for the pooling of the model's head; otherwise height and width of average-pooled feature maps,
            whose cells become separate features, so that a linear head can distinguish positions. Backbones that pool
            themselves always have one value of each channel.
    """
    extractor = split_at_head(model).feature_extractor
    if pool_size == 1 or not len(extractor.pooling):
        return extractor
    return FeatureExtractor(model, [nn.AdaptiveAvgPool2d(pool_size), nn.Flatten()])


def use_linear_head(
    model: ImageModel, weight: Float[Tensor, "k d"], bias: Float[Tensor, " k"], *, pool_size: int = 1
) -> None:
    """Replaces the head of a model by a linear one, whose outputs are unbounded.

    Args:
        model: changed in place, with its description.
        weight: the weights for the features of `pooled_features`, which are copied.
        bias: the biases, which are copied.
        pool_size: as for `pooled_features`.
    """
    parameter = next(model.head.parameters())
    pooling = pooled_features(model, pool_size).pooling
    linear = nn.Linear(weight.shape[1], weight.shape[0], device=parameter.device, dtype=parameter.dtype)
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)
    model.head = nn.Sequential(*pooling, linear)
    model.description = replace(
        model.description,
        lin_ftrs=(),
        ps=0.0,
        first_bn=False,
        bn_final=False,
        lin_first=False,
        y_range=None,
        pool_size=(model.description.pool_size if pool_size == 1 else pool_size) if len(pooling) else 1,
        concat_pool=model.description.concat_pool and pool_size == 1,
    )
