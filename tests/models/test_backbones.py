"""Bodies give the features that torchvision's and timm's own models give."""

import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from eyebright.errors import InputError, WeightsError
from eyebright.models.backbones import Backbone, adapt_first_conv, create_body
from eyebright.models.timm_body import Form, TimmBody, create_timm_body
from eyebright.models.weights import Weights
from eyebright.types import Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g02_heads.json").read_text())
SMALL = Size(64, 64)


def resnet_weights() -> Weights:
    return Weights(torchvision.models.resnet18().state_dict(), "a file")


def timm_model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name).eval()


def body_like(model: nn.Module, name: str, **options: int) -> Backbone:
    size = Size(*model.pretrained_cfg["input_size"][1:])  # type: ignore[index, misc]
    backbone = create_body(name, size=size, weights=Weights(model.state_dict(), "a file"), **options)
    backbone.body.eval()
    return backbone


def image(model: nn.Module, channels: int = 3) -> torch.Tensor:
    size = model.pretrained_cfg["input_size"][1:]  # type: ignore[index]
    return torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_a_resnet_body_gives_what_torchvision_pools() -> None:
    model = torchvision.models.resnet18().eval()
    backbone = create_body("resnet18", size=SMALL, weights=Weights(model.state_dict(), "a file"))
    x = torch.rand(2, 3, 64, 64)
    features = backbone.body.eval()(x)
    assert features.shape == (2, backbone.width, 2, 2)
    assert torch.equal(model.fc(features.mean((2, 3))), model(x))


def test_the_children_of_a_resnet_body_are_those_of_the_book() -> None:
    backbone = create_body("resnet34", size=SMALL)
    assert [type(child).__name__ for child in backbone.body.children()] == GOLD["body_children(resnet34)"]


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_nfnet", "test_byobnet"])
def test_a_timm_model_of_maps_gives_its_own_features(name: str) -> None:
    model = timm_model(name)
    backbone = body_like(model, name)
    expected = model.forward_features(image(model))  # type: ignore[operator]
    assert not backbone.pooled
    assert torch.equal(backbone.body(image(model)), expected)
    assert expected.shape[1] == backbone.width


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_mambaout", "mambaout_femto"])
def test_maps_with_the_channels_last_come_out_with_the_channels_first(name: str) -> None:
    model = timm_model(name)
    backbone = body_like(model, name)
    expected = model.forward_features(image(model))  # type: ignore[operator]
    assert expected.shape[3] == backbone.width
    assert torch.equal(backbone.body(image(model)), expected.permute(0, 3, 1, 2))


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_vit", "test_vit4", "deit_tiny_distilled_patch16_224", "mixer_s32_224"])
def test_a_model_of_tokens_is_pooled_as_it_pools_itself(name: str) -> None:
    model = timm_model(name)
    backbone = body_like(model, name)
    expected = model.forward_head(model.forward_features(image(model)), pre_logits=True)  # type: ignore[operator]
    assert backbone.pooled
    assert torch.allclose(backbone.body(image(model)), expected, atol=1e-6)
    assert expected.shape == (2, backbone.width)


@pytest.mark.parametrize("name", ["test_convnext", "test_vit", "test_mambaout", "mobilenetv3_small_050"])
def test_every_parameter_of_a_body_has_a_part_in_its_features(name: str) -> None:
    model = timm_model(name)
    body = body_like(model, name).body
    body(image(model)).square().sum().backward()
    assert [key for key, parameter in body.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("n_in", [1, 2, 4])
def test_the_first_layer_is_adapted_as_in_the_book(n_in: int) -> None:
    weight = torch.tensor([[1.0, 2, 3], [4, 5, 6]])[:, :, None, None]
    assert adapt_first_conv(weight, n_in).flatten(1).tolist() == GOLD[f"first conv adapted to n_in={n_in}"]


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "test_resnet"])
def test_a_grey_image_gives_what_its_three_equal_channels_gave(name: str) -> None:
    weights = resnet_weights() if name == "resnet18" else Weights(timm_model(name).state_dict(), "a file")
    grey = torch.rand(2, 1, 64, 64)
    one = create_body(name, size=SMALL, n_in=1, weights=weights).body.eval()
    three = create_body(name, size=SMALL, weights=weights).body.eval()
    assert torch.allclose(one(grey), three(grey.expand(-1, 3, -1, -1)), atol=1e-4)


@torch.no_grad()
def test_further_channels_are_not_seen_at_first() -> None:
    weights = resnet_weights()
    x = torch.rand(2, 5, 64, 64)
    five = create_body("resnet18", size=SMALL, n_in=5, weights=weights).body.eval()
    three = create_body("resnet18", size=SMALL, weights=weights).body.eval()
    assert torch.allclose(five(x), three(x[:, :3]), atol=1e-5)


