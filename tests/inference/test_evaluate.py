"""A predictor evaluates labelled images: errors of wrong targets and images."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from eyebright.errors import DataError, ImageError, InputError
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.predictor import Predictor
from support.models import model_folder


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return load_predictor(model_folder(tmp_path / "model"), device="cpu")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        PIL.Image.fromarray(random.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    return paths


def test_images_in_memory_can_be_evaluated_too(predictor: Predictor, photos: list[Path]) -> None:
    targets = ["red", "blue", "green"]
    expected = predictor.evaluate(photos, targets, groups=["a", "a", None], part="promise")
    found = predictor.evaluate([path.read_bytes() for path in photos], targets)
    torch.testing.assert_close(found.outputs, expected.outputs, rtol=0, atol=1e-5)
    assert found.files == ("item 0", "item 1", "item 2")
    assert (expected.files, expected.groups, expected.part) == (
        ("0.png", "1.png", "2.png"),
        ("a", "a", None),
        "promise",
    )
    assert expected.targets.tolist() == [2, 0, 1]


def test_each_image_needs_a_target_that_the_model_knows(predictor: Predictor, photos: list[Path]) -> None:
    with pytest.raises(DataError, match="each image needs a target, got 3 images and 1 targets"):
        predictor.evaluate(photos, ["red"])
    with pytest.raises(DataError, match="the target of image 1: .*purple"):
        predictor.evaluate(photos, ["red", "purple", "blue"])


def test_an_image_that_cannot_be_read_is_an_error(predictor: Predictor, photos: list[Path]) -> None:
    photos[1].write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"1\.png"):
        predictor.evaluate(photos, ["red", "blue", "green"])
    with pytest.raises(InputError, match="none of the 1 images can be read"):
        predictor.evaluate(photos[1:2], ["red"])
