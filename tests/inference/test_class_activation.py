"""Class activation maps are those of Grad-CAM, for every head that is linear after its pooling."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from eyebright.image.warp import Warp
from eyebright.inference.class_activation import channel_weights, has_pooled_maps
from eyebright.inference.heat_maps import heat_maps_of_input
from eyebright.models.build import ImageModel, build_model, model_description
from eyebright.models.linear_head import use_linear_head
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Size

LABELS = tuple("abcdefghijkl")
SIZE = Size(96, 128)


def network(arch: str = "test_resnet", **head: Any) -> ImageModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(model_description(arch, len(LABELS), size=SIZE, **head))
        for layer in model.head.modules():
            if isinstance(layer, nn.BatchNorm1d):
                nn.init.uniform_(layer.running_var, 0.5, 2.0)  # type: ignore[arg-type]
                nn.init.normal_(layer.running_mean)  # type: ignore[arg-type]
                nn.init.normal_(layer.weight)
    return model.eval()


def with_finer_pooling() -> ImageModel:
    model, random = network(), torch.Generator().manual_seed(1)
    use_linear_head(model, torch.randn(12, model.body.num_features * 9, generator=random), torch.zeros(12), pool_size=3)  # type: ignore[operator]
    return model


LINEAR = {
    "batch norm, dropout and a linear layer": lambda: network(lin_ftrs=()),
    "average pooling alone": lambda: network(lin_ftrs=(), concat_pool=False),
    "a batch norm at the end": lambda: network(lin_ftrs=(), bn_final=True),
    "a linear layer alone": lambda: network(lin_ftrs=(), first_bn=False, ps=0.0),
    "nine places of a finer pooling": with_finer_pooling,
}


@pytest.mark.parametrize("head", LINEAR)
def test_the_maps_are_those_of_grad_cam(head: str) -> None:
    model = LINEAR[head]()
    pixels = torch.rand(*SIZE, 3, generator=torch.Generator().manual_seed(0))
    expected = heat_maps_of_input(model, MultiCategoryBlock(vocab=LABELS), pixels.numpy(), Warp.identity(SIZE), LABELS)
    weights = channel_weights(model)
    assert weights is not None
    assert has_pooled_maps(model)
    with torch.no_grad():
        maps = model.body(model.normalize(pixels.permute(2, 0, 1)[None]))[0].numpy()
    found = np.einsum("kc,chw->khw", weights, maps).clip(0) / maps[0].size
    cells = np.stack([one.cells for one in expected])
    assert cells.shape == (12, 3, 4)
    assert (cells > 0).any()
    np.testing.assert_allclose(found, cells, rtol=0, atol=1e-5 * cells.max())


@pytest.mark.parametrize(
    "model",
    [
        lambda: network(),
        lambda: network(lin_ftrs=(), y_range=(0.0, 1.0)),
        lambda: build_model(model_description("test_vit", 3, size=Size(96, 96), lin_ftrs=())),
        lambda: build_model(model_description("test_vit3", 3, size=Size(96, 96), lin_ftrs=())),
    ],
    ids=["a hidden layer", "a limited range", "a class token", "attention pooling"],
)
def test_other_heads_have_none(model: Any) -> None:
    assert channel_weights(model()) is None
