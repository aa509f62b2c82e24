"""`pattern`: the class, the part and the group of an image by a regular expression on its name."""

import time
from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_text

PETS = ("great_pyrenees_173.png", "Abyssinian_1.png", "Abyssinian_22.png")
BOOK = r"(.+)_\d+.png$"


def test_the_class_is_the_first_group_in_the_names_of_a_folder(tmp_path: Path) -> None:
    source = read_source(images(tmp_path, *PETS), pattern=BOOK)
    assert source.kind == "category"
    assert labels(source) == {
        "Abyssinian_1.png": "Abyssinian", "Abyssinian_22.png": "Abyssinian", "great_pyrenees_173.png": "great_pyrenees",
    }  # fmt: skip
    assert "`pattern` finds the class in the names: 'Abyssinian' in 'Abyssinian_1.png'" in source.messages
    assert (source.part, source.group) == (None, None)


def test_it_is_searched_in_the_path_below_the_folder(tmp_path: Path) -> None:
    root = images(tmp_path, "cat/a/1.png", "dog/b/2.png")
    assert list(labels(read_source(root, pattern=r"^\w+/(\w+)/")).values()) == ["a", "b"]
    assert list(labels(read_source(root, pattern=r"^(\w+/\w)")).values()) == ["cat/a", "dog/b"]


def test_a_folder_that_only_stores_the_images_is_not_searched(tmp_path: Path) -> None:
    root = images(tmp_path / "pets", *(f"images/{name}" for name in PETS))
    assert labels(read_source(root, pattern=BOOK))["images/great_pyrenees_173.png"] == "great_pyrenees"


def test_the_error_for_a_folder_without_classes_names_the_option(tmp_path: Path) -> None:
    images(tmp_path / "flat", *PETS)
    images(tmp_path / "pets", *(f"images/{name}" for name in PETS))
    for folder in ("flat", "pets"):
        with pytest.raises(InputError, match=r"where the names of the images carry their class, .* `pattern` finds it"):
            read_source(tmp_path / folder)


def test_the_group_called_label_is_the_class_wherever_it_stands(tmp_path: Path) -> None:
    root = images(tmp_path, "x1-cat.png", "x2-dog.png")
    assert list(labels(read_source(root, pattern=r"(x\d)-(?P<label>\w+)")).values()) == ["cat", "dog"]


def test_groups_called_split_and_group_give_the_part_and_the_group(tmp_path: Path) -> None:
    root = images(tmp_path, "p1_train_cat_1.png", "p1_train_dog_2.png", "p2_val_cat_3.png", "p3_TEST_cat_4.png")
    source = read_source(root, pattern=r"(?P<group>p\d)_(?P<split>[a-zA-Z]+)_(\w+)_\d")
    assert list(labels(source).values()) == ["cat", "dog", "cat", "cat"]
    assert list(parts(source).values()) == ["train", "train", "valid", "test"]
    assert source.group is not None
    assert list(source.group) == ["p1", "p1", "p2", "p3"]
    assert "images with the same 'group' of `pattern` are one group: 3 groups" in source.messages
    without = read_source(root, pattern=r"(?P<group>p\d)_(?P<split>[a-zA-Z]+)_(\w+)_\d", group="none", split="none")
    assert (without.group, without.part) == (None, None)


def test_an_image_without_a_group_is_on_its_own(tmp_path: Path) -> None:
    root = images(tmp_path, "p1_cat.png", "p1_dog.png", "cat.png", "dog.png")
    source = read_source(root, pattern=r"^(?:(?P<group>p\d)_)?(?P<label>[a-z]+)\.")
    assert source.group is not None
    by_file = dict(zip(labels(source), source.group, strict=True))
    assert by_file["p1_cat.png"] == by_file["p1_dog.png"] == "p1"
    assert len({*by_file.values()}) == 3


def test_folders_of_a_split_give_the_parts_and_are_not_searched(tmp_path: Path) -> None:
    root = images(tmp_path, "images/train/cat_1.png", "images/val/dog_2.png", "images/other/dog_3.png")
    source = read_source(root, pattern=r"^(\w+)_\d")
    assert labels(source) == {"images/train/cat_1.png": "cat", "images/val/dog_2.png": "dog"}
    assert list(parts(source).values()) == ["train", "valid"]
    assert any("which are ignored: 1 ('other')" in message for message in source.messages)
    assert sum("gives the split" in message for message in source.messages) == 1
    assert read_source(root, pattern=r"(?:^|/)(\w+)_\d", split="none").part is None


