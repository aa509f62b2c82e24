"""COCO: categories by id, keypoints with flags, and broken files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, write_json


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "info": {"description": "made"},
        "annotations": [
            {"id": 1, "image_id": 20, "category_id": 90, "bbox": [0, 0, 1, 1], "iscrowd": 1},
            {"id": 2, "image_id": 10, "category_id": 90, "bbox": [0, 0, 1, 1]},
            {"id": 3, "image_id": 20, "category_id": 0},
            {"id": 4, "image_id": 20, "category_id": 0},
        ],
        "images": [
            {"id": 10, "file_name": "a.jpg"},
            {"id": 20, "file_name": "b.jpg"},
            {"id": 30, "file_name": "c.jpg"},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 0, "name": "cat"}, {"id": 5, "name": "cow"}],
    } | changes


def read(folder: Path, value: Any, **options: Any) -> Any:
    images(folder, "a.jpg", "b.jpg", "c.jpg")
    return read_source(write_json(folder / "x.json", value), **options)


def test_the_labels_of_an_image_are_the_categories_of_its_annotations_by_id(tmp_path: Path) -> None:
    source = read(tmp_path, coco())
    assert labels(source) == {"a.jpg": ["dog"], "b.jpg": ["cat", "dog"], "c.jpg": []}
    assert source.kind == "multicategory"
    assert source.unused == ("cow",)
    assert "labels that no image has, which cannot be learnt: 'cow'" in source.messages


def test_the_order_of_the_lists_does_not_matter_and_ids_may_be_texts(tmp_path: Path) -> None:
    value = coco()
    for section, keys in (("images", ["id"]), ("categories", ["id"]), ("annotations", ["image_id", "category_id"])):
        value[section] = [one | {key: str(one[key]) for key in keys} for one in value[section]]
    assert labels(read(tmp_path, dict(sorted(value.items())))) == labels(read(tmp_path, coco()))


def test_one_class_for_each_image_is_read_on_demand(tmp_path: Path) -> None:
    each = [{"image_id": image, "category_id": 90 if image == 10 else 0} for image in (10, 20, 30)]
    assert labels(read(tmp_path, coco(annotations=each), kind="class")) == {
        "a.jpg": "dog",
        "b.jpg": "cat",
        "c.jpg": "cat",
    }
    with pytest.raises(TableError, match="needs exactly one label, and 'b.jpg' has 'cat', 'dog'; `kind='labels'`"):
        read(tmp_path, coco(), kind="class")
    with pytest.raises(InputError, match="holds labels of images, which can be read with .*, not with `kind='points'`"):
        read(tmp_path, coco(), kind="points")


def keypoints(*annotations: tuple[int, list[float]]) -> dict[str, Any]:
    return coco(
        annotations=[{"image_id": image, "category_id": 90, "keypoints": points} for image, points in annotations],
        categories=[{"id": 90, "name": "face", "keypoints": ["left_eye", "right_eye"], "skeleton": [[1, 2]]}],
    )


def test_keypoints_are_points_and_those_with_the_flag_0_are_unknown(tmp_path: Path) -> None:
    source = read(tmp_path, keypoints((20, [3, 4, 1, 5.5, 6, 2]), (10, [1, 2, 2, 0, 0, 0])))
    assert (source.kind, source.names, source.mirror) == ("points", ("left_eye", "right_eye"), (1, 0))
    nan = np.nan
    assert np.array_equal(source.targets, [[[1, 2], [nan, nan]], [[3, 4], [5.5, 6]]], equal_nan=True)
    assert dict(source.left_out) == {"c.jpg": "without keypoints"}
    assert labels(read(tmp_path, keypoints((20, [3, 4, 1, 5, 6, 2])), kind="labels")) == {
        "a.jpg": [],
        "b.jpg": ["face"],
        "c.jpg": [],
    }


def test_keypoints_of_several_instances_in_an_image_are_an_error_that_shows_the_other_reading(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several instances in an image, such as 'a.jpg', .* `kind='labels'`"):
        read(tmp_path, keypoints((10, [1, 2, 2, 3, 4, 2]), (10, [1, 2, 2, 3, 4, 2])))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"categories": []}, "has no list 'categories', or it is empty; a COCO file needs it"),
        (
            {"annotations": [{"image_id": 99, "category_id": 90}]},
            "line 6: an annotation names the image 99, which is not in 'images'",
        ),
        (
            {"annotations": [{"image_id": 10, "category_id": 1}]},
            "an annotation names the category 1, which is not in 'categories'",
        ),
        ({"annotations": [{"image_id": 10}]}, "an entry of 'annotations' has no 'category_id'"),
        (
            {"annotations": [{"image_id": [10], "category_id": 90}]},
            "'image_id' of an entry of 'annotations' is no number or string, but",
        ),
        ({"images": [{"id": True, "file_name": "a.jpg"}]}, "'id' of an entry of 'images' is no number .* but True"),
        (
            {"annotations": [{"image_id": 10, "category_id": False}]},
            "'category_id' of an entry of 'annotations' is no number or string, but False",
        ),
        (
            {"annotations": [{"image_id": 9007199254740994.0, "category_id": 90}]},
            "'image_id' of an entry of 'annotations' is 9007199254740994 with decimals, which is not exact",
        ),
        ({"images": [{"id": 1, "file_name": "a.jpg"}] * 2}, "the id 1 of an image occurs twice"),
        ({"images": [{"id": 1, "file_name": 5}]}, "'file_name' must be a string, got 5"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2}]}, "an entry of 'images' has no 'file_name'"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}, 3]}, "'images' must contain objects, got 3"),
        ({"categories": [{"id": 1, "name": "a"}] * 2}, "the id 1 of a category occurs twice"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read(tmp_path, coco(**changes))


def test_broken_keypoints_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="'keypoints' must be three numbers for each point"):
        read(tmp_path, keypoints((10, [1, 2, 2, 3])))
    for points in (17, {"x": 1}, "1 2 2", [1, 2, "2"]):
        with pytest.raises(TableError, match="'keypoints' must be three numbers for each point"):
            read(tmp_path, keypoints((10, points)))
    with pytest.raises(TableError, match="'b.jpg' has more or fewer keypoints than other images"):
        read(tmp_path, keypoints((10, [1, 2, 2, 3, 4, 2]), (20, [1, 2, 2])))


def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = write_json(images(tmp_path, "a.jpg") / "x.json", coco())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match="in the middle of the JSON: it is cut off"):
        read_source(path)


def test_rows_of_one_image_must_agree(tmp_path: Path) -> None:
    value = coco(images=[{"id": 10, "file_name": "a.jpg"}, {"id": 20, "file_name": "./a.jpg"}])
    with pytest.raises(InputError, match=r"image 'a.jpg' is cat;dog here and dog there"):
        read(tmp_path, value)


def test_categories_of_one_name_are_one_label_and_said(tmp_path: Path) -> None:
    names = {"categories": [{"id": 90, "name": "cat"}, {"id": 0, "name": "cat "}, {"id": 5, "name": "cow"}]}
    source = read(tmp_path, coco(**names))
    assert "categories of one name, which are one label: 'cat' (90, 0)" in source.messages


def two_categories(first: list[str], second: list[str], *points: list[float]) -> dict[str, Any]:
    categories = [{"id": 1, "name": "cat", "keypoints": first}, {"id": 2, "name": "dog", "keypoints": second}]
    annotations = [
        {"image_id": image, "category_id": category, "keypoints": xyv}
        for image, category, xyv in zip((10, 20), (1, 2), points, strict=True)
    ]
    return coco(categories=categories, annotations=annotations)


def test_keypoints_that_categories_name_differently_are_matched_by_name(tmp_path: Path) -> None:
    points = [[1, 2, 2, 3, 4, 2], [5, 6, 2, 7, 7.5, 2]]
    source = read(tmp_path, two_categories(["nose", "tail"], ["tail", "nose"], *points), unit="pixels")
    assert source.names == ("nose", "tail")
    assert source.targets.tolist() == [[[1, 2], [3, 4]], [[7, 7.5], [5, 6]]]
    assert (
        "categories whose keypoints have other names, which are matched by name: 'cat (nose, tail)', 'dog (tail, nose)'"
    ) in source.messages
    other = read(tmp_path, two_categories(["nose", "tail"], ["ear", "tail"], *points), unit="pixels")
    assert other.names == ("nose", "tail", "ear")
    assert np.array_equal(
        other.targets, [[[1, 2], [3, 4], [np.nan] * 2], [[np.nan] * 2, [7, 7.5], [5, 6]]], equal_nan=True
    )


def test_keypoints_of_categories_with_the_same_names_or_none_are_matched_by_place(tmp_path: Path) -> None:
    points = [[1, 2, 2, 3, 4, 2], [5, 6, 2, 7, 7.5, 2]]
    for second in (["nose", "tail"], []):
        source = read(tmp_path, two_categories(["nose", "tail"], second, *points), unit="pixels")
        assert source.names == ("nose", "tail")
        assert source.targets.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 7.5]]]
    with pytest.raises(TableError, match="'dog' has two keypoints of one name"):
        read(tmp_path, two_categories(["nose", "tail"], ["ear", "ear"], *points), unit="pixels")
    with pytest.raises(TableError, match="'b.jpg' has more or fewer keypoints than 'dog' has names of keypoints"):
        read(tmp_path, two_categories(["nose", "tail"], ["ear"], *points), unit="pixels")
