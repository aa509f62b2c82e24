"""Where transforms run."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from eyebright.errors import DataError
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Draw, Transform
from eyebright.transforms.pipeline import Pipeline, Preprocessed
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from eyebright.types import Size

CUDA = torch.device("cuda")  # only its name counts here


@dataclass(frozen=True)
class Negative(Transform):
    """A transform of a user's own: white becomes black."""

    p: float = 1.0

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        happens = generator is not None and generator.random() < self.p
        return Draw(Warp.identity(size), pixel_functions=(lambda image: 255 - image,) if happens else ())


def test_with_an_accelerator_it_runs_what_follows_the_first_size() -> None:
    pipeline = Pipeline.create(Resize(40), aug_transforms(size=32), CUDA)
    assert (len(pipeline.host), len(pipeline.device)) == (1, len(aug_transforms(size=32)))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_pixel_changes_of_a_transform_of_ones_own_happen_whatever_the_device(device: str) -> None:
    black = Image.create(np.zeros((40, 40, 3), np.uint8))
    pipeline = Pipeline.create(Resize(32), [Negative()], torch.device(device))
    batch = pipeline.finish([pipeline.preprocess(pipeline.draw(black, np.random.default_rng(0)))], torch.device("cpu"))
    assert bool((batch == 1).all())


def test_a_change_of_pixels_that_is_too_rare_to_be_foreseen_is_said_and_not_left_out() -> None:
    black = Image.create(np.zeros((40, 40, 3), np.uint8))
    pipeline = Pipeline((Resize(32),), (Negative(),))
    with pytest.raises(DataError, match=r"only the CPU can do; give it in item_tfms"):
        pipeline.draw(black, np.random.default_rng(0))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (3, 3), (2, 5)])
def test_bytes_become_numbers_at_any_size(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, *size, 3), dtype=np.uint8)
    batch = [Preprocessed(np.asfortranarray(one), Warp.identity(Size(*size)), None) for one in images]
    x = Pipeline().finish(batch, torch.device("cpu"))
    assert torch.equal(x, torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
