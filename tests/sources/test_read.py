"""`read_source`: tables and folders of every kind, and invalid combinations of options."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.task_types import TARGET_FUNCTIONS, parse_kind
from eyebright.tasks.registry import TARGET_BLOCKS

COLUMNS: dict[str, tuple[str, str]] = {
    "labels": ("tags", "a b|b||c"),
    "classes": ("breed", "pug|boxer|pug|boxer"),
    "points": ("nose_x,nose_y", "1,2|3,4|,|5,6"),
    "numbers": ("price", "1|2.5||-4"),
}
"""A table of each task type: its header without the file, and the cells of its rows."""


def table(folder: Path, header: str, *rows: str) -> Path:
    (folder / "t.csv").write_text(
        "\n".join([f"file,{header}", *(f"{i}.jpg,{row}" for i, row in enumerate(rows))]) + "\n"
    )
    return folder / "t.csv"


@pytest.mark.parametrize("name", TARGET_BLOCKS)
def test_every_kind_of_target_is_read_from_columns(name: str, tmp_path: Path) -> None:
    block = TARGET_BLOCKS[name]
    header, rows = ("rating", "4|5|1|4") if block.also_called == "ratings" else COLUMNS[block.task_type]
    source = read_source(table(tmp_path, header, *rows.split("|")), kind=name)
    assert source.kind == name
    made = source.block()
    assert isinstance(made, block)
    values = [made.read(row.target) for row in source]
    fitted = made.fit(values)
    assert [fitted.encode(value) is not None for value in values] == [True] * 4


def test_every_kind_of_block_has_target_functions() -> None:
    assert {block.task_type for block in TARGET_BLOCKS.values()} == set(TARGET_FUNCTIONS)


@pytest.mark.parametrize("name", [name for name in TARGET_BLOCKS if name != "ordinal"])
def test_the_kind_is_detected_if_it_is_not_given(name: str, tmp_path: Path) -> None:
    header, rows = COLUMNS[TARGET_BLOCKS[name].task_type]
    assert read_source(table(tmp_path, header, *rows.split("|"))).kind == name


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("labels", "multicategory"),
        ("class", "category"),
        ("ratings", "ordinal"),
        ("points", "points"),
        ("numbers", "regression"),
        ("regression", "regression"),
    ],
)
def test_a_kind_can_be_given_as_a_word_or_as_the_name_of_a_block(word: str, name: str) -> None:
    assert parse_kind(word) == (name, TARGET_BLOCKS[name].task_type)


def test_an_unknown_kind_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown `kind='number'`. Did you mean 'numbers'\? Known: .*'ratings'"):
        read_source(table(tmp_path, "price", "1", "2"), kind="number")


# ------------------------------------------------------------------ which reading


@pytest.mark.parametrize(
    ("header", "rows", "options", "kind"),
    [
        ("price", ["1.5", "2"], {}, "regression"),
        ("price", ["1", "2"], {}, "category"),
        ("price", ["1", "2"], {"kind": "numbers"}, "regression"),
        ("price", ["1.5", "2.5"], {"kind": "class"}, "category"),
        ("price", ["1.5", "2.5"], {"delimiter": ""}, "category"),
        ("price,sex", ["1.5,f", "2,m"], {"labels": "price"}, "regression"),
        ("price,sex", ["1.5,f", "2,m"], {"labels": ["sex"]}, "category"),
        ("age,price", ["33,100", "44,200"], {"labels": ["age", "price"]}, "regression"),
        ("steering,throttle", ["-0.5,0.25", "0.5,1"], {}, "regression"),
        ("label,x1,y1,x2,y2", ["cat,1,2,3,4", "dog,1,2,3,4"], {}, "category"),
        ("label,x1,y1,x2,y2", ["cat,1,2,3,4", "dog,1,2,3,4"], {"kind": "points"}, "points"),
        ("x1,y1,note", ["1,2,new", "3,4,old"], {}, "points"),
        ("blurred", ["1", "0"], {}, "multicategory"),
        ("label", ["1", "0"], {}, "category"),
        ("label", ["1", "0"], {"kind": "labels"}, "multicategory"),
        ("cat,dog", ["1,0", "0,1"], {}, "category"),
        ("cat,dog", ["1,0", "0,1"], {"kind": "labels"}, "multicategory"),
        ("patient_id,diagnosis", ["p1,mel", "p1,nv"], {}, "category"),
        ("group", ["a", "b"], {}, "category"),
    ],
)
def test_the_parse_kind_target_columns_is_detected(
    header: str, rows: list[str], options: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    assert read_source(table(tmp_path, header, *rows), **options).kind == kind


def test_ambiguous_columns_are_an_error_that_lists_them(tmp_path: Path) -> None:
    with pytest.raises(
        TableError,
        match=r"there are 'steering' \(numbers with decimals\), 'note' \(text\); name those that hold .* `labels`",
    ):
        read_source(table(tmp_path, "steering,note", "0.5,new", "-0.25,old"))


def test_columns_that_are_not_points_are_an_error_that_lists_them(tmp_path: Path) -> None:
    path = table(tmp_path, "nose_x,nose_y,mouth", "1,2,3")
    with pytest.raises(
        TableError, match="columns 'mouth' are not points; points are read from pairs of columns such as"
    ):
        read_source(path, labels=["nose_x", "nose_y", "mouth"], kind="points")
    with pytest.raises(TableError, match="no column holds points"):
        read_source(table(tmp_path, "note", "new"), kind="points")


# ------------------------------------------------------------------ groups, unknown classes and other columns


def test_images_of_a_group_belong_together(tmp_path: Path) -> None:
    source = read_source(table(tmp_path, "patient_id,label,age", "p1,cat,33", "p2,dog,44", "p1,dog,"))
    assert list(source.group or ()) == ["p1", "p2", "p1"]
    assert (
        "images with the same value in column 'patient_id' are one group; `group='none'` turns this off"
        in source.messages
    )
    assert source.columns["age"].tolist()[:2] == [33, 44]
    assert np.isnan(source.columns["age"][2])


@pytest.mark.parametrize("patients", [("p1", "p2", "p3"), ("p1", "p1", "p1")])
def test_a_column_with_one_group_or_one_group_per_image_is_ignored(patients: tuple[str, ...], tmp_path: Path) -> None:
    rows = [f"{patient},{name}" for patient, name in zip(patients, ("cat", "dog", "cat"), strict=True)]
    assert read_source(table(tmp_path, "patient_id,label", *rows)).group is None


def test_an_image_of_unknown_class_is_ignored(tmp_path: Path) -> None:
    source = read_source(table(tmp_path, "label,note", "cat,a", "?,b", "dog,c"))
    assert [row.target for row in source] == ["cat", "dog"]
    assert source.columns["note"].tolist() == ["a", "c"]
    assert [row.origin for row in source] == ["t.csv line 2", "t.csv line 4"]
    assert "images of unknown class (?), which are ignored: 1" in source.messages


def test_a_question_mark_among_labels_makes_all_of_them_unknown(tmp_path: Path) -> None:
    source = read_source(table(tmp_path, "labels", "cat dog", "?", "cow"))
    assert source[1].target.unknown == {"cat", "dog", "cow"}
    assert "images of which every label is unknown (?): 1" in source.messages


def test_other_columns_become_numbers_or_text_and_keep_leading_zeros(tmp_path: Path) -> None:
    source = read_source(table(tmp_path, "label,site,area,room", "cat,007,1.5,3", "dog,012,?,4", "dog,,2,5"))
    assert source.columns["site"].astype(object).tolist()[:2] == ["007", "012"]
    assert source.columns["site"].isna().tolist() == [False, False, True]
    assert np.array_equal(source.columns["area"], [1.5, np.nan, 2], equal_nan=True)
    assert source.columns["room"].tolist() == [3, 4, 5]
    assert "not used for training: the columns 'site', 'area', 'room'" in source.messages


# ------------------------------------------------------------------ options


def test_the_source_keeps_the_options_it_was_read_with(tmp_path: Path) -> None:
    source = read_source(table(tmp_path, "x1,y1,x2,y2", "1,2,3,4"), mirror=[("1", "2")], unit="pixels", kind="points")
    assert source.mirror == (1, 0)
    assert source.read_options == {
        "path": tmp_path / "t.csv", "images": None, "files": None, "labels": (), "not_labels": (),
        "delimiter": None, "kind": "points", "mirror": "1:2", "unit": "pixels", "format": None, "blank": None,
        "uncertain": None, "none_label": None, "pattern": None,
        "group": None, "split": None, "valid_fold": None, "valid": None, "test": None,
    }  # fmt: skip
    assert read_source(**source.read_options).messages == source.messages


def test_a_number_that_no_float32_holds_stays_text_in_a_column_that_is_no_target(tmp_path: Path) -> None:
    source = read_source(table(tmp_path, "label,size", "cat,1", "dog,1e400"))
    assert source.columns["size"].tolist() == ["1", "1e400"]


def test_with_mirror_none_points_keep_their_names(tmp_path: Path) -> None:
    path = table(tmp_path, "left_x,left_y,right_x,right_y", "1,2,3,4")
    assert read_source(path).mirror == (1, 0)
    assert read_source(path, mirror="none").mirror == (0, 1)  # each point keeps its name


@pytest.mark.parametrize("option", ["blank", "uncertain"])
@pytest.mark.parametrize(("header", "row"), [("label", "cat"), ("price", "1.5"), ("x,y", "1,2"), ("labels", "cat;dog")])
def test_what_cells_of_0_1_columns_mean_needs_such_columns(header: str, row: str, option: str, tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=f"`{option}` specifies what cells of 0/1 columns mean, and the targets are in"
    ):
        read_source(table(tmp_path, header, row), **{option: "no"})


@pytest.mark.parametrize("option", ["mirror", "unit"])
def test_options_for_points_need_points(option: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"`{option}` is for points, and these images have none"):
        read_source(table(tmp_path, "label", "cat"), **{option: "none"})


def test_a_folder_cannot_be_read_as_another_kind_or_with_table_options(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "1.png")
    assert read_source(tmp_path, kind="class").kind == "category"
    assert read_source(tmp_path, kind="ratings").kind == "ordinal"
    with pytest.raises(
        InputError,
        match="holds a folder for each class, which can be read with `kind='class'` or `kind='ratings'`, not with "
        "`kind='points'`; leave `kind` out",
    ):
        read_source(tmp_path, kind="points")


def test_a_folder_of_points_that_is_read_as_ratings_is_an_error_with_the_word_that_was_given(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "1.pts").write_text("version: 1\nn_points: 1\n{\n3 4\n}\n")
    with pytest.raises(InputError, match="can be read with `kind='points'`, not with `kind='ratings'`; leave"):
        read_source(tmp_path, kind="ratings")


def test_an_unknown_keyword_names_the_nearest(tmp_path: Path) -> None:
    unknown: Any = {"label": "breed"}
    with pytest.raises(TypeError, match="read_source has no keyword 'label'. Did you mean 'labels'"):
        read_source(tmp_path, **unknown)


def test_a_missing_path_is_an_error_that_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no '.*x.csv'; give a table of labels \(CSV\) or a folder with"):
        read_source(tmp_path / "x.csv")


def test_columns_of_different_lengths_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every column of a source has one row for each image, got lengths"):
        Source("regression", tmp_path, np.array(["a", "b"], dtype=np.dtypes.StringDType()), np.zeros((3, 1)))


def test_a_pipe_or_a_device_is_no_table(tmp_path: Path) -> None:
    pipe = tmp_path / "table.csv"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(InputError, match=f"'{path}' is a pipe or a device; give a table"):
            read_source(path)


def test_a_table_of_100_000_columns_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join([",".join(f"c{i}" for i in range(100_000)), ",".join("1" * 100_000)]))
    start = time.perf_counter()
    with pytest.raises(InputError, match="has 100,000 columns, and at most 10,000 can be read"):
        read_source(path)
    assert time.perf_counter() - start < 2
