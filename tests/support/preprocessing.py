"""Ways to preprocess images for a model, and where canonical pixels are with them."""

from typing import Any

import numpy as np

from eyebright.image.canonical import Placement
from eyebright.transforms.draw import Transform, canonical_placement_of
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Size

LEVEL = 0.01 / 255  # what canonical pixels are defined to

PREPROCESSING: dict[str, tuple[Transform, ...]] = {
    "crop": (Resize((56, 50)),),
    "crop of a crop": (Resize(64), RandomResizedCrop(56, 0.75, (1.0, 1.0), 1.0, 0)),
    "pad": (Resize(48, "pad", "zeros"),),
    "squish": (Resize((30, 44), "squish"),),
    "crop with a margin": (RandomResizedCrop((40, 56)),),
    "crop of a padding": (Resize(64, "pad", "zeros"), RandomResizedCrop(48, val_xtra=0.1)),
}
SIZES = [(1, 1), (2, 3), (17, 5000), (5000, 17), (1, 4000), (4000, 1), (56, 50), (55, 51), (375, 500), (640, 427)]
"""Sizes of images, unusual ones among them."""


def random_images(height: int, width: int, count: int = 2) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(height * width).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def placement(name: str, size: tuple[int, int]) -> Placement:
    found = canonical_placement_of(PREPROCESSING[name], Size(*size))
    assert found is not None
    return found
