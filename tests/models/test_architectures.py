"""Backbone names and input descriptions, compared with the metadata of timm and torchvision."""

import subprocess
import sys

import pytest
import timm
import torchvision

from eyebright.errors import InputError
from eyebright.models.architectures import architecture_name, input_description
from eyebright.models.backbones import resnet18, resnet34, resnet50
from eyebright.types import Size


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_name_own_function_and_torchvision_function_are_equivalent(name: str) -> None:
    own_function = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}[name]
    for arch in (name, own_function, getattr(torchvision.models, name)):
        assert architecture_name(arch) == name


def test_calling_resnet18_builds_torchvisions_model() -> None:
    model = resnet18()
    assert isinstance(model, torchvision.models.ResNet)
    assert [len(layer) for layer in (model.layer1, model.layer2, model.layer3, model.layer4)] == [2, 2, 2, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18.a1_in1k", "swin_tiny_patch4_window7_224"])
def test_current_timm_names_with_and_without_tag_are_unchanged(name: str) -> None:
    assert architecture_name(name) == name


def test_a_deprecated_timm_name_is_replaced_by_the_current_one() -> None:
    assert architecture_name("convnext_tiny_in22ft1k") == "convnext_tiny.fb_in22k_ft_in1k"


def test_the_error_for_a_misspelt_name_suggests_similar_names() -> None:
    with pytest.raises(InputError, match=r"there is no backbone 'efficentnet_b0'. Did you mean 'efficientnet_b0'"):
        architecture_name("efficentnet_b0")


def test_the_error_for_a_name_without_similar_names_suggests_none() -> None:
    with pytest.raises(InputError, match=r"there is no backbone '-'. Use any name from timm.list_models"):
        architecture_name("-")


def test_the_error_for_an_unknown_tag_lists_the_available_tags() -> None:
    with pytest.raises(InputError, match=r"'resnet18' has no weights 'foo'; available: 'a1_in1k'"):
        architecture_name("resnet18.foo")


def test_other_torchvision_functions_are_refused() -> None:
    with pytest.raises(InputError, match=r"the function 'densenet121' as a backbone: only torchvision's 'resnet18'"):
        architecture_name(torchvision.models.densenet121)


def test_a_function_of_timm_with_the_name_of_one_of_torchvision_is_refused() -> None:
    with pytest.raises(InputError, match="the function 'resnet18' as a backbone: .*pass the name of a timm model"):
        architecture_name(timm.models.resnet18)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "convnext_tiny", "resnet18.a1_in1k", "inception_v3"])
def test_input_of_a_timm_model_is_that_of_its_pretrained_config(name: str) -> None:
    expected, actual = timm.get_pretrained_cfg(name), input_description(name)
    assert expected is not None
    assert actual.size == Size(*expected.input_size[1:])
    assert (actual.mean, actual.std, actual.interpolation) == (expected.mean, expected.std, expected.interpolation)


def test_input_of_a_torchvision_model_is_that_of_its_default_weights() -> None:
    expected, actual = torchvision.models.ResNet50_Weights.DEFAULT.transforms(), input_description("resnet50")
    assert (actual.mean, actual.std, actual.size) == (tuple(expected.mean), tuple(expected.std), Size(224, 224))
    assert actual.interpolation == "bilinear"


def test_the_size_argument_overrides_the_pretraining_size() -> None:
    assert input_description("resnet18", size=(64, 96)).size == Size(64, 96)


def test_mean_has_one_value_per_channel() -> None:
    grey, two, five = (input_description("resnet18", n_in=n).mean for n in (1, 2, 5))
    mean = (0.485 + 0.456 + 0.406) / 3
    assert grey == pytest.approx((mean,))
    assert two == (0.485, 0.456)
    assert five == pytest.approx((0.485, 0.456, 0.406, mean, mean))


def test_importing_the_models_package_imports_neither_torchvision_nor_timm() -> None:
    imports = "import sys, eyebright.models.groups, eyebright.models.summary"
    code = f"{imports}; print({{'timm', 'torchvision'}} & {{*sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
