"""The pixels that an exported torch program computes are canonical, for images of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from eyebright.export.pixels_graph import steps_of
from eyebright.export.pixels_torch import CanonicalPixels
from eyebright.image.canonical import canonical_pixels
from support.preprocessing import LEVEL, PREPROCESSING, SIZES, placement, random_images


def assert_canonical(name: str, size: tuple[int, int]) -> None:
    images, where = random_images(*size), placement(name, size)
    pixels, (rows, columns) = CanonicalPixels(steps_of(PREPROCESSING[name]))(torch.from_numpy(images))
    expected = np.stack([canonical_pixels(image, where).transpose(2, 0, 1) for image in images])
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels.numpy(), expected, rtol=0, atol=LEVEL)
    assert (rows.offset, columns.offset) == (where.top, where.left)
    assert (rows.resized, columns.resized) == where.resized


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PREPROCESSING)
def test_pixels_are_canonical(name: str, size: tuple[int, int]) -> None:
    assert_canonical(name, size)


@settings(max_examples=50)
@given(st.sampled_from(sorted(PREPROCESSING)), st.integers(1, 500), st.integers(1, 500))
def test_pixels_of_any_size_are_canonical(name: str, height: int, width: int) -> None:
    assert_canonical(name, (height, width))
