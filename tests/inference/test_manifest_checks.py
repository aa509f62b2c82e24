"""Whatever a manifest says, loading ends in the model or in one short error, soon and without much memory."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from eyebright.errors import ArtifactError, InputError
from eyebright.inference.folder_format import MANIFEST
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.manifest import Manifest
from eyebright.inference.save_folder import save_model
from eyebright.models.build import ModelDescription, build_model, model_description
from eyebright.models.saved import build_saved
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Vocab

FUZZ = Path(__file__).with_name("fuzz_manifests.py")
DESCRIPTION = model_description("test_resnet", 2, size=32, lin_ftrs=(8,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest = Manifest(DESCRIPTION, Decision(MultiCategoryBlock(vocab=["a", "b"])), (Resize(32),))
    return save_model(tmp_path_factory.mktemp("model"), manifest, build_model(DESCRIPTION).state_dict())


@pytest.mark.slow
def test_damaged_manifests_end_in_the_model_or_in_one_short_error() -> None:
    run = subprocess.run([sys.executable, FUZZ, "30", "3"], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    assert set(found) <= {"read", "error"}, run.stdout
    assert sum(found.values()) == 30


Change = Callable[[dict[str, Any]], object]
DAMAGES: dict[str, tuple[Change, str]] = {
    "a huge architecture": (
        lambda d: d["model"].update(arch="vit_giant_patch14_dinov2"),
        "do not match its manifest: the architecture is much larger than the weights",
    ),
    "another small architecture": (
        lambda d: d["model"].update(arch="test_vit"),
        "do not match its manifest: the tensor",
    ),
    "a huge hidden layer": (
        lambda d: d["model"].update(lin_ftrs=[10**9]),
        "lin_ftrs must be at most 16 sizes of hidden layers, each from 1 to 65,536",
    ),
    "another hidden layer": (
        lambda d: d["model"].update(lin_ftrs=[9]),
        r"the head has layers with \[8, 2\] outputs, but the manifest has \[9, 2\]",
    ),
    "10,000 hidden layers": (lambda d: d["model"].update(lin_ftrs=[8] * 10_000), "got 10,000 sizes"),
    "a range that is not finite": (lambda d: d["model"].update(y_range=[0, float("inf")]), "y_range must be"),
    "an empty range": (lambda d: d["model"].update(y_range=[2, 1]), "y_range must be"),
    "an output shape of 100,000 numbers": (
        lambda d: d["model"].update(output_shape=[2] * 100_000),
        "does not have 2 elements",
    ),
    "a negative output shape": (lambda d: d["model"].update(output_shape=[-1, -2]), "does not have 2 elements"),
    "a dropout of 1": (lambda d: d["model"].update(ps=1), "ps must be dropout probabilities"),
    "a mean that is not finite": (
        lambda d: d["model"]["input"].update(mean=[0, 0, float("nan")]),
        "input.mean must be",
    ),
    "a standard deviation of 0": (lambda d: d["model"]["input"].update(std=[1, 1, 0]), "std must be positive"),
    "a huge input": (lambda d: d["model"]["input"].update(size=[32, 10**9]), "at most 8,192 pixels, got 1e\\+09"),
    "a huge crop": (
        lambda d: d.update(preprocessing=[{"kind": "RandomResizedCrop", "size": 30_000}]),
        "a side of a model's input has at most 8,192 pixels, got 30000",
    ),
    "a huge margin": (
        lambda d: d.update(preprocessing=[{"kind": "RandomResizedCrop", "size": 32, "val_xtra": 1e9}]),
        "val_xtra must be a share of the size",
    ),
    "a ratio of three numbers": (
        lambda d: d.update(preprocessing=[{"kind": "RandomResizedCrop", "size": 32, "ratio": [1, 1, 1]}]),
        "ratio must satisfy",
    ),
    "10,000 transforms": (
        lambda d: d.update(preprocessing=[{"kind": "Resize", "size": 32}] * 10_000),
        "'preprocessing' must be a list of at most 16 transforms, got a list of 10,000 values",
    ),
    "a billion outputs": (
        lambda d: d["model"].update(classes=10**9),
        "a model has at least one output, and at most 100,000",
    ),
    "a billion points": (
        lambda d: d.update(target={"kind": "points", "count": 10**9, "mirror": None}),
        "'target.count' must be null or a number from 0 to 100,000, got 1000000000",
    ),
    "a name of 100,000 characters": (
        lambda d: d["target"].update(vocab=["a", "b" * 100_000]),
        "'target.vocab' must be",
    ),
    "a vocabulary that is a word": (lambda d: d["target"].update(vocab="ab"), "'target.vocab' must be"),
    "100,000 equal names": (lambda d: d["target"].update(vocab=["a"] * 100_000), "a vocabulary needs unique names"),
    "a kind of 100,000 characters": (lambda d: d["target"].update(kind="a" * 100_000), "'target.kind' must be"),
    "a list as scores": (
        lambda d: d.update(scores=[1]),
        "'scores' must be an object that maps names of metrics to finite numbers or null",
    ),
    "a score that is NaN": (
        lambda d: d.update(scores={"f1": float("nan")}),
        "'scores' must be an object that maps names of metrics to finite numbers or null",
    ),
    "a score that is infinite": (
        lambda d: d.update(scores={"f1": float("inf")}),
        "'scores' must be an object that maps names of metrics to finite",
    ),
    "a score of 400 digits": (
        lambda d: d.update(scores={"f1": 10**400}),
        "'scores' must be an object that maps names of metrics to finite",
    ),
    "too many digits": (lambda d: d["model"]["input"].update(mean=[0, 0, 10**400]), "input.mean must be"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_is_refused_in_one_short_sentence(folder: Path, damage: str) -> None:
    change, says = DAMAGES[damage]
    good = (folder / MANIFEST).read_text()
    data = json.loads(good)
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data))
    try:
        with pytest.raises(ArtifactError, match=says) as raised:
            load_predictor(folder, device="cpu", runtime="torch")
    finally:
        (folder / MANIFEST).write_text(good)
    message = str(raised.value).replace(str(folder), "")
    assert len(message) <= 500
    assert "\n" not in message


@pytest.mark.parametrize("arch", ["test_resnet", "test_vit", "resnet18"])
def test_a_built_saved_model_equals_the_one_that_was_saved(arch: str) -> None:
    description = model_description(arch, 3, size=model_description(arch, 3).input.size if "vit" in arch else 64)
    model = build_model(description).eval()
    again = build_saved(description, model.state_dict())
    images = torch.rand(2, 3, *description.input.size)
    assert not again.training
    torch.testing.assert_close(again(images), model(images), rtol=0, atol=0)
    assert all(
        tensor.data_ptr() != model.state_dict()[name].data_ptr() for name, tensor in again.state_dict().items()
    ), "the saved model has tensors of its own"


def test_weights_in_half_precision_become_a_model_in_float32() -> None:
    model = build_model(DESCRIPTION)
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()
    }
    assert {p.dtype for p in build_saved(DESCRIPTION, half).parameters()} == {torch.float32}


def test_a_missing_tensor_is_named() -> None:
    state = build_model(DESCRIPTION).state_dict()
    name = next(iter(state))
    del state[name]
    with pytest.raises(InputError, match=f"the tensor '{name}' is missing"):
        build_saved(DESCRIPTION, state)


@pytest.mark.parametrize("make", [lambda: Resize(8193), lambda: RandomResizedCrop((8, 9000))])
def test_a_size_that_no_model_takes_is_refused_before_training(make: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="a side of a model's input has at most 8,192 pixels"):
        make()


def test_a_description_for_training_has_the_bounds_of_a_saved_one() -> None:
    with pytest.raises(InputError, match="a model has at least one output, and at most 100,000"):
        ModelDescription("resnet18", 100_001, DESCRIPTION.input)


def test_repeated_names_of_a_long_vocabulary_are_found_at_once() -> None:
    with pytest.raises(InputError, match="repeated: 'a'"):
        Vocab(["a", *map(str, range(200_000)), "a"])


def test_a_manifest_of_millions_of_lists_is_refused_before_it_is_parsed(folder: Path) -> None:
    good = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text("[" + "[]," * 200_000 + "[]]")
    try:
        with pytest.raises(ArtifactError, match="manifest.json has more than 200,000 lists and objects"):
            load_predictor(folder, device="cpu", runtime="torch")
    finally:
        (folder / MANIFEST).write_text(good)
