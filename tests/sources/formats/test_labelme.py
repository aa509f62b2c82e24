"""LabelMe: shapes or flags as labels, points, and broken files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, write_json, write_text


def shape(label: str, x: float = 1.0, y: float = 2.0, kind: str = "rectangle") -> dict[str, Any]:
    return {"label": label, "points": [[x, y], [x + 1, y + 1]][: 1 if kind == "point" else 2], "shape_type": kind}


def labelme(root: Path, **files: dict[str, Any]) -> Path:
    for name, content in files.items():
        images(root, f"{name}.jpg")
        write_json(
            root / f"{name}.json", {"flags": {}, "shapes": [], "imagePath": f"{name}.jpg", "imageData": "x"} | content
        )
    return root


def test_the_labels_of_shapes_are_the_labels_of_their_image(tmp_path: Path) -> None:
    root = labelme(tmp_path, a={"shapes": [shape("cup"), shape("cup"), shape("pen")]}, b={})
    source = read_source(root)
    assert labels(source) == {"a.jpg": ["cup", "pen"], "b.jpg": []}
    assert source.messages[0] == f"'{root}' is read as LabelMe"


def test_flags_are_labels_and_those_that_are_never_true_are_unused(tmp_path: Path) -> None:
    flags = {"__ignore__": False, "cat": True, "dog": True}
    root = labelme(tmp_path, a={"flags": flags}, b={"flags": flags | {"cat": False, "dog": False}})
    source = read_source(root)
    assert labels(source) == {"a.jpg": ["cat", "dog"], "b.jpg": []}
    assert source.unused == ("__ignore__",)
    labelme(tmp_path, b={"flags": flags | {"__ignore__": True}})
    assert dict(read_source(root).left_out) == {"b.jpg": "marked __ignore__"}


def test_flags_and_shapes_are_two_readings_until_one_is_named(tmp_path: Path) -> None:
    root = labelme(tmp_path, a={"flags": {"cat": True, "old": True}, "shapes": [shape("cup")]})
    with pytest.raises(InputError, match="`labels='flags'` reads the flags, `labels='shapes'` the shapes"):
        read_source(root)
    assert labels(read_source(root, labels="flags")) == {"a.jpg": ["cat", "old"]}
    assert labels(read_source(root, labels="shapes")) == {"a.jpg": ["cup"]}
    with pytest.raises(InputError, match="`labels` of LabelMe is 'flags' or 'shapes'"):
        read_source(root, labels="cup")


def test_single_points_with_a_label_each_are_points(tmp_path: Path) -> None:
    nose, tail = shape("nose", 1.5, 2, "point"), shape("tail", 3, 4, "point")
    root = labelme(tmp_path, a={"shapes": [nose, tail]}, b={"shapes": [tail]}, c={})
    source = read_source(root, unit="pixels")
    assert (source.kind, source.names) == ("points", ("nose", "tail"))
    assert np.array_equal(source.targets, [[[1.5, 2], [3, 4]], [[np.nan, np.nan], [3, 4]]], equal_nan=True)
    assert dict(source.left_out) == {"c.jpg": "without points"}
    assert labels(read_source(root, kind="labels")) == {"a.jpg": ["nose", "tail"], "b.jpg": ["tail"], "c.jpg": []}


def test_files_in_a_folder_of_their_own_name_their_image_relative_to_themselves(tmp_path: Path) -> None:
    root = images(tmp_path, "photos/a.jpg", "photos/b.jpg")
    for name in "ab":
        content = {"flags": {}, "shapes": [shape("cup")], "imagePath": f"..\\photos\\{name}.jpg"}
        write_json(root / "json" / f"{name}.json", content)
    assert labels(read_source(root)) == {"photos/a.jpg": ["cup"], "photos/b.jpg": ["cup"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"shapes": [], "imagePath": "a.jpg",', r"a.json' is not valid JSON at line 1 .*; is the file cut off"),
        (
            '{"shapes": [{"points": [[1, 2]]}], "imagePath": "a.jpg"}',
            "a shape has no label, or points that are not numb",
        ),
        ('{"shapes": [{"label": "x", "points": [["a", 2]]}], "imagePath": "a.jpg"}', "a shape has no label, or points"),
        ('{"shapes": 1.5, "imagePath": "a.jpg"}', "'shapes' is a list; save it again"),
        ('{"shapes": [], "imagePath": 5}', "'imagePath' must be a string and 'flags' an object"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(content: str, said: str, tmp_path: Path) -> None:
    root = labelme(tmp_path, a={}, b={"shapes": [shape("cup")]})
    write_text(root / "a.json", content)
    with pytest.raises(TableError, match=said):
        read_source(root)


def test_images_without_a_file_are_left_out_and_said(tmp_path: Path) -> None:
    root = labelme(tmp_path, a={"shapes": [shape("cup")]}, b={"shapes": [shape("pen")]})
    (root / "b.json").unlink()
    assert dict(read_source(root).left_out) == {"b.jpg": "without a JSON file"}
    points = labelme(tmp_path / "points", a={"shapes": [shape("nose", kind="point")]}, b={})
    images(points, "c.jpg")
    assert dict(read_source(points).left_out) == {"b.jpg": "without points", "c.jpg": "without a JSON file"}


def test_flags_that_are_not_used_may_be_anything(tmp_path: Path) -> None:
    flags = {"weather": "sunny", "shots": [1, 2]}
    root = labelme(tmp_path, a={"flags": flags, "shapes": [shape("cup")]}, b={"flags": flags | {"__ignore__": True}})
    assert labels(read_source(root, labels="shapes")) == {"a.jpg": ["cup"]}


@pytest.mark.parametrize("content", ["", '{"flags": {}, "sha', "[]", '{"a": 1}'])
def test_a_damaged_file_of_an_image_is_an_error_and_the_image_is_not_lost(content: str, tmp_path: Path) -> None:
    root = labelme(tmp_path, a={"shapes": [shape("cup")]}, b={"shapes": [shape("pen")]})
    write_text(root / "b.json", content)
    with pytest.raises(TableError, match="b.json' holds no annotation of LabelMe, as the other files do"):
        read_source(root)


def test_flags_that_are_written_as_text_mean_what_they_say(tmp_path: Path) -> None:
    flags = {"cat": "false", "dog": "True", "fox": "0", "elk": 1, "cow": None}
    root = labelme(tmp_path, a={"flags": flags}, b={"flags": {"__ignore__": "false", "cat": True}})
    assert labels(read_source(root)) == {"a.jpg": ["dog", "elk"], "b.jpg": ["cat"]}


@pytest.mark.parametrize("value", ["no", "maybe", 2, ["cat"]])
def test_a_flag_that_is_neither_true_nor_false_is_an_error(value: Any, tmp_path: Path) -> None:
    root = labelme(tmp_path, a={"flags": {"cat": value}}, b={"flags": {"cat": True}})
    with pytest.raises(TableError, match="a.json': flag 'cat' is .*; a flag is true or false: correct it"):
        read_source(root)
