"""Values that may stand for unknown have a message with a count, whatever the format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from eyebright.sources.placeholder_numbers import placeholder_numbers
from eyebright.sources.placeholders import with_placeholder_messages
from eyebright.sources.read import read_source
from eyebright.sources.registry import format_named
from eyebright.sources.source import Source

NAMES = ["a.png", "b.png", "c.png"]


def images(root: Path, names: list[str] = NAMES) -> None:
    for name in names:
        PIL.Image.new("RGB", (64, 64)).save(root / name)


def hints(source: Any) -> list[str]:
    return [message for message in source.messages if "some files put unknown ones" in message]


def table(root: Path, rows: list[str], header: str = "file,ear_x,ear_y,nose_x,nose_y") -> Path:
    images(root)
    (root / "labels.csv").write_text("\n".join([header, *rows]))
    return root / "labels.csv"


@pytest.mark.parametrize("place", ["0", "-1"])
def test_points_in_the_corner_of_a_table_have_a_message_with_their_count(place: str, tmp_path: Path) -> None:
    both, one = f"{place},{place},{place},{place}", f"{place},{place},30,40"
    path = table(tmp_path, [f"a.png,{both}", f"b.png,{one}", "c.png,5,6,31,42"])
    assert hints(read_source(path)) == [
        f"points at ({place}, {place}), where some files put unknown ones: 3 of 6, in 2 images ('ear', 'nose'); where "
        "they are unknown, leave the cells blank"
    ]


def test_one_point_in_the_corner_has_none(tmp_path: Path) -> None:
    path = table(tmp_path, ["a.png,0,0,30,40", "b.png,0,6,31,41", "c.png,,,32,42"])
    assert hints(read_source(path)) == []


@pytest.mark.parametrize("place", [0, -1])
def test_the_place_in_a_pts_file_is_that_before_the_shift(place: int, tmp_path: Path) -> None:
    images(tmp_path)
    for name in NAMES:
        first = "20 30" if name == "c.png" else f"{place} {place}"
        (tmp_path / name).with_suffix(".pts").write_text(f"n_points: 2\n{{\n{first}\n40 50\n}}\n")
    assert hints(read_source(tmp_path)) == [
        f"points at ({place}, {place}), where some files put unknown ones: 2 of 6, in 2 images ('point 1'); where they "
        "are unknown, write 'nan nan' on their lines"
    ]


def test_nan_in_a_pts_file_is_an_unknown_point(tmp_path: Path) -> None:
    images(tmp_path, ["a.png"])
    (tmp_path / "a.pts").write_text("n_points: 2\n{\nNaN nan\n40 50\n}\n")
    source = read_source(tmp_path)
    assert np.array_equal(source.targets, [[[np.nan, np.nan], [39.5, 49.5]]], equal_nan=True)
    assert "points that are unknown: 1 of 2" in source.messages


def test_visible_keypoints_of_coco_in_the_corner_have_a_message(tmp_path: Path) -> None:
    images(tmp_path)
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(NAMES)],
        "categories": [{"id": 1, "name": "cat", "keypoints": ["ear", "nose"]}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "keypoints": [-1, -1, 2, 30 + i, 40, 2]} for i in range(3)
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    (message,) = hints(read_source(tmp_path / "coco.json"))
    assert message.startswith(
        "points at (-1, -1), where some files put unknown ones: 3 of 6, in 3 images ('ear'); where"
    )
    assert message.endswith("3 of 6, in 3 images ('ear'); where they are unknown, give them the visibility 0")


def test_points_of_labelme_in_the_corner_have_a_message(tmp_path: Path) -> None:
    images(tmp_path)
    for i, name in enumerate(NAMES):
        shapes = [
            {"label": label, "shape_type": "point", "points": [place]}
            for label, place in (("ear", [0, 0]), ("nose", [30, 40 + i]))
        ]
        content = {"imagePath": name, "shapes": shapes, "flags": {}}
        (tmp_path / name).with_suffix(".json").write_text(json.dumps(content))
    (message,) = hints(read_source(tmp_path))
    assert message.endswith("3 of 6, in 3 images ('ear'); where they are unknown, leave them out")


def test_points_of_cvat_in_the_corner_have_a_message(tmp_path: Path) -> None:
    images(tmp_path)
    entries = [
        f'<image id="{i}" name="{name}" width="64" height="64"><points label="ear" points="0.0,0.0"/>'
        f'<points label="nose" points="{30 + i},40"/></image>'
        for i, name in enumerate(NAMES)
    ]
    (tmp_path / "cvat.xml").write_text(f"<annotations>{''.join(entries)}</annotations>")
    (message,) = hints(read_source(tmp_path / "cvat.xml"))
    assert message.endswith("3 of 6, in 3 images ('ear'); where they are unknown, leave them out")


def test_points_of_label_studio_in_the_corner_have_a_message(tmp_path: Path) -> None:
    images(tmp_path)
    common = {"type": "keypointlabels", "from_name": "k", "to_name": "image", "original_width": 64}
    tasks = [
        {
            "data": {"image": name},
            "annotations": [
                {
                    "result": [
                        {**common, "original_height": 64, "value": {"x": x, "y": x, "keypointlabels": [label]}}
                        for label, x in (("ear", 0), ("nose", 40 + i))
                    ]
                }
            ],
        }
        for i, name in enumerate(NAMES)
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    (message,) = hints(read_source(tmp_path / "tasks.json"))
    assert message.endswith("3 of 6, in 3 images ('ear'); where they are unknown, leave them out")


def test_images_with_fractions_beside_images_with_pixels_have_a_message(tmp_path: Path) -> None:
    path = table(tmp_path, ["a.png,20,30,40,50", "b.png,0.25,0.5,0.75,1", "c.png,21,31,41,51"])
    assert (
        "images whose points are all between 0 and 1, as fractions of an image are, while those of others are not: "
        "1 of 3 (such as 'b.png' with (0.25, 0.5)); write all points in one unit"
    ) in read_source(path).messages


@pytest.mark.parametrize("row", ["b.png,0.25,0.5,7,1", "b.png,0,0,1,1", "b.png,,,,"])
def test_images_with_a_point_in_the_first_pixel_have_none(row: str, tmp_path: Path) -> None:
    path = table(tmp_path, ["a.png,20,30,40,50", row, "c.png,21,31,41,51"])
    assert not any("between 0 and 1" in message for message in read_source(path).messages)


def number_hints(root: Path, prices: list[float | str]) -> list[str]:
    names = [f"{i}.png" for i in range(len(prices))]
    images(root, names)
    rows = [f"{name},{price}" for name, price in zip(names, prices, strict=True)]
    (root / "prices.csv").write_text("\n".join(["file,price", *rows]))
    source = read_source(root / "prices.csv", kind="numbers", labels="price")
    return [message for message in source.messages if "apart from the others" in message]


PRICES = [3.0, 12.5, 250.0, 18.0, 90.0, 40.0, 7.5, 120.0, 33.0, 55.0, 71.0, 160.0]


@pytest.mark.parametrize("number", [-999, -9999, -1, 9999, 99999, 1e30])
def test_a_repeated_number_apart_from_the_others_has_a_message(number: float, tmp_path: Path) -> None:
    assert number_hints(tmp_path, [number, *PRICES, number, "", number]) == [
        f"number 'price' is {number:g} in 3 of 16 images, apart from the others (3 to 250); where numbers are unknown, "
        "leave the cells blank"
    ]


def test_two_such_numbers_and_an_outlier_do_not_hide_each_other(tmp_path: Path) -> None:
    messages = number_hints(tmp_path, [-9999, -9999, -999, -999, *PRICES, 1e6])
    assert [message.split(", ")[0] for message in messages] == [
        "number 'price' is -9999 in 2 of 17 images",
        "number 'price' is -999 in 2 of 17 images",
    ]


@pytest.mark.parametrize(
    "prices",
    [
        [0, 0, 0, 101, 102, 103, 104, 105, 106, 107, 108, 109.5],  # 0 may be a count
        [*PRICES, -999],  # a single one is an outlier, which `check` finds
        [1, 2, 3.5, 1000, 1000],  # too few to have a range
        [0, 0.5, 1, 0, 1, -1, 0, -1, 0, 1, 0.5, 1],  # one of a few grades
        [-1, -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8.5, 9, 10],  # the end of their range
        [-1, -1, *range(1, 12), 12.5],
        [-1, -1, -1, 0, 0, *range(1, 12), 12.5],
        [5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 1597, 0.5],  # skewed
    ],
)
def test_numbers_that_may_be_measured_have_none(prices: list[float | str], tmp_path: Path) -> None:
    assert number_hints(tmp_path, prices) == []


@pytest.mark.parametrize("others", [[0.0] * 80 + [1, 2, 3, 4, 5] * 2, [0.0] * 90 + [1.0] * 10])
def test_counts_that_are_mostly_zero_have_a_message_for_minus_nines_only(others: list[float]) -> None:
    assert placeholder_numbers(np.array([*others, -999, -999])) == [-999]
    assert placeholder_numbers(np.array([*others, 50, 50])) == []


def test_numbers_without_names_are_named_by_their_place() -> None:
    values = np.array([[float(number), -999.0 if number < 3 else number] for number in range(20)])
    files = np.array([f"{i}.png" for i in range(20)], dtype=np.dtypes.StringDType())
    source = with_placeholder_messages(Source("numbers", Path(), files, values), format_named("table"))
    assert source.messages[0].startswith("number '2' is -999 in 3 of 20 images, apart from the others (3 to 19)")
