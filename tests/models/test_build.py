"""Models from descriptions: what goes in, what comes out, what is said when it cannot be."""

import copy
import json
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eyebright.errors import InputError, WeightsError
from eyebright.models.build import ImageModel, ModelDescription, build_model, describe
from eyebright.models.weights import Weights
from eyebright.transforms.normalize import imagenet_stats
from eyebright.types import InputDescription, Size


def small_model(**options: Any) -> ImageModel:
    torch.manual_seed(0)
    return build_model(describe("test_resnet", 6, size=64, **options))


def images(batch: int = 2, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, channels, 64, 64), dtype=torch.uint8, generator=generator)


def test_a_description_survives_json() -> None:
    options: dict[str, Any] = {"lin_ftrs": [64, 32], "ps": [0.1, 0.2, 0.3], "y_range": (-1, 1), "output_shape": (3, 2)}
    description = describe("resnet18", 6, n_in=4, lin_first=True, **options)
    assert ModelDescription.from_json(json.loads(json.dumps(description.to_json()))) == description


def test_the_same_description_gives_a_model_that_takes_the_saved_tensors() -> None:
    first, second = small_model(ps=0.25), build_model(describe("test_resnet", 6, size=64, ps=0.25))
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first.eval()(images()), second.eval()(images()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"not the description of a model: 'input'"),
        ({"input": {"size": [8, 8]}}, r"not the description of a model: 'mean'"),
        ({"arch": "resnet18", "classes": 2, "odd": 1}, r"not the description of a model: .*'odd'"),
        ({"arch": "resnet18", "classes": "two"}, r"not the description of a model: .*'<' not supported"),
    ],
)
def test_json_that_is_no_description_is_refused(data: dict[str, Any], message: str) -> None:
    whole = {"size": [8, 8], "mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear"}
    with pytest.raises(InputError, match=message):
        ModelDescription.from_json({"input": whole, **data} if data.get("arch") else data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "a model has at least one output, got classes=0"),
        ({"n_in": 0}, "an image has at least one channel, got n_in=0"),
        ({"n_in": 1}, "images of 1 channels need 1 means and stds"),
        ({"y_range": (1.0, -1.0)}, "y_range goes from low to high, got"),
        ({"output_shape": (3, 2)}, r"answers of the shape \(3, 2\) do not hold 4 numbers"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelDescription(**{"arch": "resnet18", "classes": 4, "input": InputDescription(Size(8, 8)), **options})


def test_an_unknown_backbone_in_a_description_is_refused() -> None:
    with pytest.raises(InputError, match="there is no backbone 'resnet_of_tomorrow'"):
        build_model(ModelDescription("resnet_of_tomorrow", 2, InputDescription(Size(8, 8))))


def test_the_names_in_a_saved_file_are_those_of_the_origin() -> None:
    model = build_model(describe("resnet18", 2))
    names = set(model.state_dict())
    assert {"body.conv1.weight", "body.layer4.1.bn2.running_var", "head.8.weight"} <= names
    assert "body.model.conv1.0.weight" in small_model().state_dict()
    assert not {"mean", "std"} & names


def test_body_and_head_are_the_two_children() -> None:
    model = small_model()
    assert list(model) == [model.body, model.head] == [model[0], model[1]]


def test_bytes_and_numbers_are_the_same_image() -> None:
    model = small_model().eval()
    assert torch.allclose(model(images()), model(images() / 255), atol=1e-6)


def test_images_are_normalised_with_the_models_own_statistics() -> None:
    model = small_model().eval()
    description = model.description.input
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (description.mean, description.std))
    by_hand = (images() / 255 - mean) / std
    answers = model(images())
    assert torch.allclose(model.normalise(images()), by_hand, atol=1e-6)
    model.normalised_outside = True
    assert torch.allclose(model(by_hand), answers, atol=1e-5)
    assert not torch.allclose(model(images() / 255), answers, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (7, 6)])
def test_normalising_is_the_formula_in_any_memory_format(size: tuple[int, int]) -> None:
    model = small_model()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in imagenet_stats)
    model.mean, model.std = mean, std
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.clone(memory_format=layout).requires_grad_()
        found = model.normalise(given)
        torch.testing.assert_close(found, (x - mean) / std)
        found.sum().backward()
        torch.testing.assert_close(given.grad, (1 / std).expand_as(x))
        assert torch.equal(given, x)


