"""Models built from descriptions: JSON, normalisation, output shapes, pretrained weights, errors."""

import copy
import json
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eyebright.errors import InputError, WeightsError
from eyebright.models.build import ImageModel, ModelDescription, build_model, model_description
from eyebright.models.weights import Weights
from eyebright.transforms.normalize import imagenet_stats
from eyebright.types import InputDescription, Size


def small_model(**options: Any) -> ImageModel:
    torch.manual_seed(0)
    return build_model(model_description("test_resnet", 6, size=64, **options))


def images(batch: int = 2, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, channels, 64, 64), dtype=torch.uint8, generator=generator)


def test_a_description_is_unchanged_by_a_json_round_trip() -> None:
    options: dict[str, Any] = {"lin_ftrs": [64, 32], "ps": [0.1, 0.2, 0.3], "y_range": (-1, 1), "output_shape": (3, 2)}
    description = model_description("resnet18", 6, n_in=4, lin_first=True, **options)
    assert ModelDescription.from_json(json.loads(json.dumps(description.to_json()))) == description


def test_a_model_built_from_the_same_description_loads_the_state_dict() -> None:
    first, second = small_model(ps=0.25), build_model(model_description("test_resnet", 6, size=64, ps=0.25))
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first.eval()(images()), second.eval()(images()))


INPUT = {"size": [8, 8], "mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear"}
DESCRIPTION = {"arch": "resnet18", "classes": 2, "input": INPUT}


def test_json_with_the_required_fields_only_has_the_defaults() -> None:
    description = ModelDescription.from_json(DESCRIPTION)
    assert description == ModelDescription("resnet18", 2, InputDescription(Size(8, 8), (0.0,) * 3, (1.0,) * 3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"expected a JSON object, got \[\]"),
        ({}, "'arch' is missing"),
        ({"arch": "resnet18", "classes": 2}, "'input' is missing"),
        ({**DESCRIPTION, "input": {"size": [8, 8]}}, "'input.mean' is missing"),
        ({**DESCRIPTION, "input": {**INPUT, "odd": 1}}, "unknown field 'input.odd'"),
        ({**DESCRIPTION, "input": {**INPUT, "size": [8]}}, r"input\.size must be two integers, got \[8\]"),
        ({**DESCRIPTION, "input": 3}, "input must be a JSON object, got 3"),
        ({**DESCRIPTION, "odd": 1}, "unknown field 'odd'"),
        ({**DESCRIPTION, "classes": "two"}, "classes must be an integer, got 'two'"),
        ({**DESCRIPTION, "classes": True}, "classes must be an integer, got True"),
        ({**DESCRIPTION, "arch": None}, "arch must be a string, got None"),
        ({**DESCRIPTION, "pool": 1}, "pool must be true or false, got 1"),
        ({**DESCRIPTION, "ps": ["a"]}, r"ps must be a number or a list of numbers, got \['a'\]"),
        ({**DESCRIPTION, "lin_ftrs": "x"}, "lin_ftrs must be a list of integers or null, got 'x'"),
        ({**DESCRIPTION, "y_range": [1]}, r"y_range must be two numbers or null, got \[1\]"),
        ({**DESCRIPTION, "output_shape": [1.5]}, r"output_shape must be a list of integers or null, got \[1\.5\]"),
    ],
)
def test_json_that_is_not_a_description_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^not a model description: {message}$"):
        ModelDescription.from_json(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_out": 0}, "a model has at least one output, and at most 100,000, got n_out=0"),
        ({"n_in": 0}, "an image has at least one channel, and at most 1,000, got n_in=0"),
        ({"n_in": 1}, "one value per channel: n_in is 1, mean has 3 and std 3 values"),
        ({"y_range": (1.0, -1.0)}, r"y_range must be \(low, high\) with low < high, both finite, got"),
        ({"output_shape": (3, 2)}, r"output_shape \(3, 2\) does not have 4 elements"),
    ],
)
def test_invalid_or_contradictory_descriptions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelDescription(**{"arch": "resnet18", "n_out": 4, "input": InputDescription(Size(8, 8)), **options})


def test_an_unknown_backbone_in_a_description_is_refused() -> None:
    with pytest.raises(InputError, match="there is no backbone 'resnet_of_tomorrow'"):
        build_model(ModelDescription("resnet_of_tomorrow", 2, InputDescription(Size(8, 8))))


def test_state_dict_keys_are_those_of_torchvision_and_timm_with_a_prefix() -> None:
    model = build_model(model_description("resnet18", 2))
    names = set(model.state_dict())
    assert {"body.conv1.weight", "body.layer4.1.bn2.running_var", "head.8.weight"} <= names
    assert "body.model.conv1.0.weight" in small_model().state_dict()
    assert not {"mean", "std"} & names


def test_backbone_and_head_are_the_two_children() -> None:
    model = small_model()
    assert list(model) == [model.body, model.head] == [model[0], model[1]]


def test_uint8_and_float_images_have_the_same_outputs() -> None:
    model = small_model().eval()
    assert torch.allclose(model(images()), model(images() / 255), atol=1e-6)


