"""Folding changes the work, not the answers."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from eyebright.models.batchnorm.fuse import fold_batch_norms
from eyebright.models.build import build_model, describe
from eyebright.types import Size

SIZE = Size(32, 32)


def lived_in(model: nn.Module) -> nn.Module:
    """The model in evaluation, with norm layers that have seen something."""
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
def test_a_folded_network_answers_the_same_without_norm_layers(arch: str) -> None:
    model = lived_in(build_model(describe(arch, 4, size=SIZE)))
    folded = fold_batch_norms(model, SIZE)
    assert len(norms(model)) > 5
    assert not norms(folded)
    expected = outputs(model, images())
    torch.testing.assert_close(outputs(folded, images()), expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_the_folded_weights_are_those_of_torch_itself() -> None:
    conv, norm = nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4)
    model = lived_in(nn.Sequential(conv, norm))
    folded = fold_batch_norms(model, SIZE).get_submodule("0")
    expected = fuse_conv_bn_eval(conv, norm)
    torch.testing.assert_close(folded.weight, expected.weight)
    torch.testing.assert_close(folded.bias, expected.bias)


def test_a_norm_layer_without_weights_and_a_convolution_without_bias_fold_too() -> None:
    model = lived_in(nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False)))
    folded = fold_batch_norms(model, SIZE, n_in=1)
    assert not norms(folded)
    torch.testing.assert_close(outputs(folded, images(1)), outputs(model, images(1)))


class Twice(nn.Module):
    """One convolution, used in one of the ways in which it must not swallow a norm layer."""

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
def test_what_cannot_be_folded_stays(way: str) -> None:
    model = lived_in(Twice(way))
    folded = fold_batch_norms(model, SIZE)
    assert len(norms(folded)) == 1
    assert torch.equal(outputs(folded, images()), outputs(model, images()))


def test_the_model_stays_as_it_was_whatever_happens_to_the_copy() -> None:
    model = lived_in(build_model(describe("test_resnet", 4, size=SIZE))).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folded = fold_batch_norms(model, SIZE).to(torch.bfloat16)
    assert not folded.training
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(
        torch.equal(after[name], tensor) and after[name].dtype == tensor.dtype for name, tensor in before.items()
    )


def test_what_is_not_folded_takes_no_memory_of_its_own() -> None:
    model = build_model(describe("test_resnet", 4, size=SIZE))
    folded = fold_batch_norms(model, SIZE)
    assert folded.get_submodule("head.8").weight.data_ptr() == model.get_submodule("head.8").weight.data_ptr()


def test_a_body_alone_can_be_folded() -> None:
    body = lived_in(build_model(describe("resnet18", 4, size=SIZE)).body)
    folded = fold_batch_norms(body, SIZE)
    assert not norms(folded)
    torch.testing.assert_close(outputs(folded, images()), outputs(body, images()), rtol=1e-4, atol=1e-4)
