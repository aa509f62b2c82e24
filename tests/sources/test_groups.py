"""Images that belong together are found in a column or in their paths, and an option overrides what is found."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from support.label_files import images, parts, write_json, write_lines, write_text


def read(root: Path, header: str, *rows: str, **options: Any) -> Source:
    return read_source(write_text(root / "labels.csv", f"{header}\n" + "\n".join(rows) + "\n"), **options)


def groups(source: Source) -> list[str] | None:
    return None if source.group is None else list(source.group)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["patient1/a.png", "patient1/b.png", "patient2/a.png"], ["patient1", "patient1", "patient2"]),
        (
            ["x/Patient 01/a.png", "y/Patient 01/b.png", "x/Patient 02/a.png"],
            ["Patient 01", "Patient 01", "Patient 02"],
        ),
        (["sub-01_a.png", "sub-01_b.png", "sub-02_a.png"], ["sub-01", "sub-01", "sub-02"]),
        (
            ["lesion_id_7.a.png", "lesion_id_7.b.png", "lesion_id_8.a.png"],
            ["lesion_id_7", "lesion_id_7", "lesion_id_8"],
        ),
        (["video12_003.png", "video12_004.png", "video13_001.png"], ["video12", "video12", "video13"]),
        (["p/session 1/a.png", "p/session 1/b.png", "q/session 1/a.png"], ["p/session 1"] * 2 + ["q/session 1"]),
        (
            ["train/session1/a.png", "valid/session1/b.png", "train/session2/c.png"],
            ["session1", "session1", "session2"],
        ),
    ],
)
def test_a_word_and_a_number_in_every_path_are_groups(tmp_path: Path, files: list[str], expected: list[str]) -> None:
    source = read(tmp_path, "file,labels", *(f"{file},cat" for file in files))
    assert groups(source) == expected
    said = source.messages[-1]
    assert f"(such as '{expected[0]}') are one group: 2 groups; `group='none'` turns this off" in said


def test_copies_of_one_image_by_roboflow_are_a_group(tmp_path: Path) -> None:
    first, second = "0123456789abcdef" * 2, "fedcba9876543210" * 2
    names = [f"cow-1_jpg.rf.{first}.jpg", f"cow-1_jpg.rf.{second}.jpg", f"cow-2_png.rf.{first}.jpg"]
    source = read(tmp_path, "filename, Spots, Stripes", *(f"{name}, 1, 1" for name in names))
    assert groups(source) == ["cow-1_jpg", "cow-1_jpg", "cow-2_png"]


@pytest.mark.parametrize(
    "files",
    [
        ["patient1/a.png", "patient1/b.png", "other/c.png"],  # not in every path
        ["patient1/a.png", "patient2/b.png", "patient3/c.png"],  # each on its own
        ["patient1/a.png", "patient1/b.png", "patient1/c.png"],  # all together
        ["outpatient1/a.png", "outpatient1/b.png", "outpatient2/c.png"],
        ["subset1/a.png", "subset1/b.png", "subset2/c.png"],
    ],
)
def test_other_paths_are_no_groups(tmp_path: Path, files: list[str]) -> None:
    assert groups(read(tmp_path, "file,labels", *(f"{file},cat" for file in files))) is None


def test_folders_of_classes_are_no_groups(tmp_path: Path) -> None:
    images(tmp_path, "subject1/a.png", "subject1/b.png", "subject2/a.png", "subject2/b.png")
    assert groups(read_source(tmp_path)) is None
    assert groups(read_source(tmp_path, group="subject")) == ["subject1"] * 2 + ["subject2"] * 2


def test_a_column_comes_before_the_paths_and_the_option_before_both(tmp_path: Path) -> None:
    rows = ("patient1/a.png,cat,L1,x", "patient1/b.png,dog,L2,x", "patient2/c.png,cat,L2,y")
    header = "file,labels,lesion_id,camera"
    assert groups(read(tmp_path, header, *rows)) == ["L1", "L2", "L2"]
    assert groups(read(tmp_path, header, *rows, group="patient")) == ["patient1", "patient1", "patient2"]
    by_camera = read(tmp_path, header, *rows, group="camera")
    assert groups(by_camera) == ["x", "x", "y"]
    assert list(by_camera.columns) == ["lesion_id"]
    none = read(tmp_path, header, *rows, group="none")
    assert groups(none) is None
    assert list(none.columns) == ["lesion_id", "camera"]


@pytest.mark.parametrize(
    "name",
    [
        *("patient_id", "PatientID", "Patient ID", "patient-id", "patient", "subject", "SubjectId", "participant_id"),
        *("case_id", "lesion_id", "study_id", "StudyInstanceUID", "series_id", "slide_id", "exam_id", "session"),
        *("session_id", "video_id", "clip_id", "sequence_id", "source_image", "SourceImage", "original_image"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_a_column_that_is_called_like_a_group_is_one_and_it_is_said_and_ended(
    tmp_path: Path, form: str, name: str
) -> None:
    images(tmp_path, *(f"{i}.png" for i in range(4)))
    rows = [{"file": f"{i}.png", "label": "ab"[i % 2], name: f"x{i // 2}"} for i in range(4)]
    path = tmp_path / f"labels.{form}"
    if form == "jsonl":
        write_lines(path, rows)
    elif form == "parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        pd.DataFrame(rows).to_csv(path, sep="\t" if form == "tsv" else ",", index=False)
    source = read_source(path)
    assert groups(source) == ["x0", "x0", "x1", "x1"]
    assert source.group_name == name
    said = f"images with the same value in column '{name}' are one group; `group='none'` turns this off"
    assert any(message.endswith(said) for message in source.messages)
    ended = read_source(path, group="none")
    assert groups(ended) is None
    assert list(ended.columns) == [name]
    asked = read_source(path, group=name)
    assert groups(asked) == groups(source)
    assert not any("turns this off" in message for message in asked.messages)


@pytest.mark.parametrize("name", ["case", "video", "person", "study"])
def test_a_name_that_may_be_a_label_is_no_group(tmp_path: Path, name: str) -> None:
    source = read(tmp_path, f"file,{name},dog", "a.png,1,0", "b.png,1,1", "c.png,0,1")
    assert groups(source) is None
    assert any(name in one for one in source.targets)


def test_a_group_of_a_json_file_is_a_word_in_its_paths(tmp_path: Path) -> None:
    root = images(tmp_path, "site1/a.png", "site1/b.png", "site2/c.png")
    coco = {
        "images": [
            {"id": i, "file_name": name} for i, name in enumerate(["site1/a.png", "site1/b.png", "site2/c.png"])
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1} for i in range(3)],
    }
    assert groups(read_source(write_json(root / "coco.json", coco), group="site")) == ["site1", "site1", "site2"]
    with pytest.raises(InputError, match=r"`group='room'`: there is no such column, and not every path has 'room'"):
        read_source(root / "coco.json", group="room")


def test_a_column_with_another_role_cannot_hold_the_groups(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="column 'labels' has another role, and cannot hold the groups as well"):
        read(tmp_path, "file,labels", "a.png,cat", "b.png,dog", group="labels")


def test_the_column_with_the_parts_is_named_or_none_is_used(tmp_path: Path) -> None:
    rows = ("a.png,cat,train,valid", "b.png,dog,valid,train", "c.png,cat,train,train")
    header = "file,labels,split,phase_2"
    assert list(parts(read(tmp_path, header, *rows)).values()) == ["train", "valid", "train"]
    assert list(parts(read(tmp_path, header, *rows, split="phase_2")).values()) == ["valid", "train", "train"]
    assert read(tmp_path, header, *rows, split="none").part is None
    with pytest.raises(TableError, match="there is no column 'phase'.*'phase_2'"):
        read(tmp_path, header, *rows, split="phase")


def test_parts_of_folders_are_not_used_if_the_user_says_so(tmp_path: Path) -> None:
    images(tmp_path, "train/cat/a.png", "train/dog/b.png", "valid/cat/c.png")
    source = read_source(tmp_path, split="none")
    assert source.part is None
    assert "the parts in the data are not used" in source.messages
    with pytest.raises(InputError, match="`split` is only for a table"):
        read_source(tmp_path, split="phase")
