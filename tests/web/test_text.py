"""Formatting of numbers and file names."""

import math
from pathlib import Path

import pytest

from eyebright.web.text import number_text, score_text, short_names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.0123"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (123.45, "123"),
        (12345.6, "12,346"),
        (-12.34, "-12.3"),
    ],
)
def test_numbers_have_about_three_significant_digits(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_missing_number_is_a_dash(value):
    assert score_text(value) == number_text(value) == "–"


def test_scores_have_three_decimals():
    assert score_text(0.98765) == "0.988"
    assert score_text(0.5, decimals=1) == "0.5"


@pytest.mark.parametrize("value", [-0.0, -1e-9])
def test_a_score_that_rounds_to_zero_has_no_sign(value):
    assert score_text(value) == "0.000"
    assert number_text(-0.0) == "0"


def test_short_names_are_relative_to_the_common_folder():
    paths = [str(Path("data", "train", *name)) for name in (("cat", "1.jpg"), ("dog", "1.jpg"), ("dog", "2.jpg"))]
    assert short_names(paths, [1, 0]) == [str(Path("dog", "1.jpg")), str(Path("cat", "1.jpg"))]


def test_short_names_of_images_in_one_folder_are_their_file_names():
    assert short_names([str(Path("a", "b", "1.jpg")), str(Path("a", "b", "2.jpg"))], [1]) == ["2.jpg"]
    assert short_names(["1.jpg", "2.jpg"], [0]) == ["1.jpg"]


def test_names_without_a_common_folder_are_full_paths(tmp_path):
    elsewhere = str(tmp_path / "1.jpg")
    assert short_names([elsewhere, str(Path("a", "2.jpg"))], [0]) == [elsewhere]
