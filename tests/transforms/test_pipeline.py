"""`Pipeline`: which transforms run on the CPU and which on an accelerator."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from eyebright.errors import DataError
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Transform, TransformParams
from eyebright.transforms.pipeline import Pipeline, Preprocessed
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from eyebright.types import Size

CUDA = torch.device("cuda")  # no such device is needed


@dataclass(frozen=True)
class Negative(Transform):
    """A custom transform that inverts the pixels with probability ``p``."""

    p: float = 1.0

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        happens = generator is not None and generator.random() < self.p
        return TransformParams(Warp.identity(size), pixel_functions=(lambda image: 255 - image,) if happens else ())


def test_batch_transforms_run_on_an_accelerator() -> None:
    pipeline = Pipeline.create(Resize(40), aug_transforms(size=32), CUDA)
    assert (len(pipeline.host), len(pipeline.device)) == (1, len(aug_transforms(size=32)))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_pixel_functions_of_a_custom_batch_transform_run_with_every_device(device: str) -> None:
    black = Image.create(np.zeros((40, 40, 3), np.uint8))
    pipeline = Pipeline.create(Resize(32), [Negative()], torch.device(device))
    batch = pipeline.to_batch(
        [pipeline.preprocess(pipeline.draw(black, np.random.default_rng(0)))], torch.device("cpu")
    )
    assert bool((batch == 1).all())


def test_a_rare_pixel_function_in_a_device_transform_raises_an_error() -> None:
    black = Image.create(np.zeros((40, 40, 3), np.uint8))
    pipeline = Pipeline((Resize(32),), (Negative(),))
    with pytest.raises(DataError, match=r"on the CPU only; move it to item_tfms"):
        pipeline.draw(black, np.random.default_rng(0))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (3, 3), (2, 5)])
def test_uint8_images_of_any_size_become_floats_in_0_to_1(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, *size, 3), dtype=np.uint8)
    batch = [Preprocessed(np.asfortranarray(image), Warp.identity(Size(*size)), None) for image in images]
    x = Pipeline().to_batch(batch, torch.device("cpu"))
    assert torch.equal(x, torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
