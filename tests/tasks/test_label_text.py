"""What a getter may return as a label, and labels that would be two classes though they are one."""

import re
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from eyebright.data.block import DataBlock
from eyebright.data.getters import ColReader
from eyebright.errors import LabelError
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.label_text import label_text
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import LabelSet, Vocab

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


class Colour(Enum):
    RED = 1


class WithoutText:
    pass


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("red", "red"),
        (" red", " red"),
        (np.str_("red"), "red"),
        (3, "3"),
        (3.0, "3"),
        (np.float32(3), "3"),
        (np.int64(3), "3"),
        (2.5, "2.5"),
        (np.float32(0.1), "0.1"),
        (torch.tensor(1), "1"),
        (torch.tensor([1.0]), "1"),
        (np.array(["red"]), "red"),
        (True, "True"),
        (np.bool_(False), "False"),
        (float("inf"), "inf"),
        (Colour.RED, "Colour.RED"),
        (pd.Timestamp("2026-01-02"), "2026-01-02 00:00:00"),
        *((missing, "") for missing in (None, float("nan"), pd.NA, "", " \t", torch.tensor(torch.nan))),
    ],
)
def test_labels_are_texts_whatever_their_type(raw: Any, text: str) -> None:
    assert label_text(raw) == text


NO_LABELS = [
    (b"red", "bytes: b'red'; decode it to text"),
    ({"a": 0, "b": 1}, "dict: {'a': 0, 'b': 1}; choose among its keys 'a', 'b'"),
    (WithoutText(), "WithoutText: <"),
    (iter(["a"]), "list_iterator: <"),
    (len, "builtin_function_or_method: <"),
]


@pytest.mark.parametrize(("raw", "message"), NO_LABELS)
@pytest.mark.parametrize(
    "read", [CategoryBlock().read, OrdinalBlock().read, lambda raw: MultiCategoryBlock().read([raw])]
)
def test_what_is_no_label_is_an_error_in_each_block(read: Any, raw: Any, message: str) -> None:
    with pytest.raises(LabelError, match=f"^a label is a string or a number, got {re.escape(message)}"):
        read(raw)


@pytest.mark.parametrize("raw", [["a", "b"], ("a",), {"a"}, np.array(["a", "b"]), LabelSet(["a"])])
def test_a_list_in_the_list_of_labels_is_an_error(raw: Any) -> None:
    with pytest.raises(LabelError, match=r"^a label is a string or a number, got (list|tuple|set|ndarray|LabelSet): "):
        MultiCategoryBlock().read([raw, "c"])


@pytest.mark.parametrize("row", [np.array([0, 1, 0]), torch.tensor([0.0, 1.0]), pd.Series([True, False])])
def test_a_row_is_no_class(row: Any) -> None:
    with pytest.raises(LabelError, match="takes one class for each image, got [23]: "):
        CategoryBlock().read(row)


def test_columns_of_one_class_may_be_an_array_or_a_tensor_of_one_element() -> None:
    assert [CategoryBlock().read(raw) for raw in (np.array(["a"]), torch.tensor([2]), ["a"])] == ["a", "2", "a"]


@pytest.mark.parametrize("raw", [{"a": 0, "b": 1}, b"cat", bytearray(b"cat"), 3, torch.tensor(3).numpy()[()]])
def test_labels_that_are_no_list_are_an_error(raw: Any) -> None:
    with pytest.raises(LabelError, match="^the labels of an image are a list of strings, got "):
        MultiCategoryBlock().read(raw)


@pytest.mark.parametrize(
    "row",
    [
        [1, 0, 0],
        [0, 0],
        [0, 1],
        [1.0, 0.0, 1.0],
        np.array([True, False]),
        [True],
        torch.tensor([0, 1, 1]),
        pd.Series([1, 0, 1], index=["cat", "dog", "cow"]),
        [np.int64(0), np.int64(0)],
        [torch.tensor(1), torch.tensor(1)],
    ],
)
def test_a_row_of_zeros_and_ones_is_an_error_that_names_encoded(row: Any) -> None:
    with pytest.raises(LabelError, match=r"may be a row of 0 and 1.*encoded=True.*or the names '0' and '1'"):
        MultiCategoryBlock().read(row)


def test_probabilities_are_no_labels() -> None:
    with pytest.raises(LabelError, match=r"^the labels \[0.9, 0.1\] are numbers with decimals"):
        MultiCategoryBlock().read([0.9, 0.1])


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        ([3, 7, 7], {"3", "7"}),
        ([0, 1, 2], {"0", "1", "2"}),
        ([1], {"1"}),
        ([0, 0, 5], {"0", "5"}),
        (["0", "0", "1"], {"0", "1"}),
        ([3.0, float("nan")], {"3"}),
        (torch.tensor([2, 4]), {"2", "4"}),
        (np.array(["a", "b"]), {"a", "b"}),
        ({"a": 1}.keys(), {"a"}),
        ((label for label in ("a", " ")), {"a"}),
    ],
)
def test_lists_of_numbers_that_are_no_row_are_labels(raw: Any, labels: set[str]) -> None:
    assert MultiCategoryBlock().read(raw) == labels


PAIRS = [
    (COMPOSED, DECOMPOSED, "look the same"),
    (" a", "a", "look the same"),
    ("a\u200b", "a", "look the same"),
    ("\u202ba\u202c", "a", "look the same"),
    ("\u2067a\u2069", "a", "look the same"),
    ("\u061ca", "a", "look the same"),
    ("big  cat", "big cat", "look the same"),
    (True, 1, "mean the same"),
    (0, False, "mean the same"),
]


