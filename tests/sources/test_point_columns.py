"""Points read from pairs of columns; blank cells and visibility 0 mean unknown."""

import numpy as np
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.point_columns import find_points, read_points
from eyebright.tasks.points import PointBlock
from eyebright.types import Points
from support.tables import text_table


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["left_eye_x", "left_eye_y", "nose_x", "nose_y"], ["left_eye", "nose"]),
        (["x1", "y1", "x2", "y2"], ["1", "2"]),
        (["x_1", "y_1", "x_2", "y_2"], ["1", "2"]),
        (["1_x", "1_y", "2_x", "2_y"], ["1", "2"]),
        (["kp0_x", "kp0_y"], ["kp0"]),
        (["p1x", "p1y"], ["p1"]),
        (["left eye x", "left eye y"], ["left eye"]),
        (["leftEyeX", "leftEyeY"], ["leftEye"]),
        (["nose.x", "nose.y"], ["nose"]),
        (["x_nose", "y_nose"], ["nose"]),
        (["x", "y"], [""]),
        (["X", "Y"], [""]),
        (["Nose_X", "Nose_Y"], ["Nose"]),
    ],
)
def test_column_names_are_paired_into_points(columns: list[str], names: list[str]) -> None:
    points = find_points(columns)
    assert [point.name for point in points] == names
    assert [column for point in points for column in point.columns] == columns


@pytest.mark.parametrize("columns", [["max"], ["sex", "age"], ["x1", "x2"], ["nose_x", "mouth_y"], ["box", "key"]])
def test_columns_without_a_partner_are_not_points(columns: list[str]) -> None:
    assert find_points(columns) == []


def test_columns_may_be_in_any_order_and_visibilities_belong_to_their_point() -> None:
    points = find_points(["nose_v", "eye_y", "nose_x", "age", "eye_x", "nose_y", "eye_visible"])
    assert {point.name: (point.x, point.y, point.visibility) for point in points} == {
        "nose": ("nose_x", "nose_y", "nose_v"),
        "eye": ("eye_x", "eye_y", "eye_visible"),
    }


def read(columns: dict[str, list[str]]):
    return read_points(text_table(columns), find_points(list(columns)))


def test_coordinates_are_taken_as_they_are_written() -> None:
    found = read({"nose_x": ["10.25", "0"], "nose_y": ["20", "-3.5"], "eye_x": ["1e1", "2"], "eye_y": ["4", "5"]})
    assert found.values.tolist() == [[[10.25, 20], [10, 4]], [[0, -3.5], [2, 5]]]
    assert found.names == ("nose", "eye")
    assert found.messages == ("2 points for each image in 4 columns: 'nose', 'eye'",)


@pytest.mark.parametrize("blank", ["", "nan", "?", "NA", "null"])
def test_blank_and_unknown_cells_are_unknown_points(blank: str) -> None:
    found = read({"x1": ["10", blank], "y1": ["20", blank]})
    assert np.array_equal(found.values, [[[10, 20]], [[np.nan, np.nan]]], equal_nan=True)
    assert found.names == ()
    assert found.messages[-1] == "points that are unknown: 1 of 2"


@pytest.mark.parametrize(
    ("visibility", "known"),
    [
        *((cell, False) for cell in ("0", "0.0", "False", "?")),
        *((cell, True) for cell in ("1", "2", "2.0", "true", "")),
    ],
)
def test_a_visibility_of_0_is_unknown_and_1_and_2_are_known_as_in_coco(visibility: str, known: bool) -> None:
    found = read({"x1": ["10"], "y1": ["20"], "v1": [visibility]})
    assert np.isnan(found.values).all() == (not known)  # pyright: ignore[reportCallIssue]


def test_an_invalid_visibility_is_an_error_with_its_line() -> None:
    with pytest.raises(TableError, match=r"line 3: '0.7' in column 'v1'; a visibility is 0 \(unknown\), 1 or 2"):
        read({"x1": ["1", "2"], "y1": ["1", "2"], "v1": ["1", "0.7"]})


