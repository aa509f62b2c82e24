"""Formatting of numbers."""

import math

import pytest

from eyebright.web.text import count_text, number_text, score_text


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


def test_counts_use_singular_and_plural():
    assert count_text(1, "image") == "1 image"
    assert count_text(0, "image") == "0 images"
    assert count_text(2510, "class", "classes") == "2,510 classes"
