"""Parquet: names or bytes of images, class names of the metadata, nulls, and broken files."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.headers import readable
from eyebright.sources.read import read_source
from support.containers import IMAGES, image_structs, write_parquet
from support.label_files import images, labels, parts

CLASSES = {"_type": "ClassLabel", "names": ["cat", "racket, tennis", "dog"]}


def test_bytes_of_images_with_class_numbers_are_read_by_their_names(tmp_path: Path) -> None:
    columns = {"image": image_structs(["a.png", "b.png", "c.png"]), "label": [1, 0, 1]}
    source = readable(read_source(write_parquet(tmp_path / "x.parquet", columns, {"label": CLASSES})), skip_bad=False)
    assert source.kind == "category"
    assert labels(source) == {
        "x.parquet::a.png": "racket, tennis",
        "x.parquet::b.png": "cat",
        "x.parquet::c.png": "racket, tennis",
    }
    assert source.unused == ("dog",)
    assert "labels that no image has, which cannot be learnt: 'dog'" in source.messages
    assert source.sizes is not None
    assert source.sizes.tolist() == [[8, 8]] * 3


def test_an_image_whose_class_is_not_given_is_ignored_and_said(tmp_path: Path) -> None:
    columns = {"image": image_structs(["a.png", "b.png", "c.png"]), "label": pa.array([-1, 0, None], pa.int64())}
    source = read_source(write_parquet(tmp_path / "x.parquet", columns, {"label": CLASSES}))
    assert labels(source) == {"x.parquet::b.png": "cat"}
    assert "images of unknown class (?), which are ignored: 2" in source.messages


@pytest.mark.parametrize(
    ("values", "feature"),
    [
        ([["cat"], [], ["cat", "dog"], None], None),
        ([[0], [], [0, 2], None], {"_type": "Sequence", "feature": CLASSES}),
        ([[0], [], [0, 2], None], {"_type": "List", "feature": CLASSES}),
        ([[0], [], [0, 2], None], [CLASSES]),
    ],
)
def test_lists_are_labels_an_empty_one_is_none_and_null_is_unknown(tmp_path: Path, values: Any, feature: Any) -> None:
    columns = {"image": image_structs(list("abcd")), "labels": values}
    features = None if feature is None else {"labels": feature}
    source = read_source(write_parquet(tmp_path / "x.parquet", columns, features))
    assert list(labels(source).values()) == [["cat"], [], ["cat", "dog"], ["cat?", "dog?"]]


def test_files_of_parts_are_one_source_also_with_a_hash_in_their_names(tmp_path: Path) -> None:
    for part, name in (("train", "-0123456789abcdef"), ("test", "-fedcba9876543210")):
        columns = {"image": image_structs(["a.png"]), "label": ["cat"]}
        write_parquet(tmp_path / "data" / f"{part}-00000-of-00001{name}.parquet", columns)
    assert sorted(map(str, parts(read_source(tmp_path)).values())) == ["test", "train"]


def test_names_of_images_lead_to_files_and_columns_of_0_and_1_are_labels(tmp_path: Path) -> None:
    images(tmp_path, "images/a.jpg", "images/b.jpg")
    columns = {"path": ["a.jpg", "b.jpg"], "cat": [True, False], "dog": pa.array([0, None], pa.int8()), "age": [1.5, 2]}
    path = write_parquet(tmp_path / "labels.parquet", columns)
    source = read_source(path, images=tmp_path / "images", labels=["cat", "dog"])
    assert labels(source) == {"a.jpg": ["cat"], "b.jpg": ["dog?"]}
    assert list(source.columns["age"]) == [1.5, 2.0]


def test_images_without_bytes_are_the_files_that_their_paths_name(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    structs = pa.array([{"bytes": None, "path": name} for name in ("a.jpg", "b.jpg")], IMAGES)
    path = write_parquet(tmp_path / "x.parquet", {"image": structs, "label": ["cat", "dog"]})
    assert labels(read_source(path)) == {"a.jpg": "cat", "b.jpg": "dog"}


def test_a_metadata_file_in_the_folder_of_each_part_names_the_images_beside_it(tmp_path: Path) -> None:
    for part, label in (("train", "cat"), ("validation", "dog")):
        images(tmp_path, f"{part}/1.png")
        write_parquet(tmp_path / part / "metadata.parquet", {"file_name": ["1.png"], "labels": [[label]]})
    source = read_source(tmp_path)
    assert labels(source) == {"train/1.png": ["cat"], "validation/1.png": ["dog"]}
    assert list(parts(source).values()) == ["train", "valid"]


def test_numbers_are_read_as_they_were_written(tmp_path: Path) -> None:
    columns = {"image": image_structs(["a.png", "b.png"]), "level": pa.array([0.1, None], pa.float32())}
    source = read_source(write_parquet(tmp_path / "x.parquet", columns))
    assert source.kind == "regression"
    assert str(source.targets.tolist()) == "[[0.1], [nan]]"


def test_a_class_beyond_the_names_and_broken_metadata_are_errors(tmp_path: Path) -> None:
    columns = {"image": image_structs(["a.png", "b.png"]), "label": [0, 3]}
    with pytest.raises(TableError, match="has the class 3 in column 'label', which is none of the 3 that have a name"):
        read_source(write_parquet(tmp_path / "x.parquet", columns, {"label": CLASSES}))
    table = pa.table(columns).replace_schema_metadata({b"huggingface": b"{"})
    pq.write_table(table, tmp_path / "y.parquet")
    with pytest.raises(TableError, match="y.parquet' has metadata of 'huggingface' that cannot be read"):
        read_source(tmp_path / "y.parquet")


def test_a_file_that_is_cut_off_without_rows_or_labels_is_an_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"image": image_structs(["a.png"]), "label": ["cat"]})
    path.write_bytes(path.read_bytes()[:-30])
    for source in (path, tmp_path):
        with pytest.raises(InputError, match="x.parquet' cannot be read as Parquet"):
            read_source(source)
    with pytest.raises(TableError, match="y.parquet' has no row; a row for each image was expected"):
        read_source(
            write_parquet(tmp_path / "y.parquet", {"image": image_structs([]), "label": pa.array([], "string")})
        )
    with pytest.raises(TableError, match="z.parquet' has no column beside the images; one with labels was expected"):
        read_source(write_parquet(tmp_path / "z.parquet", {"image": image_structs(["a.png"])}))


def test_a_parquet_file_of_something_else_is_not_taken_for_labels(tmp_path: Path) -> None:
    images(tmp_path, "cat/1.png", "dog/1.png")
    path = write_parquet(tmp_path / "features.parquet", {"x": [1.0, 2.0], "y": ["a", "b"]})
    assert read_source(tmp_path).kind == "category"
    with pytest.raises(
        TableError,
        match="is a Parquet file, which `format='parquet'` reads if a column names images or holds their bytes",
    ):
        read_source(path)


@pytest.mark.parametrize("second", ["label", "label "])
def test_columns_of_one_name_are_an_error_and_none_is_lost(second: str, tmp_path: Path) -> None:
    table = pa.table([image_structs(["a.png"]), pa.array(["cat"]), pa.array(["dog"])], names=["image", "label", second])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(TableError, match="x.parquet' names the columns 'label' twice; rename one of each"):
        read_source(tmp_path / "x.parquet")


@pytest.mark.parametrize(("content", "problem"), [(b"", "is empty"), (b"PART" * 9, "is not Parquet")])
def test_a_damaged_file_beside_others_is_an_error_and_its_images_are_not_left_out(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "train-0.parquet", {"image": image_structs(["a.png", "b.png"]), "label": ["cat", "dog"]})
    (tmp_path / "train-1.parquet").write_bytes(content)
    with pytest.raises(InputError, match=f"train-1.parquet' {problem}, and the other .parquet files in its folder are"):
        read_source(tmp_path)
