"""`grouped` and the strata of numbers."""

import numpy as np
from hypothesis import given, strategies as st

from eyebright.sources.stratify import LabelMatrix, grouped, regression_strata


def test_grouped_returns_the_positions_of_each_code_including_unused_codes() -> None:
    assert [part.tolist() for part in grouped(np.array([2, 0, 2, 0, 3]), 5)] == [[1, 3], [], [0, 2], [4], []]


@given(st.lists(st.frozensets(st.sampled_from("abcd")), max_size=20))
def test_the_labels_of_items_are_the_same_by_item_and_by_unique_set(sets: list[frozenset[str]]) -> None:
    unique = list(dict.fromkeys(sets))
    by_set = LabelMatrix.of_categorical(unique, np.array([unique.index(one) for one in sets], dtype=np.int32))
    for matrix in (LabelMatrix.of(sets), by_set):
        ends = np.cumsum(matrix.labels_per_item).tolist()
        each = [
            {matrix.names[code] for code in matrix.codes[end - count : end]}
            for end, count in zip(ends, matrix.labels_per_item.tolist(), strict=True)
        ]
        assert each == sets


def test_strata_hold_neighbours_and_are_equally_large() -> None:
    numbers = np.random.default_rng(0).permutation(100).astype(float)[:, None]
    strata = regression_strata(numbers, 10)
    assert np.array_equal(strata, numbers[:, 0] // 10)
