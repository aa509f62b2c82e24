"""Label Studio: choices, regions and keypoints in its JSON, JSON-MIN and CSV, and broken files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, write_json, write_text


def choice(*names: str, control: str = "tags", kind: str = "choices") -> dict[str, Any]:
    return {"type": kind, "from_name": control, "to_name": "image", "value": {kind: list(names)}}


def task(name: str, *results: list[dict[str, Any]], cancelled: bool = False) -> dict[str, Any]:
    annotations = [{"result": result, "was_cancelled": cancelled} for result in results]
    predictions = [{"result": [choice("guess")]}]
    return {"id": 1, "data": {"image": name}, "annotations": annotations, "predictions": predictions}


def read(folder: Path, tasks: Any, **options: Any) -> Any:
    images(folder, "a.jpg", "b.jpg", "c-d.jpg")
    return read_source(write_json(folder / "x.json", tasks), **options)


def test_the_choices_are_the_labels_and_what_was_not_labelled_is_left_out(tmp_path: Path) -> None:
    tasks = [
        task("/data/upload/1/01234567-a.jpg", [choice("x", "y")]),
        task("/data/upload/1/89abcdef-c-d.jpg", []),
        task("s3://bucket/b.jpg"),
    ]
    source = read(tmp_path, tasks)
    assert labels(source) == {"a.jpg": ["x", "y"], "c-d.jpg": []}
    assert dict(source.left_out) == {"b.jpg": "not labelled yet"}
    assert dict(read(tmp_path, [tasks[0], task("b.jpg", [choice("x")], cancelled=True)]).left_out) == {
        "b.jpg": "skipped"
    }


def test_labels_that_not_all_annotations_of_a_task_have_are_unknown(tmp_path: Path) -> None:
    source = read(tmp_path, [task("a.jpg", [choice("x", "y")], [choice("y", "z")]), task("b.jpg", [choice("z")])])
    assert labels(source) == {"a.jpg": ["x?", "y", "z?"], "b.jpg": ["z"]}
    assert "images whose annotations differ; the labels that not all of them have are unknown: 1" in source.messages


def test_one_choice_for_each_image_is_its_class_unless_labels_are_asked_for(tmp_path: Path) -> None:
    tasks = [task("a.jpg", [choice("x")]), task("b.jpg", [choice("y")])]
    assert labels(read(tmp_path, tasks)) == {"a.jpg": "x", "b.jpg": "y"}
    assert labels(read(tmp_path, tasks, kind="labels")) == {"a.jpg": ["x"], "b.jpg": ["y"]}


def test_the_labels_of_boxes_are_the_labels_of_their_image(tmp_path: Path) -> None:
    boxes = [
        choice("cat", kind="rectanglelabels"),
        choice("cat", kind="rectanglelabels"),
        choice("dog", kind="rectanglelabels"),
    ]
    assert labels(read(tmp_path, [task("a.jpg", boxes)])) == {"a.jpg": ["cat", "dog"]}


def test_results_that_are_no_labels_are_ignored_and_said(tmp_path: Path) -> None:
    text = {"type": "textarea", "from_name": "note", "value": {"text": ["hello"]}}
    stars = {"type": "rating", "from_name": "stars", "value": {"rating": 3}}
    source = read(tmp_path, [task("a.jpg", [choice("x", "y"), text, stars]), task("b.jpg", [stars])])
    assert labels(source) == {"a.jpg": ["x", "y"], "b.jpg": []}
    assert "results that are not labels, which are ignored: 3 ('textarea', 'rating')" in source.messages
    with pytest.raises(InputError, match="has no label on any of its 1 images"):
        read(tmp_path, [task("a.jpg", [text])])


def number(value: Any, control: str = "age", kind: str = "number") -> dict[str, Any]:
    return {"type": kind, "from_name": control, "to_name": "image", "value": {kind: value}}


def test_numbers_and_ratings_are_numbers_where_nothing_else_was_labelled(tmp_path: Path) -> None:
    text = {"type": "textarea", "from_name": "note", "value": {"text": ["hello"]}}
    both = [number(2.5), number(4, "stars", "rating"), text]
    source = read(tmp_path, [task("a.jpg", both), task("b.jpg", [number(-1)]), task("c-d.jpg", [])])
    assert (source.kind, source.names) == ("regression", ("age", "stars"))
    np.testing.assert_array_equal(source.targets, [[2.5, 4], [-1, np.nan]])
    assert dict(source.left_out) == {"c-d.jpg": "without a number"}
    assert source.messages[1:3] == ("numbers of each of 2 images: 'age', 'stars'", "numbers that are unknown: 1 of 4")
    assert source.messages[-1] == "results that are not numbers, which are ignored: 1 ('textarea')"


def test_numbers_beside_labels_are_read_if_they_are_asked_for(tmp_path: Path) -> None:
    tasks = [task("a.jpg", [choice("x"), number(3)]), task("b.jpg", [choice("y"), number(4)])]
    assert read(tmp_path, tasks).kind == "category"
    for options in ({"labels": "age"}, {"kind": "numbers"}):
        np.testing.assert_array_equal(read(tmp_path, tasks, **options).targets, [[3], [4]])
    with pytest.raises(InputError, match="has labels and numbers in 'tags', 'age'; name either some of 'tags' or some"):
        read(tmp_path, tasks, labels="tags,age")


def test_ratings_are_ordered_classes_if_they_are_asked_for(tmp_path: Path) -> None:
    tasks = [task(name, [number(stars, "stars", "rating")]) for name, stars in (("a.jpg", 3), ("b.jpg", 5))]
    source = read(tmp_path, tasks, kind="ratings")
    assert (source.kind, labels(source)) == ("ordinal", {"a.jpg": "3", "b.jpg": "5"})
    assert not any("ignored" in message for message in source.messages)


def test_a_number_on_which_annotations_differ_is_unknown(tmp_path: Path) -> None:
    tasks = [task("a.jpg", [number(3), number(1, "b")], [number(4), number(1, "b")]), task("b.jpg", [number(4)])]
    source = read(tmp_path, tasks)
    np.testing.assert_array_equal(source.targets, [[np.nan, 1], [4, np.nan]])
    assert "numbers on which annotations differ, which are unknown: 1" in source.messages


@pytest.mark.parametrize("value", ["3", True, None, [3], 1e300])
def test_an_image_with_what_is_no_number_is_left_out(value: Any, tmp_path: Path) -> None:
    source = read(tmp_path, [task("a.jpg", [number(3)]), task("b.jpg", [number(value)])])
    assert source.left_out == {"b.jpg": "without a number"}
    np.testing.assert_array_equal(source.targets, [[3]])


def test_a_number_of_json_min_is_read_if_it_is_named(tmp_path: Path) -> None:
    tasks = [
        {"image": f"{name}.jpg", "stars": stars, "id": 1, "annotator": 1, "annotation_id": 1, "lead_time": 3.5}
        for name, stars in (("a", 2), ("b", 5))
    ]
    np.testing.assert_array_equal(read(tmp_path, tasks, labels="stars").targets, [[2], [5]])


def test_a_path_of_a_taxonomy_is_a_label(tmp_path: Path) -> None:
    taxonomy = {"type": "taxonomy", "from_name": "tree", "value": {"taxonomy": [["animal", "cat"], ["plant"]]}}
    assert labels(read(tmp_path, [task("a.jpg", [taxonomy])])) == {"a.jpg": ["animal/cat", "plant"]}


def test_labels_of_several_controls_are_an_error_until_one_is_named(tmp_path: Path) -> None:
    tasks = [task("a.jpg", [choice("x"), choice("bright", "warm", control="light")])]
    with pytest.raises(InputError, match="labels of the controls 'light', 'tags'; name those that hold them with `lab"):
        read(tmp_path, tasks)
    assert labels(read(tmp_path, tasks, labels="light")) == {"a.jpg": ["bright", "warm"]}
    with pytest.raises(InputError, match="has no control 'colour'; there are 'light', 'tags'"):
        read(tmp_path, tasks, labels="colour")


def test_two_images_in_a_task_are_an_error_until_one_is_named(tmp_path: Path) -> None:
    one = task("a.jpg", [choice("x", "y")])
    one["data"]["other"] = "b.jpg"
    with pytest.raises(TableError, match="line 2: 'image', 'other' name images; `files` specifies the key"):
        read(tmp_path, [one])
    assert labels(read(tmp_path, [one], files="other")) == {"b.jpg": ["x", "y"]}
    with pytest.raises(TableError, match="no name of an image is among the keys 'text'"):
        read(tmp_path, [{"data": {"text": "hello"}, "annotations": []}])


def point(name: str, x: float, y: float, **changes: Any) -> dict[str, Any]:
    region = choice(name, kind="keypointlabels") | {"original_width": 200, "original_height": 50}
    region["value"] |= {"x": x, "y": y, "width": 0.5}
    return region | changes


def test_keypoints_in_percent_are_points_in_pixels_and_missing_ones_are_unknown(tmp_path: Path) -> None:
    tasks = [
        task("a.jpg", [point("nose", 50, 10), point("tail", 0, 100)]),
        task("b.jpg", [point("tail", 25, 50)]),
        task("c-d.jpg", []),
    ]
    source = read(tmp_path, tasks, unit="pixels")
    assert source.names == ("nose", "tail")
    assert np.array_equal(source.targets, [[[100, 5], [0, 50]], [[np.nan, np.nan], [50, 25]]], equal_nan=True)
    assert dict(source.left_out) == {"c-d.jpg": "without keypoints"}


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([[point("nose", 1, 2), point("nose", 3, 4)]], "line 2: 'a.jpg' has 'nose' twice; a point has one place"),
        ([[point("nose", 1, 2)], [point("nose", 3, 4)]], "'a.jpg' has the points of 2 annotations; keep one"),
        ([[point("nose", 1, 2, original_width=None)]], "a keypoint needs 'x' and 'y' in percent, and 'original_width'"),
    ],
)
def test_keypoints_that_do_not_say_one_place_are_an_error(results: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read(tmp_path, [task("a.jpg", *results)])


MIN = {"annotation_id": 1, "annotator": 1, "created_at": "2026", "updated_at": "2026", "lead_time": 1.5, "id": 7}


def test_json_min_has_a_key_for_each_control(tmp_path: Path) -> None:
    tasks = [
        MIN | {"image": "/data/upload/1/01234567-a.jpg", "tags": {"choices": ["x", "y"]}},
        MIN | {"image": "b.jpg", "tags": "y"},
        MIN | {"image": "c-d.jpg"},
    ]
    assert labels(read(tmp_path, tasks)) == {"a.jpg": ["x", "y"], "b.jpg": ["y"], "c-d.jpg": []}
    boxes = [
        MIN | {"image": "a.jpg", "box": [{"x": 1, "rectanglelabels": ["cat"]}, {"x": 2, "rectanglelabels": ["dog"]}]}
    ]
    assert labels(read(tmp_path, boxes)) == {"a.jpg": ["cat", "dog"]}


def test_csv_has_a_column_for_each_control(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    text = (
        "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at\n"
        '1,1,"{""choices"": [""x"", ""y""]}",2026,1,/data/upload/1/01234567-a.jpg,1,2026\n'
        "2,1,y,2026,2,b.jpg,1,2026\n"
    )
    assert labels(read_source(write_text(tmp_path / "x.csv", text))) == {"a.jpg": ["x", "y"], "b.jpg": ["y"]}


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([task("a.jpg", [choice("x", "y")]), 5], "line .*: a list of tasks was expected, each an object"),
        ([task("a.jpg", [choice("x", "y")]), {"data": {"image": "b.jpg"}}], "a task has no 'data' or no 'annotations'"),
        ([task("a.jpg", [choice("x", "y")]), task("b.jpg", "x")], "the 'result' of an annotation is a list of obj"),
        ([task("a.jpg", [choice("x", "")])], "a label has no name; give it one, or remove it"),
        ([task("a.jpg", [choice("x", "\ud800")])], "has a broken character; write it again as UTF-8"),
        ([{"data": {"image": "b.jpg"}, "annotations": [3]}], "'annotations' is a list of objects"),
    ],
)
def test_a_broken_task_is_an_error_with_its_line(tasks: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read(tmp_path, tasks)


def test_a_file_in_which_nothing_is_labelled_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no image with labels; images that are left out, not labelled yet: 1"):
        read(tmp_path, [task("a.jpg")])
