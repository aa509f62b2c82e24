"""`Categorical`: behaves like the list of its values."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.sources.categorical import Categorical

COLUMNS = st.lists(st.sampled_from("abcdef"), max_size=30)


@given(COLUMNS)
def test_a_column_is_the_list_of_its_values(cells: list[str]) -> None:
    column = Categorical.of(cells)
    assert list(column) == cells
    assert [column[i] for i in range(len(column))] == cells
    assert column.categories == tuple(dict.fromkeys(cells))


@given(COLUMNS, st.data())
def test_rows_are_chosen_by_indices_masks_and_slices(cells: list[str], data: st.DataObject) -> None:
    column = Categorical.of(cells)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells))), dtype=np.bool_)
    chosen = [cell for cell, keep in zip(cells, mask, strict=True) if keep]
    assert list(column[mask]) == chosen
    assert list(column[np.flatnonzero(mask)]) == chosen
    assert list(column[2:5]) == cells[2:5]
    assert column[mask].remove_unused_categories().categories == tuple(dict.fromkeys(chosen))
    assert list(column[mask].remove_unused_categories()) == chosen


@given(COLUMNS)
def test_map_applies_a_function_to_each_value_and_merges_equal_results(cells: list[str]) -> None:
    mapped = Categorical.of(cells).map(lambda cell: cell in "ab")
    assert list(mapped) == [cell in "ab" for cell in cells]
    assert len(set(mapped.categories)) == len(mapped.categories)


@given(COLUMNS)
def test_isin_marks_the_rows_with_one_of_the_values(cells: list[str]) -> None:
    assert Categorical.of(cells).isin(["a", "f", "z"]).tolist() == [cell in "af" for cell in cells]


def test_a_row_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        Categorical.of("ab")[2]
