"""The column with the split, in the spellings that tools write; what is no split is said."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import TableError
from eyebright.sources.parts import PART_COLUMNS, part_of
from eyebright.sources.read import read_source
from eyebright.sources.source import Source


def read(folder: Path, column: str, cells: str, **options: Any) -> Source:
    rows = [f"{i}.jpg,{'cat' if i % 2 else 'dog'},{cell}\n" for i, cell in enumerate(cells.split("|"))]
    (folder / "t.csv").write_text(f"file,label,{column}\n" + "".join(rows))
    return read_source(folder / "t.csv", **options)


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("set", "train|train|val"),
        ("Subset", "TRAIN|TRAIN|VALID"),
        ("ml_use", "TRAINING|TRAINING|VALIDATION"),
        ("Usage", "Training|Training|Validation"),
        ("phase", "train|train|dev"),
        ("data split", "train_set|train set|validation-set"),
        ("partition", "trn|trn|eval"),
        ("is_train", "True|True|False"),
        ("is_training", "1|1|0"),
        ("valid", "0|0|1"),
        ("is_val", "no|no|yes"),
        ("validation", "f|f|t"),
        ("valid", "train|train|valid"),
        ("fold", "train|train|valid"),
    ],
)
def test_a_column_that_says_train_and_valid_is_used_and_said(column: str, cells: str, tmp_path: Path) -> None:
    source = read(tmp_path, column, cells)
    assert [row.part for row in source] == ["train", "train", "valid"]
    assert f"column '{column}' gives the split: train 2, valid 1" in source.messages


@pytest.mark.parametrize("column", PART_COLUMNS)
def test_every_known_name_of_a_split_column_is_used(column: str, tmp_path: Path) -> None:
    assert [row.part for row in read(tmp_path, column, "train|valid|test")] == ["train", "valid", "test"]


def test_a_column_is_test_holds_images_out(tmp_path: Path) -> None:
    source = read(tmp_path, "is_test", "0|0|1")
    assert source.split is None
    assert [row.part for row in source] == ["train", "train", "test"]


@pytest.mark.parametrize(
    ("column", "cells"),
    [("set", "a|b|a"), ("valid", "1|1|1"), ("is_train", "1|1|1"), ("phase", "train|train|train"), ("train", "1|0|0")],
)
def test_a_column_that_does_not_say_train_and_valid_is_no_split(column: str, cells: str, tmp_path: Path) -> None:
    source = read(tmp_path, column, cells)
    assert source.part is None
    assert f"not used for training: the columns '{column}'" in source.messages


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("set", "train|valid|vlaid", "line 4: 'vlaid' in column 'set'; train, valid or test was expected"),
        ("valid", "1|1|0", "'valid' seems to mark 2 of 3 images as validation images, more than the 1 for training"),
    ],
)
def test_a_doubtful_split_is_an_error(column: str, cells: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=message):
        read(tmp_path, column, cells)


@pytest.mark.parametrize(("column", "cells"), [("fold", "0|1|0"), ("partition", "0|1|1")])
def test_a_column_with_the_numbers_of_folds_is_said_with_how_to_use_it(column: str, cells: str, tmp_path: Path) -> None:
    source = read(tmp_path, column, cells)
    assert source.part is None
    assert any(
        f"column '{column}' holds numbers ('0', '1') and is not used as a split; `split='{column}'` and `valid_fold` "
        "take one of them for validation" in message
        for message in source.messages
    )
    assert [row.part for row in read(tmp_path, column, cells, split=column, valid_fold=1)] == [
        "valid" if cell == "1" else "train" for cell in cells.split("|")
    ]


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (None, "'0' in column 'fold'; train, valid or test was expected; if it is the number of a fold, `valid_fold`"),
        (3, "there is no fold 3, which `valid_fold` names; column 'fold' has the folds '0', '1'"),
    ],
)
def test_a_column_of_folds_needs_the_one_that_validates(fold: int | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=message):
        read(tmp_path, "fold", "0|1|0", split="fold", valid_fold=fold)


def test_a_column_that_the_user_names_as_the_target_is_no_split(tmp_path: Path) -> None:
    source = read(tmp_path, "phase", "train|val|test", labels="phase")
    assert source.part is None
    assert [row.target for row in source] == ["train", "val", "test"]


@pytest.mark.parametrize("word", ["", "data", "set", "images", "trainer", "cat", "validity"])
def test_other_words_name_no_part(word: str) -> None:
    assert part_of(word) is None


# ------------------------------------------------------------------ 0/1 columns that are not labels


def table(folder: Path, text: str) -> Source:
    (folder / "t.csv").write_text(text.replace(" ", "\n") + "\n")
    return read_source(folder / "t.csv")


def test_0_1_columns_with_properties_of_images_are_not_taken_for_labels_and_said(tmp_path: Path) -> None:
    source = table(tmp_path, "file,cat,dog,is_train,fold,sex 0.jpg,0,1,1,0,1 1.jpg,1,0,1,1,0 2.jpg,0,1,0,1,1")
    assert [row.target for row in source] == ["dog", "cat", "dog"]
    assert [row.part for row in source] == ["train", "train", "valid"]
    said = "0/1 columns that are not taken for labels: 'sex', 'fold'; `labels` names the columns with the labels"
    assert said in source.messages


def test_a_0_1_column_beside_a_column_of_recurring_text_is_an_error_that_lists_both(tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=r"more than one column may hold the labels; there are 'diagnosis' \(text\), 'il"
    ):
        table(tmp_path, "file,diagnosis,ill 0.jpg,nv,1 1.jpg,mel,0 2.jpg,nv,1 3.jpg,mel,1")
    with pytest.raises(TableError, match=r"there are 'diagnosis' \(text\), 'age' \(whole numbers\), 'sex' \(0 and 1\)"):
        table(tmp_path, "file,diagnosis,age,sex 0.jpg,nv,31,1 1.jpg,mel,32,0 2.jpg,nv,35,1 3.jpg,mel,39,1")


def test_a_property_is_the_target_if_there_is_no_other_column(tmp_path: Path) -> None:
    assert [row.target for row in table(tmp_path, "file,sex 0.jpg,f 1.jpg,m")] == ["f", "m"]


def test_the_choice_of_a_label_studio_table_is_the_class(tmp_path: Path) -> None:
    source = table(tmp_path, "annotation_id,annotator,choice,id,image 1,1,Dog,1,0.jpg 2,1,Cat,2,1.jpg")
    assert [row.target for row in source] == ["Dog", "Cat"]
