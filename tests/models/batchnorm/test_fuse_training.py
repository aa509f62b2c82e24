"""A model that is fused for training has the same outputs, gradients and parameters."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eyebright.models.batchnorm.fuse_training import fuse_for_training
from eyebright.models.build import ImageModel, build_model, model_description
from eyebright.models.groups import freeze_to, set_training_mode
from eyebright.types import Size

SIZE = Size(32, 32)


def model_with_statistics(arch: str) -> ImageModel:
    """A model in training mode with kept statistics that are not the initial ones, and without dropout."""
    torch.manual_seed(0)
    model = build_model(model_description(arch, 4, size=SIZE, ps=0.0)).double()
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


def count_batch_norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


ARCHS = ["resnet18", "test_resnet", "tf_efficientnet_lite0", "mobilenetv3_small_050", "densenet121", "test_byobnet"]


@pytest.mark.parametrize("arch", ARCHS)
def test_every_parameter_gets_the_gradient_that_the_model_gives_it(arch: str) -> None:
    model = model_with_statistics(arch)
    fused = fuse_for_training(model, SIZE)
    assert fused is not model
    expected = gradients(model, model, images())
    fused_gradients = gradients(fused, model, images())
    assert set(fused_gradients) == set(expected) == {name for name, _ in model.named_parameters()}
    for name, gradient in expected.items():
        torch.testing.assert_close(fused_gradients[name], gradient, rtol=1e-6, atol=1e-9)


def test_the_parameters_are_those_of_the_model() -> None:
    model = model_with_statistics("resnet18")
    fused = fuse_for_training(model, SIZE)
    assert {id(p) for p in fused.parameters()} == {id(p) for p in model.parameters()}
    assert {id(b) for b in fused.buffers()} == {id(b) for b in model.buffers()}


def test_changes_of_the_parameters_are_used_in_the_next_forward_pass() -> None:
    model = model_with_statistics("test_resnet")
    fused = fuse_for_training(model, SIZE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    torch.testing.assert_close(fused(images()), model(images()))


def test_statistics_and_the_model_are_unchanged() -> None:
    model = model_with_statistics("test_resnet")
    names, before = list(model.state_dict()), {k: v.clone() for k, v in model.state_dict().items()}
    fused = fuse_for_training(model, SIZE)
    body = {k: v for k, v in before.items() if k.startswith("body")}
    fused(images()).mean().backward()
    assert list(model.state_dict()) == names
    assert all(torch.equal(model.state_dict()[name], value) for name, value in body.items())
    assert count_batch_norms(model.body) > 5


def test_norms_in_training_mode_are_not_fused() -> None:
    model = model_with_statistics("resnet18").train()
    assert fuse_for_training(model, SIZE) is model


def test_a_frozen_backbone_has_no_gradients_and_the_head_has_its_own() -> None:
    model = model_with_statistics("test_resnet")
    freeze_to(model, -1, train_bn=False)
    set_training_mode(model, train_bn=False, keep_statistics=True)
    expected = gradients(model, model, images())
    fused_gradients = gradients(fuse_for_training(model, SIZE), model, images())
    assert set(fused_gradients) == set(expected)
    assert all(name.startswith("head") for name in fused_gradients)
    for name, gradient in expected.items():
        torch.testing.assert_close(fused_gradients[name], gradient, rtol=1e-6, atol=1e-9)


def test_the_fused_model_follows_the_train_or_eval_mode_of_the_heads_dropout() -> None:
    torch.manual_seed(0)
    model = build_model(model_description("test_resnet", 4, size=SIZE, ps=0.5))
    set_training_mode(model, keep_statistics=True)
    fused = fuse_for_training(model, SIZE)
    model.head.eval()
    assert torch.equal(fused(images().float()), fused(images().float()))


@pytest.mark.parametrize(("grad_enabled", "expected"), [(True, torch.float32), (False, torch.bfloat16)])
def test_in_autocast_depthwise_convolutions_use_float32_only_when_gradients_are_computed(
    grad_enabled: bool, expected: torch.dtype
) -> None:
    model = model_with_statistics("mobilenetv3_small_050").float()
    dtypes: dict[str, set[torch.dtype]] = {"dense": set(), "depthwise": set()}
    convolve = torch.conv2d

    def watched(x: Tensor, weight: Tensor, *rest: Any) -> Tensor:
        result = convolve(x, weight, *rest)
        dtypes["dense" if rest[-1] == 1 else "depthwise"].add(result.dtype)  # the last argument is `groups`
        return result

    fused = fuse_for_training(model, SIZE)
    with (
        pytest.MonkeyPatch.context() as patch,
        torch.autocast("cpu", torch.bfloat16),
        torch.set_grad_enabled(grad_enabled),
    ):
        patch.setattr(nn.functional, "conv2d", watched)
        fused(images().float())
    assert dtypes == {"dense": {torch.bfloat16}, "depthwise": {expected}}


def test_with_trainable_batch_norms_only_depthwise_convolutions_are_replaced() -> None:
    model = model_with_statistics("mobilenetv3_small_050").train()
    expected = gradients(model, model, images())
    fused = fuse_for_training(model, SIZE)
    assert fused is not model
    assert {id(p) for p in fused.parameters()} == {id(p) for p in model.parameters()}
    for name, gradient in gradients(fused, model, images()).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-6, atol=1e-9)
