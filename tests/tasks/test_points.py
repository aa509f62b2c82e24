"""`PointBlock`: encoding, mirroring and cropping of points."""

import json
import math
from pathlib import Path

import pytest
import torch

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.tasks.points import PointBlock
from eyebright.types import Points, Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g06_geometry.json").read_text())


def test_scaled_points_equal_the_book() -> None:
    gold = GOLD["PointScaler 640x480"]
    block = PointBlock(len(gold["points"]))
    encoded = block.encode(Points.of(gold["points"]), Warp.identity(Size(480, 640)))
    assert torch.allclose(encoded, torch.tensor(gold["scaled"]), atol=1e-6)


def test_a_flip_before_scaling_gives_the_point_where_the_pixel_is_unlike_the_book() -> None:
    right = GOLD["expected scaled x after flip"]
    point = torch.tensor([[(1 - right) / 2 * 64, 20.0]])
    assert PointBlock(1).encode(Points.of(point), Warp.flip(Size(64, 64)))[0, 0] == pytest.approx(right)


@pytest.mark.parametrize("xy", [(10.0, math.inf), (-math.inf, math.nan), (10.0, 1e39)])
def test_a_coordinate_that_a_model_cannot_hold_is_an_error(xy: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"^a coordinate must be at most 3.4e\+38, or NaN where it is unknown, got"):
        PointBlock().read([[1.0, 2.0], xy])


@pytest.mark.parametrize("xy", [(10.0, math.nan), (math.nan, 10.0)])
def test_a_point_with_one_coordinate_is_an_error(xy: tuple[float, float]) -> None:
    with pytest.raises(
        InputError, match=r"^a point has only one known coordinate, .*; give both, or \(nan, nan\) or None"
    ):
        PointBlock().read([[1.0, 2.0], xy])


def test_unknown_points_may_be_none_or_nan() -> None:
    assert PointBlock().read([[1.0, 2.0], None, (math.nan, math.nan)]).known.tolist() == [True, False, False]


def test_left_and_right_exchange_their_names_when_the_image_is_mirrored() -> None:
    block = PointBlock(3, mirror=(1, 0, 2))
    eyes_and_nose = Points.of([[20.0, 30], [60, 30], [40, 50]])
    seen = block.encode(eyes_and_nose, Warp.flip(Size(80, 80)))
    assert seen[0, 0] < seen[1, 0], "the left eye is still the one on the left of the image"
    turned = block.encode(eyes_and_nose, Warp.rotate(Size(80, 80), 180))
    assert turned[0, 0] > turned[1, 0], "a turn is no mirror"


def test_points_that_a_crop_cuts_off_are_not_learnt_from() -> None:
    block = PointBlock(2)
    warp = Warp.crop(Size(80, 80), Size(40, 40), left=0, top=0)
    encoded = block.encode(Points.of([[10.0, 10], [70, 10]]), warp)
    assert torch.isnan(encoded[1]).all()
    outputs = torch.zeros(1, 4)
    assert block.loss()(outputs, encoded[None]) == pytest.approx(float((encoded[0] ** 2).mean()))


def test_unknown_points_stay_unknown() -> None:
    encoded = PointBlock(2).encode(Points.of([[float("nan"), 1], [3, 4]]), Warp.identity(Size(8, 8)))
    assert torch.isnan(encoded[0]).all()
    assert torch.isfinite(encoded[1]).all()


def test_an_image_with_another_number_of_points_is_an_error() -> None:
    block = PointBlock().fit([Points.of([[1.0, 2]])])
    with pytest.raises(InputError, match="2 points, the others have 1"):
        block.encode(Points.of([[1.0, 2], [3, 4]]))


@pytest.mark.parametrize("mirror", [(1, 2, 0), (0, 0), (1, 2), (-1,)])
def test_a_mirror_that_is_not_its_own_inverse_is_an_error(mirror: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="own inverse"):
        PointBlock(mirror=mirror)


def test_the_mirrored_names_are_those_of_the_partners() -> None:
    assert PointBlock(names=["left", "nose", "right"], mirror=[2, 1, 0]).mirrored_names == {
        "left": "right",
        "right": "left",
    }
    assert PointBlock(names=["left", "right"]).mirrored_names == {}
