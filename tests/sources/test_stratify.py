"""Stratified splits, compared with the same rule written item by item."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.sources.stratify import LabelMatrix, group_split, grouped, iterative_split


def split_one_by_one(labels: list[list[str]], order: list[int], share: float) -> set[int]:
    """The rule with Python's own sets: rarest label first, each to its share and what rounding lost before."""
    items_by_label: dict[str, list[int]] = {}
    for i in order:
        for label in dict.fromkeys(labels[i]):
            items_by_label.setdefault(label, []).append(i)
    unlabelled = [i for i in order if not labels[i]]
    valid: set[int] = set()
    done: set[int] = set()
    carried = 0.0
    for items in [
        *(items_by_label[name] for name in sorted(items_by_label, key=lambda n: (len(items_by_label[n]), n))),
        unlabelled,
    ]:
        unassigned = [i for i in items if i not in done]
        n_valid = len(valid & set(items))
        wanted = max(min(share * len(items) - n_valid, len(unassigned)), 0.0)
        min_train = 0 if items is unlabelled else 1
        count = sorted([0, round(wanted + carried), min(len(unassigned), max(len(items) - min_train - n_valid, 0))])[1]
        carried = max(min(carried + wanted - count, 1.0), -1.0)
        valid.update(unassigned[:count])
        done.update(items)
    for items in items_by_label.values():
        if valid.issuperset(items):
            valid.discard(items[0])
    while len(valid) > math.ceil(1.25 * share * len(order)):
        valid.discard(next(i for i in reversed(order) if i in valid))
    for i in order:  # too few: further items, none of which is the last training item of a label
        others = [set(items) - valid - {i} for items in items_by_label.values() if i in items]
        if len(valid) < math.floor(share * len(order) / 1.25) and i not in valid and all(others):
            valid.add(i)
    return valid


@pytest.mark.parametrize("seed", range(20))
def test_the_vectorized_split_equals_one_that_assigns_item_by_item(seed: int) -> None:
    chance = random.Random(seed)
    items, classes, share = chance.choice([1, 7, 60, 200]), chance.choice([1, 3, 40]), chance.choice([0.1, 0.5, 0.9, 1])
    labels = [[f"l{chance.randrange(classes)}" for _ in range(chance.choice([0, 1, 1, 3]))] for _ in range(items)]
    order = chance.sample(range(items), items)
    valid = iterative_split(LabelMatrix.of(labels), np.array(order), share)
    assert set(np.flatnonzero(valid)) == split_one_by_one(labels, order, share)


def test_splitting_no_items_gives_empty_results() -> None:
    assert iterative_split(LabelMatrix.of([]), np.arange(0), 0.2).tolist() == []


def test_grouped_returns_the_positions_of_each_code_including_unused_codes() -> None:
    assert [part.tolist() for part in grouped(np.array([2, 0, 2, 0, 3]), 5)] == [[1, 3], [], [0, 2], [4], []]


def share_of(labels: list[tuple[str, ...]], seed: int = 0) -> float:
    valid = iterative_split(LabelMatrix.of(labels), np.random.default_rng(seed).permutation(len(labels)), 0.2)
    return float(valid.mean())


@pytest.mark.parametrize(
    "sizes", [[2] * 100, [3] * 100, [2] * 50 + [20], [2] * 5, [3] * 5, [2] * 20 + [3] * 20 + [7] * 3, [4] * 30]
)
def test_a_fifth_validates_also_where_classes_are_small_and_is_spread_over_them(sizes: list[int]) -> None:
    classes = [f"c{i}" for i, size in enumerate(sizes) for _ in range(size)]
    valid = iterative_split(LabelMatrix.of([(name,) for name in classes]), np.arange(len(classes)), 0.2)
    chosen = [classes[i] for i in np.flatnonzero(valid)]
    assert len(chosen) / len(classes) == pytest.approx(0.2, abs=0.03)
    for name, size in zip(dict.fromkeys(classes), sizes, strict=True):
        assert abs(chosen.count(name) - 0.2 * size) <= 1
        assert chosen.count(name) < size


@given(st.lists(st.integers(2, 9), min_size=5, max_size=60), st.integers(0, 99))
def test_the_validation_share_of_classes_of_any_size_from_2_is_near_a_fifth(sizes: list[int], seed: int) -> None:
    assert 0.1 <= share_of([(f"c{i}",) for i, size in enumerate(sizes) for _ in range(size)], seed) <= 0.3


@given(st.lists(st.frozensets(st.sampled_from("abcdefgh")), min_size=10, max_size=80), st.integers(0, 99))
def test_the_validation_share_of_images_with_several_labels_is_near_a_fifth(
    sets: list[frozenset[str]], seed: int
) -> None:
    labels = [tuple(sorted(several)) for several in sets] * 2  # no label is on one image only
    assert 0.1 <= share_of(labels, seed) <= 0.3
    assert share_of(labels, seed) == share_of(labels, seed)


def test_labels_on_few_images_that_occur_together_do_not_leave_too_few_to_validate() -> None:
    sets = ["", "", "a", "abc", "acdfg", "b", "ace", "e", "e", "h", "abcdefgh"] * 2
    order = np.random.default_rng(0).permutation(len(sets))
    valid = iterative_split(LabelMatrix.of(map(tuple, sets)), order, 0.2)
    assert valid.sum() >= 3
    assert set("".join(sets[i] for i in np.flatnonzero(~valid))) == set("abcdefgh")


@given(st.lists(st.integers(2, 5), min_size=5, max_size=40), st.integers(0, 99))
def test_the_share_holds_for_groups_too_where_classes_are_small(sizes: list[int], seed: int) -> None:
    classes = [(f"c{i}",) for i, size in enumerate(sizes) for _ in range(size)]
    groups = np.arange(len(classes), dtype=np.int32)  # each image is a group
    order = np.random.default_rng(seed).permutation(len(classes))
    assert 0.1 <= group_split(LabelMatrix.of(classes), groups, order, 0.2).mean() <= 0.3