def test_a_list_of_names_is_read_with_and_without_a_header(tmp_path: Path) -> None:
    images(tmp_path, "photos/cat_1.png", "photos/dog_2.png")
    path = write_text(tmp_path / "list.txt", "\ufeffcat_1.png\n\ndog_2.png\n")
    source = read_source(path, images=tmp_path / "photos", pattern=r"^(\w+)_")
    assert labels(source) == {"cat_1.png": "cat", "dog_2.png": "dog"}
    assert source.root == tmp_path / "photos"
    write_text(path, "file\nphotos\\cat_1.png\nphotos/dog_2.png\n")
    source = read_source(path, pattern=r"^photos/(\w+)_")
    assert labels(source) == {"photos/cat_1.png": "cat", "photos/dog_2.png": "dog"}
    assert "line 1 of 'list.txt', 'file', is read as a header" in source.messages


def test_lists_for_the_other_parts_are_read_too(tmp_path: Path) -> None:
    images(tmp_path, "cat_1.png", "dog_2.png", "cat_3.png")
    train = write_text(tmp_path / "a.txt", "cat_1.png\ndog_2.png\n")
    valid = write_text(tmp_path / "b.txt", "cat_3.png\n")
    source = read_source(train, valid=valid, pattern=r"^(\w+)_")
    assert parts(source) == {"cat_1.png": "train", "dog_2.png": "train", "cat_3.png": "valid"}


def test_the_kind_may_be_labels_or_ratings(tmp_path: Path) -> None:
    root = images(tmp_path, "1_a.png", "2_b.png", "3_c.png")
    assert list(labels(read_source(root, pattern=r"^(\d)_", kind="labels")).values()) == [["1"], ["2"], ["3"]]
    assert read_source(root, pattern=r"^(\d)_", kind="ratings").kind == "ordinal"
    with pytest.raises(InputError, match="holds labels of images, which can be read with .*, not with `kind='points'`"):
        read_source(root, pattern=r"^(\d)_", kind="points")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pattern": r"(\D+)_\d\d"}, r"finds no class in 1 of the 3 names of '.*': 'Abyssinian_1.png'; change it so"),
        ({"pattern": r"^(x?)"}, r"finds no class in 3 of the 3 names"),
        ({"pattern": r"_\d+"}, r"`pattern` '_\\d\+' has no group in parentheses for the class; `pattern` is a regular"),
        ({"pattern": r"(?P<split>\w+)_"}, r"has no group in parentheses for the class"),
        ({"pattern": r"(\w+"}, r"`pattern` '\(\\w\+' is not a valid regular expression: missing \), unterminated"),
        ({"pattern": "(a{99999999999})"}, r"is not a valid regular expression: the repetition number is too large"),
        (
            {"pattern": r"(\w+)_(?P<split>\d+)"},
            r"the group 'split' of `pattern` finds '1' in 'Abyssinian_1.png', which",
        ),
        ({"pattern": r"(?P<label>\w+)(?P<split>x)?"}, r"the group 'split' of `pattern` finds '' in 'Abyssinian_1.png'"),
        ({"pattern": r"(?P<group>\w)(\w+)", "group": "patient"}, r"both define the groups; give one"),
        (
            {"pattern": BOOK, "format": "folders"},
            r"`pattern` finds the class in the names of images, not in `format='f",
        ),
        ({"pattern": BOOK, "labels": "a"}, r"is a folder; `labels` is only for a table"),
        ({"pattern": BOOK, "images": "/"}, r"the images of '.*' are in it; leave `images` out"),
        ({"format": "names"}, r"`format='names'` needs `pattern`: `pattern` is a regular expression whose first group"),
    ],
)
def test_a_pattern_that_cannot_be_is_an_error(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_source(images(tmp_path, *PETS), **options)


def test_a_pattern_is_not_searched_in_names_without_end(tmp_path: Path) -> None:
    path = write_text(tmp_path / "list.txt", f"{'a' * 100_000}.png\n")
    start = time.perf_counter()
    with pytest.raises(InputError, match="is searched in names of at most 1,000 characters, and 'aaa.*' has 100,004"):
        read_source(path, pattern="(a+)+b")
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a_1.png\nb,2\n",
            "line 2: 'b,2' is not the name of an image; `pattern` takes a folder of images, or a text file",
        ),
        ("file\nname\na_1.png\n", "line 2: 'name' is not the name of an image"),
        ("\n", "holds no name of an image; `pattern` takes one on each line, or a folder of images"),
    ],
)
def test_a_list_that_is_none_is_an_error_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read_source(write_text(tmp_path / "list.txt", text), pattern=r"(\w)_")


def test_a_list_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00a_1.png\n")
    with pytest.raises(TableError, match=r"cannot read '.*list.txt'"):
        read_source(tmp_path / "list.txt", pattern=r"(\w)_")


def test_a_run_is_repeated_with_the_same_pattern(tmp_path: Path) -> None:
    source = read_source(images(tmp_path, *PETS), pattern=BOOK)
    assert source.read_options["pattern"] == BOOK
    assert labels(read_source(**source.read_options)) == labels(source)
