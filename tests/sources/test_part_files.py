"""The files of the other parts: named by the user, or beside a table whose name says a part."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_json, write_lines, write_text


def tables(root: Path, **rows: str) -> Path:
    """The folder with images and a table of each name; its rows are separated by spaces."""
    images(root, "a.png", "b.png", "c.png", "d.png")
    for name, text in rows.items():
        write_text(root / f"{name}.csv", "file,labels\n" + "\n".join(text.split()) + "\n")
    return root


def test_a_table_that_is_called_train_is_read_with_those_of_the_other_parts_beside_it(tmp_path: Path) -> None:
    root = tables(tmp_path, train="a.png,cat b.png,dog", val="c.png,cat", test="d.png,dog")
    source = read_source(root / "train.csv")
    assert parts(source) == {"a.png": "train", "b.png": "train", "c.png": "valid", "d.png": "test"}
    assert source.messages[-1] == (
        "'train.csv' is read together with 'test.csv', 'val.csv', for the other parts; `split='none'` reads "
        "only 'train.csv'"
    )
    alone = read_source(root / "train.csv", split="none")
    assert (len(alone), alone.part) == (2, None)


def test_a_table_of_another_name_or_with_other_columns_is_not_read_along(tmp_path: Path) -> None:
    root = tables(tmp_path, train="a.png,cat b.png,dog", other_val="c.png,cat")
    write_text(root / "test.csv", "file\nd.png\n")
    source = read_source(root / "train.csv")
    assert (len(source), source.part) == (2, None)
    assert source.messages[-1] == "'test.csv' beside 'train.csv' has different columns, and is not read"


def test_a_table_with_a_column_for_the_parts_is_read_alone(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    for name, row in (("train", "a.png,cat,train\nb.png,dog,valid"), ("test", "c.png,cat,test")):
        write_text(tmp_path / f"{name}.csv", f"file,labels,split\n{row}\n")
    assert parts(read_source(tmp_path / "train.csv")) == {"a.png": "train", "b.png": "valid"}


def test_json_lines_are_read_with_those_of_the_other_parts_too(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    for name, file in (("train", "a.png"), ("valid", "b.png")):
        write_lines(tmp_path / f"{name}.jsonl", [{"file_name": file, "labels": ["cat"]}])
    assert parts(read_source(tmp_path / "train.jsonl")) == {"a.png": "train", "b.png": "valid"}


def test_tables_of_any_name_are_the_parts_that_the_user_says(tmp_path: Path) -> None:
    root = tables(tmp_path, mine="a.png,cat b.png,dog", yours="c.png,cat", theirs="d.png,dog")
    source = read_source(root / "mine.csv", valid=root / "yours.csv", test=str(root / "theirs.csv"))
    assert parts(source) == {"a.png": "train", "b.png": "train", "c.png": "valid", "d.png": "test"}
    assert labels(source) == {"a.png": ["cat"], "b.png": ["dog"], "c.png": ["cat"], "d.png": ["dog"]}


def test_tables_in_other_folders_name_images_from_the_folder_of_all(tmp_path: Path) -> None:
    root = tables(tmp_path / "photos")
    first = write_text(tmp_path / "one" / "labels.csv", "file,labels\na.png,cat\n")
    second = write_text(tmp_path / "two" / "labels.csv", "file,labels\nb.png,dog\n")
    assert parts(read_source(first, images=root, valid=second)) == {"a.png": "train", "b.png": "valid"}


def test_files_of_another_format_are_the_parts_that_the_user_says(tmp_path: Path) -> None:
    root = images(tmp_path, "a.png", "b.png")
    for name, image in (("x", "a.png"), ("y", "b.png")):
        content = {"images": [{"id": 1, "file_name": image}], "categories": [{"id": 1, "name": "cat"}]}
        write_json(root / f"{name}.json", {**content, "annotations": [{"id": 1, "image_id": 1, "category_id": 1}]})
    assert parts(read_source(root / "x.json", valid=root / "y.json")) == {"a.png": "train", "b.png": "valid"}
    tables(tmp_path, z="c.png,cat")
    with pytest.raises(InputError, match="x.json' is COCO and .*z.csv' is a table; give files of one format"):
        read_source(root / "x.json", valid=root / "z.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid": "no.csv"}, "there is no file 'no.csv', which `valid` names"),
        ({"test": "train.csv"}, "train.csv' is named for two parts; leave one out"),
    ],
)
def test_a_file_that_is_missing_or_named_twice_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tables(tmp_path, train="a.png,cat b.png,dog"))
    with pytest.raises(InputError, match=message):
        read_source("train.csv", **options)


def test_a_folder_and_a_file_for_a_part_and_two_splits_are_errors(tmp_path: Path) -> None:
    root = tables(tmp_path, train="a.png,cat", val="b.png,dog")
    with pytest.raises(
        InputError, match="is a folder; with `valid` or `test`, give the file with the labels of the training images"
    ):
        read_source(root, valid=root / "val.csv")
    for name in ("x", "y"):
        write_text(root / f"{name}.csv", "file,labels,split\na.png,cat,train\n")
    with pytest.raises(TableError, match="column 'split' and the names of the files both give the split"):
        read_source(root / "x.csv", valid=root / "y.csv")


def test_an_image_in_two_parts_is_an_error(tmp_path: Path) -> None:
    root = tables(tmp_path, train="a.png,cat b.png,dog", val="a.png,cat")
    with pytest.raises(InputError, match="image 'a.png' is for training and for validation"):
        read_source(root / "train.csv")
