"""`Indices` behave like a list of integers, at a fifth of the memory."""

import tracemalloc

import numpy as np
import pytest

from eyebright.sources.indices import Indices

SAME = [Indices([3, 1, 4, 1, 5]), Indices(np.array([3, 1, 4, 1, 5])), Indices(Indices([3, 1, 4, 1, 5]))]


@pytest.mark.parametrize("indices", SAME)
def test_indices_behave_like_a_list(indices: Indices) -> None:
    numbers = [3, 1, 4, 1, 5]
    assert indices == numbers
    assert numbers == indices
    assert indices != [3, 1, 4, 1, 6]
    assert indices != numbers[:4]
    assert list(indices) == numbers
    assert indices[-1] == 5
    assert indices[1:3] == [1, 4]
    assert indices + Indices([7]) == [*numbers, 7]
    assert indices.index(4) == 2
    assert indices.count(1) == 2
    assert 4 in indices
    assert 9 not in indices
    assert "4" not in indices
    assert repr(indices) == repr(numbers)
    assert {type(number) for number in indices} == {int}
    assert np.asarray(indices).sum() == sum(numbers)


def test_indices_of_a_range_keep_the_range() -> None:
    indices = Indices(range(10**12))
    assert len(indices) == 10**12
    assert indices[10**11] == 10**11
    assert indices[5:8] == range(5, 8)
    assert repr(indices).endswith("19, ... (1,000,000,000,000 in all)]")


def test_indices_are_read_only_and_their_source_array_stays_writable() -> None:
    array = np.arange(3)
    indices = Indices(array)
    with pytest.raises(ValueError, match="read-only"):
        indices.array[0] = 7
    array[0] = 5
    assert array.tolist() == [5, 1, 2]


def test_indices_take_eight_bytes_each_even_while_iterated() -> None:
    indices = Indices(np.arange(300_000))
    tracemalloc.start()
    walked = sum(1 for _ in indices)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert walked == 300_000
    assert indices.array.nbytes == 8 * 300_000
    assert most < 1_000_000
