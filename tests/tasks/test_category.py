"""`CategoryBlock`: vocabulary and errors."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eyebright.errors import InputError, LabelError
from eyebright.tasks.category import CategoryBlock

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g05_split_vocab.json").read_text())


def fit(labels: list[object], **how: bool) -> CategoryBlock:
    block = CategoryBlock(**how)
    return block.fit([block.read(label) for label in labels])


def test_the_vocabulary_is_sorted_as_in_the_book() -> None:
    gold = GOLD["CategoryMap"]["['b','a','C','a10','a2','']"]["items"]
    assert list(fit(["b", "a", "C", "a10", "a2"]).classes) == [name for name in gold if name]


def test_the_order_of_appearance_is_kept_when_asked_for() -> None:
    assert list(fit(["b", "a", "C"], sort=False).classes) == GOLD["CategoryMap"]["sort=False"]["items"]


def test_a_class_for_missing_labels_comes_first_when_asked_for() -> None:
    block = fit(["b", "a"], add_na=True)
    assert list(block.classes) == GOLD["CategoryMap"]["add_na"]["items"]
    assert block.decode(block.encode(block.read(None))) == "#na#"


def test_a_class_for_missing_labels_is_added_to_a_given_vocabulary_too() -> None:
    block = CategoryBlock(["b", "a"], add_na=True)
    assert list(block.classes) == ["#na#", "b", "a"]
    assert block.decode(block.encode(block.read(None))) == "#na#"
    assert CategoryBlock.from_json(block.to_json()) == block
    assert CategoryBlock.from_json({"vocab": ["a", "b"], "sort": True, "add_na": True}).classes == ("a", "b")


def test_an_explicit_vocabulary_keeps_its_order_unlike_the_book() -> None:
    assert GOLD["CategoryBlock(vocab=['b','a']) re-sorts an explicit vocab (sort=True)"] == ["a", "b"]
    assert list(CategoryBlock(["b", "a"]).classes) == ["b", "a"]


def test_numbers_are_labels_too() -> None:
    assert list(fit([3, 1, 2]).classes) == ["1", "2", "3"]


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, "", []])
def test_an_image_without_a_label_is_an_error(missing: object) -> None:
    with pytest.raises(LabelError, match="no label|got 0"):
        CategoryBlock().read(missing)


def test_several_labels_are_an_error_that_names_multi_category_block() -> None:
    with pytest.raises(LabelError, match="2: .*MultiCategoryBlock"):
        CategoryBlock().read(["a", "b"])


def test_a_misspelt_label_names_the_nearest() -> None:
    with pytest.raises(LabelError, match="unknown label 'hazzy'. Did you mean 'hazy'"):
        CategoryBlock(["hazy", "clear"]).encode("hazzy")


def test_the_vocabulary_of_an_unfitted_block_is_an_error() -> None:
    with pytest.raises(InputError, match="no vocabulary yet"):
        _ = CategoryBlock().n_out
