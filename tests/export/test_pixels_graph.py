"""An exported graph makes canonical pixels, by a resize and by matrix products, for images of any size."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from eyebright.errors import InputError
from eyebright.export.pixels_graph import steps_of
from eyebright.export.preprocess import preprocess
from eyebright.image.canonical import canonical_pixels
from support.pixels_models import Way, assert_canonical
from support.preprocessing import LEVEL, PREPROCESSING, SIZES, placement, random_images

WAYS: tuple[Way, ...] = get_args(Way)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PREPROCESSING)
@pytest.mark.parametrize("way", WAYS)
def test_pixels_are_canonical(way: Way, name: str, size: tuple[int, int]) -> None:
    assert_canonical(way, name, size)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.sampled_from(WAYS), st.sampled_from(sorted(PREPROCESSING)), st.integers(1, 600), st.integers(1, 600))
def test_pixels_of_any_size_are_canonical(way: Way, name: str, height: int, width: int) -> None:
    assert_canonical(way, name, (height, width))


@pytest.mark.parametrize("name", PREPROCESSING)
def test_the_way_of_elongated_images_gives_the_same_pixels_of_others(name: str) -> None:
    assert_canonical("resize", name, (75, 100), max_resized_ratio=0)
    assert_canonical("resize", name, (30, 20), max_resized_ratio=0)


def test_a_very_elongated_image_takes_no_more_memory_than_it_shows() -> None:
    """Resized as a whole it would have 56 * 56 * 3,000,000 pixels."""
    assert_canonical("resize", "crop of a crop", (1, 3_000_000))


@settings(max_examples=60)
@given(st.sampled_from(sorted(PREPROCESSING)), st.integers(1, 300), st.integers(1, 300))
def test_the_reference_preprocessing_makes_canonical_pixels(name: str, height: int, width: int) -> None:
    [image] = random_images(height, width, 1)
    pixels, places = preprocess(image, steps_of(PREPROCESSING[name]).to_json())
    where = placement(name, (height, width))
    expected = canonical_pixels(image, where).transpose(2, 0, 1)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=LEVEL)
    assert [offset for offset, _ in places] == [where.top, where.left]


def test_a_preprocessing_that_begins_with_nothing_cannot_be_exported() -> None:
    with pytest.raises(InputError, match="begins with nothing cannot be exported"):
        steps_of(())
