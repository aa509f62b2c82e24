"""`reading`: what was understood of the data, as data for JSON."""

import json
from pathlib import Path

import pytest

from eyebright.check.reading import KINDS, reading
from eyebright.sources.read import read_source
from eyebright.tasks.registry import TARGET_BLOCKS
from support.label_files import images, write_json, write_text


def test_every_kind_of_target_has_a_word() -> None:
    assert {block.task_type for block in TARGET_BLOCKS.values()} == set(KINDS)


def test_labels_with_unknown_cells_parts_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(images(tmp_path, "data/a.jpg", "data/b.jpg", "data/c.jpg"))
    write_text(
        Path("data/t.csv"), "file,cat,dog,split,patient\na.jpg,1,?,train,p1\nb.jpg,1,1,valid,p1\nc.jpg,0,0,test,p2\n"
    )
    found = reading(read_source("data/t.csv"))
    assert json.loads(json.dumps(found)) == found
    assert {key: found[key] for key in found if key not in ("messages", "block")} == {
        "kind": "multi",
        "classes": ["cat", "dog"],
        "count": 3,
        "split": {"train": 1, "valid": 1, "test": 1},
        "unknown": 1,
        "rows": {"data/a.jpg": ["cat"], "data/b.jpg": ["cat", "dog"], "data/c.jpg": []},
        "unknown_cells": {"data/a.jpg": ["dog"]},
        "split_of": {"data/a.jpg": "train", "data/b.jpg": "valid", "data/c.jpg": "test"},
        "groups": {"data/a.jpg": "p1", "data/b.jpg": "p1", "data/c.jpg": "p2"},
        "left_out": {},
        "unused": [],
    }


def test_classes_without_a_split_have_no_parts(tmp_path: Path) -> None:
    found = reading(read_source(images(tmp_path, "cat/a.jpg", "dog/b.jpg")))
    assert (found["kind"], found["classes"], found["split"]) == ("single", ["cat", "dog"], None)
    assert found["rows"] == {f"{tmp_path}/cat/a.jpg": ["cat"], f"{tmp_path}/dog/b.jpg": ["dog"]}


def test_points_and_numbers_have_names_and_null_where_they_are_unknown(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    text = "file,left_eye_x,left_eye_y,right_eye_x,right_eye_y\na.jpg,1,2.5,3,4\nb.jpg,,,5,6\n"
    found = reading(read_source(write_text(tmp_path / "t.csv", text)))
    assert (found["kind"], found["points"], found["pairs"]) == ("points", ["left_eye", "right_eye"], [[0, 1]])
    assert (found["unknown"], list(found["rows"].values())) == (1, [[[1, 2.5], [3, 4]], [None, [5, 6]]])
    found = reading(read_source(write_text(tmp_path / "t.csv", "file,height,weight\na.jpg,1.5,\nb.jpg,2,3.5\n")))
    assert (found["kind"], found["numbers"]) == ("numbers", ["height", "weight"])
    assert (found["unknown"], list(found["rows"].values())) == (1, [[1.5, None], [2, 3.5]])


def test_what_is_left_out_and_what_no_image_has_is_there(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    value = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2]}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    path = write_json(tmp_path / "x.json", value)
    assert reading(read_source(path))["left_out"] == {f"{tmp_path}/b.jpg": "without keypoints"}
    assert reading(read_source(path, kind="labels"))["unused"] == ["dog"]
