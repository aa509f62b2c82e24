"""Coordinates that can hardly be pixels are noticed, and those that can are left alone."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from eyebright.errors import DataError
from eyebright.tasks.point_units import implausible_points
from eyebright.tasks.points import PointBlock
from eyebright.types import Points, Size

VGA = Size(480, 640)


def samples(images: int, *, scale: tuple[float, float], size: Size = VGA, seed: int = 0) -> list[tuple[Points, Size]]:
    """Three points anywhere in each image: fractions of its (width, height), times ``scale``."""
    random = np.random.default_rng(seed)
    return [(Points.of(random.random((3, 2)) * scale), size) for _ in range(images)]


@pytest.mark.parametrize(("scale", "unit"), [((1.0, 1.0), "fraction"), ((100.0, 100.0), "percent")])
@pytest.mark.parametrize("images", [4, 64])
def test_fractions_and_percentages_are_told_from_pixels(scale: tuple[float, float], unit: str, images: int) -> None:
    found = implausible_points(samples(images, scale=scale))
    assert found is not None
    assert found.unit == unit
    assert "in an image of 640 x 480 pixels" in found.reason


@given(st.integers(2, 64), st.integers(8, 800), st.integers(8, 800), st.integers(0, 1000))
def test_points_anywhere_in_their_images_are_pixels(images: int, height: int, width: int, seed: int) -> None:
    size = Size(height, width)
    assert implausible_points(samples(images, scale=(width, height), size=size, seed=seed)) is None


def test_small_images_can_have_all_points_below_a_hundred() -> None:
    assert implausible_points(samples(64, scale=(100, 100), size=Size(128, 128))) is None


def test_one_image_says_nothing_about_the_unit() -> None:
    assert implausible_points(samples(1, scale=(1, 1))) is None


def test_unknown_points_and_a_few_outside_of_the_image_do_not_count() -> None:
    nan = float("nan")
    unknown = [(Points.of([(nan, nan), (0.5, 0.5)]), VGA), (Points.of([(nan, nan), (nan, nan)]), VGA)]
    assert implausible_points(unknown) is None
    outside = samples(10, scale=(640, 480))
    outside[0] = (Points.of([(700, 500), (-20, 3), (5, 5)]), VGA)
    assert implausible_points(outside) is None


def test_points_between_minus_one_and_one_are_no_pixels() -> None:
    signed = [(Points(points.xy * 2 - 1, points.visible), size) for points, size in samples(8, scale=(1, 1))]
    found = implausible_points(signed)
    assert found is not None
    assert found.unit is None
    assert "between -1 and 1, and pixels were expected" in found.reason


def test_exchanged_x_and_y_are_named_where_most_points_lie_outside() -> None:
    wide = Size(100, 1000)
    swapped = [
        (Points(points.xy.flip(1), points.visible), size) for points, size in samples(8, scale=(1000, 100), size=wide)
    ]
    found = implausible_points(swapped)
    assert found is not None
    assert "points lie outside of their image" in found.reason
    assert found.reason.endswith("with x and y exchanged they would lie inside")


def lazily(images: Sequence[tuple[Points, Size]], asked: list[int]):
    for i, one in enumerate(images):
        asked.append(i)
        yield one


def test_a_point_block_refuses_them_and_says_what_to_do() -> None:
    with pytest.raises(
        DataError, match=r"fractions .*; multiply x by the image's width .* PointBlock\(in_pixels=True\)"
    ):
        PointBlock().check_plausible(samples(8, scale=(1, 1)))
    with pytest.raises(DataError, match="percentages of the image.*; multiply x by a hundredth"):
        PointBlock().check_plausible(samples(8, scale=(100, 100)))


def test_points_that_are_in_pixels_for_sure_are_not_looked_at() -> None:
    asked: list[int] = []
    PointBlock(in_pixels=True).check_plausible(lazily(samples(8, scale=(1, 1)), asked))
    PointBlock.from_columns(["a", "b", "c"]).check_plausible(lazily(samples(8, scale=(1, 1)), asked))
    assert not asked


def test_points_are_compared_in_double_precision_whatever_they_are() -> None:
    half = [
        (Points(points.xy.to(torch.float32), points.visible), size) for points, size in samples(8, scale=(640, 480))
    ]
    assert implausible_points(half) is None
