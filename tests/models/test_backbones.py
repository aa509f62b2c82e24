"""Features of backbones, compared with those of torchvision's and timm's own models."""

import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from eyebright.errors import InputError, WeightsError
from eyebright.models.backbones import Backbone, adapt_first_conv, create_backbone
from eyebright.models.timm_backbone import FeatureLayout, TimmBackbone, create_timm_backbone
from eyebright.models.weights import Weights
from eyebright.types import Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g02_heads.json").read_text())
SMALL = Size(64, 64)


def resnet_weights() -> Weights:
    return Weights(torchvision.models.resnet18().state_dict(), "a file")


def timm_model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name).eval()


def backbone_with_weights_of(model: nn.Module, name: str) -> Backbone:
    size = Size(*model.pretrained_cfg["input_size"][1:])  # type: ignore[index, misc]
    backbone = create_backbone(name, size=size, weights=Weights(model.state_dict(), "a file"))
    backbone.module.eval()
    return backbone


def images(model: nn.Module) -> torch.Tensor:
    size = model.pretrained_cfg["input_size"][1:]  # type: ignore[index]
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_resnet_features_are_what_torchvision_pools_and_classifies() -> None:
    model = torchvision.models.resnet18().eval()
    backbone = create_backbone("resnet18", size=SMALL, weights=Weights(model.state_dict(), "a file"))
    x = torch.rand(2, 3, 64, 64)
    features = backbone.module.eval()(x)
    assert features.shape == (2, backbone.num_features, 2, 2)
    assert torch.equal(model.fc(features.mean((2, 3))), model(x))


def test_a_resnet_backbone_has_the_same_children_as_in_fastai() -> None:
    backbone = create_backbone("resnet34", size=SMALL)
    assert [type(child).__name__ for child in backbone.module.children()] == GOLD["body_children(resnet34)"]


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_nfnet", "test_byobnet"])
def test_feature_maps_of_a_timm_backbone_are_those_of_forward_features(name: str) -> None:
    model = timm_model(name)
    backbone = backbone_with_weights_of(model, name)
    expected = model.forward_features(images(model))  # type: ignore[operator]
    assert not backbone.pooled
    assert torch.equal(backbone.module(images(model)), expected)
    assert expected.shape[1] == backbone.num_features


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_mambaout", "mambaout_femto"])
def test_channels_last_feature_maps_are_returned_channels_first(name: str) -> None:
    model = timm_model(name)
    backbone = backbone_with_weights_of(model, name)
    expected = model.forward_features(images(model))  # type: ignore[operator]
    assert expected.shape[3] == backbone.num_features
    assert torch.equal(backbone.module(images(model)), expected.permute(0, 3, 1, 2))


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_vit", "test_vit4", "deit_tiny_distilled_patch16_224", "mixer_s32_224"])
def test_token_models_are_pooled_by_timms_forward_head(name: str) -> None:
    model = timm_model(name)
    backbone = backbone_with_weights_of(model, name)
    expected = model.forward_head(model.forward_features(images(model)), pre_logits=True)  # type: ignore[operator]
    assert backbone.pooled
    assert torch.allclose(backbone.module(images(model)), expected, atol=1e-6)
    assert expected.shape == (2, backbone.num_features)


@pytest.mark.parametrize("name", ["test_convnext", "test_vit", "test_mambaout", "mobilenetv3_small_050"])
def test_the_features_depend_on_every_parameter_of_the_backbone(name: str) -> None:
    model = timm_model(name)
    module = backbone_with_weights_of(model, name).module
    module(images(model)).square().sum().backward()
    assert [key for key, parameter in module.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("n_in", [1, 2, 4])
def test_the_first_convolution_is_adapted_as_in_fastai(n_in: int) -> None:
    weight = torch.tensor([[1.0, 2, 3], [4, 5, 6]])[:, :, None, None]
    assert adapt_first_conv(weight, n_in).flatten(1).tolist() == GOLD[f"first conv adapted to n_in={n_in}"]


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "test_resnet"])
def test_features_of_a_grey_image_equal_those_of_its_rgb_version(name: str) -> None:
    weights = resnet_weights() if name == "resnet18" else Weights(timm_model(name).state_dict(), "a file")
    grey = torch.rand(2, 1, 64, 64)
    one_channel = create_backbone(name, size=SMALL, n_in=1, weights=weights).module.eval()
    three_channels = create_backbone(name, size=SMALL, weights=weights).module.eval()
    assert torch.allclose(one_channel(grey), three_channels(grey.expand(-1, 3, -1, -1)), atol=1e-4)


@torch.no_grad()
def test_additional_channels_do_not_change_the_pretrained_features() -> None:
    weights = resnet_weights()
    x = torch.rand(2, 5, 64, 64)
    five_channels = create_backbone("resnet18", size=SMALL, n_in=5, weights=weights).module.eval()
    three_channels = create_backbone("resnet18", size=SMALL, weights=weights).module.eval()
    assert torch.allclose(five_channels(x), three_channels(x[:, :3]), atol=1e-5)


