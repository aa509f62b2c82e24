"""Folders of images as people and tools arrange them: what is not a class and what is ignored is said, or an error."""

from pathlib import Path

import PIL.Image
import pytest

from eyebright.errors import InputError
from eyebright.sources.folder import folder_source
from eyebright.sources.source import Source


def images(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (8, 8)).save(root / name, "png")
    return root


def classes(source: Source) -> dict[str, str]:
    return {row.path.name: row.target for row in source}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("ok/2024-01-03/1.png", "bad/2024-01-03/2.png"), "not used: '2024-01-03'"),
        (("ok/black/1.png", "bad/white/2.png"), "not used: 'black', 'white'"),
        (("ok/1.png", "ok/more/3.png", "bad/2.png"), "not used: 'more'"),
        (("train/ok/s1/1.png", "train/bad/2.png", "valid/ok/s1/3.png"), "or its parts; folders inside .* 's1'"),
        (("images/ok/black/1.png", "images/bad/2.png"), "below 'images'; folders inside .* 'black'"),
    ],
)
def test_the_class_is_the_folder_below_the_root_or_the_part_and_folders_inside_are_said(
    names: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    source = folder_source(images(tmp_path, *names))
    assert classes(source) == {
        name: "bad" if name == "2.png" else "ok" for name in sorted(name.split("/")[-1] for name in names)
    }
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(source.messages)


def test_a_source_says_nothing_about_folders_inside_of_classes_where_there_are_none(tmp_path: Path) -> None:
    assert folder_source(images(tmp_path, "a/1.png", "b/2.png")).messages == (
        "2 images in 2 folders, one for each class: 'a', 'b'",
    )


@pytest.mark.parametrize("test", ["test", "Test", "testing", "test_set"])
def test_images_of_a_test_folder_never_train_also_without_a_train_folder(test: str, tmp_path: Path) -> None:
    source = folder_source(images(tmp_path, "cat/1.png", "dog/2.png", f"{test}/cat/3.png"))
    assert {row.path.name: (row.target, row.part) for row in source} == {
        "1.png": ("cat", "train"),
        "2.png": ("dog", "train"),
        "3.png": ("cat", "test"),
    }
    assert "the folders give the split: train 2, test 1" in source.messages


def test_parts_inside_of_the_classes_are_the_split(tmp_path: Path) -> None:
    source = folder_source(images(tmp_path, "cat/train/1.png", "cat/test/2.png", "dog/train/3.png", "dog/val/4.png"))
    assert [(row.target, row.part) for row in source] == [
        ("cat", "test"), ("cat", "train"), ("dog", "train"), ("dog", "valid"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat/1.png", "dog/2.png", "test/3.png"), "'test', which has the name of a part .* beside 'cat', 'dog'"),
        (("cat/1.png", "dog/2.png", "valid/bird/3.png"), "'valid', which has the name of a part of the data"),
        (("train/cat/1.png", "other/cat/2.png"), "'train', which has the name of a part of the data, beside 'other'"),
        (("test/cat/1.png", "test/dog/2.png"), "in its one folder 'test'; .* give '.*test'"),
        (("test/cat/1.png",), "a folder 'test' and no other part; to use its images, give"),
        (("cat/train/1.png", "cat/test/2.png", "dog/3.png"), "inside its classes, but '.*3.png' is in none of them"),
        (("mine/cat/1.png", "mine/dog/2.png"), "in its one folder 'mine'; .* \\('cat', 'dog'\\), give '.*mine'"),
        (("train/1.png", "test/2.png"), "2.png' is not in a class folder"),
        (("images/train/1.png", "images/val/2.png"), "1.png' is not in a class folder"),
        (("train/images/1.png", "valid/images/2.png"), "the folders 'images' of '.*' are not named after classes"),
        (("images/1.png", "masks/1.png"), "the folders 'images', 'masks' of '.*' are not named after classes"),
        (("_unlabeled/1.png",), "every image of '.*' is in a folder for images without a label"),
    ],
)
def test_folders_that_can_be_read_in_several_ways_are_an_error(
    names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        folder_source(images(tmp_path, *names))


def test_the_error_for_folders_that_are_no_classes_names_the_label_files(tmp_path: Path) -> None:
    images(tmp_path, "train/data/1.png", "validation/data/2.png")
    (tmp_path / "train" / "labels.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"label files \(1 .json, such as 'labels.json'\), none of which was recognised"
    ):
        folder_source(tmp_path)


@pytest.mark.parametrize("name", ["_unlabeled", "Unlabelled", "no_label"])
def test_images_in_a_folder_for_unlabelled_ones_are_ignored_and_counted(name: str, tmp_path: Path) -> None:
    source = folder_source(images(tmp_path, "cat/1.png", "dog/2.png", f"{name}/3.png", f"{name}/4.png"))
    assert classes(source) == {"1.png": "cat", "2.png": "dog"}
    assert source.messages == (
        "2 images in 2 folders, one for each class: 'cat', 'dog'",
        f"images without a label (in '{name}'), which are ignored: 2",
    )


def test_files_that_are_not_read_as_images_are_counted_by_extension(tmp_path: Path) -> None:
    images(tmp_path, "cat/1.png", "dog/2.png", "dog/photo")
    for name in ("cat/a.HEIC", "bird/b.heic", "cat/notes.txt", "cat/README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    assert folder_source(tmp_path).messages[1:] == (
        "files that are not read as images, which are ignored: 2 .heic, 1 no extension, 1 .txt, "
        "1 without extension that are images by their first bytes; convert '.heic' to JPEG or PNG; "
        "give images without an extension one, such as .jpg",
        "folders without an image that can be read, which are not classes: 'bird'",
    )


def test_files_ignored_beside_points_are_said_too(tmp_path: Path) -> None:
    images(tmp_path, "1.png", "2.png")
    for name in ("1", "2"):
        (tmp_path / f"{name}.pts").write_text("version: 1\nn_points: 1\n{\n1 2\n}\n")
    (tmp_path / "3.heic").write_text("text")
    assert any("ignored: 1 .heic;" in message for message in folder_source(tmp_path).messages)


# ------------------------------------------------------------------ links


@pytest.mark.parametrize("pool", ["a_pool", "z_pool"])
def test_class_folders_that_are_links_to_one_pool_are_classes_whatever_it_is_called(pool: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    images(root, *(f"{pool}/{name}/{name}.png" for name in ("cat1", "dog1", "cat2", "dog2")))
    for part, number in (("train", 1), ("valid", 2)):
        images(root, f"{part}/cow/{part}.png")
        for name in ("cat", "dog"):
            (root / part / name).symlink_to(root / pool / f"{name}{number}", target_is_directory=True)
    source = folder_source(root)
    assert {(row.target, row.part) for row in source} == {
        (name, part) for name in ("cat", "cow", "dog") for part in ("train", "valid")
    }


def test_an_image_in_two_parts_through_a_link_is_an_error(tmp_path: Path) -> None:
    images(tmp_path, "train/cat/1.png", "train/dog/2.png")
    (tmp_path / "valid").symlink_to(tmp_path / "train", target_is_directory=True)
    with pytest.raises(
        InputError, match=r"image 'valid/cat/1.png' \(the same file as 'train/cat/1.png'\) is for training"
    ):
        folder_source(tmp_path)


def test_an_image_in_two_classes_through_a_link_is_an_error(tmp_path: Path) -> None:
    images(tmp_path, "cat/1.png", "dog/2.png")
    (tmp_path / "dog" / "1.png").symlink_to(tmp_path / "cat" / "1.png")
    with pytest.raises(InputError, match="image 'dog/1.png' .* is dog here and cat there; remove one of them"):
        folder_source(tmp_path)


def test_an_image_twice_in_one_class_is_read_once_and_said(tmp_path: Path) -> None:
    images(tmp_path, "cat/1.png", "dog/2.png")
    (tmp_path / "dog" / "3.png").hardlink_to(tmp_path / "dog" / "2.png")
    source = folder_source(tmp_path)
    assert classes(source) == {"1.png": "cat", "2.png": "dog"}
    assert "links to images that are read already, which are ignored: 1" in source.messages


def test_hidden_folders_and_images_are_said(tmp_path: Path) -> None:
    root = images(tmp_path, "cat/1.png", "dog/2.png", ".bird/3.png", "cat/.4.png", ".git/5.png", ".deep/a/b/6.png")
    (root / ".settings").mkdir()
    (root / ".settings" / "notes.txt").touch()
    (root / "cat" / "._1.png").touch()  # macOS writes such a file beside each one of an archive
    source = folder_source(root)
    assert classes(source) == {"1.png": "cat", "2.png": "dog"}
    hidden = f"'{root / '.bird'}', '{root / '.deep'}', '{root / 'cat' / '.4.png'}'"
    assert f"names that begin with a dot, whose images are not read: {hidden}; rename them if they should be" in (
        source.messages
    )
