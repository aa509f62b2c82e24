"""Several tables of one data set: parts by the names of files and folders, images beside them, columns that differ."""

from pathlib import Path

import pytest

from eyebright.errors import TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_text


def test_tables_named_after_parts_are_read_together(tmp_path: Path) -> None:
    root = images(tmp_path, *(f"photos/{name}.jpg" for name in "abc"))
    write_text(root / "train.csv", "image,tags\na.jpg,hat;shoe\n")
    write_text(root / "val.csv", "tags,image\nhat,b.jpg\n")
    write_text(root / "test.csv", "image,tags\nc.jpg,\n")
    for source in (read_source(root), read_source(root, images=root / "photos")):
        assert [Path(file).name for file in labels(source)] == ["c.jpg", "a.jpg", "b.jpg"][-len(source) :]
        assert {Path(file).name: part for file, part in parts(source).items()} == {"a.jpg": "train", "b.jpg": "valid"}
        assert "images for testing without any label, which are ignored: 1" in source.messages
    assert labels(source) == {"a.jpg": ["hat", "shoe"], "b.jpg": ["hat"]}


def test_equal_names_in_folders_of_parts_are_different_images(tmp_path: Path) -> None:
    root = images(tmp_path, "train/1.png", "validation/1.png", "test/1.png")
    for part, cell in (("train", "['a', 'b']"), ("validation", "['a']"), ("test", "[]")):
        write_text(root / part / "metadata.csv", f'file_name,labels\n1.png,"{cell}"\n1.png,"{cell}"\n')
    source = read_source(root, kind="labels")
    assert labels(source) == {"test/1.png": [], "train/1.png": ["a", "b"], "validation/1.png": ["a"]}
    assert parts(source) == {"test/1.png": "test", "train/1.png": "train", "validation/1.png": "valid"}


def test_one_hot_tables_in_folders_of_parts_are_read_by_the_whole(tmp_path: Path) -> None:
    root = images(tmp_path, "train/1.png", "valid/1.png", "valid/2.png")
    write_text(root / "train" / "_classes.csv", "filename, Cat, Dog\n1.png, 1, 0\n")
    write_text(root / "valid" / "_classes.csv", "filename, Cat, Dog\n1.png, 1, 1\n2.png, 0, 0\n")
    assert labels(read_source(root)) == {"train/1.png": ["Cat"], "valid/1.png": ["Cat", "Dog"], "valid/2.png": []}


def test_a_table_for_testing_without_labels_is_not_read_and_said(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write_text(root / "train.csv", "image,label\na.jpg,hat\nb.jpg,shoe\n")
    write_text(root / "test.csv", "image,size\nc.jpg,3\n")
    with pytest.raises(TableError, match="train.csv': there is no column 'size', which the other tables have"):
        read_source(write_text(root / "train.csv", "image,label\na.jpg,hat\nb.jpg,shoe\n").parent)
    write_text(root / "test.csv", "image,label\nc.jpg,hat\n")
    write_text(root / "train.csv", "image,label,size\na.jpg,hat,1\nb.jpg,shoe,2\n")
    source = read_source(root, labels="label")
    assert set(labels(source)) == {"a.jpg", "b.jpg"}
    assert "'test.csv' has no 'size' and is not read" in source.messages


def test_a_name_that_is_too_long_for_a_file_is_a_missing_image(tmp_path: Path) -> None:
    root = images(tmp_path, "train/a.jpg", "valid/b.jpg")
    write_text(root / "train" / "t.csv", f"image,cat,dog\n{'a' * 300}.jpg,0,1\na.jpg,1,1\n")
    write_text(root / "valid" / "t.csv", "image,cat,dog\nb.jpg,1,1\n")
    assert list(labels(read_source(root))) == [f"train/{'a' * 300}.jpg", "train/a.jpg", "valid/b.jpg"]


def test_an_error_names_the_table_and_its_line(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write_text(root / "train.csv", "image,cat,dog\na.jpg,1,0\n")
    rows = "".join(f"c{i}.jpg,0,1\n" for i in range(20))
    write_text(root / "val.csv", f"image,cat,dog\nb.jpg,0,0\n{rows}c.jpg,7,1\n")
    with pytest.raises(TableError, match=r"val.csv' line 23: '7' in column 'cat'; 0 or 1 was expected"):
        read_source(root)


def test_images_outside_of_the_folder_are_said_with_the_table(tmp_path: Path) -> None:
    root = images(tmp_path / "data", "a.jpg", "b.jpg")
    images(tmp_path, "c.jpg")
    write_text(root / "train.csv", "image,label\na.jpg,hat\nb.jpg,shoe\n")
    write_text(root / "val.csv", "image,label\n../c.jpg,hat\n")
    said = [message for message in read_source(root).messages if "outside" in message]
    assert said == [
        f"images outside of the folder '{root}', which are read as well: 1 of 3 ('../c.jpg' in '{root}/val.csv' line 2)"
    ]


def test_a_split_column_beside_files_named_after_parts_is_an_error(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg")
    write_text(root / "train.csv", "image,label,split\na.jpg,hat,train\n")
    write_text(root / "val.csv", "image,label,split\nb.jpg,hat,valid\n")
    with pytest.raises(TableError, match="column 'split' and the names of the files both give the split; take one out"):
        read_source(root)


def test_images_whose_names_have_outer_spaces_or_accents_in_another_form_are_found_and_said(tmp_path: Path) -> None:
    root = images(tmp_path, " a.jpg", "e\u0301.jpg", "c.jpg")
    source = read_source(write_text(root / "t.csv", "image,label\n a.jpg,hat\n\u00e9.jpg,shoe\nc.jpg,hat\n"))
    assert labels(source) == {" a.jpg": "hat", "e\u0301.jpg": "shoe", "c.jpg": "hat"}
    message = (
        "images found in another folder, or by another spelling of the name, than the table states: 2 ('a.jpg' is ' a"
    )
    assert any(sentence.startswith(message) for sentence in source.messages)


def test_images_that_lie_in_folders_inside_are_found_and_said(tmp_path: Path) -> None:
    root = images(tmp_path, "part_1/a.jpg", "part_2/b.jpg", "c.jpg")
    source = read_source(write_text(root / "t.csv", "image_id,label\na,hat\nb,shoe\nc,hat\n"))
    assert labels(source) == {"part_1/a.jpg": "hat", "part_2/b.jpg": "shoe", "c.jpg": "hat"}
    assert "images found in another folder than the table states: 2 ('a' is 'part_1/a.jpg')" in source.messages
    images(root, "part_2/a.jpg")
    with pytest.raises(TableError, match=r"t.csv' line 2: 'a' may be 'part_1/a.jpg' or 'part_2/a.jpg' in"):
        read_source(root / "t.csv")