def test_images_are_normalised_with_the_mean_and_std_of_the_description() -> None:
    model = small_model().eval()
    description = model.description.input
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (description.mean, description.std))
    normalized = (images() / 255 - mean) / std
    outputs = model(images())
    assert torch.allclose(model.normalize(images()), normalized, atol=1e-6)
    model.inputs_normalized = True
    assert torch.allclose(model(normalized), outputs, atol=1e-5)
    assert not torch.allclose(model(images() / 255), outputs, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (7, 6)])
def test_normalisation_matches_its_formula_in_both_memory_formats(size: tuple[int, int]) -> None:
    model = small_model()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in imagenet_stats)
    model.mean, model.std = mean, std
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    for layout in (torch.contiguous_format, torch.channels_last):
        inputs = x.clone(memory_format=layout).requires_grad_()
        normalized = model.normalize(inputs)
        torch.testing.assert_close(normalized, (x - mean) / std)
        normalized.sum().backward()
        torch.testing.assert_close(inputs.grad, (1 / std).expand_as(x))
        assert torch.equal(inputs, x)


def test_normalisation_keeps_the_channels_last_format_and_outputs_do_not_depend_on_it() -> None:
    model = small_model().eval()
    x = (images() / 255).contiguous(memory_format=torch.channels_last)
    assert model.normalize(x).is_contiguous(memory_format=torch.channels_last)
    assert model.normalize(images().contiguous(memory_format=torch.channels_last)).is_contiguous(
        memory_format=torch.channels_last
    )
    expected = model(images())
    model = model.to(memory_format=torch.channels_last)
    assert model.body(model.normalize(x)).is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(model(x), expected, atol=1e-4)


def test_a_bfloat16_model_accepts_uint8_and_bfloat16_images() -> None:
    model = small_model().eval().to(torch.bfloat16)
    assert model(images()).dtype == torch.bfloat16
    assert model((images() / 255).to(torch.bfloat16)).dtype == torch.bfloat16


def test_outputs_are_within_y_range() -> None:
    outputs = small_model(y_range=(-1, 3)).eval()(images())
    assert (outputs > -1).all()
    assert (outputs < 3).all()


def test_output_shape_reshapes_the_outputs() -> None:
    flat, shaped = small_model().eval(), small_model(output_shape=(3, 2)).eval()
    assert torch.equal(shaped(images()), flat(images()).view(2, 3, 2))


@pytest.mark.parametrize("n_in", [1, 2, 4])
@pytest.mark.parametrize("arch", ["resnet18", "test_resnet", "test_vit"])
def test_images_can_have_a_number_of_channels_other_than_three(arch: str, n_in: int) -> None:
    model = build_model(model_description(arch, 5, size=64, n_in=n_in)).eval()
    assert model(images(channels=n_in)).shape == (2, 5)


def test_the_head_of_a_token_backbone_does_not_pool() -> None:
    model = build_model(model_description("test_vit", 5))
    assert isinstance(model.head, nn.Sequential)
    assert isinstance(model.head[0], nn.BatchNorm1d)
    assert model.eval()(torch.zeros(2, 3, 160, 160)).shape == (2, 5)


def test_a_backbone_that_returns_feature_maps_needs_pooling() -> None:
    with pytest.raises(InputError, match="the backbone 'resnet18' returns feature maps, which the head must pool"):
        build_model(model_description("resnet18", 5, pool=False))


def test_init_replaces_pytorchs_initialisation_of_the_head() -> None:
    description = model_description("test_resnet", 6, size=64)
    ones = build_model(description, init=nn.init.ones_).head.get_parameter("8.weight")
    assert (ones == 1).all()
    bound = 1 / math.sqrt(512)  # nn.Linear's default: uniform in (-bound, bound)
    default = build_model(description, init=None).head.get_parameter("8.weight")
    assert 0.9 * bound < default.abs().max() <= bound


def test_pretrained_weights_are_loaded_and_their_origin_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    pretrained = small_model().body.state_dict()
    state = {key.removeprefix("model."): tensor for key, tensor in pretrained.items()}
    monkeypatch.setattr("eyebright.models.build.find_weights", lambda *_, **__: Weights(state, "a file"))
    model = build_model(model_description("test_resnet", 6, size=64), pretrained=True)
    assert model.origin == "a file"
    assert all(torch.equal(tensor, pretrained[key]) for key, tensor in model.body.state_dict().items())


def test_if_no_weights_are_found_pretrained_auto_initialises_at_random_and_true_raises() -> None:
    description = model_description("resnet18", 2, size=64)
    assert build_model(description, pretrained="auto").origin is None
    with pytest.raises(WeightsError, match="no pretrained weights for 'resnet18'"):
        build_model(description, pretrained=True)


def test_a_model_can_be_copied_and_pickled() -> None:
    model = small_model().eval()
    for clone in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert clone.description == model.description
        assert torch.equal(clone(images()), model(images()))


def test_a_model_can_be_exported_with_a_dynamic_batch_size() -> None:
    model, x = small_model().eval(), images() / 255
    with torch.no_grad():
        program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("b")},))
    five = torch.rand(5, 3, 64, 64)
    assert torch.allclose(program.module()(five), model(five), atol=1e-5)
