"""Connected images, compared with sets that are merged one by one."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.sources.together import joined, numbered

CODES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 30)), max_size=30)


def merged(columns: list[list[int]], n: int) -> set[frozenset[int]]:
    """The connected images, by merging sets."""
    sets = [{i} for i in range(n)]
    for column in columns:
        for code in set(column):
            members = {i for i in range(n) if column[i] == code}
            touched = [one for one in sets if one & members]
            sets = [one for one in sets if not one & members] + ([set().union(*touched)] if touched else [])
    return {frozenset(one) for one in sets}


@given(CODES)
def test_images_have_the_same_code_where_a_chain_of_reasons_connects_them(codes: list[tuple[int, int, int]]) -> None:
    columns = [list(column) for column in zip(*codes, strict=True)]
    found = joined([np.array(column, dtype=np.int32) for column in columns], len(codes)).tolist()
    assert {frozenset(i for i in range(len(codes)) if found[i] == code) for code in found} == merged(
        columns, len(codes)
    )


def test_without_a_reason_each_image_is_on_its_own() -> None:
    assert joined([], 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("n", [2, 1000])
def test_a_long_chain_is_one_set(n: int) -> None:
    order = np.random.default_rng(0).permutation(n)
    first, second = np.empty((2, n), dtype=np.int32)
    first[order], second[order] = np.arange(n) // 2, (np.arange(n) + 1) // 2
    assert len(set(joined([first, second], n).tolist())) == 1


def test_numbers_begin_at_0_in_order_of_first_appearance() -> None:
    assert numbered(np.array([], dtype=np.int32)).tolist() == []
    assert numbered(np.array([5, 5, 1, 9, 1])).tolist() == [0, 0, 1, 2, 1]
