"""Names of backbones, against timm's and torchvision's own descriptions of them."""

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
def test_torchvisions_function_ours_and_the_name_mean_the_same(name: str) -> None:
    ours = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}[name]
    for arch in (name, ours, getattr(torchvision.models, name)):
        assert architecture_name(arch) == name


def test_calling_our_function_makes_torchvisions_model() -> None:
    model = resnet18()
    assert isinstance(model, torchvision.models.ResNet)
    assert [len(layer) for layer in (model.layer1, model.layer2, model.layer3, model.layer4)] == [2, 2, 2, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18.a1_in1k", "swin_tiny_patch4_window7_224"])
def test_a_timm_name_stays_with_or_without_its_tag(name: str) -> None:
    assert architecture_name(name) == name


def test_a_name_that_timm_gave_up_becomes_the_one_of_today() -> None:
    assert architecture_name("convnext_tiny_in22ft1k") == "convnext_tiny.fb_in22k_ft_in1k"


def test_a_misspelt_name_brings_the_nearest_ones() -> None:
    with pytest.raises(InputError, match=r"there is no backbone 'efficentnet_b0'. Did you mean 'efficientnet_b0'"):
        architecture_name("efficentnet_b0")


def test_a_name_like_no_other_brings_none() -> None:
    with pytest.raises(InputError, match=r"there is no backbone '-'. Any name of timm.list_models"):
        architecture_name("-")


def test_an_unknown_tag_brings_those_there() -> None:
    with pytest.raises(InputError, match=r"'resnet18' has no weights 'foo'; there are: 'a1_in1k'"):
        architecture_name("resnet18.foo")


def test_another_function_of_torchvision_is_refused() -> None:
    with pytest.raises(InputError, match=r"the function 'densenet121' as a backbone: only torchvision's 'resnet18'"):
        architecture_name(torchvision.models.densenet121)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "convnext_tiny", "resnet18.a1_in1k", "inception_v3"])
def test_timm_says_what_its_models_want(name: str) -> None:
    theirs, ours = timm.get_pretrained_cfg(name), input_description(name)
    assert theirs is not None
    assert ours.size == Size(*theirs.input_size[1:])
    assert (ours.mean, ours.std, ours.interpolation) == (theirs.mean, theirs.std, theirs.interpolation)


def test_torchvisions_weights_say_what_they_want() -> None:
    theirs, ours = torchvision.models.ResNet50_Weights.DEFAULT.transforms(), input_description("resnet50")
    assert (ours.mean, ours.std, ours.size) == (tuple(theirs.mean), tuple(theirs.std), Size(224, 224))
    assert ours.interpolation == "bilinear"


def test_a_size_of_the_users_wins() -> None:
    assert input_description("resnet18", size=(64, 96)).size == Size(64, 96)


def test_the_statistics_have_one_number_for_each_channel() -> None:
    grey, two, five = (input_description("resnet18", n_in=n).mean for n in (1, 2, 5))
    mean = (0.485 + 0.456 + 0.406) / 3
    assert grey == pytest.approx((mean,))
    assert two == (0.485, 0.456)
    assert five == pytest.approx((0.485, 0.456, 0.406, mean, mean))


def test_importing_the_room_loads_neither_torchvision_nor_timm() -> None:
    imports = "import sys, eyebright.models.groups, eyebright.models.summary"
    code = f"{imports}; print({{'timm', 'torchvision'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
