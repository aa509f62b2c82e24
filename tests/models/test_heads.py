"""The head: layers, parameter counts and initialisation, compared with values recorded from fastai."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from eyebright.errors import InputError
from eyebright.models.heads import AdaptiveConcatPool2d, SigmoidRange, create_head, initialize, sigmoid_range

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g02_heads.json").read_text())
WIDTH = {"resnet18": 512, "resnet34": 512, "resnet50": 2048}
VARIANTS = {
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


def canonical_repr(text: str) -> str:
    """The ``repr`` of the layers without the parts that differ between fastai and versions of torch."""
    return re.sub(r"Flatten\(.*\)", "Flatten()", re.sub(r"affine=True, bias=True", "affine=True", text))


@pytest.mark.parametrize("name", GOLD["archs"])
def test_the_layers_are_the_same_as_in_fastai(name: str) -> None:
    gold = GOLD["archs"][name]
    arch, classes = name.split(",")[0], int(re.search(r",(?:n_out=)?(\d+)", name)[1])  # type: ignore[index]
    head = create_head(WIDTH[arch], classes, **VARIANTS.get(name, {}))
    assert canonical_repr(repr(head)) == canonical_repr(gold["head_repr"])
    assert {key: list(tensor.shape) for key, tensor in head.state_dict().items()} == gold["state_dict_head"]
    assert sum(parameter.numel() for parameter in head.parameters()) == gold["head"]


def test_concatenated_pooling_puts_the_maximum_before_the_average() -> None:
    maps = torch.arange(16.0).view(2, 2, 2, 2)
    expected = GOLD["AdaptiveConcatPool2d on arange(16).view(2,2,2,2)"]
    assert AdaptiveConcatPool2d()(maps).flatten(1).tolist() == expected


def test_initialised_weights_have_the_same_std_as_in_fastai() -> None:
    torch.manual_seed(0)
    head = create_head(512, 37)
    initialize(head)
    stds = [layer.weight.std().item() for layer in head if isinstance(layer, nn.Linear)]
    assert stds == pytest.approx(GOLD["head init expected sqrt(2/fan_in)"], rel=0.02)
    assert stds == pytest.approx(GOLD["head init std, mean of 20 (Linear 1024->512, Linear 512->37)"], rel=0.02)


def test_batch_norms_start_as_in_fastai_and_are_not_reinitialised() -> None:
    head = create_head(512, 37)
    initialize(head)
    norms = [layer for layer in head if isinstance(layer, nn.BatchNorm1d)]
    for norm, gold in zip(norms, GOLD["head bn init"], strict=True):
        assert (norm.weight == gold["weight"]).all()
        assert (norm.bias == gold["bias"]).all()
        assert (norm.momentum, norm.eps) == (gold["momentum"], gold["eps"])


def test_initialize_sets_biases_to_zero_and_accepts_any_initializer() -> None:
    head = create_head(8, 3, [4], lin_first=True)
    initialize(head, nn.init.ones_)
    last = head[-1]
    assert isinstance(last, nn.Linear)
    assert (last.weight == 1).all()
    assert (last.bias == 0).all()


@pytest.mark.parametrize("options", [{}, {"lin_first": True}, {"lin_ftrs": []}, {"bn_final": True}])
def test_with_a_zero_last_layer_the_first_outputs_are_the_middle_of_the_range(options: dict[str, Any]) -> None:
    head = create_head(8, 3, y_range=(2, 6), **options)
    initialize(head, zero_last_layer=True)
    assert head(torch.randn(4, 8, 2, 2)).detach().numpy() == pytest.approx(4)


def test_without_a_first_batch_norm_the_first_linear_layer_has_a_bias() -> None:
    first, second = (layer for layer in create_head(8, 3, first_bn=False) if isinstance(layer, nn.Linear))
    assert first.bias is not None
    assert second.bias is None


def test_without_pooling_the_number_of_channels_is_not_doubled() -> None:
    head = create_head(8, 3, pool=False)
    assert isinstance(head[0], nn.BatchNorm1d)
    assert head.eval()(torch.zeros(2, 8)).shape == (2, 3)


def test_dropout_of_zero_adds_no_dropout_layer() -> None:
    assert not [layer for layer in create_head(8, 3, ps=0).modules() if isinstance(layer, nn.Dropout)]


@pytest.mark.parametrize("lin_first", [False, True])
def test_a_wrong_number_of_dropout_probabilities_is_refused(lin_first: bool) -> None:
    with pytest.raises(InputError, match=r"the head has 3 linear layers: ps needs 3 values or one, got \[0.1, 0.2\]"):
        create_head(8, 3, [16, 16], [0.1, 0.2], lin_first=lin_first)


def test_sigmoid_range_maps_zero_to_the_centre_and_infinities_to_the_limits() -> None:
    x = torch.tensor([-math.inf, 0.0, math.inf])
    assert sigmoid_range(x, -1, 3).tolist() == [-1, 1, 3]
    assert torch.equal(SigmoidRange(-1, 3)(x), sigmoid_range(x, -1, 3))
    assert repr(SigmoidRange(-1, 1)) == "SigmoidRange(low=-1, high=1)"