@pytest.mark.parametrize(("first", "second", "message"), PAIRS)
@pytest.mark.parametrize("block", [CategoryBlock(), CategoryBlock(sort=False)])
def test_classes_that_look_or_mean_the_same_are_an_error(block: Any, first: Any, second: Any, message: str) -> None:
    values = [block.read(label) for label in (first, second, "other")]
    with pytest.raises(LabelError, match=f"^the labels .* {message} but would be two classes; give them one"):
        block.fit(values)


@pytest.mark.parametrize(("first", "second"), [pair[:2] for pair in PAIRS if isinstance(pair[0], str)])
def test_labels_that_look_the_same_are_an_error(first: str, second: str) -> None:
    block = MultiCategoryBlock()
    with pytest.raises(LabelError, match=f"^the labels .*{re.escape(ascii(min(first, second)))}.* look the same"):
        block.fit([block.read([first]), block.read([second, "other"])])


def test_a_label_set_of_numbers_is_an_error() -> None:
    with pytest.raises(LabelError, match="^a LabelSet contains strings, got int: 1$"):
        MultiCategoryBlock().fit([LabelSet([1, 2])])  # pyright: ignore[reportArgumentType]


def test_1_and_1_0_are_one_class_and_one_rating() -> None:
    for block in (CategoryBlock(), OrdinalBlock()):
        fitted = block.fit([block.read(label) for label in (1, 1.0, np.float64(1), "1", torch.tensor(1), 2.0)])
        assert list(fitted.classes) == ["1", "2"]


def test_a_column_of_whole_numbers_with_an_empty_cell_has_whole_labels() -> None:
    table = pd.DataFrame({"name": ["a", "b", "c"], "labels": [1, 2, np.nan]})
    reader = ColReader("labels", label_delim=" ")
    assert [reader(table.iloc[i]) for i in range(3)] == [["1"], ["2"], []]


@pytest.mark.parametrize(("known", "given"), [(COMPOSED, DECOMPOSED), ("a", "a "), ("a b", "a\u00a0b")])
def test_an_unknown_label_that_looks_like_a_known_one_is_said_with_both_spellings(known: str, given: str) -> None:
    pattern = re.escape(f"It looks the same as {known!a}, but is {given!a}.")
    for block, value in ((CategoryBlock([known, "x"]), given), (MultiCategoryBlock(vocab=[known]), LabelSet([given]))):
        with pytest.raises(LabelError, match=pattern):
            block.check(value)  # pyright: ignore[reportArgumentType]


UNORDERED = [
    lambda names: CategoryBlock(vocab=names),
    lambda names: MultiCategoryBlock(vocab=names),
    lambda names: OrdinalBlock(classes=names),
    lambda names: RegressionBlock(names=names),
    lambda names: PointBlock(names=names),
    Vocab,
]


@pytest.mark.parametrize("make", UNORDERED)
@pytest.mark.parametrize("names", [{"red", "green"}, frozenset({"red"}), LabelSet(["red"])])
def test_names_of_outputs_in_a_set_are_an_error(make: Any, names: Any) -> None:
    with pytest.raises(LabelError, match="^a set has no order, .* give a list, sorted"):
        make(names)


@pytest.mark.parametrize("make", UNORDERED)
@pytest.mark.parametrize("names", ["rgb", b"rgb", {"red": 1, "green": 0}])
def test_a_text_or_a_dictionary_is_no_list_of_names(make: Any, names: Any) -> None:
    with pytest.raises(LabelError, match=f"^names must be given as a list, got {type(names).__name__}: "):
        make(names)


def test_a_vocabulary_of_a_saved_model_stays_as_it_is_whatever_its_names() -> None:
    names = [" ", "", " a", "1.0"]
    assert list(CategoryBlock.from_json(CategoryBlock(names).to_json()).classes) == names
    assert list(MultiCategoryBlock.from_json(MultiCategoryBlock(vocab=names).to_json()).classes) == names


def test_a_vocabulary_of_whole_floats_knows_the_numbers_that_getters_return() -> None:
    block = CategoryBlock(vocab=[2.0, 1.0])  # pyright: ignore[reportArgumentType]
    assert block.encode(block.read(1.0)) == 1


@pytest.mark.parametrize("text", ["dog", b"dog", {"dog": 1}])
def test_a_label_set_of_one_text_is_an_error_and_not_its_letters(text: Any) -> None:
    for arguments in ({"labels": text}, {"unknown": text}):
        with pytest.raises(
            LabelError, match="^a LabelSet takes a list of labels, got .*; put a single label in a list$"
        ):
            LabelSet(**arguments)


def test_the_error_reaches_a_data_block_before_training() -> None:
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_y=lambda name: COMPOSED if name < "c" else DECOMPOSED)
    with pytest.raises(LabelError, match="look the same"):
        block.datasets(list("abcdefgh"))


@pytest.mark.parametrize("block", [CategoryBlock(), MultiCategoryBlock()])
def test_a_question_mark_is_no_class_unless_the_vocabulary_has_it(block: Any) -> None:
    read = lambda one, *labels: [one.read(label if isinstance(block, CategoryBlock) else [label]) for label in labels]
    with pytest.raises(LabelError, match=r"the label '\?' means unknown in label files, but would be a class"):
        block.fit(read(block, "cat", "?", "dog"))
    named = type(block)(vocab=["?", "cat"])
    assert list(named.fit(read(named, "cat", "?")).classes) == ["?", "cat"]
