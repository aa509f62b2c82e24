"""Normalisation: values recorded from fastai, and torchvision."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from eyebright.errors import InputError
from eyebright.transforms.normalize import Normalize, imagenet_stats
from eyebright.types import Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g07_augment.json").read_text())


def test_grey_is_normalised_as_in_fastai() -> None:
    normalize = Normalize.from_stats(*imagenet_stats)
    grey = torch.full((1, 3, 1, 1), 0.5)
    assert normalize(grey).flatten().tolist() == pytest.approx(GOLD["Normalize(.5)"], abs=1e-6)
    assert normalize.decode(normalize(grey)).flatten().tolist() == pytest.approx(GOLD["Normalize decode"], abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)])
def test_normalising_equals_torchvisions_normalize(shape: tuple[int, ...]) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    mean, std = imagenet_stats
    expected = functional.normalize(images, list(mean), list(std))
    assert torch.allclose(Normalize(mean, std)(images), expected, atol=1e-6)
    assert torch.allclose(Normalize(mean, std).decode(expected), images, atol=1e-6)


def test_from_stats_accepts_lists_arrays_and_tensors() -> None:
    assert Normalize.from_stats([0.5], torch.tensor([0.25])) == Normalize((0.5,), (0.25,))
    assert Normalize.from_stats(np.array([0.5]), [0.25], cuda=False, dim=1, ndim=4) == Normalize((0.5,), (0.25,))


def test_a_draw_from_normalize_is_the_identity() -> None:
    draw = Normalize((0.5,), (0.5,)).draw(Size(4, 5), np.random.default_rng(0))
    assert np.array_equal(draw.warp.matrix, np.eye(3))
    assert draw.lighting.is_identity
    assert draw.pixel_functions == ()


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5, 0.5), (0.5,), "2 means and 1 standard deviations"),
        ((0.5,), (0.0,), r"standard deviations must be greater than 0, got \(0.0,\)"),
        ((), (), "0 means and 0 standard deviations; each channel needs one of both"),
    ],
)
def test_invalid_means_and_standard_deviations_are_refused(mean: tuple, std: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Normalize(mean, std)
