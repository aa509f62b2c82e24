"""`not_labels` names columns that are not targets, and `labels` several columns at once."""

from pathlib import Path

import pandas as pd
import pytest

from eyebright.errors import TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, write_lines, write_text

TABLE = "file,cat,dog,old,fold\na.jpg,1,0,1,1\nb.jpg,1,1,0,0\nc.jpg,0,1,1,1\n"


def test_a_column_that_looks_like_a_label_is_none_if_the_user_says_so_and_stays_with_the_images(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", TABLE)
    assert labels(read_source(path))["a.jpg"] == ["cat", "old"]
    source = read_source(path, not_labels=["old", "fold"])
    assert labels(source) == {"a.jpg": ["cat"], "b.jpg": ["cat", "dog"], "c.jpg": ["dog"]}
    assert source.columns["old"].tolist() == [1, 0, 1]
    assert "not used for training: the columns 'old', 'fold'" in source.messages
    assert not any("not taken for labels" in message for message in source.messages)  # the user knows it


def test_names_may_be_separated_by_commas(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", TABLE)
    assert labels(read_source(path, labels="cat, dog"))["a.jpg"] == ["cat"]
    assert labels(read_source(path, labels=["cat,dog", "old"]))["a.jpg"] == ["cat", "old"]
    assert labels(read_source(path, not_labels="old,fold"))["a.jpg"] == ["cat"]


def test_a_name_with_a_comma_is_that_of_the_column_that_is_called_so(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", 'file,"cat,dog",cat,dog\na.jpg,1,0,0\nb.jpg,0,1,1\nc.jpg,1,1,0\n')
    assert labels(read_source(path, labels="cat,dog", kind="labels"))["a.jpg"] == ["cat,dog"]
    assert labels(read_source(path, not_labels="cat,dog", kind="labels"))["b.jpg"] == ["cat", "dog"]


def test_the_only_column_that_is_left_holds_the_labels(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "file,camera,what\na.jpg,x,cat\nb.jpg,y,dog\n")
    with pytest.raises(TableError, match="no column is called 'labels' or 'class'; there are 'camera'"):
        read_source(path)
    assert labels(read_source(path, not_labels="camera")) == {"a.jpg": "cat", "b.jpg": "dog"}


def test_a_column_that_is_called_class_is_passed_over(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "file,class,tags\na.jpg,1,cat sofa\nb.jpg,2,dog sofa\n")
    assert labels(read_source(path, not_labels="tags")) == {"a.jpg": "1", "b.jpg": "2"}
    assert labels(read_source(path, not_labels="tags", kind="labels")) == {"a.jpg": ["1"], "b.jpg": ["2"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"not_labels": "odl"}, "there is no column 'odl'. Did you mean 'old'"),
        ({"not_labels": "old,sex"}, "there is no column 'sex'"),
        ({"labels": "cat,old", "not_labels": "old"}, "'old' is in `labels` and in `not_labels`; leave it out of one"),
        ({"labels": "cat,dgo"}, "there is no column 'dgo'. Did you mean 'dog'"),
        ({"not_labels": "cat,dog,old,fold"}, "none is left beside 'file', 'cat', 'dog', 'old', 'fold'; `not_labels`"),
    ],
)
def test_names_that_cannot_be_are_an_error(options: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read_source(write_text(tmp_path / "t.csv", TABLE), **options)  # pyright: ignore[reportArgumentType]


def test_keys_of_json_lines_and_columns_of_parquet_are_left_out_too(tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.jpg", "cat": i % 2, "dog": 1, "old": 1} for i in range(3)]
    path = write_lines(tmp_path / "metadata.jsonl", rows)
    assert labels(read_source(path, not_labels="old"))["1.jpg"] == ["cat", "dog"]
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    assert labels(read_source(tmp_path / "t.parquet", not_labels="old"))["1.jpg"] == ["cat", "dog"]


def test_a_finding_of_chexpert_is_left_out(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    head = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Support Devices\n"
    path = write_text(tmp_path / "t.csv", head + "a.jpg,Female,40,Frontal,AP,0,1,1\nb.jpg,Male,41,Frontal,AP,1,0,0\n")
    source = read_source(path, not_labels="Support Devices")
    assert labels(source) == {"a.jpg": ["Edema"], "b.jpg": ["No Finding"]}
    assert source.columns["Support Devices"].tolist() == [1, 0]


def test_a_run_is_repeated_with_the_same_columns(tmp_path: Path) -> None:
    source = read_source(write_text(tmp_path / "t.csv", TABLE), not_labels="old,fold")
    assert source.read_options["not_labels"] == ("old,fold",)
    assert labels(read_source(**source.read_options)) == labels(source)
