"""Pairs of points that exchange names in mirrored images: detected by left and right, or given."""

import pytest
from hypothesis import given, strategies as st

from eyebright.errors import InputError
from eyebright.tasks.mirror import find_mirror, mirror_message, parse_mirror


@pytest.mark.parametrize(
    "names",
    [
        ("left_eye", "right_eye", "nose"),
        ("eye_left", "eye_right", "nose"),
        ("leftEye", "rightEye", "nose"),
        ("Left Eye", "Right Eye", "nose"),
        ("l_eye", "r_eye", "nose"),
        ("eye_l", "eye_r", "nose"),
        ("eye.L", "eye.R", "nose"),
        ("L-eye", "R-eye", "nose"),
        ("left", "right", "centre"),
    ],
)
def test_left_and_right_make_pairs(names: tuple[str, ...]) -> None:
    assert find_mirror(names) == (1, 0, 2)


def test_a_point_without_a_partner_keeps_its_name() -> None:
    assert find_mirror(("left_eye", "right_ear", "left_mouth", "right_mouth")) == (0, 1, 3, 2)


@pytest.mark.parametrize("names", [("nose", "mouth"), ("left_eye", "nose"), ("bright", "slight"), ()])
def test_without_a_pair_there_is_no_mirror(names: tuple[str, ...]) -> None:
    assert find_mirror(names) is None


NAMES = [f"{side}_{name}" for side in ("left", "right", "l", "r", "top") for name in ("eye", "ear")]


@given(st.lists(st.sampled_from(NAMES), unique=True))
def test_a_mirror_is_its_own_inverse(names: list[str]) -> None:
    mirror = find_mirror(names)
    assert mirror is None or [mirror[i] for i in mirror] == list(range(len(names)))


def test_mirrored_pairs_can_be_given_as_text() -> None:
    names = ("1", "2", "3", "4")
    assert parse_mirror("1:2, 3 : 4", names) == (1, 0, 3, 2)
    assert parse_mirror("4:1", names) == (3, 1, 2, 0)
    assert parse_mirror("none", names) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("left_eye:right_eys", r"point 'right_eys', which does not exist. Did you mean 'right_eye'\? Points: "),
        (
            "left_eye",
            r"must be pairs of points such as 'left_eye:right_eye,left_ear:right_ear', or 'none'; got 'left_eye'",
        ),
        ("left_eye:", "must be pairs of points"),
        ("left_eye:left_eye", "may name each point only once, but 'left_eye:left_eye' repeats one"),
        ("left_eye:right_eye,right_eye:nose", "may name each point only once, but 'right_eye:nose' repeats one"),
    ],
)
def test_an_invalid_pair_is_an_error(asked: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_mirror(asked, ("left_eye", "right_eye", "nose"))


def test_the_mirror_message_names_the_pairs_or_the_option_for_them() -> None:
    names = ("left_eye", "nose", "right_eye")
    assert (
        mirror_message((2, 1, 0), names) == "in a mirrored image these points exchange their names: left_eye:right_eye"
    )
    assert "to exchange names, give `mirror`, such as 1:2" in mirror_message(None, ("1", "2"))


def test_names_that_end_in_a_capital_l_or_r_are_pairs() -> None:
    assert find_mirror(["eyeL", "eyeR", "nose", "1L", "1R"]) == (1, 0, 2, 4, 3)
    assert find_mirror(["eyeL", "earR", "MODEL", "MODER"]) is None
