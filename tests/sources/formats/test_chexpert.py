"""CheXpert: uncertain and unmentioned findings are unknown, patients are groups."""

from pathlib import Path

import pytest

from eyebright.errors import TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, write_text

HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Fracture\n"
ROWS = (
    "C/train/patient00001/study1/view1.jpg,Female,40,Frontal,AP,1.0,,\n"
    "C/train/patient00001/study2/view1.jpg,Female,41,Lateral,,0.0,-1.0,\n"
    "C/train/patient00002/study1/view1.jpg,Male,50,Frontal,PA,,1.0,\n"
)


def chexpert(root: Path, rows: str = ROWS) -> Path:
    images(root, *(line.split(",")[0] for line in ROWS.splitlines()))
    return write_text(root / "C" / "train.csv", HEADER + rows)


def test_blank_and_uncertain_findings_are_unknown_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    path = chexpert(tmp_path)
    source = read_source(path, images=tmp_path)
    assert list(labels(source).values()) == [
        ["Edema?", "Fracture?", "No Finding"],
        ["Edema?", "Fracture?"],
        ["Edema", "Fracture?", "No Finding?"],
    ]
    assert source.unused == ("Fracture",)
    source = read_source(path, images=tmp_path, blank="no", uncertain="yes")
    assert list(labels(source).values()) == [["No Finding"], ["Edema"], ["Edema"]]


def test_images_of_a_patient_are_a_group(tmp_path: Path) -> None:
    source = read_source(chexpert(tmp_path), images=tmp_path)
    assert source.group is not None
    assert list(source.group) == ["patient00001", "patient00001", "patient00002"]
    assert any("(such as 'patient00001') are one group: 2 groups" in message for message in source.messages)


def test_images_are_found_although_the_paths_begin_with_the_folder_of_the_table(tmp_path: Path) -> None:
    files = list(labels(read_source(chexpert(tmp_path))))
    assert files[0] == "train/patient00001/study1/view1.jpg"


def test_a_finding_of_another_number_is_an_error_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="line 4: '3' in column 'Edema'; 0 or 1 was expected"):
        read_source(chexpert(tmp_path, ROWS.replace("PA,,1.0", "PA,,3")), images=tmp_path)


def test_minus_1_and_blanks_are_unknown_also_in_a_file_without_0_and_several_files_are_read_together(
    tmp_path: Path,
) -> None:
    header = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema\n"
    images(tmp_path, "C/train/patient1/a.jpg", "C/valid/patient2/a.jpg")
    write_text(tmp_path / "C/train.csv", f"{header}C/train/patient1/a.jpg,F,1,Frontal,AP,,-1.0\n")
    write_text(tmp_path / "C/valid.csv", f"{header}C/valid/patient2/a.jpg,F,1,Frontal,AP,1.0,1.0\n")
    for source in (read_source(tmp_path / "C"), read_source(tmp_path / "C/train.csv")):
        assert labels(source) == {
            "train/patient1/a.jpg": ["Edema?", "No Finding?"],
            "valid/patient2/a.jpg": ["Edema", "No Finding"],
        }
        assert [row.part for row in source] == ["train", "valid"]