def test_a_point_with_only_one_coordinate_is_an_error_with_its_line() -> None:
    with pytest.raises(TableError, match="line 3: column 'y1' has a coordinate and 'x1' has none; leave both blank"):
        read({"x1": ["1", ""], "y1": ["1", "2"]})
    with pytest.raises(TableError, match="line 2: column 'x1' has a coordinate and 'y1' has none"):
        read({"x1": ["1", ""], "y1": ["", ""]})


def test_a_coordinate_that_is_not_a_number_is_an_error_with_its_line() -> None:
    with pytest.raises(TableError, match="line 3: 'left' in column 'x1'; a number was expected"):
        read({"x1": ["1", "left"], "y1": ["1", "2"]})


def test_names_that_differ_in_case_are_two_points_and_mixed_case_is_one() -> None:
    both = find_points(["nose_x", "nose_y", "Nose_x", "Nose_y", "Nose_v"])
    assert [(point.name, point.x, point.y, point.visibility) for point in both] == [
        ("nose", "nose_x", "nose_y", None),
        ("Nose", "Nose_x", "Nose_y", "Nose_v"),
    ]
    assert [point.columns for point in find_points(["Left_X", "left_y"])] == [["Left_X", "left_y"]]


def test_an_infinite_coordinate_is_an_error_with_its_line() -> None:
    with pytest.raises(TableError, match="line 3: '1e400' in column 'ear_y'"):
        read({"ear_x": ["5", "6"], "ear_y": ["6", "1e400"]})


def test_points_with_numbers_are_in_the_order_of_their_numbers() -> None:
    found = read({"x10": ["7"], "y10": ["8"], **{f"{axis}{i}": [str(i)] for i in range(9, 0, -1) for axis in "yx"}})
    assert found.names == ()
    assert found.values.tolist() == [[*([i, i] for i in range(1, 10)), [7, 8]]]
    assert found.columns[:2] == ("x1", "y1")


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["x0", "y0", "x1", "y1"], ("0", "1")),
        (["x3", "y3", "x1", "y1"], ("1", "3")),
        (["x", "y", "x.1", "y.1"], ("0", "1")),
        (["x2", "y2"], ("2",)),
        (["x01", "y01", "x02", "y02"], ()),
        (["x", "y"], ()),
    ],
)
def test_numbers_that_are_not_those_of_predictions_are_the_names_of_the_points(
    columns: list[str], names: tuple[str, ...]
) -> None:
    assert read({name: ["1"] for name in columns}).names == names


def test_a_table_of_predictions_has_a_point_under_its_own_number() -> None:
    columns = {"x0": ["1", "5"], "y0": ["2", "6"], "x1": ["3", "7"], "y1": ["4", "8"]}
    found = read(columns)
    block = PointBlock.from_columns(found.names).fit([Points.of(found.values[0])])
    again = {name: list(map(str, found.values.reshape(2, -1)[:, i])) for i, name in enumerate(block.table_columns)}
    assert [(point.name, point.x) for point in find_points(list(again))] == [("0", "0_x"), ("1", "1_x")]
    assert np.array_equal(read(again).values, found.values)
    assert block.no_flip_reason, "numbers do not show which points are left and right"


@pytest.mark.parametrize("columns", [["x", "y", "x0", "y0"], ["1_x", "1_y", "x1", "y1"], ["x1", "y1", "x01", "y01"]])
def test_two_points_with_one_number_are_an_error_that_names_their_columns(columns: list[str]) -> None:
    with pytest.raises(InputError, match=f"'{columns[0]}' and '{columns[2]}' are both of point [01]; rename"):
        read({name: ["1"] for name in columns})


def test_another_order_than_that_of_the_columns_is_said() -> None:
    said = "points are in the order of their numbers, which is not that of the columns"
    assert said in read({name: ["1"] for name in ("x2", "y2", "x1", "y1")}).messages
    assert said not in read({name: ["1"] for name in ("x1", "y1", "x2", "y2")}).messages


def test_columns_that_name_no_point_beside_named_ones_are_an_error() -> None:
    with pytest.raises(InputError, match="columns 'x' and 'y' name no point, and others do, such as 'nose_x'; rename"):
        read({name: ["1"] for name in ("x", "y", "nose_x", "nose_y")})
