"""Laws of splitters: no item is lost, none is in both parts, the share holds, and a seed decides."""

import math
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from eyebright.sources.checked_split import Splitter, checked_split
from eyebright.sources.split import (
    ColSplitter,
    EndSplitter,
    FuncSplitter,
    IndexSplitter,
    LabelSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    TrainTestSplitter,
)

COUNTS = st.integers(2, 300)
SHARES = st.floats(0, 0.5)
SEEDS = st.integers(0, 2**32 - 1)

MAKERS: dict[str, Callable[[int, float, int], Splitter]] = {
    "random": lambda n, share, seed: RandomSplitter(share, seed),
    "random as in scikit-learn": lambda n, share, seed: TrainTestSplitter(share, seed),
    "by labels": lambda n, share, seed: LabelSplitter([["a", "b", "c"][: i % 4] for i in range(n)], share, seed),
    "the end": lambda n, share, seed: EndSplitter(share),
    "the beginning": lambda n, share, seed: EndSplitter(share, valid_last=False),
    "a mask": lambda n, share, seed: MaskSplitter([i < n * share for i in range(n)]),
    "indices": lambda n, share, seed: IndexSplitter(range(int(n * share))),
    "a function": lambda n, share, seed: FuncSplitter(lambda item: item < n * share),
}


@pytest.mark.parametrize("name", MAKERS)
@given(n=COUNTS, share=SHARES, seed=SEEDS)
def test_each_item_is_in_one_part_and_the_same_seed_gives_the_same_parts(
    name: str, n: int, share: float, seed: int
) -> None:
    splitter = MAKERS[name](n, share, seed)
    train, valid = checked_split(splitter, range(n))
    assert sorted([*train, *valid]) == list(range(n))
    assert checked_split(MAKERS[name](n, share, seed), range(n)) == (train, valid)


@pytest.mark.parametrize("name", ["random", "the end", "the beginning"])
@given(n=COUNTS, share=SHARES, seed=SEEDS)
def test_the_share_of_the_validation_set_is_right_to_one_item(name: str, n: int, share: float, seed: int) -> None:
    _, valid = checked_split(MAKERS[name](n, share, seed), range(n))
    assert abs(len(valid) - n * share) <= 1


@given(COUNTS, st.floats(0, 0.5), st.floats(0, 0.5), SEEDS)
def test_subsets_have_their_sizes_and_share_no_item(n: int, train_size: float, valid_size: float, seed: int) -> None:
    train, valid = RandomSubsetSplitter(train_size, valid_size, seed)(range(n))
    assert (len(train), len(valid)) == (math.floor(n * train_size), math.floor(n * valid_size))
    assert len({*train, *valid}) == len(train) + len(valid)


@given(st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda flags: not all(flags)), st.randoms())
def test_a_column_splits_by_its_values_in_whatever_order_the_table_is(flags: list[bool], random) -> None:
    table = pd.DataFrame({"is_valid": flags})
    order = list(range(len(flags)))
    random.shuffle(order)
    train, valid = checked_split(ColSplitter(), table.iloc[order])
    assert [flags[order[i]] for i in valid] == [True] * len(valid)
    assert [flags[order[i]] for i in train] == [False] * len(train)
    assert len(train) + len(valid) == len(flags)
