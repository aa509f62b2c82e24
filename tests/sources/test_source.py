"""Sources read from folders and tables: splits, lines, and unreadable images."""

from pathlib import Path

import PIL.Image
import pytest

from eyebright.errors import InputError
from eyebright.sources.folder import folder_source
from eyebright.sources.headers import readable
from eyebright.sources.read import read_source
from support.images import coloured_squares


def images(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (8, 8)).save(root / name)
    return root


def test_a_folder_with_a_subfolder_for_each_class_is_a_source_of_classes(tmp_path: Path) -> None:
    source = folder_source(images(tmp_path, "dog/2.png", "cat/1.png", "cat/3.png"))
    assert [(row.path.name, row.target) for row in source] == [("1.png", "cat"), ("3.png", "cat"), ("2.png", "dog")]
    assert (source.kind, source.split) == ("category", None)


def test_train_valid_and_test_folders_are_the_split(tmp_path: Path) -> None:
    names = ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "test/cat/4.png", "later/cat/5.png")
    source = folder_source(images(tmp_path, *names))
    parts = {row.path.name: row.part for row in source}
    assert parts == {"1.png": "train", "2.png": "train", "3.png": "valid", "4.png": "test"}
    assert source.messages[1:] == (
        "the folders give the split: train 2, valid 1, test 1",
        "held-out images, used neither for training nor for validation: 1",
        "images outside of the folders for training and validation, which are ignored: 1 ('later')",
    )
    assert [list(map(str, source.files[list(side)])) for side in source.split or ()] == [
        ["train/cat/1.png", "train/dog/2.png"], ["val/cat/3.png"],
    ]  # fmt: skip


def test_with_train_and_test_folders_only_test_images_never_train(tmp_path: Path) -> None:
    source = folder_source(images(tmp_path, "train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/dog/4.png"))
    assert source.split is None
    assert [row.path.name for row in source.take(list(source.not_held_out()))] == ["1.png", "2.png"]


def test_a_class_may_be_named_train(tmp_path: Path) -> None:
    source = folder_source(images(tmp_path, "train/1.png", "bus/2.png"))
    assert [row.target for row in source] == ["bus", "train"]


def test_an_image_without_a_class_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1.png' is not in a class folder"):
        folder_source(images(tmp_path, "1.png", "cat/2.png"))


def test_an_image_beside_the_class_folders_of_a_split_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3.png' is not in a class folder"):
        folder_source(images(tmp_path, "train/cat/1.png", "valid/cat/2.png", "train/3.png"))


def test_rows_of_a_table_know_their_lines(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path / "photos", 6)
    table[["fname", "labels", "is_valid"]].to_csv(tmp_path / "labels.csv", index=False)
    source = read_source(tmp_path / "labels.csv", images=tmp_path / "photos")
    assert str(source[1]) == f"{tmp_path / 'photos' / '001.png'} (labels.csv line 3)"
    assert source.split == (table.index[~table["is_valid"]].tolist(), table.index[table["is_valid"]].tolist())  # pyright: ignore[reportCallIssue]
    assert [row.target for row in source] == [set(labels.split()) for labels in table["labels"]]


def test_a_missing_folder_of_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("fname,labels\n1.png,a\n")
    with pytest.raises(InputError, match="no folder of images .*; name it with `images`"):
        read_source(tmp_path / "labels.csv", images=tmp_path / "photos")


def test_unreadable_images_are_an_error_with_their_number_or_skipped(tmp_path: Path) -> None:
    source = folder_source(images(tmp_path, "cat/1.png", "cat/2.png", "dog/3.png"))
    (tmp_path / "cat" / "1.png").write_bytes(b"")
    (tmp_path / "dog" / "3.png").write_text("text")
    with pytest.raises(InputError, match="1.png: .*, and 1 more cannot be read either; `skip_bad=True` skips"):
        readable(source, skip_bad=False)
    rest = readable(source, skip_bad=True)
    assert [row.path.name for row in rest] == ["2.png"]
    assert sorted(Path(path).name for path in rest.skipped) == ["1.png", "3.png"]
    (tmp_path / "cat" / "2.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 3 images can be read; .*1.png: it is empty"):
        readable(source, skip_bad=True)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_if_all_images_of_a_table_are_missing_the_error_suggests_images(tmp_path: Path, skip_bad: bool) -> None:
    images(tmp_path / "photos", "1.png", "2.png")
    table = tmp_path / "tables" / "labels.csv"
    table.parent.mkdir()
    table.write_text("fname,labels\n1.png,a\n2.png,b\n")
    with pytest.raises(InputError, match=r"none of the 2 .* line 2\): there is no such file; `images` is the folder"):
        readable(read_source(table), skip_bad=skip_bad)
    assert len(readable(read_source(table, images=tmp_path / "photos"), skip_bad=skip_bad)) == 2
