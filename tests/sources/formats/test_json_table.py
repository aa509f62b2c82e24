"""JSON Lines with an object for each image: keys as columns, parts in folders, broken files."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.formats.json_table import text_table
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_json, write_lines, write_text


def test_lists_are_labels_and_the_rest_are_columns(tmp_path: Path) -> None:
    root = images(tmp_path, "1.jpg", "2.jpg")
    rows = [
        {"file_name": "1.jpg", "labels": ["sofa", "a, b"], "text": "a room"},
        {"file_name": "2.jpg", "labels": [], "text": "another"},
    ]
    source = read_source(write_lines(root / "metadata.jsonl", rows))
    assert labels(source) == {"1.jpg": ["a, b", "sofa"], "2.jpg": []}
    assert source.columns["text"].tolist() == ["a room", "another"]
    assert labels(read_source(write_json(root / "x.json", rows))) == labels(source)  # a list of objects, too


def test_parts_are_folders_and_equal_names_in_them_are_different_images(tmp_path: Path) -> None:
    root = images(tmp_path, "train/1.jpg", "validation/1.jpg", "test/1.jpg")
    for part, given in (("train", ["a"]), ("validation", ["b", "a"]), ("test", [])):
        write_lines(root / part / "metadata.jsonl", [{"file_name": "1.jpg", "labels": given}])
    source = read_source(root, labels="labels")
    assert labels(source) == {"test/1.jpg": [], "train/1.jpg": ["a"], "validation/1.jpg": ["a", "b"]}
    assert parts(source) == {"test/1.jpg": "test", "train/1.jpg": "train", "validation/1.jpg": "valid"}


def test_numbers_flags_and_missing_keys_are_cells(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"image": "1.jpg", "price": 1.5},
        {"image": "2.jpg", "price": None},
        {"image": "3.jpg", "new": True},
    ]
    table = text_table(write_lines(tmp_path / "x.jsonl", rows))
    assert {name: list(column) for name, column in table.columns.items()} == {
        "image": ["1.jpg", "2.jpg", "3.jpg"],
        "price": ["1.5", "", ""],
        "new": ["", "", "1"],
    }
    assert table.lines.tolist() == [1, 2, 3]


def test_an_error_names_the_line(tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.jpg", "price": 1.5 + i} for i in range(9)]
    path = write_lines(tmp_path / "x.jsonl", [*rows, {"file_name": "9.jpg", "price": "much"}])
    with pytest.raises(TableError, match="x.jsonl' line 10: 'much' in column 'price'; a number was expected"):
        read_source(path)
    with pytest.raises(TableError, match="x.jsonl' line 10 is not valid JSON"):
        read_source(write_text(path, path.read_text()[:-5]))


def test_half_a_character_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"file_name": "1.jpg", "labels": "a"}, {"file_name": "\ud800.jpg"}])
    with pytest.raises(TableError, match="line 2: the text of 'file_name' has a broken character"):
        read_source(path)


def test_objects_with_objects_inside_are_of_no_format_that_is_known(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"file_name": "1.jpg", "objects": {"bbox": []}}] * 2)
    with pytest.raises(InputError, match="looks like JSON Lines of objects with the keys 'file_name', 'objects',"):
        read_source(path)
