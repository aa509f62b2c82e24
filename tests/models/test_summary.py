"""The summary table of a model, compared with the table that fastai prints."""

from pathlib import Path

import pytest
import torch

from eyebright.models.build import build_model, model_description
from eyebright.models.groups import freeze_to
from eyebright.models.summary import summarize

GOLD = Path(__file__).parents[1] / "gold"


@pytest.mark.parametrize(("state", "n"), [("frozen", -1), ("unfrozen", 0)])
def test_the_table_is_the_same_as_fastais(state: str, n: int) -> None:
    model = build_model(model_description("resnet34", 37))
    freeze_to(model, n)
    gold = (GOLD / f"g02_summary_{state}_resnet34_37.txt").read_text().split("\n\nOptimizer used")[0]
    table = str(summarize(model, (64, 3, 224, 224)))
    actual, expected = ([line.rstrip() for line in text.splitlines()] for text in (table, gold))
    assert actual[0] == expected[0].replace("Sequential", "ImageModel")
    assert actual[1:] == expected[1:]


@pytest.mark.parametrize("arch", ["resnet18", "test_vit", "test_convnext", "test_mambaout"])
def test_parameter_counts_of_the_layers_sum_to_the_total(arch: str) -> None:
    model = build_model(model_description(arch, 5))
    freeze_to(model, -1)
    summary = summarize(model, (8, 3, *model.description.input.size))
    assert sum(row.parameters for row in summary.layers) == summary.total
    assert sum(row.parameters for row in summary.layers if row.trainable) == summary.trainable
    assert summary.total == sum(parameter.numel() for parameter in model.parameters())


def test_shapes_include_the_batch_dimension() -> None:
    summary = summarize(build_model(model_description("test_resnet", 5, size=64)), (8, 3, 64, 64))
    assert summary.input_shape == (8, 3, 64, 64)
    assert summary.layers[-1].shape == (8, 5)


def test_summarize_does_not_change_the_model() -> None:
    model = build_model(model_description("test_resnet", 5, size=64)).train()
    model.head.eval()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    summarize(model, (8, 3, 64, 64))
    assert model.body.training
    assert not model.head.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), generator)
