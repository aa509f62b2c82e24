"""Parts of items and groups: nothing is divided, labels keep their shares better than by iterative-stratification.

The oracle is the package iterative-stratification, and on tiny sets the best of all possible splits.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold, MultilabelStratifiedShuffleSplit

from eyebright.sources.stratified_parts import NO_LABEL, assign_parts
from eyebright.sources.stratify import LabelMatrix

SETS = st.lists(st.frozensets(st.sampled_from("abcdefgh")), min_size=1, max_size=60)
SHARES = st.sampled_from([(0.8, 0.2), (0.7, 0.15, 0.15), (0.5, 0.2, 0.2, 0.1), (1.0, 0.0), (0.25,) * 4])


def matrix_of(has: np.ndarray) -> LabelMatrix:
    """The labels of a table of zeros and ones, a row an item."""
    return LabelMatrix.of([[f"l{label:03}" for label in np.flatnonzero(row)] for row in has])


def random_labels(seed: int) -> np.ndarray:
    """A table of labels that occur together, some of them rare; each is on two items or more."""
    random = np.random.default_rng(seed)
    n, k = int(random.choice([60, 200, 1000])), int(random.choice([5, 20, 60]))
    frequency = np.clip(10 ** random.uniform(-2.5, -0.2, k), 3 / n, 0.7)
    scene = random.integers(0, 4, n)  # labels depend on it, so they occur together
    has = random.random((n, k)) < np.clip(frequency * random.uniform(0.2, 1.8, (4, k))[scene], 0, 0.9)
    return has[:, has.sum(axis=0) >= 2]


def deviations(has: np.ndarray, part: np.ndarray) -> tuple[float, float]:
    """(worst, mean) difference between a label's share in a part and in all items, in points."""
    each = [np.abs(has[part == one].mean(axis=0) - has.mean(axis=0)) * 100 for one in np.unique(part)]
    return float(np.max(each)), float(np.mean(each))


@given(SETS, SHARES, st.integers(0, 9), st.integers(1, 20))
def test_units_are_whole_and_every_label_keeps_a_training_item(
    sets: list[frozenset[str]], shares: Sequence[float], seed: int, most_groups: int
) -> None:
    random = np.random.default_rng(seed)
    groups = np.unique(random.integers(0, most_groups, len(sets)), return_inverse=True)[1]
    for units in (None, groups):
        assigned = assign_parts(LabelMatrix.of(sets), shares, units=units)
        part = assigned.part if units is None else assigned.part[units]
        assert len(part) == len(sets)
        assert set(part.tolist()) <= {i for i, share in enumerate(shares) if share}
        trained = frozenset[str]().union(*(one for one, p in zip(sets, part, strict=True) if p == 0))
        assert trained == frozenset[str]().union(*sets)
        has_label = [bool(one) for one in sets]
        placed = assigned.label if units is None else assigned.label[units]
        assert all(label != NO_LABEL for label, has in zip(placed.tolist(), has_label, strict=True) if has)


