"""Columns of numbers to predict."""

import numpy as np
import pytest

from eyebright.errors import TableError
from eyebright.sources.number_columns import looks_like_fractions, looks_like_numbers, read_numbers
from support.tables import text_table


def test_numbers_are_read_exactly_and_blank_or_unknown_cells_are_unknown() -> None:
    cells = {"a": ["0.1", "-3", "", "1e-3"], "b": ["7", "?", "+.5", "nan"]}
    found = read_numbers(text_table(cells), ["a", "b"])
    assert np.array_equal(found.values, [[0.1, 7], [-3, np.nan], [np.nan, 0.5], [1e-3, np.nan]], equal_nan=True)
    assert found.names == ("a", "b")
    assert found.messages == ("numbers to predict are in the columns 'a', 'b'", "numbers that are unknown: 3 of 8")


def test_a_cell_that_is_not_a_number_is_an_error_with_its_line() -> None:
    with pytest.raises(TableError, match="line 3: 'tall' in column 'a'; a number was expected, or a blank cell"):
        read_numbers(text_table({"a": ["1", "tall"]}), ["a"])


@pytest.mark.parametrize("cell", ["inf", "1,5", "0x10", "1_000", "٣"])
def test_text_that_only_python_accepts_as_a_number_is_not_a_number(cell: str) -> None:
    assert not looks_like_numbers(text_table({"a": ["1", cell]}), "a")


def test_a_column_without_any_number_is_an_error() -> None:
    with pytest.raises(TableError, match="column 'b' holds no number at all"):
        read_numbers(text_table({"a": ["1"], "b": [""]}), ["a", "b"])


@pytest.mark.parametrize(
    ("cells", "numbers", "fractions"),
    [
        (["1", "2"], True, False),
        (["1.0", "2.00"], True, False),
        (["1", "2.5", ""], True, True),
        (["1", "2.5", "tall"], True, True),
        (["1", "2.5", "tall", "small"], False, False),
        (["", "?"], False, False),
    ],
)
def test_whole_numbers_and_numbers_with_decimals_are_distinguished(
    cells: list[str], numbers: bool, fractions: bool
) -> None:
    table = text_table({"a": cells})
    assert (looks_like_numbers(table, "a"), looks_like_fractions(table, "a")) == (numbers, fractions)


@pytest.mark.parametrize("cell", ["1e400", "-1e39", "3.5e38"])
def test_a_number_that_a_model_cannot_hold_is_an_error_with_its_line(cell: str) -> None:
    with pytest.raises(TableError, match=f"line 3: '{cell}' in column 'a'; a number of at most 3.4e\\+38 was expected"):
        read_numbers(text_table({"a": ["1", cell]}), ["a"])
    assert read_numbers(text_table({"a": ["3.4e38", "1e-400"]}), ["a"]).values.tolist() == [[3.4e38], [0.0]]


@pytest.mark.parametrize("cell", ["\u22121.5", "\u20131.5", "$1.5", "1.5 \u20ac", "5%", "(3.5)", "-$3"])
def test_a_number_with_another_minus_a_currency_or_brackets_is_a_mistake_in_a_column_of_numbers(cell: str) -> None:
    table = text_table({"a": ["2.5", cell, cell, cell]})
    assert looks_like_numbers(table, "a")
    with pytest.raises(TableError, match="line 3: .* in column 'a'; a number was expected, .*; write digits with a"):
        read_numbers(table, ["a"])
    assert not looks_like_numbers(text_table({"a": [cell]}), "a")


@pytest.mark.parametrize("cell", ["3 kg", "1 234", "03:25"])
def test_the_error_for_an_amount_says_how_to_write_it(cell: str) -> None:
    with pytest.raises(TableError, match=f"'{cell}' in column 'a'; .*; write digits with a decimal point"):
        read_numbers(text_table({"a": ["1", cell]}), ["a"])


@pytest.mark.parametrize("cells", [["950", "1.250", "870", "1.100"], ["7", "-1.234", "?", ""], ["+5", "100.000"]])
def test_points_that_may_separate_thousands_are_an_error_that_shows_both_readings(cells: list[str]) -> None:
    cell = next(cell for cell in cells if "." in cell)
    number, whole = float(cell), cell.replace(".", "")
    with pytest.raises(TableError, match=f"'{cell}' in column 'a' may be {number}, or {whole} with a thousands"):
        read_numbers(text_table({"a": cells}), ["a"])


@pytest.mark.parametrize(
    "cells",
    [
        ["950.000", "1.250"],
        ["1.250", "1.100"],
        ["950", "1.25"],
        ["950", "1.250", "0.5"],
        ["1250", "1.250"],
        ["0", "0.125"],
        ["7", "1.250", "2e3"],
    ],
)
def test_points_that_separate_no_thousands_are_decimal_points(cells: list[str]) -> None:
    values = np.asarray(read_numbers(text_table({"a": cells}), ["a"]).values)
    assert values.ravel().tolist() == [float(cell) for cell in cells]


def test_the_error_for_a_decimal_comma_says_to_write_a_point() -> None:
    with pytest.raises(TableError, match="'1,5' in column 'a'; .*; write a decimal point, and no thousands separator"):
        read_numbers(text_table({"a": ["1", "1,5"]}), ["a"])
