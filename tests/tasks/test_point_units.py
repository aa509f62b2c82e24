"""Coordinates that look like fractions or percentages of the image are detected; pixels are accepted."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from eyebright.errors import DataError
from eyebright.tasks.point_units import implausible_reason
from eyebright.tasks.points import PointBlock
from eyebright.types import Points, Size

VGA = Size(480, 640)


def samples(images: int, *, scale: tuple[float, float], size: Size = VGA, seed: int = 0) -> list[tuple[Points, Size]]:
    """Three points anywhere in each image: fractions of its (width, height), times ``scale``."""
    random = np.random.default_rng(seed)
    return [(Points.of(random.random((3, 2)) * scale), size) for _ in range(images)]


@pytest.mark.parametrize(("scale", "unit"), [((1.0, 1.0), "fraction"), ((100.0, 100.0), "percent")])
@pytest.mark.parametrize("images", [4, 64])
def test_fractions_and_percentages_are_detected(scale: tuple[float, float], unit: str, images: int) -> None:
    found = implausible_reason(samples(images, scale=scale))
    assert found is not None
    assert found.unit == unit
    assert "in an image of 640 x 480 pixels" in found.reason


@given(st.integers(2, 64), st.integers(8, 800), st.integers(8, 800), st.integers(0, 1000))
def test_points_spread_over_their_images_are_accepted_as_pixels(
    images: int, height: int, width: int, seed: int
) -> None:
    size = Size(height, width)
    assert implausible_reason(samples(images, scale=(width, height), size=size, seed=seed)) is None


def test_small_images_whose_points_are_all_below_100_are_accepted() -> None:
    assert implausible_reason(samples(64, scale=(100, 100), size=Size(128, 128))) is None


def test_one_image_is_not_enough_to_judge_the_unit() -> None:
    assert implausible_reason(samples(1, scale=(1, 1))) is None


def test_unknown_points_and_a_few_outside_of_the_image_do_not_count() -> None:
    nan = float("nan")
    unknown = [(Points.of([(nan, nan), (0.5, 0.5)]), VGA), (Points.of([(nan, nan), (nan, nan)]), VGA)]
    assert implausible_reason(unknown) is None
    outside = samples(10, scale=(640, 480))
    outside[0] = (Points.of([(700, 500), (-20, 3), (5, 5)]), VGA)
    assert implausible_reason(outside) is None


def test_points_between_minus_one_and_one_are_rejected() -> None:
    signed = [(Points(points.xy * 2 - 1, points.known), size) for points, size in samples(8, scale=(1, 1))]
    found = implausible_reason(signed)
    assert found is not None
    assert found.unit is None
    assert "between -1 and 1, but pixels were expected" in found.reason


def test_if_most_points_lie_outside_the_message_says_whether_x_and_y_are_exchanged() -> None:
    wide = Size(100, 1000)
    swapped = [
        (Points(points.xy.flip(1), points.known), size) for points, size in samples(8, scale=(1000, 100), size=wide)
    ]
    found = implausible_reason(swapped)
    assert found is not None
    assert "points are outside their image" in found.reason
    assert found.reason.endswith("with x and y exchanged they would be inside")


def lazily(images: Sequence[tuple[Points, Size]], asked: list[int]):
    for i, one in enumerate(images):
        asked.append(i)
        yield one


def test_a_point_block_rejects_fractions_and_percentages_and_names_the_conversion() -> None:
    with pytest.raises(
        DataError, match=r"fractions .*; multiply x by the image's width .* PointBlock\(in_pixels=True\)"
    ):
        PointBlock().check_plausible(samples(8, scale=(1, 1)))
    with pytest.raises(DataError, match="percentages of the image.*; multiply x by a hundredth"):
        PointBlock().check_plausible(samples(8, scale=(100, 100)))


def test_with_in_pixels_true_the_points_are_not_checked() -> None:
    asked: list[int] = []
    PointBlock(in_pixels=True).check_plausible(lazily(samples(8, scale=(1, 1)), asked))
    PointBlock.from_columns(["a", "b", "c"]).check_plausible(lazily(samples(8, scale=(1, 1)), asked))
    assert not asked


def test_float32_points_are_accepted() -> None:
    single = [
        (Points(points.xy.to(torch.float32), points.known), size) for points, size in samples(8, scale=(640, 480))
    ]
    assert implausible_reason(single) is None
