"""Listing of image files: sorted, complete, and never silently empty."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError
from eyebright.io.files import IMAGE_EXTENSIONS, check_replaceable, folder_content, get_image_files


def create_files(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


scandir = os.scandir


@contextmanager
def reversed_scandir(folder: str) -> Iterator[Iterator["os.DirEntry[str]"]]:
    with scandir(folder) as entries:
        yield iter(sorted(entries, key=lambda entry: entry.name, reverse=True))


def names(images: list[Path], root: Path) -> list[str]:
    return [image.relative_to(root).as_posix() for image in images]


def test_images_are_sorted_whatever_the_order_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_files(tmp_path, "b/2.jpg", "b/10.JPG", "a.png", "a-b/x.tiff", "a/z.WebP", "c.bmp", "ü ö.gif", "notes.txt")
    expected = ["a/z.WebP", "a-b/x.tiff", "a.png", "b/10.JPG", "b/2.jpg", "c.bmp", "ü ö.gif"]
    assert names(get_image_files(tmp_path), tmp_path) == expected
    monkeypatch.setattr(os, "scandir", reversed_scandir)
    assert names(get_image_files(str(tmp_path)), tmp_path) == expected


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    create_files(tmp_path, "a.jpg", ".b.jpg", "._a.jpg", ".cache/c.jpg", "d/.e/f.jpg")
    assert names(get_image_files(tmp_path), tmp_path) == ["a.jpg"]


def test_images_in_a_hidden_root_folder_are_listed(tmp_path: Path) -> None:
    create_files(tmp_path, ".eyebright/data/a.jpg")
    assert names(get_image_files(tmp_path / ".eyebright" / "data"), tmp_path) == [".eyebright/data/a.jpg"]


def test_without_recursion_only_the_folder_itself_is_searched(tmp_path: Path) -> None:
    create_files(tmp_path, "a.jpg", "b/c.jpg")
    assert names(get_image_files(tmp_path, recurse=False), tmp_path) == ["a.jpg"]


def test_the_folders_argument_selects_direct_subfolders(tmp_path: Path) -> None:
    create_files(tmp_path, "top.jpg", "train/a.jpg", "train/deep/b.jpg", "test/c.jpg", "other/train/d.jpg")
    assert names(get_image_files(tmp_path, folders=["train"]), tmp_path) == ["train/a.jpg", "train/deep/b.jpg"]
    assert names(get_image_files(tmp_path, folders=["train", "."]), tmp_path) == [
        "top.jpg",
        "train/a.jpg",
        "train/deep/b.jpg",
    ]
    assert names(get_image_files(tmp_path, recurse=False, folders=["train"]), tmp_path) == ["train/a.jpg"]


def test_links_to_folders_are_followed_without_cycles(tmp_path: Path) -> None:
    create_files(tmp_path, "data/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "data" / "self").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data", target_is_directory=True)
    assert names(get_image_files(tmp_path / "data"), tmp_path) == ["data/a.jpg", "data/more/b.jpg"]


def test_image_extensions_are_lower_case_and_exclude_vector_formats() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"} <= set(IMAGE_EXTENSIONS)
    assert all(name == name.lower() and name.startswith(".") for name in IMAGE_EXTENSIONS)
    assert not {".svg", ".psd", ".dwg", ".pdf"} & set(IMAGE_EXTENSIONS)


def test_the_error_for_a_folder_without_images_lists_the_other_files(tmp_path: Path) -> None:
    create_files(tmp_path, "a.txt", "b.txt", "c.HEIC", "README")
    with pytest.raises(
        InputError, match=r"no image in .*it contains .txt \(2\), .*.heic \(1\).*image extensions are .avif"
    ):
        get_image_files(tmp_path)


def test_the_error_for_a_folder_of_archives_says_what_to_do(tmp_path: Path) -> None:
    create_files(tmp_path, "a.tar.gz", "b.txt")
    with pytest.raises(InputError, match=r"no image in .*; decompress 'a.tar.gz', if the images are in it"):
        get_image_files(tmp_path)


def test_the_error_for_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no image in .*; it is empty"):
        get_image_files(tmp_path)


def test_without_recursion_the_error_mentions_that_subfolders_were_not_searched(tmp_path: Path) -> None:
    create_files(tmp_path, "b/c.jpg")
    with pytest.raises(InputError, match="its subfolders were not searched"):
        get_image_files(tmp_path, recurse=False)


def test_the_error_for_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder '.*nowhere'"):
        get_image_files(tmp_path / "nowhere")


def test_the_error_for_a_file_instead_of_a_folder_says_so(tmp_path: Path) -> None:
    create_files(tmp_path, "a.jpg")
    with pytest.raises(InputError, match=r"expected a folder of images, but '.*a.jpg' is a file"):
        get_image_files(tmp_path / "a.jpg")


def test_the_error_for_an_unknown_subfolder_suggests_the_nearest_name(tmp_path: Path) -> None:
    create_files(tmp_path, "train/a.jpg", "valid/b.jpg")
    with pytest.raises(InputError, match=r"no folder 'trian' in .*Did you mean 'train'.*'train', 'valid'"):
        get_image_files(tmp_path, folders=["trian"])


def test_a_folder_that_cannot_be_read_raises_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_files(tmp_path, "a.jpg", "locked/b.jpg")
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # chmod does not stop the root user
    with pytest.raises(InputError, match=r"cannot read the folder '.*locked': Permission denied"):
        get_image_files(tmp_path)


def test_images_that_links_lead_to_outside_of_the_folder_are_listed_and_said(tmp_path: Path) -> None:
    create_files(tmp_path, "other/a.jpg", "other/deep/b.jpg", "mine/own.jpg", "mine/sub/c.jpg")
    mine = tmp_path / "mine"
    (mine / "file.jpg").symlink_to(tmp_path / "other" / "a.jpg")
    (mine / "folder").symlink_to(tmp_path / "other" / "deep")
    (mine / "notes.txt").symlink_to(tmp_path / "other" / "a.jpg")
    (mine / "inside.jpg").symlink_to(mine / "sub" / "c.jpg")
    (mine / "loop.jpg").symlink_to("loop.jpg")
    content = folder_content(mine)
    assert names(content.images, mine) == [
        "file.jpg", "folder/b.jpg", "inside.jpg", "loop.jpg", "own.jpg", "sub/c.jpg",
    ]  # fmt: skip
    assert names(list(content.outside), mine) == ["file.jpg", "folder/b.jpg"]
    assert content.symlink_message == (
        f"images outside of the folder that symbolic links lead to, which are read as well: 2 ('{mine / 'file.jpg'}')"
    )
    assert folder_content(mine / "sub").symlink_message == ""
    link = tmp_path / "link"
    link.symlink_to(mine / "sub")
    assert folder_content(link).symlink_message == "", "the folder that is asked for may itself be a link"


def test_a_name_that_is_too_long_is_no_folder() -> None:
    with pytest.raises(InputError, match=r"there is no folder 'xxx.*characters omitted"):
        folder_content("x" * 10_000)


def test_folders_with_links_to_each_other_are_listed_in_a_bounded_time(tmp_path: Path) -> None:
    count = 12  # following every path without a cycle would visit 12! folders
    for i in range(count):
        create_files(tmp_path, f"{i}/{i}.jpg")
        for j in set(range(count)) - {i}:
            (tmp_path / str(i) / f"to{j}").symlink_to(tmp_path / str(j), target_is_directory=True)
    found = get_image_files(tmp_path)
    assert {file.resolve() for file in found} == {tmp_path / str(i) / f"{i}.jpg" for i in range(count)}
    assert len(found) <= count**3


@pytest.mark.parametrize(("content", "is_refused"), [("", False), ("path,labels\n", False), ("file,labels\n", True)])
def test_a_file_that_holds_something_else_is_not_replaced(content: str, is_refused: bool, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    check_replaceable(path, ["path,"], "predictions")
    path.write_text(content)
    if is_refused:
        with pytest.raises(
            InputError, match="exists and holds no predictions; choose another file for `out`, or remove"
        ):
            check_replaceable(path, ["path,"], "predictions")
    else:
        check_replaceable(path, ["path,"], "predictions")


def test_images_behind_many_other_files_of_a_hidden_folder_are_named(tmp_path: Path) -> None:
    hidden = tmp_path / ".photos"
    hidden.mkdir()
    for i in range(1100):
        (hidden / f"{i}.txt").touch()
    (hidden / "z.jpg").touch()
    (tmp_path / "a.jpg").touch()
    assert folder_content(tmp_path).hidden == [hidden]