@given(SETS, SHARES, st.integers(0, 9))
def test_the_order_and_the_codes_of_labels_change_nothing(
    sets: list[frozenset[str]], shares: Sequence[float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    rows = random.permutation(len(sets))
    order = random.permutation(len(sets))
    straight = assign_parts(LabelMatrix.of(sets), shares, order=order)
    back = np.empty(len(rows), dtype=int)
    back[rows] = np.arange(len(rows))
    shuffled = assign_parts(LabelMatrix.of([sets[row] for row in rows]), shares, order=back[order])
    assert np.array_equal(shuffled.part, straight.part[rows])


@pytest.mark.parametrize("n_folds", [1, 5])
def test_the_shares_of_labels_are_nearer_than_by_iterative_stratification(n_folds: int) -> None:
    """On 30 random sets; by their means, and one by one in nine of ten."""
    ours, theirs = [], []
    for seed in range(30):
        has = random_labels(seed)
        if n_folds == 1:
            split = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=seed)
        else:
            split = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
        expected = np.zeros(len(has), dtype=int)
        for fold, (_, held) in enumerate(split.split(np.zeros(len(has)), has)):
            expected[held] = fold + (n_folds == 1)
        shares = (0.8, 0.2) if n_folds == 1 else (1 / n_folds,) * n_folds
        order = np.random.default_rng(seed).permutation(len(has))
        part = assign_parts(matrix_of(has), shares, order=order, keeps_labels=n_folds == 1).part
        ours.append(deviations(has, part))
        theirs.append(deviations(has, expected))
        sizes = np.bincount(part, minlength=len(shares)) / len(part)
        assert np.abs(sizes - shares).max() < 0.02
    assert (np.mean(ours, axis=0) < 0.8 * np.mean(theirs, axis=0)).all()
    assert (np.array(ours) <= np.array(theirs)).mean() > 0.9


@pytest.mark.parametrize("seed", range(12))
def test_of_tiny_sets_the_split_is_nearly_the_best_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    has = random.random((10, 4)) < random.choice([0.2, 0.5], 4)
    part = assign_parts(matrix_of(has), (0.7, 0.3), order=random.permutation(10)).part
    wanted = np.append(has.sum(axis=0), 10) * 0.3
    with_size = np.column_stack([has, np.ones(10)])

    def cost(valid: np.ndarray) -> float:
        return float(((valid @ with_size - wanted) ** 2).sum())

    every = [np.array(valid) for valid in product((0, 1), repeat=10)]
    allowed = [valid for valid in every if (((1 - valid) @ has > 0) | ~has.any(axis=0)).all()]
    assert cost(part == 1) <= min(map(cost, allowed)) + 1


def share_of(labels: list[tuple[str, ...]], seed: int = 0) -> float:
    order = np.random.default_rng(seed).permutation(len(labels))
    return float((assign_parts(LabelMatrix.of(labels), (0.8, 0.2), order=order).part == 1).mean())


@pytest.mark.parametrize(
    "sizes", [[2] * 100, [3] * 100, [2] * 50 + [20], [2] * 5, [3] * 5, [2] * 20 + [3] * 20 + [7] * 3, [4] * 30]
)
def test_a_fifth_validates_also_where_classes_are_small_and_is_spread_over_them(sizes: list[int]) -> None:
    classes = [f"c{i}" for i, size in enumerate(sizes) for _ in range(size)]
    part = assign_parts(LabelMatrix.of([(name,) for name in classes]), (0.8, 0.2)).part
    chosen = [classes[i] for i in np.flatnonzero(part == 1)]
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


@given(st.lists(st.integers(2, 5), min_size=5, max_size=40), st.integers(0, 99))
def test_the_share_holds_for_groups_too_where_classes_are_small(sizes: list[int], seed: int) -> None:
    classes = [(f"c{i}",) for i, size in enumerate(sizes) for _ in range(size)]
    groups = np.arange(len(classes), dtype=np.int32)  # each image is a group
    order = np.random.default_rng(seed).permutation(len(classes))
    part = assign_parts(LabelMatrix.of(classes), (0.8, 0.2), units=groups, order=order).part
    assert 0.1 <= (part == 1).mean() <= 0.3


def test_large_and_small_groups_are_in_each_part() -> None:
    """A hundred groups of one image and a hundred of nine: a fifth of each."""
    sizes = [1] * 100 + [9] * 100
    groups = np.repeat(np.arange(200), sizes)
    part = assign_parts(LabelMatrix.of([("a",)] * len(groups)), (0.8, 0.2), units=groups).part
    assert (part[:100] == 1).sum() == pytest.approx(20, abs=2)
    assert (part[100:] == 1).sum() == pytest.approx(20, abs=2)


@given(st.integers(2, 30), st.integers(2, 8), st.integers(0, 5))
def test_no_part_with_a_share_is_empty_where_there_are_enough_units(n: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    has = random.random((n, 3)) < 0.5
    if n >= k:
        part = assign_parts(matrix_of(has), (1 / k,) * k, keeps_labels=False).part
        assert set(part.tolist()) == set(range(k))


def test_splitting_no_items_gives_empty_results() -> None:
    assert assign_parts(LabelMatrix.of([]), (0.8, 0.2)).part.tolist() == []
