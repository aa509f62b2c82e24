"""Fusing batch norms changes the number of layers, not the outputs."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from eyebright.models.batchnorm.fuse import fuse_conv_bn
from eyebright.models.build import build_model, model_description
from eyebright.types import Size

SIZE = Size(32, 32)


def with_statistics(model: nn.Module) -> nn.Module:
    """The model in evaluation mode, with running statistics and weights that are not the initial ones."""
    generator = torch.Generator().manual_seed(0)
    for norm in norms(model):
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
        if norm.affine:
            norm.weight.data.uniform_(0.5, 1.5, generator=generator)
            norm.bias.data.normal_(generator=generator)
    return model.eval()


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def images(channels: int = 3) -> Tensor:
    return torch.rand(2, channels, *SIZE, generator=torch.Generator().manual_seed(1))


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(x)


@pytest.mark.parametrize("arch", ["resnet18", "test_resnet", "test_byobnet", "mobilenetv3_small_050"])
def test_a_fused_network_has_the_same_outputs_and_no_norm_layers(arch: str) -> None:
    model = with_statistics(build_model(model_description(arch, 4, size=SIZE)))
    fused = fuse_conv_bn(model, SIZE)
    assert len(norms(model)) > 5
    assert not norms(fused)
    expected = outputs(model, images())
    torch.testing.assert_close(outputs(fused, images()), expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_the_fused_weights_are_those_of_torch() -> None:
    conv, norm = nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4)
    model = with_statistics(nn.Sequential(conv, norm))
    fused = fuse_conv_bn(model, SIZE).get_submodule("0")
    expected = fuse_conv_bn_eval(conv, norm)
    torch.testing.assert_close(fused.weight, expected.weight)
    torch.testing.assert_close(fused.bias, expected.bias)


def test_a_norm_layer_without_weights_is_fused_with_a_convolution_without_bias() -> None:
    model = with_statistics(nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False)))
    fused = fuse_conv_bn(model, SIZE, n_in=1)
    assert not norms(fused)
    torch.testing.assert_close(outputs(fused, images(1)), outputs(model, images(1)))


class NotFusible(nn.Module):
    """A convolution and a norm layer, used in one of the ways in which they must not be fused."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        match self.way:
            case "its output is used elsewhere":
                return self.norm(y) + y
            case "it is called twice":
                return self.norm(self.conv(y))
            case "the norm is called twice":
                return self.norm(self.norm(y))
            case "something lies between":
                return self.norm(y.relu())
            case _:
                return self.norm(x) + y


@pytest.mark.parametrize(
    "way",
    [
        "its output is used elsewhere",
        "it is called twice",
        "the norm is called twice",
        "something lies between",
        "the norm is beside it",
    ],
)
def test_layers_that_cannot_be_fused_stay(way: str) -> None:
    model = with_statistics(NotFusible(way))
    fused = fuse_conv_bn(model, SIZE)
    assert len(norms(fused)) == 1
    assert torch.equal(outputs(fused, images()), outputs(model, images()))


def test_changes_of_the_copy_leave_the_model_unchanged() -> None:
    model = with_statistics(build_model(model_description("test_resnet", 4, size=SIZE))).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fused = fuse_conv_bn(model, SIZE).to(torch.bfloat16)
    assert not fused.training
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(
        torch.equal(after[name], tensor) and after[name].dtype == tensor.dtype for name, tensor in before.items()
    )


def test_layers_that_are_not_fused_share_their_memory() -> None:
    model = build_model(model_description("test_resnet", 4, size=SIZE))
    fused = fuse_conv_bn(model, SIZE)
    weights = [made.get_parameter("head.8.weight") for made in (fused, model)]
    assert weights[0].data_ptr() == weights[1].data_ptr()


def test_a_backbone_alone_can_be_fused() -> None:
    body = with_statistics(build_model(model_description("resnet18", 4, size=SIZE)).body)
    fused = fuse_conv_bn(body, SIZE)
    assert not norms(fused)
    torch.testing.assert_close(outputs(fused, images()), outputs(body, images()), rtol=1e-4, atol=1e-4)
