"""What a splitter returned, checked: positions, no item on both sides."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from eyebright.errors import DataError
from eyebright.sources.checked_split import checked_split


def by_index_label(table: pd.DataFrame) -> tuple[list[int], list[int]]:
    """As the book's readers write it: labels of the index, not indices."""
    return table.index[~table["is_valid"]].tolist(), table.index[table["is_valid"]].tolist()  # pyright: ignore[reportCallIssue]


def test_a_shuffled_table_cannot_leak_unlike_the_book() -> None:
    table = pd.DataFrame({"is_valid": np.arange(32) % 4 == 0}).sample(frac=1, random_state=3)
    train, valid = checked_split(by_index_label, table)
    assert table["is_valid"].iloc[valid].all()
    assert not table["is_valid"].iloc[train].any()


def test_a_filtered_table_stays_in_range_unlike_the_book() -> None:
    table = pd.DataFrame({"is_valid": np.arange(32) % 4 == 0}).iloc[16:]
    train, valid = checked_split(by_index_label, table)
    assert sorted(train + valid) == list(range(16))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0, 1], [1, 2]), "1 items on both sides"),
        (([0, 9], [1]), "index 9, and there are 3 items"),
        (([0, -1], [1]), "index -1"),
        (([0, 0], [1]), "twice on one side"),
        ((["a"], [1]), "whole numbers from 0"),
        (([True, False], [1]), "whole numbers from 0"),
        (([], [0, 1, 2]), "nothing to train on: all 3"),
        (([0],), "two lists of indices, train and valid; got list$"),
        (None, "two lists of indices, train and valid; got NoneType$"),
        ((0, 1), "two lists of indices, train and valid; got int and int$"),
        ((np.array([[0], [1]]), [2]), r"one-dimensional indices, got an array of the shape \(2, 1\)"),
    ],
)
def test_an_invalid_split_is_an_error(parts: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        checked_split(lambda _: parts, ["a", "b", "c"])
