"""Finding images: sorted, complete, and never silently empty."""

import os
from pathlib import Path

import pytest

from eyebright.errors import InputError
from eyebright.io.files import IMAGE_EXTENSIONS, get_image_files


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(images, root):
    return [image.relative_to(root).as_posix() for image in images]


def test_images_come_sorted_whatever_order_the_disk_has(tmp_path, monkeypatch):
    make(tmp_path, "b/2.jpg", "b/10.JPG", "a.png", "a-b/x.tiff", "a/z.WebP", "c.bmp", "ü ö.gif", "notes.txt")
    expected = ["a/z.WebP", "a-b/x.tiff", "a.png", "b/10.JPG", "b/2.jpg", "c.bmp", "ü ö.gif"]
    assert names(get_image_files(tmp_path), tmp_path) == expected
    real = os.walk
    monkeypatch.setattr(os, "walk", lambda *a, **k: reversed([(f, d, list(reversed(n))) for f, d, n in real(*a, **k)]))
    assert names(get_image_files(str(tmp_path)), tmp_path) == expected


def test_hidden_files_and_folders_are_skipped(tmp_path):
    make(tmp_path, "a.jpg", ".b.jpg", "._a.jpg", ".cache/c.jpg", "d/.e/f.jpg")
    assert names(get_image_files(tmp_path), tmp_path) == ["a.jpg"]


def test_a_hidden_start_folder_is_looked_into(tmp_path):
    make(tmp_path, ".eyebright/data/a.jpg")
    assert names(get_image_files(tmp_path / ".eyebright" / "data"), tmp_path) == [".eyebright/data/a.jpg"]


def test_without_recursion_only_the_folder_itself_counts(tmp_path):
    make(tmp_path, "a.jpg", "b/c.jpg")
    assert names(get_image_files(tmp_path, recurse=False), tmp_path) == ["a.jpg"]


def test_folders_choose_among_those_directly_inside(tmp_path):
    make(tmp_path, "top.jpg", "train/a.jpg", "train/deep/b.jpg", "test/c.jpg", "other/train/d.jpg")
    assert names(get_image_files(tmp_path, folders=["train"]), tmp_path) == ["train/a.jpg", "train/deep/b.jpg"]
    assert names(get_image_files(tmp_path, folders=["train", "."]), tmp_path) == [
        "top.jpg",
        "train/a.jpg",
        "train/deep/b.jpg",
    ]
    assert names(get_image_files(tmp_path, recurse=False, folders=["train"]), tmp_path) == ["train/a.jpg"]


def test_links_to_folders_are_followed_but_not_round_in_circles(tmp_path):
    make(tmp_path, "data/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "data" / "self").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data", target_is_directory=True)
    assert names(get_image_files(tmp_path / "data"), tmp_path) == ["data/a.jpg", "data/more/b.jpg"]


def test_the_extensions_are_fixed_and_lower_case():
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"} <= set(IMAGE_EXTENSIONS)
    assert all(e == e.lower() and e.startswith(".") for e in IMAGE_EXTENSIONS)
    assert not {".svg", ".psd", ".dwg", ".pdf"} & set(IMAGE_EXTENSIONS)


def test_a_folder_without_images_says_what_is_there(tmp_path):
    make(tmp_path, "a.txt", "b.txt", "c.HEIC", "README")
    with pytest.raises(InputError, match=r"no image in .*holds: .txt \(2\), .*.heic \(1\).*known are .avif"):
        get_image_files(tmp_path)


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(InputError, match=r"there is no image in .*; it is empty"):
        get_image_files(tmp_path)


def test_images_further_down_are_hinted_at_when_recursion_is_off(tmp_path):
    make(tmp_path, "b/c.jpg")
    with pytest.raises(InputError, match="its folders were not looked into"):
        get_image_files(tmp_path, recurse=False)


def test_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder '.*nowhere'"):
        get_image_files(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder_says_so(tmp_path):
    make(tmp_path, "a.jpg")
    with pytest.raises(InputError, match=r"a.jpg' is a file; a folder of images was expected"):
        get_image_files(tmp_path / "a.jpg")


def test_an_unknown_folder_names_the_nearest(tmp_path):
    make(tmp_path, "train/a.jpg", "valid/b.jpg")
    with pytest.raises(InputError, match=r"no folder 'trian' in .*Did you mean 'train'.*'train', 'valid'"):
        get_image_files(tmp_path, folders=["trian"])


def test_a_folder_that_cannot_be_looked_into_is_not_skipped_in_silence(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "locked/b.jpg")
    real = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)  # chmod does not stop the root user
    with pytest.raises(InputError, match=r"cannot look into the folder '.*locked': Permission denied"):
        get_image_files(tmp_path)
