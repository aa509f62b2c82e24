"""`split_source`: stratified, by whole groups, without held-out images."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright._all_but import AllBut
from eyebright.errors import DataError, InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.source_split import split_source
from eyebright.sources.text_table import strings
from eyebright.types import LabelSet


def source(kind: str, targets: Any, **columns: Any) -> Source:
    return Source(kind, Path("photos"), strings([f"{i:05}.jpg" for i in range(len(targets))]), targets, **columns)


def sides(split: Source) -> tuple[list[int], list[int]]:
    assert split.split is not None
    train, valid = split.split
    return list(train), list(valid)


LABELS = [LabelSet(["a"]), LabelSet(["a", "b"]), LabelSet(), LabelSet(["c", "b"])] * 25


def test_labels_keep_their_shares_and_the_split_is_said() -> None:
    split = split_source(source("multicategory", Categorical.of(LABELS)), 0.3, seed=3)
    _, valid = sides(split)
    has = Counter(label for i in valid for label in LABELS[i])
    assert has["b"] == 15
    assert has["a"] == 15
    assert has["c"] in (7, 8)
    assert split.messages == ("split at random with seed 3: 30 of 100 images for validation; stratified by label",)


@given(
    st.lists(st.tuples(st.frozensets(st.sampled_from("abcd")), st.integers(0, 15)), min_size=2, max_size=40),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
    st.sampled_from(["labels", "groups", "groups and near-duplicates", "numbers", "points"]),
)
def test_the_order_of_rows_changes_no_part(
    rows: list[tuple[frozenset[str], int]], seed: int, random: Random, what: str
) -> None:
    """The same images in another order, also with other codes of labels and groups."""

    def split(order: list[int]) -> dict[str, str | None]:
        files = strings([f"{i:05}.jpg" for i in order])
        group = Categorical.of([f"g{rows[i][1]}" for i in order]) if "group" in what else None
        same = np.array([rows[i][1] // 5 + 100 * (i % 3) for i in order], dtype=np.int32) if "near" in what else None
        numbers = np.array([[rows[i][1] % 4, len(rows[i][0])] for i in order], dtype=float)
        numbers[numbers == 3] = np.nan
        kind, targets = {
            "numbers": ("regression", numbers),
            "points": ("points", numbers[:, :, None].repeat(2, axis=2)),
        }.get(what, ("multicategory", Categorical.of([LabelSet(rows[i][0]) for i in order])))
        given = Source(kind, Path("photos"), files, targets, group=group)
        try:
            found = split_source(given, 0.3, seed=seed, same=same)
        except DataError:
            return {}
        return {str(file): part for file, part in zip(found.files, found.part or (), strict=True)}

    order = list(range(len(rows)))
    straight = split(order)
    random.shuffle(order)
    assert split(order) == straight


def test_another_seed_gives_another_split() -> None:
    assert sides(split_source(source("multicategory", Categorical.of(LABELS)), seed=1)) != sides(
        split_source(source("multicategory", Categorical.of(LABELS)), seed=2)
    )


def test_near_duplicates_are_on_one_side_also_over_groups() -> None:
    """Images 0 and 1 are one group, and 1 and 2 near-duplicates: so all three stay together."""
    same = np.arange(100, dtype=np.int32)
    same[2::3] = same[1::3][: len(same[2::3])]
    group = Categorical.of([f"g{i // 3 if i % 3 < 2 else i}" for i in range(100)])
    split = split_source(source("multicategory", Categorical.of(LABELS), group=group), 0.3, same=same)
    part = [row.part for row in split]
    assert all(len(set(part[i : i + 3])) == 1 for i in range(0, 99, 3))
    assert 20 <= part.count("valid") <= 40
    assert split.messages[-1].endswith("; each of the 33 sets of near-duplicates is in one part as a whole")


def test_unknown_labels_are_spread_too() -> None:
    """One label in ten is unknown: a fifth of these images validate, as of all."""
    sets = [LabelSet(["a"], unknown=["b"] if i % 10 == 0 else []) for i in range(200)]
    _, valid = sides(split_source(source("multicategory", Categorical.of(sets))))
    assert sum(bool(sets[i].unknown) for i in valid) == 4
    numbers = np.stack([np.arange(200.0), np.where(np.arange(200) % 10, 1.0, np.nan)], axis=1)
    _, valid = sides(split_source(source("regression", numbers)))
    assert np.isnan(numbers[valid]).sum() == pytest.approx(4, abs=1)
    points = np.zeros((200, 3, 2))
    points[::10, 1] = np.nan
    _, valid = sides(split_source(source("points", points)))
    assert np.isnan(points[valid, 1, 0]).sum() == 4


def test_of_images_of_which_most_labels_are_unknown_those_known_not_to_have_one_are_spread() -> None:
    vocabulary = frozenset(f"l{i:03}" for i in range(500))
    sets = [LabelSet(["l001"], unknown=AllBut(vocabulary, ["l001", f"l{i % 10:03}"])) for i in range(200)]
    _, valid = sides(split_source(source("multicategory", Categorical.of(sets))))
    known_no = Counter(i % 10 for i in valid)
    assert all(3 <= known_no[label] <= 5 for label in range(10) if label != 1)


@given(st.lists(st.sampled_from("abcde"), min_size=8, max_size=80), st.integers(0, 99))
def test_every_class_keeps_a_training_image_and_about_its_share(classes: list[str], seed: int) -> None:
    train, valid = (
        sides(split_source(source("category", Categorical.of(classes)), 0.25, seed=seed))
        if len(set(classes)) < len(classes) and max(Counter(classes).values()) > 2
        else ([*range(len(classes))], [])
    )
    assert sorted(train + valid) == list(range(len(classes)))
    assert {classes[i] for i in train} == set(classes)
    for name, count in Counter(classes[i] for i in valid).items():
        assert abs(count - 0.25 * classes.count(name)) <= 1.5
        assert count < classes.count(name)


def test_numbers_keep_their_distribution() -> None:
    numbers = np.random.default_rng(0).lognormal(size=(1000, 2))
    train, valid = sides(split_source(source("regression", numbers), 0.2))
    assert len(valid) == 200
    for quantile in np.arange(0.1, 1, 0.1):
        for k in range(2):
            below = (numbers[valid, k] < np.quantile(numbers[:, k], quantile)).mean()
            assert below == pytest.approx(quantile, abs=0.02)
    assert not set(train) & set(valid)


def test_unknown_numbers_and_few_images_are_split_too() -> None:
    numbers = np.array([[1.0], [np.nan], [3.0], [np.nan], [2.0]])
    train, valid = sides(split_source(source("regression", numbers), 0.4))
    assert sorted(train + valid) == [0, 1, 2, 3, 4]
    assert len(valid) == 2


def test_points_are_split_at_random_with_the_seed() -> None:
    points = source("points", np.zeros((50, 3, 2)))
    assert sides(split_source(points, seed=1)) == sides(split_source(points, seed=1))
    assert sides(split_source(points, seed=1)) != sides(split_source(points, seed=2))
    train, valid = sides(split_source(points, 0.2))
    assert (len(train), len(valid)) == (40, 10)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab")), min_size=4, max_size=60), st.integers(0, 99))
def test_groups_are_on_one_side_as_a_whole(rows: list[tuple[int, str]], seed: int) -> None:
    groups, classes = [f"g{group}" for group, _ in rows], [name for _, name in rows]
    grouped = source("category", Categorical.of(classes), group=Categorical.of(groups))
    if len(set(groups)) == 1:
        with pytest.raises(DataError, match="images are of one group, so there is no second group for validation"):
            split_source(grouped)
        return
    split = split_source(grouped, 0.3, seed=seed)
    part = [row.part for row in split]
    assert {part[i] for i in range(len(part))} <= {"train", "valid"}
    for group in set(groups):
        assert len({part[i] for i in range(len(part)) if groups[i] == group}) == 1
    assert {classes[i] for i in range(len(part)) if part[i] == "train"} == set(classes)


def test_groups_keep_about_the_share_of_every_label() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), random.integers(1, 12, 200))
    classes = random.choice(["a", "b", "c"], len(groups), p=[0.7, 0.25, 0.05])
    split = split_source(
        source("category", Categorical.of(classes.tolist()), group=Categorical.of(map(str, groups))), 0.2
    )
    _, valid = sides(split)
    assert len(valid) == pytest.approx(0.2 * len(groups), rel=0.1)
    for name in "abc":
        assert (classes[valid] == name).sum() == pytest.approx(0.2 * (classes == name).sum(), rel=0.25)
    assert split.messages[-1].endswith("; each of the 200 groups is in one part as a whole")


def test_held_out_images_stay_held_out() -> None:
    part = Categorical.of(["train", "test", "promise", "train"] * 10)
    split = split_source(source("category", Categorical.of(["a", "b"] * 20), part=part), 0.5)
    assert [row.part for row in split][1:3] == ["test", "promise"]
    assert Counter(row.part for row in split) == {"train": 10, "valid": 10, "test": 10, "promise": 10}
    assert split.messages[-1].startswith("split at random with seed 0: 10 of 20 images for validation")


def test_a_source_that_names_its_validation_images_stays_as_it_is() -> None:
    given = source("category", Categorical.of("abab"), part=Categorical.of(["train", "valid", "train", "valid"]))
    assert split_source(given) is given


def test_a_split_in_the_data_that_divides_groups_is_said() -> None:
    part = Categorical.of(["train", "valid", "train", "test", "train", "valid"])
    persons = Categorical.of(["a", "a", "b", "b", "c", "d"])
    given = source("category", Categorical.of(["x", "y"] * 3), part=part, group=persons)
    split = split_source(given)
    assert split.part is part
    assert split.messages == (
        "2 of 4 groups have images in more than one part of the split in the data: 1 of 2 validation images are of "
        "groups that also have training images, 1 of 1 testing images are of groups that also have training images, so "
        "the scores are not those of new groups; a random split keeps each group in one part",
    )
    whole = source("category", Categorical.of(["x", "y"] * 3), part=part, group=Categorical.of("abcdef"))
    assert split_source(whole).messages == ()


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_validation_share_out_of_range_is_an_error(share: float) -> None:
    with pytest.raises(InputError, match="valid_pct must be the validation share, from 0 to below 1"):
        split_source(source("category", Categorical.of("abab")), share)
