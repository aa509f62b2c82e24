"""A part for each image: the parts in the data stay, nothing that belongs together is divided, every reason is true."""

import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.errors import DataError, InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.split_plan import SplitPlan, content_order, plan_split
from eyebright.sources.split_summary import summarize_split
from eyebright.sources.text_table import strings
from eyebright.sources.times import Times
from eyebright.types import LabelSet

SHARES = {"train": 0.6, "valid": 0.2, "promise": 0.1, "test": 0.1}
ROWS = st.lists(
    st.tuples(st.frozensets(st.sampled_from("abc")), st.integers(0, 20), st.integers(0, 40)), min_size=4, max_size=60
)


def source_of(labels: Any, **columns: Any) -> Source:
    sets = Categorical.of([LabelSet(one) for one in labels])
    files = strings([f"{i:05}.jpg" for i in range(len(sets))])
    return Source("multicategory", Path("photos"), files, sets, **columns)


def times_of(values: Any) -> Times:
    return Times("taken", np.array(values, dtype=float), Categorical.of([str(value) for value in values]))


def parts(plan: SplitPlan) -> list[str]:
    return list(plan.part)


@given(ROWS, st.integers(0, 5), st.sampled_from(["random", "time", "folds"]))
def test_nothing_that_belongs_together_is_divided_and_the_summary_says_so(
    rows: list[tuple[frozenset[str], int, int]], seed: int, how: str
) -> None:
    group = Categorical.of([f"g{group}" for _, group, _ in rows])
    same = np.array([same for *_, same in rows], dtype=np.int32)
    source = source_of([labels for labels, *_ in rows], group=group)
    shares = {"0": 0.5, "1": 0.5} if how == "folds" else SHARES
    times = times_of([(7 * i) % 11 for i in range(len(rows))]) if how == "time" else None
    try:
        plan = plan_split(source, shares, seed=seed, same=same, times=times)
    except (DataError, InputError):
        return
    summary = summarize_split(source, plan.part, same=same)
    assert summary.is_clean
    assert sum(summary.images.values()) == len(rows)
    assert set(plan.part) <= set(shares)
    for codes in (group.codes, same):
        for code in set(codes.tolist()):
            assert len(set(plan.part[np.flatnonzero(codes == code)])) == 1


