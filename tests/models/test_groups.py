"""Parameter groups and freezing: parameter counts recorded from fastai, and frozen tensors that stay bit for bit."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.build import ImageModel, ModelDescription, build_model, model_description
from eyebright.models.groups import freeze_to, parameter_groups, set_training_mode
from eyebright.types import InputDescription, Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g02_heads.json").read_text())
VARIANTS: dict[str, dict[str, Any]] = {
    "resnet18,n_out=2,y_range=(-1,1)": {"y_range": (-1, 1)},
    "resnet34,n_out=37,concat_pool=False": {"concat_pool": False},
    "resnet34,n_out=37,lin_ftrs=[]": {"lin_ftrs": []},
    "resnet34,37,lin_ftrs=[256,128],ps=[.1,.2,.3],lin_first,bn_final": {
        "lin_ftrs": [256, 128],
        "ps": [0.1, 0.2, 0.3],
        "lin_first": True,
        "bn_final": True,
    },
}


def model_of(arch: str, classes: int = 3, **options: Any) -> ImageModel:
    torch.manual_seed(0)
    return build_model(model_description(arch, classes, **options))


def trainable(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def state_copy(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in module.state_dict().items()}


def changed_keys(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {key for key, tensor in module.state_dict().items() if not torch.equal(tensor, before[key])}


def train(model: ImageModel, *, train_bn: bool, steps: int = 3) -> None:
    """A few steps of AdamW; its weight decay changes every trainable parameter, even those with zero gradient."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(steps):
        set_training_mode(model, train_bn=train_bn)
        optimizer.zero_grad()
        model(torch.rand(4, 3, *model.description.input.size)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("name", GOLD["archs"])
def test_groups_and_parameter_counts_are_the_same_as_in_fastai(name: str) -> None:
    gold = GOLD["archs"][name]
    classes = int(re.search(r",(?:n_out=)?(\d+)", name)[1])  # type: ignore[index]
    model = model_of(name.split(",")[0], classes, **VARIANTS.get(name, {}))
    groups = parameter_groups(model)
    assert [sum(parameter.numel() for parameter in group) for group in groups] == gold["group_numel"]
    assert [len(group) for group in groups] == gold["group_n_tensors"]
    assert trainable(model) == gold["total"]
    freeze_to(model, -1)
    assert trainable(model) == gold["trainable_when_frozen"]
    freeze_to(model, -1, train_bn=False)
    assert trainable(model) == gold["head"]
    freeze_to(model, 0)
    assert trainable(model) == gold["total"]


@pytest.mark.parametrize("arch", ["resnet18", "test_resnet", "test_vit", "test_convnext", "caformer_s18"])
def test_each_parameter_is_in_exactly_one_group_and_no_group_is_empty(arch: str) -> None:
    model = model_of(arch)
    groups = parameter_groups(model)
    grouped = [id(parameter) for group in groups for parameter in group]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())
    assert len(groups) == 3
    assert all(groups)


def test_timms_resnet_is_split_like_torchvisions() -> None:
    torchvision, timm = parameter_groups(model_of("resnet18")), parameter_groups(model_of("resnet18.a1_in1k"))
    assert [[p.shape for p in group] for group in timm] == [[p.shape for p in group] for group in torchvision]


def test_a_vit_is_split_in_the_middle_of_its_blocks() -> None:
    model = model_of("deit_tiny_patch16_224")
    first = {id(parameter) for parameter in parameter_groups(model)[0]}
    names = [name for name, parameter in model.named_parameters() if id(parameter) in first]
    blocks = {int(match[1]) for name in names if (match := re.search(r"blocks\.(\d+)\.", name))}
    assert blocks == {0, 1, 2, 3, 4, 5}
    assert "body.model.pos_embed" in names


def test_a_custom_backbone_is_split_in_the_middle_of_its_children() -> None:
    backbone = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(4)])
    model = ImageModel(backbone, nn.Linear(3, 2), ModelDescription("custom", 2, InputDescription(Size(8, 8))))
    groups = parameter_groups(model)
    assert [id(p) for p in groups[0]] == [id(p) for p in backbone[:2].parameters()]
    assert [id(p) for p in groups[1]] == [id(p) for p in backbone[2:].parameters()]


@pytest.mark.parametrize("n", [3, -4, 1.5])
def test_a_group_index_out_of_range_is_refused(n: Any) -> None:
    with pytest.raises(InputError, match=rf"cannot freeze up to group {n}: there are 3 groups, 0 to 2"):
        freeze_to(model_of("test_resnet"), n)


def test_negative_group_indices_count_from_the_end() -> None:
    model = model_of("test_resnet")
    for positive, negative in ((0, -3), (1, -2), (2, -1)):
        freeze_to(model, positive)
        expected = [parameter.requires_grad for parameter in model.parameters()]
        freeze_to(model, negative)
        assert [parameter.requires_grad for parameter in model.parameters()] == expected


@pytest.mark.parametrize("arch", ["resnet18", "test_efficientnet", "test_vit"])
def test_training_a_fully_frozen_backbone_changes_only_the_head(arch: str) -> None:
    model = model_of(arch, size=96)
    freeze_to(model, -1, train_bn=False)
    backbone, head = state_copy(model.body), state_copy(model.head)
    train(model, train_bn=False)
    assert changed_keys(model.body, backbone) == set()
    assert changed_keys(model.head, head) == set(head)


def test_with_train_bn_only_the_normalisation_layers_of_a_frozen_backbone_change() -> None:
    model = model_of("resnet18", size=64)
    freeze_to(model, -1)
    before = state_copy(model.body)
    train(model, train_bn=True)
    norms = {name for name, module in model.body.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert changed_keys(model.body, before) == {key for key in before if key.rpartition(".")[0] in norms}


def test_freezing_the_first_group_leaves_the_early_layers_unchanged() -> None:
    model = model_of("resnet18", size=64)
    freeze_to(model, 1, train_bn=False)
    before = state_copy(model.body)
    train(model, train_bn=False)
    changed = changed_keys(model.body, before)
    assert {key.split(".")[0] for key in changed} == {"layer3", "layer4"}
    assert changed == {key for key in before if key.startswith(("layer3", "layer4"))}


def test_dropout_in_a_fully_frozen_backbone_is_in_evaluation_mode() -> None:
    model = build_model(model_description("test_vit", 2))
    model.body.model.blocks[0].drop_path1 = nn.Dropout(0.5)  # type: ignore[union-attr, index]
    freeze_to(model, -1, train_bn=False)
    set_training_mode(model, train_bn=False)
    assert not any(module.training for module in model.body.modules())
    assert all(module.training for module in model.head.modules())
    set_training_mode(model)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(("train_bn", "graph"), [(True, True), (False, False)])
def test_a_backbone_without_trainable_parameters_builds_no_autograd_graph(train_bn: bool, graph: bool) -> None:
    model = model_of("test_resnet", size=64)
    features: list[Tensor] = []
    model.body.register_forward_hook(lambda _module, _inputs, output: features.append(output))
    freeze_to(model, -1, train_bn=train_bn)
    set_training_mode(model, train_bn=train_bn)
    assert model(torch.rand(2, 3, 64, 64)).requires_grad
    assert features[0].requires_grad is graph


def test_a_frozen_backbone_propagates_gradients_to_the_image() -> None:
    model = model_of("test_resnet", size=64).eval()
    freeze_to(model, -1, train_bn=False)
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
