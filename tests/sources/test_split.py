"""Splitters: the same indices as fastai, and no item on both sides."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from eyebright.errors import DataError, InputError
from eyebright.sources import split

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g05_split_vocab.json").read_text())


def items(n: int) -> list[int]:
    return list(range(n))


@pytest.mark.parametrize("n", [1, 4, 5, 10])
def test_a_random_split_equals_the_book_for_the_same_seed(n: int) -> None:
    gold = GOLD[f"RandomSplitter(seed=42) n={n}"]
    assert split.RandomSplitter(seed=42)(items(n)) == (gold["train"], gold["valid"])


@pytest.mark.parametrize("n", [100, 5011, 7390])
def test_a_large_random_split_equals_the_book_for_the_same_seed(n: int) -> None:
    gold = GOLD[f"RandomSplitter(seed=42) n={n}"]
    train, valid = split.RandomSplitter(seed=42)(items(n))
    assert hashlib.sha256(json.dumps(list(train)).encode()).hexdigest() == gold["sha256_train"]
    assert hashlib.sha256(json.dumps(list(valid)).encode()).hexdigest() == gold["sha256_valid"]


@pytest.mark.parametrize(
    ("name", "splitter", "n"),
    [
        ("RandomSplitter(0.3,seed=7) n=10", split.RandomSplitter(0.3, seed=7), 10),
        ("IndexSplitter([1,3]) n=5", split.IndexSplitter([1, 3]), 5),
        ("EndSplitter() n=10", split.EndSplitter(), 10),
        ("EndSplitter(valid_last=False) n=10", split.EndSplitter(valid_last=False), 10),
        ("TrainTestSplitter(random_state=42) n=10", split.TrainTestSplitter(random_state=42), 10),
        ("FuncSplitter(x%3==0) n=10", split.FuncSplitter(lambda x: x % 3 == 0), 10),
        ("MaskSplitter n=5", split.MaskSplitter([True, False, True, False, False]), 5),
        ("RandomSubsetSplitter(.5,.2,seed=42) n=10", split.RandomSubsetSplitter(0.5, 0.2, seed=42), 10),
    ],
)
def test_other_splitters_equal_those_of_fastai(name: str, splitter: split.Splitter, n: int) -> None:
    assert [list(part) for part in splitter(items(n))] == GOLD[name]


def test_a_column_splits_as_in_the_book() -> None:
    table = pd.DataFrame({"fname": list("abcde"), "is_valid": [False, True, False, True, False]})
    assert [list(part) for part in split.ColSplitter()(table)] == GOLD["ColSplitter()"]


def test_a_seed_leaves_the_global_generator_alone_unlike_the_book() -> None:
    assert GOLD["RandomSplitter(seed=) reseeds torch global RNG"] is True
    torch.manual_seed(123)
    expected = torch.rand(1)
    torch.manual_seed(123)
    split.RandomSplitter(seed=42)(items(10))
    assert torch.equal(torch.rand(1), expected)


def test_an_end_split_of_few_items_trains_on_them_unlike_the_book() -> None:
    assert GOLD["EndSplitter() n=3 (cut==0)"] == [[], [0, 1, 2]]
    assert split.EndSplitter()(items(3)) == ([0, 1, 2], [])


def test_a_stratified_split_keeps_each_class_share() -> None:
    classes = ["a"] * 50 + ["b"] * 10
    train, valid = split.TrainTestSplitter(0.2, random_state=0, stratify=classes)(items(60))
    assert sorted(train + valid) == items(60)
    assert sum(i < 50 for i in valid) == 10
    assert sum(i >= 50 for i in valid) == 2


def test_folders_split_by_the_name_above_the_class() -> None:
    paths = [Path("train/a/1.jpg"), Path("valid/a/2.jpg"), Path("train/b/3.jpg")]
    assert split.GrandparentSplitter()(paths) == ([0, 2], [1])
    with pytest.raises(DataError, match="expected folders 'train'.*there are 'x'"):
        split.GrandparentSplitter()([Path("x/a/1.jpg")])


def test_file_splitter_validates_on_the_names_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_text("2.jpg\n")
    assert split.FileSplitter(tmp_path / "valid.txt")(["a/1.jpg", "b/2.jpg"]) == ([0], [1])


@pytest.mark.parametrize(
    ("line", "valid"),
    [
        ("\ufeff1.jpg", [0, 2]),
        ("1.jpg \t", [0, 2]),
        ("1.jpg\r", [0, 2]),
        ("a/1.jpg", [0]),
        ("/data/b/1.jpg", [2]),
        ("./b/1.jpg\nb/1.jpg", [2]),
        (" 2.jpg ", [1]),
        ("3.jpg ", [3]),
        ("\n\n2.jpg\n \n", [1]),
        ("./1.jpg\n2.jpg", [0, 1, 2]),
    ],
)
def test_lines_of_a_file_of_names_may_have_spaces_a_byte_order_mark_and_folders(
    line: str, valid: list[int], tmp_path: Path
) -> None:
    (tmp_path / "valid.txt").write_bytes(line.encode())
    items = ["a/1.jpg", Path("a/2.jpg"), "/data/b/1.jpg", "b/3.jpg ", "b/3.jpg"]
    assert split.FileSplitter(tmp_path / "valid.txt")(items)[1] == valid
    assert split.FileSplitter(tmp_path / "valid.txt")(pd.Series(items, index=list("vwxyz")))[1] == valid


def test_lines_of_a_file_of_names_that_name_no_item_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_text("1.jpg\nnothere.jpg\nc/2.jpg\n./\n")
    with pytest.raises(DataError, match=r"'.*valid.txt' name none of the 2 items: './', 'c/2.jpg', 'nothere.jpg';"):
        split.FileSplitter(tmp_path / "valid.txt")(["a/1.jpg", "a/2.jpg"])


@pytest.mark.parametrize("on", ["valid", ["Valid", "zzz"], {"zzz"}, np.array(["Valid", "valid"]), 1])
def test_values_of_a_column_that_no_row_has_are_an_error(on: Any) -> None:
    table = pd.DataFrame({"part": ["Train", "Valid"]})
    with pytest.raises(
        DataError, match=r"no row has ('valid'|'zzz'|np.str_\('valid'\)|1) in column 'part', .*there are"
    ):
        split.ColSplitter("part", on=on)(table)
    assert split.ColSplitter("part", on=np.array(["Valid"]))(table) == ([0], [1])


@pytest.mark.parametrize("mask", [["True", "False"], [0, 2], [True, None], np.array([0.0, np.nan])])
def test_a_mask_of_other_values_than_true_and_false_is_an_error(mask: Any) -> None:
    with pytest.raises(
        DataError, match="^a mask marks with true or false which items are for validation, and contains "
    ):
        split.MaskSplitter(mask)([0, 1])


@pytest.mark.parametrize("mask", [[0, 1], torch.tensor([False, True]), pd.Series([False, True], index=[1, 0])])
def test_a_mask_may_be_a_list_of_numbers_a_tensor_or_a_series(mask: Any) -> None:
    assert split.MaskSplitter(mask)(["a", "b"]) == ([0], [1])


@pytest.mark.parametrize("labels", [["cat", "dog"], [["cat"], None], [["cat"], 3]])
def test_labels_of_an_item_that_are_no_list_are_an_error(labels: Any) -> None:
    with pytest.raises(
        InputError, match="^LabelSplitter takes a list of labels for each item, got ('cat'|None|3); put"
    ):
        split.LabelSplitter(labels)


def test_one_of_several_folders_for_validation_that_is_missing_is_an_error() -> None:
    with pytest.raises(DataError, match="expected folders 'train' and 'valid', 'val2'; there are 'train', 'valid'"):
        split.GrandparentSplitter(valid_name=["valid", "val2"])(["train/a/1.jpg", "valid/a/2.jpg"])


def test_a_missing_split_column_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(DataError, match="2 columns are named 'is_valid'; give each a different name"):
        split.ColSplitter()(pd.DataFrame([[True, False]], columns=["is_valid", "is_valid"]))
    with pytest.raises(DataError, match="no column 'is_vaild'. Did you mean 'is_valid'"):
        split.ColSplitter("is_vaild")(pd.DataFrame({"is_valid": [True]}))


def test_a_column_that_does_not_say_true_or_false_is_refused() -> None:
    with pytest.raises(DataError, match="contains 'maybe'"):
        split.ColSplitter()(pd.DataFrame({"is_valid": ["maybe"]}))
    with pytest.raises(DataError, match="contains '<NA>'"):
        split.ColSplitter()(pd.DataFrame({"is_valid": pd.array([True, None], dtype="boolean")}))
    assert split.ColSplitter("part", on="test")(pd.DataFrame({"part": ["train", "test"]})) == ([0], [1])


def test_label_splitter_keeps_every_label_in_training_and_its_share_in_validation() -> None:
    random = np.random.default_rng(0)
    common = [
        [name for name, share in (("a", 0.5), ("b", 0.3), ("c", 0.1)) if random.random() < share] for _ in range(400)
    ]
    labels = [*common, ["once"], ["twice"], ["twice", "a"]]
    for seed in range(5):
        train, valid = split.LabelSplitter(labels, 0.2, seed)(labels)
        assert sorted(train + valid) == list(range(len(labels)))
        for name in ("a", "b", "c"):
            holding = [i for i, one in enumerate(labels) if name in one]
            share = len(set(holding) & set(valid)) / len(holding)
            assert share == pytest.approx(0.2, abs=0.03)
        for name in ("once", "twice"):
            assert any(name in labels[i] for i in train)
        bare = [i for i, one in enumerate(labels) if not one]
        assert len(set(bare) & set(valid)) / len(bare) == pytest.approx(0.2, abs=0.05)


def test_label_splitter_is_repeatable_and_stratifies_single_labels() -> None:
    labels = [[name] for name in "aaaaaaaaaabbbbb"]
    first, again, other = (split.LabelSplitter(labels, 0.4, seed)(labels) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(labels[i][0] for i in first[1]) == ["a"] * 4 + ["b"] * 2


@pytest.mark.parametrize("share", [-0.2, 1.0, 20])
def test_a_share_out_of_range_is_an_error_when_the_splitter_is_made(share: float) -> None:
    for splitter in (split.RandomSplitter, split.EndSplitter, partial(split.LabelSplitter, [["a"]])):
        with pytest.raises(InputError, match="valid_pct must be the validation share"):
            splitter(share)
    with pytest.raises(InputError, match="test_size must be the validation share"):
        split.TrainTestSplitter(share)


@pytest.mark.parametrize("size", [-1, -0.1, float("nan")])
def test_a_negative_subset_size_is_an_error(size: float) -> None:
    with pytest.raises(InputError, match="valid_sz must be a share .* or a number"):
        split.RandomSubsetSplitter(0.5, size)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [([False, True], "got False; MaskSplitter takes a mask"), (["1"], "got '1'"), ([1.7], "got 1.7")],
)
def test_index_splitter_rejects_values_that_are_not_indices(chosen: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"^IndexSplitter takes indices \(whole numbers from 0\), {message}$"):
        split.IndexSplitter(np.array(chosen, dtype=object))


def test_an_unreadable_file_of_names_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read from '.*gone.txt' the names of what validates: No such file"):
        split.FileSplitter(tmp_path / "gone.txt")


@pytest.mark.parametrize("seed", [1.5, True, "1", 2**64])
def test_a_seed_that_is_no_whole_number_is_named(seed: Any) -> None:
    with pytest.raises(InputError, match="`seed` must be a whole number of at most 64 bits, or None; got"):
        split.RandomSplitter(seed=seed)(items(10))
