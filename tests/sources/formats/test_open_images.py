"""Open Images: what nobody has verified is unknown, what a machine found says nothing, names come from another file."""

from pathlib import Path

import pytest

from eyebright._all_but import AllBut
from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from support.label_files import images, labels, parts, write_text

HEADER = "ImageID,Source,LabelName,Confidence\n"


def labels_csv(root: Path, *rows: str, name: str = "validation-annotations-human-imagelabels.csv") -> Path:
    return write_text(root / name, HEADER + "".join(f"{row}\n" for row in rows))


def read(root: Path, *rows: str) -> Source:
    return read_source(labels_csv(images(root, "images/a.jpg", "images/b.jpg"), *rows), images=root / "images")


def test_a_label_that_nobody_has_verified_on_an_image_is_unknown_and_a_denied_one_is_not(tmp_path: Path) -> None:
    source = read(tmp_path, "a,verification,/m/cat,1", "a,verification,/m/dog,0", "b,crowdsource-verification,/m/dog,1")
    assert source.kind == "multicategory"
    assert labels(source) == {"a.jpg": ["/m/cat"], "b.jpg": ["/m/cat?", "/m/dog"]}
    assert "a label that was not verified by a person is unknown on the image" in source.messages


def test_what_a_machine_found_is_ignored_and_said(tmp_path: Path) -> None:
    source = read(tmp_path, "a,verification,/m/cat,1", "b,machine,/m/cat,0.9")
    assert labels(source) == {"a.jpg": ["/m/cat"]}
    assert dict(source.left_out) == {"b.jpg": "without a label that a person has verified"}
    assert "rows of labels that no person has verified, which are ignored: 1" in source.messages


def test_names_of_labels_come_from_the_descriptions_and_those_that_no_image_has_are_said(tmp_path: Path) -> None:
    write_text(tmp_path / "class-descriptions.csv", '/m/cat,Cat\n/m/racket,"Racket, tennis"\n')
    source = read(tmp_path, "a,verification,/m/cat,1", "b,verification,/m/cat,0", "b,verification,/m/dog,1")
    assert labels(source) == {"a.jpg": ["/m/dog?", "Cat"], "b.jpg": ["/m/dog"]}
    assert source.unused == ("Racket, tennis",)


def test_descriptions_with_a_header_are_read_and_two_labels_of_one_name_stay_two(tmp_path: Path) -> None:
    write_text(
        tmp_path / "oidv7-class-descriptions.csv", "LabelName,DisplayName\n/m/bat1,Bat\n/m/bat2,Bat\n/m/cat,Cat\n"
    )
    source = read(tmp_path, "a,verification,/m/bat1,1", "a,verification,/m/bat2,0", "b,verification,/m/bat2,1")
    assert labels(source) == {"a.jpg": ["Bat (/m/bat1)"], "b.jpg": ["Bat (/m/bat1)?", "Bat (/m/bat2)"]}


def test_a_label_that_is_confirmed_and_denied_is_unknown(tmp_path: Path) -> None:
    source = read(tmp_path, "a,verification,/m/cat,1", "a,crowdsource-verification,/m/cat,0", "b,verification,/m/cat,1")
    assert labels(source) == {"a.jpg": ["/m/cat?"], "b.jpg": ["/m/cat"]}
    assert "labels that one row confirms and another denies, which are unknown: 1" in source.messages


def test_files_of_several_parts_in_a_folder_are_the_split(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg")
    labels_csv(root, "a,verification,/m/cat,1", name="train-annotations-human-imagelabels.csv")
    labels_csv(root, "b,verification,/m/cat,1")
    assert parts(read_source(root)) == {"a.jpg": "train", "b.jpg": "valid"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,verification,/m/cat,0.7", "line 2: '0.7' in column 'Confidence'; 1 .the image has the label. or 0"),
        ("a,verification,,1", "line 2: there is nothing in column 'LabelName'"),
        (",verification,/m/cat,1", "line 2: there is nothing in column 'ImageID'"),
        ("a,verification,/m/cat", "line 2: values in the row: 3, columns in the header: 4"),
    ],
)
def test_a_broken_row_is_an_error_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read(tmp_path, row)


def test_a_file_without_a_confirmed_label_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no label that a person has verified to be there"):
        read(tmp_path, "a,verification,/m/cat,0", "b,machine,/m/cat,1")


def test_hundreds_of_unknown_labels_of_an_image_take_no_memory_of_their_own(tmp_path: Path) -> None:
    rows = [f"{image},verification,/m/{label},1" for image, label in zip("ab" * 200, range(400), strict=True)]
    source = read(tmp_path, *rows)
    unknown = [target.unknown for target in source.targets]
    assert [len(one) for one in unknown] == [200, 200]
    assert isinstance(unknown[0], AllBut)
    assert isinstance(unknown[1], AllBut)
    assert unknown[0].vocabulary is unknown[1].vocabulary


def test_broken_descriptions_are_an_error_with_their_line(tmp_path: Path) -> None:
    write_text(tmp_path / "class-descriptions.csv", "/m/cat,Cat\n/m/dog\n")
    with pytest.raises(TableError, match=r"class-descriptions.csv' line 2: the code of a label and its name"):
        read(tmp_path, "a,verification,/m/cat,1")
