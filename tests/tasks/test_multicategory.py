"""`MultiCategoryBlock`: vocabulary, encoding and errors."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from eyebright._all_but import AllBut
from eyebright.errors import DataError, InputError, LabelError
from eyebright.losses import BCEWithLogitsLossFlat
from eyebright.sources.label_column import read_labels_or_class
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import LabelSet
from support.tables import text_table

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g05_split_vocab.json").read_text())


def test_vocabulary_and_rows_equal_the_book() -> None:
    gold = GOLD["MultiCategorize+OneHot"]
    block = MultiCategoryBlock()
    values = [block.read(labels) for labels in gold["labels"]]
    block = block.fit(values)
    assert list(block.classes) == gold["vocab"]
    rows = [block.encode(value) for value in values]
    assert [row.tolist() for row in rows] == gold["encoded"]
    assert str(rows[0].dtype) == gold["dtype"]
    assert [sorted(block.decode(row)) for row in rows] == gold["decoded"]


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float32("nan"), pd.NA, "", " ", [], [""], [None], [pd.NA]])
def test_no_label_is_a_row_of_zeros_and_never_a_class_of_its_own(nothing: object) -> None:
    block = MultiCategoryBlock()
    block = block.fit([block.read(nothing), block.read(["a"])])
    assert list(block.classes) == ["a"]
    assert block.encode(block.read(nothing)).tolist() == [0.0]


def test_a_text_that_was_not_split_is_an_error_and_not_one_class_per_letter() -> None:
    assert GOLD["label as plain string 'cat' (forgot to split): vocab"] == list("acdgot")
    with pytest.raises(LabelError, match="text 'bus car'; split it"):
        MultiCategoryBlock().read("bus car")


@pytest.mark.parametrize("vocab", [np.array(["b", "a"]), pd.Series(["b", "a"]), ("b", "a")])
def test_a_vocabulary_may_be_an_array_or_a_series_and_keeps_its_order(vocab: object) -> None:
    for kind in ("np.array", "pd.Series"):
        assert GOLD[f"MultiCategorize(vocab={kind})"].startswith("ValueError")
    assert list(MultiCategoryBlock(vocab=vocab).classes) == ["b", "a"]


def test_encoded_rows_equal_the_book() -> None:
    block = MultiCategoryBlock(encoded=True, vocab=["x", "y", "z"])
    gold = GOLD["EncodedMultiCategorize"]
    assert block.encode(block.read([1, 0, 1])).tolist() == gold["enc"]
    assert sorted(block.decode(block.encode(block.read(np.array([1.0, 0, 1]))))) == gold["dec"]


def test_encoded_rows_need_a_vocabulary() -> None:
    with pytest.raises(InputError, match="needs the names of the columns"):
        MultiCategoryBlock(encoded=True)


@pytest.mark.parametrize("row", [[1, 0], [1, 0, 2], [0.5, 0, 1]])
def test_an_encoded_row_that_is_no_row_of_0_and_1_is_an_error(row: list[float]) -> None:
    with pytest.raises(LabelError, match="3 times 0, 1 or NaN"):
        MultiCategoryBlock(encoded=True, vocab=["x", "y", "z"]).read(row)


def test_unknown_labels_count_neither_as_positive_nor_as_negative_in_balanced_weights() -> None:
    sets = [LabelSet("a", unknown="b"), LabelSet("b", unknown="a"), LabelSet(), LabelSet(unknown="b"), LabelSet()]
    loss = MultiCategoryBlock(vocab=["a", "b"]).training_loss(sets, balance="pos_weight")
    assert isinstance(loss, BCEWithLogitsLossFlat)
    assert loss.pos_weight is not None
    assert loss.pos_weight.tolist() == [3, 2]


def test_captions_join_the_labels_in_the_order_of_the_vocabulary() -> None:
    block = MultiCategoryBlock(vocab=["b", "a", "c"])
    assert block.text(frozenset({"c", "b"})) == "b;c"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a", "a", "a"], "all or none of the training images have each of the labels 'a'"),
        (["a b", "a b"], "all or none of the training images have each of the labels 'a', 'b'"),
    ],
)
def test_labels_that_every_training_image_has_are_an_error_since_nothing_can_be_learnt(rows, message):
    values = [LabelSet(row.split()) for row in rows]
    with pytest.raises(DataError, match=message):
        MultiCategoryBlock().fit(values).check_learnable(values, values)


def test_a_constant_label_among_others_is_named_and_unknown_labels_do_not_count():
    values = [LabelSet(["a", "b"]), LabelSet(["a"]), LabelSet(["b", "c"], unknown=["a"])]
    block = MultiCategoryBlock(vocab=["a", "b", "c", "never"])
    assert block.check_learnable(values, values) == ("a", "never")


def test_labels_in_a_table_are_a_list_of_json_where_a_class_has_a_semicolon() -> None:
    block = MultiCategoryBlock(vocab=["a;b", "a", "b", "\u00e9"])
    probabilities = torch.tensor([0.5, 0.25, 0.25, 0.75])
    texts = [block.table_row(LabelSet(labels), probabilities)[0] for labels in (["b", "a;b"], ["\u00e9"], [])]
    assert texts == ['["a;b", "b"]', '["\u00e9"]', ""]
    read = read_labels_or_class(text_table({"labels": texts}), "labels").values
    assert [set(labels) for labels in read] == [{"a;b", "b"}, {"\u00e9"}, set()]
    assert MultiCategoryBlock(vocab=["a", "b"]).table_row(LabelSet(["a", "b"]), probabilities)[0] == "a;b"


def test_a_set_of_all_labels_but_some_is_trained_and_scored_as_the_plain_set_of_unknown_labels() -> None:
    names = frozenset(f"l{i}" for i in range(100))
    known = [["l1", "l2"], ["l2"], ["l1", "l3"], []]
    sets = [LabelSet(one[:1], unknown=AllBut(names, one)) for one in known]
    plain = [LabelSet(one[:1], unknown=names - set(one)) for one in known]
    block = MultiCategoryBlock(vocab=sorted(names))
    assert all(torch.equal(block.encode(a).isnan(), block.encode(b).isnan()) for a, b in zip(sets, plain, strict=True))
    assert block.training_summary(sets) == block.training_summary(plain)
    assert block.check_learnable(sets, sets) == block.check_learnable(plain, plain)
    losses = [block.training_loss(each, balance="pos_weight") for each in (sets, plain)]
    assert all(isinstance(loss, BCEWithLogitsLossFlat) for loss in losses)
    weights = [dict(loss.named_buffers()) for loss in losses]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
