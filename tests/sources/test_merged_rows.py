"""Tables with a row for each image and label: rows of an image are merged, and contradictions are not."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import TableError
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from support.label_files import images, labels, parts, write_text

HEADER = "image_id,class_name,x_min,split"


def read(root: Path, *rows: str, header: str = "file,label", **options: Any) -> Source:
    images(root, *(f"{name}.png" for name in "abc"))
    return read_source(write_text(root / "labels.csv", f"{header}\n" + "\n".join(rows) + "\n"), **options)


def test_rows_of_one_image_are_merged_and_said_where_several_images_have_rows_that_differ(tmp_path: Path) -> None:
    rows = [f"{i}.png,{label}" for i in range(5) for label in ("cat", "dog", "cat")]
    source = read(tmp_path, *rows, "b.png,dog")
    assert source.kind == "multicategory"
    assert labels(source) == {**{f"{i}.png": ["cat", "dog"] for i in range(5)}, "b.png": ["dog"]}
    assert "images with rows of different labels: 5 of 6" in source.messages


def test_rows_of_labels_are_merged_if_the_user_asks_for_labels(tmp_path: Path) -> None:
    source = read(tmp_path, "a.png,cat", "b.png,dog", "a.png,dog", "a.png,cat", kind="labels")
    assert labels(source) == {"a.png": ["cat", "dog"], "b.png": ["dog"]}
    with pytest.raises(TableError, match="line 4: image 'a.png' has dog, but on line 2 it has cat"):
        read(tmp_path, "a.png,cat", "b.png,dog", "a.png,dog", "a.png,cat")


def test_names_without_extension_are_one_image_and_a_column_of_labels_is_merged_too(tmp_path: Path) -> None:
    source = read(tmp_path, "a,1", "a.png,2", "b,1", header="file,labels", kind="labels")
    assert labels(source) == {"a.png": ["1", "2"], "b.png": ["1"]}


def test_no_label_adds_nothing_and_an_unknown_one_stays_unknown(tmp_path: Path) -> None:
    source = read(
        tmp_path, "a.png,cat", "a.png,", "b.png,?", "b.png,dog", "c.png,", header="file,labels", kind="labels"
    )
    assert labels(source) == {"a.png": ["cat"], "b.png": ["cat?", "dog"], "c.png": []}


def test_a_class_that_is_unknown_in_a_row_keeps_the_other_labels_unknown(tmp_path: Path) -> None:
    source = read(tmp_path, "a.png,cat", "a.png,dog", "b.png,?", "b.png,dog", "c.png,?", kind="labels")
    assert labels(source) == {"a.png": ["cat", "dog"], "b.png": ["cat?", "dog"], "c.png": ["cat?", "dog?"]}


def test_few_images_with_two_classes_are_a_contradiction_unless_the_user_asks_for_labels(tmp_path: Path) -> None:
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'}" for i in range(30)]
    with pytest.raises(TableError, match=r"line 32: image '3.png' has dog.* `kind='labels'` merges the labels of all"):
        read(tmp_path, *rows, "3.png,dog")
    source = read(tmp_path, *rows, "3.png,dog", kind="labels")
    assert labels(source)["3.png"] == ["cat", "dog"]


def test_one_class_for_each_image_is_never_merged(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="line 3: image 'a.png' has dog, but on line 2 it has cat"):
        read(tmp_path, "a.png,cat", "a.png,dog", kind="class")


def test_an_image_in_two_parts_stays_an_error(tmp_path: Path) -> None:
    rows = ("a,cat,1,train", "a,dog,2,train", "b,cat,3,valid")
    assert parts(read(tmp_path, *rows, header=HEADER, kind="labels")) == {"a.png": "train", "b.png": "valid"}
    with pytest.raises(TableError, match="line 5: image 'a.png' is for training and for validation"):
        read(tmp_path, *rows, "a,cat,4,valid", header=HEADER, kind="labels")


def test_spaces_in_labels_with_a_row_each_are_an_error_that_shows_both_readings(tmp_path: Path) -> None:
    rows = [f"{i}.png,{label}" for i in range(6) for label in ("red car", "dog")]
    with pytest.raises(
        TableError,
        match="line 2: 'red car' in column 'labels', of which an image may have several rows, may be one label, or "
        "'red', 'car'; `delimiter=''` takes each cell for one label, `delimiter=' '` splits them",
    ):
        read(tmp_path, *rows, header="file,labels")
    assert labels(read(tmp_path, *rows, header="file,labels", delimiter=""))["0.png"] == ["dog", "red car"]
    split = read(tmp_path, *rows, header="file,labels", delimiter=" ")
    assert labels(split)["0.png"] == ["car", "dog", "red"]
    assert any("may have several rows, are split at ' ' and merged" in sentence for sentence in split.messages)


def test_cells_whose_words_are_labels_by_themselves_are_split_and_merged(tmp_path: Path) -> None:
    rows = [f"{i}.png,{label}" for i in range(6) for label in ("cat dog", "cat", "dog")]
    assert labels(read(tmp_path, *rows, header="file,labels"))["0.png"] == ["cat", "dog"]