def test_the_channels_last_format_survives_normalising_and_gives_the_same() -> None:
    model = small_model().eval()
    x = (images() / 255).contiguous(memory_format=torch.channels_last)
    assert model.normalise(x).is_contiguous(memory_format=torch.channels_last)
    assert model.normalise(images().contiguous(memory_format=torch.channels_last)).is_contiguous(
        memory_format=torch.channels_last
    )
    expected = model(images())
    model = model.to(memory_format=torch.channels_last)
    assert model.body(model.normalise(x)).is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(model(x), expected, atol=1e-4)


def test_a_model_in_bfloat16_takes_bytes_and_its_own_kind() -> None:
    model = small_model().eval().to(torch.bfloat16)
    assert model(images()).dtype == torch.bfloat16
    assert model((images() / 255).to(torch.bfloat16)).dtype == torch.bfloat16


def test_a_range_holds_every_answer() -> None:
    answers = small_model(y_range=(-1, 3)).eval()(images())
    assert (answers > -1).all()
    assert (answers < 3).all()


def test_answers_can_have_a_shape() -> None:
    flat, shaped = small_model().eval(), small_model(output_shape=(3, 2)).eval()
    assert torch.equal(shaped(images()), flat(images()).view(2, 3, 2))


@pytest.mark.parametrize("n_in", [1, 2, 4])
@pytest.mark.parametrize("arch", ["resnet18", "test_resnet", "test_vit"])
def test_images_may_have_another_number_of_channels(arch: str, n_in: int) -> None:
    model = build_model(describe(arch, 5, size=64, n_in=n_in)).eval()
    assert model(images(channels=n_in)).shape == (2, 5)


def test_a_backbone_of_tokens_gets_a_head_without_pooling() -> None:
    model = build_model(describe("test_vit", 5))
    assert isinstance(model.head, nn.Sequential)
    assert isinstance(model.head[0], nn.BatchNorm1d)
    assert model.eval()(torch.zeros(2, 3, 160, 160)).shape == (2, 5)


def test_maps_must_be_pooled() -> None:
    with pytest.raises(InputError, match="the backbone 'resnet18' gives maps, which the head must pool"):
        build_model(describe("resnet18", 5, pool=False))


def test_the_initialiser_is_the_users_choice() -> None:
    description = describe("test_resnet", 6, size=64)
    ones = build_model(description, init=nn.init.ones_).head.get_parameter("8.weight")
    assert (ones == 1).all()
    bound = 1 / math.sqrt(512)  # torch's own: uniform within it
    own = build_model(description, init=None).head.get_parameter("8.weight")
    assert 0.9 * bound < own.abs().max() <= bound


def test_pretrained_weights_are_loaded_and_their_origin_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    body = small_model().body.state_dict()
    state = {key.removeprefix("model."): tensor for key, tensor in body.items()}
    monkeypatch.setattr("eyebright.models.build.find_weights", lambda *_, **__: Weights(state, "the drawer"))
    model = build_model(describe("test_resnet", 6, size=64), pretrained=True)
    assert model.origin == "the drawer"
    assert all(torch.equal(tensor, body[key]) for key, tensor in model.body.state_dict().items())


def test_without_weights_anywhere_auto_starts_from_random_ones_and_true_does_not() -> None:
    description = describe("resnet18", 2, size=64)
    assert build_model(description, pretrained="auto").origin is None
    with pytest.raises(WeightsError, match="no pretrained weights for 'resnet18'"):
        build_model(description, pretrained=True)


def test_a_model_can_be_copied_and_pickled() -> None:
    model = small_model().eval()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.description == model.description
        assert torch.equal(other(images()), model(images()))


def test_a_model_can_be_exported_for_any_number_of_images() -> None:
    model, x = small_model().eval(), images() / 255
    with torch.no_grad():
        program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("b")},))
    five = torch.rand(5, 3, 64, 64)
    assert torch.allclose(program.module()(five), model(five), atol=1e-5)
