"""Training with folded norms is training: the same answers, the same gradients, the same parameters."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eyebright.models.batchnorm.fuse_training import fuse_for_training
from eyebright.models.build import ImageModel, build_model, describe
from eyebright.models.groups import freeze_to, set_training_mode
from eyebright.types import Size

SIZE = Size(32, 32)


def model_with_a_past(arch: str) -> ImageModel:
    """In training with kept statistics that say something, and without dropout, which would differ by chance."""
    torch.manual_seed(0)
    model = build_model(describe(arch, 4, size=SIZE, ps=0.0)).double()
    for name, tensor in model.state_dict().items():
        if "bn" in name and tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.5)
    set_training_mode(model, keep_statistics=True)
    return model


def gradients(called: nn.Module, model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    called(x).square().mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def images() -> Tensor:
    return torch.rand(4, 3, *SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


ARCHS = ["resnet18", "test_resnet", "tf_efficientnet_lite0", "mobilenetv3_small_050", "densenet121", "test_byobnet"]


@pytest.mark.parametrize("arch", ARCHS)
def test_the_view_gives_every_parameter_the_gradient_that_the_model_gives(arch: str) -> None:
    model = model_with_a_past(arch)
    view = fuse_for_training(model, SIZE)
    assert view is not model
    expected = gradients(model, model, images())
    folded = gradients(view, model, images())
    assert set(folded) == set(expected) == {name for name, _ in model.named_parameters()}
    for name, gradient in expected.items():
        torch.testing.assert_close(folded[name], gradient, rtol=1e-6, atol=1e-9)


def test_the_view_has_the_models_own_parameters_and_no_others() -> None:
    model = model_with_a_past("resnet18")
    view = fuse_for_training(model, SIZE)
    assert {id(p) for p in view.parameters()} == {id(p) for p in model.parameters()}
    assert {id(b) for b in view.buffers()} == {id(b) for b in model.buffers()}


def test_what_the_optimizer_changes_is_seen_by_the_view_at_once() -> None:
    model = model_with_a_past("test_resnet")
    view = fuse_for_training(model, SIZE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    torch.testing.assert_close(view(images()), model(images()))


def test_statistics_are_kept_and_nothing_of_the_model_is_changed() -> None:
    model = model_with_a_past("test_resnet")
    names, before = list(model.state_dict()), {k: v.clone() for k, v in model.state_dict().items()}
    view = fuse_for_training(model, SIZE)
    body = {k: v for k, v in before.items() if k.startswith("body")}
    view(images()).mean().backward()
    assert list(model.state_dict()) == names
    assert all(torch.equal(model.state_dict()[name], value) for name, value in body.items())
    assert norms(model.body) > 5


def test_norms_that_learn_their_statistics_are_left_alone() -> None:
    model = model_with_a_past("resnet18").train()
    assert fuse_for_training(model, SIZE) is model


def test_a_frozen_body_gives_the_head_its_gradient_and_takes_none() -> None:
    model = model_with_a_past("test_resnet")
    freeze_to(model, -1, train_bn=False)
    set_training_mode(model, train_bn=False, keep_statistics=True)
    expected = gradients(model, model, images())
    folded = gradients(fuse_for_training(model, SIZE), model, images())
    assert set(folded) == set(expected)
    assert all(name.startswith("head") for name in folded)
    for name, gradient in expected.items():
        torch.testing.assert_close(folded[name], gradient, rtol=1e-6, atol=1e-9)


def test_dropout_is_the_models_own_so_that_modes_agree() -> None:
    torch.manual_seed(0)
    model = build_model(describe("test_resnet", 4, size=SIZE, ps=0.5))
    set_training_mode(model, keep_statistics=True)
    view = fuse_for_training(model, SIZE)
    model.head.eval()
    assert torch.equal(view(images().float()), view(images().float()))


@pytest.mark.parametrize(("gradients", "depthwise"), [(True, torch.float32), (False, torch.bfloat16)])
def test_depthwise_convolutions_learn_in_float32_inside_autocast_and_the_others_do_not(
    gradients: bool, depthwise: torch.dtype
) -> None:
    model = model_with_a_past("mobilenetv3_small_050").float()
    given: dict[int, set[torch.dtype]] = {1: set(), 2: set()}
    convolve = torch.conv2d

    def watched(x: Tensor, weight: Tensor, *rest: Any) -> Tensor:
        result = convolve(x, weight, *rest)
        given[1 if rest[-1] == 1 else 2].add(result.dtype)
        return result

    view = fuse_for_training(model, SIZE)
    with (
        pytest.MonkeyPatch.context() as patch,
        torch.autocast("cpu", torch.bfloat16),
        torch.set_grad_enabled(gradients),
    ):
        patch.setattr(nn.functional, "conv2d", watched)
        view(images().float())
    assert given == {1: {torch.bfloat16}, 2: {depthwise}}


def test_depthwise_convolutions_are_seen_where_norms_learn_too() -> None:
    model = model_with_a_past("mobilenetv3_small_050").train()
    expected = gradients(model, model, images())
    view = fuse_for_training(model, SIZE)
    assert view is not model
    assert {id(p) for p in view.parameters()} == {id(p) for p in model.parameters()}
    for name, gradient in gradients(view, model, images()).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-6, atol=1e-9)
