"""Positions: like a list of whole numbers in every use, at a fifth of the memory."""

import tracemalloc

import numpy as np
import pytest

from eyebright.sources.indices import Positions

SAME = [Positions([3, 1, 4, 1, 5]), Positions(np.array([3, 1, 4, 1, 5])), Positions(Positions([3, 1, 4, 1, 5]))]


@pytest.mark.parametrize("positions", SAME)
def test_positions_do_what_a_list_of_them_does(positions: Positions) -> None:
    numbers = [3, 1, 4, 1, 5]
    assert positions == numbers
    assert numbers == positions
    assert positions != [3, 1, 4, 1, 6]
    assert positions != numbers[:4]
    assert list(positions) == numbers
    assert positions[-1] == 5
    assert positions[1:3] == [1, 4]
    assert positions + Positions([7]) == [*numbers, 7]
    assert positions.index(4) == 2
    assert positions.count(1) == 2
    assert 4 in positions
    assert 9 not in positions
    assert "4" not in positions
    assert repr(positions) == repr(numbers)
    assert {type(number) for number in positions} == {int}
    assert np.asarray(positions).sum() == sum(numbers)


def test_a_range_stays_a_range_and_is_positions_all_the_same() -> None:
    positions = Positions(range(10**12))
    assert len(positions) == 10**12
    assert positions[10**11] == 10**11
    assert positions[5:8] == range(5, 8)
    assert repr(positions).endswith("19, ... (1,000,000,000,000 in all)]")


def test_nobody_can_write_to_positions_and_the_array_they_came_from_stays_as_it_was() -> None:
    array = np.arange(3)
    positions = Positions(array)
    with pytest.raises(ValueError, match="read-only"):
        positions.array[0] = 7
    array[0] = 5
    assert array.tolist() == [5, 1, 2]


def test_positions_take_eight_bytes_each_also_while_they_are_walked_through() -> None:
    positions = Positions(np.arange(300_000))
    tracemalloc.start()
    walked = sum(1 for _ in positions)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert walked == 300_000
    assert positions.array.nbytes == 8 * 300_000
    assert most < 1_000_000