@given(ROWS, st.integers(0, 5), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_rows_changes_no_part_and_no_reason(
    rows: list[tuple[frozenset[str], int, int]], seed: int, random: Random, by_time: bool
) -> None:
    def plan(order: list[int]) -> dict[str, tuple[str, str]]:
        several = [rows[i] for i in order]
        source = Source(
            "multicategory",
            Path(),
            strings([f"{i}.jpg" for i in order]),
            Categorical.of([LabelSet(labels) for labels, *_ in several]),
            group=Categorical.of([f"g{group}" for _, group, _ in several]),
            group_name="patient",
            part=Categorical.of([None if i % 4 else ("test", "promise")[i % 8 // 4] for i in order]),
        )
        same = np.array([same for *_, same in several], dtype=np.int32)
        times = times_of([i % 5 for i in order]) if by_time else None
        try:
            made = plan_split(source, SHARES, seed=seed, same=same, times=times)
        except DataError:
            return {}
        return dict(zip(map(str, source.files), zip(made.part, made.why, strict=True), strict=True))

    order = list(range(len(rows)))
    straight = plan(order)
    random.shuffle(order)
    assert plan(order) == straight


def test_each_image_is_in_one_fold_and_folds_are_alike() -> None:
    labels = [("a",) if i % 3 else ("a", "b") for i in range(90)]
    plan = plan_split(source_of(labels), {str(i): 0.2 for i in range(5)})
    assert Counter(parts(plan)) == {str(i): 18 for i in range(5)}
    assert Counter(part for part, one in zip(plan.part, labels, strict=True) if "b" in one) == {
        str(i): 6 for i in range(5)
    }


@given(st.lists(st.frozensets(st.sampled_from("abcd")), min_size=20, max_size=80), st.integers(0, 9))
def test_each_part_has_about_its_share_of_the_images(labels: list[frozenset[str]], seed: int) -> None:
    several = labels * 2  # no label is on one image only
    counts = Counter(plan_split(source_of(several), SHARES, seed=seed).part)
    for part, share in SHARES.items():
        assert share * len(several) / 1.3 - 1 <= counts[part] <= share * len(several) * 1.3 + 1


def test_more_folds_than_units_are_an_error() -> None:
    with pytest.raises(InputError, match="`folds` must be from 2 to the number of images, 3; got 4"):
        plan_split(source_of(["a"] * 3), dict.fromkeys("0123", 0.25))
    group = Categorical.of(["x", "x", "y"])
    with pytest.raises(
        InputError, match="`folds` must be from 2 to the number of groups of images that belong together, 2"
    ):
        plan_split(source_of(["a"] * 3, group=group), dict.fromkeys("012", 1 / 3))


def test_images_keep_the_part_that_the_data_give_and_it_is_their_reason() -> None:
    part = Categorical.of(["test", "train", "promise", "train"] * 10)
    plan = plan_split(source_of(["a"] * 40, part=part), {"train": 0.5, "valid": 0.5})
    assert parts(plan)[::4] == ["test"] * 10
    assert parts(plan)[2::4] == ["promise"] * 10
    assert Counter(parts(plan)[1::2]) == {"train": 10, "valid": 10}
    assert plan.why[0] == "kept: test in the data"
    assert plan.is_drawn.tolist() == [False, True] * 20


def test_where_some_images_validate_all_given_parts_stay_and_only_images_without_one_are_drawn() -> None:
    part = Categorical.of(["train", "valid", None, None] * 10)
    plan = plan_split(source_of(["a"] * 40, part=part), {"train": 0.5, "valid": 0.5})
    assert parts(plan)[::4] == ["train"] * 10
    assert parts(plan)[1::4] == ["valid"] * 10
    assert Counter(parts(plan)[2::4] + parts(plan)[3::4]) == {"train": 10, "valid": 10}


def test_folds_are_made_of_the_images_for_training_and_validation() -> None:
    part = Categorical.of(["train", "valid", "test"] * 10)
    plan = plan_split(source_of(["a"] * 30, part=part), {"0": 0.5, "1": 0.5})
    assert Counter(parts(plan)) == {"0": 10, "1": 10, "test": 10}


def test_an_image_without_a_part_gets_that_of_the_images_it_belongs_to() -> None:
    part = Categorical.of(["test", None, "train", None, None, None])
    group = Categorical.of(["x", "x", "y", "y", "z", "w"])
    plan = plan_split(source_of(["a"] * 6, part=part, group=group), {"train": 0.5, "valid": 0.5})
    assert parts(plan)[1] == "test"
    assert plan.why[1] == "with images that the data give to test; group x (2 images)"


def test_the_reasons_are_in_words() -> None:
    group = Categorical.of(["12", "12", "7", "8", "9"])
    labels = [("rare",), (), ("b",), ("b",), ("b",)]
    source = source_of(labels, group=group, group_name="patient_id")
    same = np.array([0, 1, 2, 2, 3], dtype=np.int32)
    plan = plan_split(source, {"train": 0.5, "valid": 0.5}, same=same)
    assert plan.why[0] == "group patient_id=12 (2 images); label 'rare' (1 image)"
    assert plan.why[2] == "near-duplicate of 00003.jpg; label 'b' (3 images)"
    assert plan.why[3] == "near-duplicate of 00002.jpg; label 'b' (3 images)"
    assert plan.why[4] == "label 'b' (3 images)"
    by_time = plan_split(source, {"train": 0.5, "valid": 0.5}, times=times_of([5, 1, 2, 3, 4]))
    assert by_time.why[1] == "group patient_id=12 (2 images); taken 5"
    assert plan_split(source_of([()] * 4), {"train": 0.5, "valid": 0.5}).why.categories == ("at random",)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=2, max_size=60))
def test_a_model_trains_on_the_past(rows: list[tuple[int, int]]) -> None:
    """By the newest image of each group; the shares are right to the size of the groups."""
    group = Categorical.of([f"g{group}" for _, group in rows])
    if len(group.categories) < 2:
        return
    plan = plan_split(source_of(["a"] * len(rows), group=group), SHARES, times=times_of([time for time, _ in rows]))
    newest = {one: max(time for time, group in rows if f"g{group}" == one) for one in group.categories}
    order = list(SHARES)
    by_part = {part: [newest[one] for one, own in zip(group, plan.part, strict=True) if own == part] for part in order}
    ends = [(min(times), max(times)) for part in order if (times := by_part[part])]
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    largest = max(Counter(group).values())
    counts = Counter(plan.part)
    ahead, wanted = 0, 0.0
    for part in order:
        ahead, wanted = ahead + counts[part], wanted + SHARES[part] * len(rows)
        assert abs(ahead - wanted) <= largest / 2 + 1e-9


def test_the_order_of_images_is_that_of_a_keyed_hash_of_their_paths() -> None:
    files = [f"patient{i}/{i}.jpg" for i in range(100)]
    key = b"eyebright split 7"
    expected = sorted(
        files,
        key=lambda file: int.from_bytes(hashlib.blake2b(file.encode(), digest_size=8, key=key).digest(), "little"),
    )
    assert [files[i] for i in content_order(strings(files), 7).tolist()] == expected
    assert len(content_order(strings([]), 7)) == 0


def test_codes_of_another_number_are_an_error() -> None:
    with pytest.raises(DataError, match="`same` needs a code for each of the 3 images"):
        plan_split(source_of(["a"] * 3), SHARES, same=np.zeros(2, dtype=np.int32))


def test_a_source_whose_images_all_have_a_part_stays_as_it_is() -> None:
    part = Categorical.of(["train", "valid"] * 3)
    plan = plan_split(source_of(["a"] * 6, part=part), SHARES)
    assert parts(plan) == list(part)
    assert not plan.is_drawn.any()
    assert set(plan.why) == {"kept: train in the data", "kept: valid in the data"}


def test_names_that_are_no_unicode_are_split_too() -> None:
    files = np.array([f"caf\udce9/{i}.jpg" for i in range(10)], dtype=object)
    sets = Categorical.of([LabelSet(["caf\udce9"])] * 10)
    source = Source("multicategory", Path("photos"), files, sets)
    plan = plan_split(source, {"train": 0.8, "valid": 0.2})
    assert Counter(plan.part) == {"train": 8, "valid": 2}
    summary = summarize_split(source, plan.part)
    assert summary.shares[0].label == "caf\udce9"
    assert summary.to_json()["shares"][0]["label"] == "caf\\udce9"