def test_without_pretrained_weights_all_channels_are_initialised_at_random() -> None:
    conv = create_backbone("resnet18", size=SMALL, n_in=5).module.conv1
    assert isinstance(conv, nn.Conv2d)
    std = conv.weight.std(dim=(0, 2, 3))
    assert std.tolist() == pytest.approx([(2 / (64 * 49)) ** 0.5] * 5, rel=0.05)


@pytest.mark.parametrize("drop", [["fc.weight", "fc.bias"], [], ["num_batches_tracked"]])
def test_weights_without_classifier_or_batch_counters_are_accepted(drop: list[str]) -> None:
    state = resnet_weights().state
    reduced = {key: tensor for key, tensor in state.items() if not key.endswith(tuple(drop) or ("-",))}
    module = create_backbone("resnet18", size=SMALL, weights=Weights(reduced, "a file")).module
    assert all(torch.equal(tensor, state[key]) for key, tensor in module.state_dict().items())


def test_the_error_for_weights_that_do_not_fit_a_resnet_lists_the_differences() -> None:
    state = dict(resnet_weights().state)
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    state["extra.weight"] = state.pop("layer1.0.conv1.weight")
    message = (
        r"the weights from a file do not fit the backbone: missing 'layer1.0.conv1.weight'; unexpected 'extra.weight';"
        r" wrong shape 'conv1.weight \(64, 1, 7, 7\) instead of \(64, 3, 7, 7\)'"
    )
    with pytest.raises(WeightsError, match=message):
        create_backbone("resnet18", size=SMALL, weights=Weights(state, "a file"))


@pytest.mark.parametrize("classes", [None, 7])
def test_timm_weights_with_another_classifier_or_none_are_accepted(classes: int | None) -> None:
    state = timm.create_model("test_resnet", num_classes=classes or 0).state_dict()
    module = create_timm_backbone("test_resnet", n_in=3, size=SMALL, weights=Weights(state, "a file"))
    assert all(torch.equal(tensor, state[key.removeprefix("model.")]) for key, tensor in module.state_dict().items())


def test_the_error_for_weights_that_do_not_fit_a_timm_model_lists_the_differences() -> None:
    state = timm_model("test_resnet").state_dict()
    state["extra.weight"] = state.pop("conv1.0.weight")
    with pytest.raises(
        WeightsError,
        match=r"^the weights from a file do not fit the backbone 'test_resnet': missing 'conv1.0.weight'; unexpected",
    ):
        create_backbone("test_resnet", size=SMALL, weights=Weights(state, "a file"))


def test_a_model_with_a_fixed_input_size_is_built_for_the_requested_size() -> None:
    module = create_timm_backbone("test_vit", n_in=3, size=Size(96, 128), weights=None)
    assert module.fixed_size == Size(96, 128)
    assert module(torch.zeros(1, 3, 96, 128)).shape == (1, module.num_features)


@torch.no_grad()
def test_pretrained_position_embeddings_are_resized_to_another_image_size() -> None:
    model = timm_model("test_vit")
    smaller = create_timm_backbone("test_vit", n_in=3, size=Size(96, 96), weights=Weights(model.state_dict(), "a file"))
    state = {key.removeprefix("model."): tensor for key, tensor in smaller.state_dict().items()}
    assert torch.equal(state["blocks.0.attn.qkv.weight"], model.state_dict()["blocks.0.attn.qkv.weight"])
    assert state["pos_embed"].shape != model.state_dict()["pos_embed"].shape


def test_the_error_for_images_of_another_size_gives_both_sizes() -> None:
    module = create_timm_backbone("test_vit", n_in=3, size=Size(160, 160), weights=None)
    with pytest.raises(InputError, match=r"built for images of 160x160 and got 64x96; resize the images"):
        module(torch.zeros(1, 3, 64, 96))


def test_an_image_size_that_the_backbone_cannot_process_is_refused_when_building() -> None:
    with pytest.raises(InputError, match=r"'test_vit' cannot process images of 100x100 with 1 channel: .* patch size"):
        create_backbone("test_vit", size=Size(100, 100), n_in=1)
    with pytest.raises(
        InputError, match=r"'inception_v3' cannot process images of 20x20 with 3 channels: .* too small"
    ):
        create_backbone("inception_v3", size=Size(20, 20))


def test_a_timm_backbone_does_not_hold_a_second_copy_of_the_weights() -> None:
    module = backbone_with_weights_of(timm_model("test_resnet"), "test_resnet").module
    assert isinstance(module, TimmBackbone)
    assert module.layout is FeatureLayout.MAPS
    assert module.model.pretrained_cfg == {}