def test_without_pretrained_weights_every_channel_is_drawn() -> None:
    conv = create_body("resnet18", size=SMALL, n_in=5).body.conv1
    assert isinstance(conv, nn.Conv2d)
    spread = conv.weight.std(dim=(0, 2, 3))
    assert spread.tolist() == pytest.approx([(2 / (64 * 49)) ** 0.5] * 5, rel=0.05)


@pytest.mark.parametrize("drop", [["fc.weight", "fc.bias"], [], ["num_batches_tracked"]])
def test_files_without_a_classifier_or_of_old_versions_fit(drop: list[str]) -> None:
    state = resnet_weights().state
    kept = {key: tensor for key, tensor in state.items() if not key.endswith(tuple(drop) or ("-",))}
    body = create_body("resnet18", size=SMALL, weights=Weights(kept, "a file")).body
    assert all(torch.equal(tensor, state[key]) for key, tensor in body.state_dict().items())


def test_weights_that_do_not_fit_a_resnet_are_named() -> None:
    state = dict(resnet_weights().state)
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    state["extra.weight"] = state.pop("layer1.0.conv1.weight")
    message = (
        r"a file does not fit the backbone: it lacks 'layer1.0.conv1.weight' and has besides 'extra.weight' and has in"
        r" other shapes 'conv1.weight \(64, 1, 7, 7\) instead of \(64, 3, 7, 7\)'"
    )
    with pytest.raises(WeightsError, match=message):
        create_body("resnet18", size=SMALL, weights=Weights(state, "a file"))


@pytest.mark.parametrize("classes", [None, 7])
def test_timm_files_of_the_users_own_may_have_another_classifier_or_none(classes: int | None) -> None:
    state = timm.create_model("test_resnet", num_classes=classes or 0).state_dict()
    body = create_timm_body("test_resnet", n_in=3, size=SMALL, weights=Weights(state, "a file"))
    assert all(torch.equal(tensor, state[key.removeprefix("model.")]) for key, tensor in body.state_dict().items())


def test_weights_that_do_not_fit_a_timm_model_are_named() -> None:
    state = timm_model("test_resnet").state_dict()
    state["extra.weight"] = state.pop("conv1.0.weight")
    with pytest.raises(
        WeightsError,
        match=r"^a file does not fit the backbone 'test_resnet': it lacks 'conv1.0.weight' and has besides",
    ):
        create_body("test_resnet", size=SMALL, weights=Weights(state, "a file"))


def test_a_model_for_one_size_is_made_for_the_size_that_is_asked() -> None:
    body = create_timm_body("test_vit", n_in=3, size=Size(96, 128), weights=None)
    assert body.fixed_size == Size(96, 128)
    assert body(torch.zeros(1, 3, 96, 128)).shape == (1, body.width)


@torch.no_grad()
def test_position_embeddings_follow_to_another_size() -> None:
    model = timm_model("test_vit")
    smaller = create_timm_body("test_vit", n_in=3, size=Size(96, 96), weights=Weights(model.state_dict(), "a file"))
    kept = {key.removeprefix("model."): tensor for key, tensor in smaller.state_dict().items()}
    assert torch.equal(kept["blocks.0.attn.qkv.weight"], model.state_dict()["blocks.0.attn.qkv.weight"])
    assert kept["pos_embed"].shape != model.state_dict()["pos_embed"].shape


def test_images_of_another_size_are_refused_with_both_sizes() -> None:
    body = create_timm_body("test_vit", n_in=3, size=Size(160, 160), weights=None)
    with pytest.raises(InputError, match=r"made for images of 160x160 and got 64x96; resize the images"):
        body(torch.zeros(1, 3, 64, 96))


def test_a_size_that_a_backbone_cannot_work_with_is_refused_when_it_is_made() -> None:
    with pytest.raises(
        InputError, match=r"'test_vit' cannot work with images of 100x100 with 1 channel: .* patch size"
    ):
        create_body("test_vit", size=Size(100, 100), n_in=1)
    with pytest.raises(
        InputError, match=r"'inception_v3' cannot work with images of 20x20 with 3 channels: .* too small"
    ):
        create_body("inception_v3", size=Size(20, 20))


def test_a_body_does_not_keep_the_weights_twice() -> None:
    body = body_like(timm_model("test_resnet"), "test_resnet").body
    assert isinstance(body, TimmBody)
    assert body.form is Form.MAPS
    assert body.model.pretrained_cfg == {}
