"""Splitters, vocabularies, getters and files, compared with values recorded from fastai (g05)."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from eyebright.data.block import DataBlock
from eyebright.data.getters import ColReader, RegexLabeller, using_attr
from eyebright.errors import DataError, InputError, LabelError
from eyebright.io.files import get_image_files
from eyebright.recipes.image_list import ImageList
from eyebright.sources.split import GrandparentSplitter, IndexSplitter, RandomSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from support.gold import gold

GOLD = gold("g05_split_vocab")
CATEGORIES = GOLD["CategoryMap"]


def fitted(labels: list[object], **options: bool) -> CategoryBlock:
    block = CategoryBlock(**options)
    return block.fit([block.read(label) for label in labels])


# ------------------------------------------------------------------ splits


def test_images_in_other_folders_are_ignored_as_in_fastai() -> None:
    paths = [Path(name) for name in ("train/a/1.jpg", "valid/a/2.jpg", "train/b/3.jpg", "test/b/4.jpg")]
    assert list(GrandparentSplitter()(paths)) == GOLD["GrandparentSplitter (test/ silently dropped)"]


def test_an_unseeded_split_ignores_the_global_generator_unlike_fastai() -> None:
    assert GOLD["RandomSplitter() after torch.manual_seed(0), n=10"] == [[7, 5, 3, 9, 0, 8, 6, 2], [4, 1]]
    splits = []
    for _ in range(4):
        torch.manual_seed(0)
        splits.append(RandomSplitter()(range(100)))
    assert any(split != splits[0] for split in splits)


def test_the_default_split_is_reproducible_unlike_fastai() -> None:
    items = list(range(100))
    first, second = (DataBlock().datasets(items).splits for _ in range(2))
    assert first == second == RandomSplitter(seed=0)(items)


def test_the_recipes_split_equals_the_recorded_one() -> None:
    expected = GOLD["v1 split_by_rand_pct(0.2,seed=10) n=128 (seed 001: 103/25)"]
    images = ImageList.from_df(pd.DataFrame({"name": range(128), "label": "a"}), ".")
    train, valid = images.split_by_rand_pct(0.2, seed=10).splitter(images.items)
    assert hashlib.sha256(json.dumps(list(train)).encode()).hexdigest() == expected["sha256_train"]
    assert valid == expected["valid"]


# ------------------------------------------------------------------ vocabularies


@pytest.mark.parametrize(
    ("name", "labels", "options"),
    [
        ("sort=False", ["b", "a", "C"], {"sort": False}),
        ("add_na", ["b", "a"], {"add_na": True}),
        ("ints [3,1,2]", [3, 1, 2], {}),
        ("bools", [True, False], {}),
    ],
)
def test_vocabularies_equal_fastais(name: str, labels: list[object], options: dict[str, bool]) -> None:
    vocab = fitted(labels, **options).classes
    assert list(vocab) == CATEGORIES[name]["items"]
    assert vocab.o2i == CATEGORIES[name]["o2i"]


def test_the_vocabulary_is_sorted_and_has_no_empty_class_unlike_fastai() -> None:
    expected = CATEGORIES["['b','a','C','a10','a2','']"]["items"]
    assert list(fitted(["b", "a", "C", "a10", "a2"]).classes) == expected[1:]
    assert expected[0] == ""
    with pytest.raises(LabelError, match="has no label"):
        fitted(["b", ""])


def test_mixed_strings_and_numbers_are_sorted_as_strings_unlike_fastai() -> None:
    assert CATEGORIES["mixed str/int"].startswith("TypeError")
    assert list(fitted(["b", 1]).classes) == ["1", "b"]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_class_is_an_error_unlike_fastai(missing: object) -> None:
    assert CATEGORIES["strings with None"].startswith("TypeError")
    assert CATEGORIES["floats with nan"]["items"] == ["1.0", "2.0"]
    with pytest.raises(LabelError, match="an image has no label, but a CategoryBlock needs one"):
        fitted(["b", missing, "a"])


def test_the_vocabulary_is_that_of_the_training_set_and_unknown_labels_are_found_at_once() -> None:
    assert GOLD["Categorize vocab comes from the training subset only"] == ["cat", "dog"]
    assert "'ant' was not included" in GOLD["unseen label in valid raises lazily"]
    table = pd.DataFrame({"label": ["cat", "dog", "cat", "dog"], "fname": "a.png"})
    block = DataBlock((ImageBlock, CategoryBlock), get_y=ColReader("label"), splitter=IndexSplitter([2, 3]))
    assert list(block.datasets(table).vocab) == ["cat", "dog"]
    with pytest.raises(DataError, match="row 3: unknown label 'ant'.*; only validation images have this label"):
        block.datasets(table.assign(label=["cat", "dog", "cat", "ant"]))


def test_explicit_vocabularies_keep_their_order() -> None:
    assert list(CategoryBlock(["b", "a"], sort=False).classes) == GOLD["Categorize(vocab=['b','a'],sort=False)"]
    expected = GOLD["MultiCategorize(vocab=['b','a']) keeps order"]
    assert list(MultiCategoryBlock(vocab=["b", "a"]).classes) == expected


# ------------------------------------------------------------------ getters


def test_empty_and_missing_cells_are_empty_lists_unlike_fastai() -> None:
    reader = ColReader("labels", label_delim=" ")
    assert reader({"labels": ""}) == GOLD['ColReader(label_delim) on ""'] == []
    assert GOLD["ColReader(label_delim) on NaN"].startswith("TypeError")
    assert reader({"labels": float("nan")}) == []


def test_a_regular_expression_extracts_the_label_as_in_fastai() -> None:
    labeller = RegexLabeller(r"(.+)_\d+.jpg$")
    assert {name: labeller(name) for name in GOLD["RegexLabeller"]} == GOLD["RegexLabeller"]
    by_name = using_attr(labeller, "name")
    assert by_name(Path("/x/images/Bombay_111.jpg")) == GOLD["using_attr(RegexLabeller)(Path)"]
    assert GOLD["RegexLabeller miss"].startswith("AssertionError")
    with pytest.raises(DataError, match=r"does not match 'x.png'"):
        labeller("x.png")


@pytest.mark.parametrize("pat", ["(", "[a", 3, None])
def test_what_is_no_regular_expression_is_refused_when_the_labeller_is_made(pat: Any) -> None:
    with pytest.raises(InputError, match="`pat` is not a valid regular expression: .*; got "):
        RegexLabeller(pat)


def test_regression_targets_are_encoded_as_in_fastai() -> None:
    expected = GOLD["RegressionSetup"]
    one, several = RegressionBlock(), RegressionBlock()
    assert str(one.encode(one.read(1.5))) == expected["float"].replace("(1.5000)", "([1.5000])"), "with an axis"
    assert one.fit([one.read(1.5)]).n_out == expected["c scalar"]
    assert several.fit([several.read([1, 2])]).n_out == expected["c list"]


def test_one_hot_rows_without_a_vocabulary_are_refused() -> None:
    assert GOLD["MultiCategoryBlock(encoded=True) without vocab"].startswith("TypeError")
    with pytest.raises(InputError, match=r"needs the names of the columns: vocab=\[...\]"):
        MultiCategoryBlock(encoded=True)


# ------------------------------------------------------------------ files


def test_image_files_equal_fastais_but_sorted_and_without_svg(tmp_path: Path) -> None:
    for name in (
        "b.jpg",
        "a.jpg",
        "c.JPG",
        ".hid.jpg",
        "n.txt",
        "z.tiff",
        "w.webp",
        "s.svg",
        ".cache/h.jpg",
        "sub/d.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    recorded = GOLD["get_image_files: names returned (order = filesystem order, unsorted)"]
    files = get_image_files(tmp_path)
    assert {file.name for file in files} == set(recorded) - {"s.svg"}
    assert [str(file) for file in files] == sorted(str(file) for file in files)
    assert recorded != sorted(recorded)
