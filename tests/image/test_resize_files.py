"""Smaller copies of image files."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import InputError
from eyebright.image.image import verify
from eyebright.image.resize_files import resize_images


def save(path: Path, width: int, height: int, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.linspace(0, 255, height, dtype=np.uint8)[:, None, None]
    PIL.Image.fromarray(np.broadcast_to(rows, (height, width, 3)).copy()).save(path, **options)
    return path


def size(path: Path) -> tuple[int, int]:
    with PIL.Image.open(path) as image:
        return image.size


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.relative_to(folder).as_posix(): size(path) for path in folder.rglob("*.*")}


def test_large_images_become_smaller_and_small_ones_stay_byte_for_byte(tmp_path: Path) -> None:
    save(tmp_path / "in" / "large.jpg", 400, 200)
    small = save(tmp_path / "in" / "small.png", 30, 50)
    save(tmp_path / "in" / "more" / "tall.png", 100, 300)
    assert resize_images(tmp_path / "in", max_size=100, dest=tmp_path / "out") == {}
    assert sizes(tmp_path / "out") == {"large.jpg": (100, 50), "small.png": (30, 50)}
    assert (tmp_path / "out" / "small.png").read_bytes() == small.read_bytes()
    resize_images(tmp_path / "in", max_size=100, dest=tmp_path / "out", recurse=True)
    assert sizes(tmp_path / "out")["more/tall.png"] == (33, 100)


def test_a_copy_of_a_photograph_stands_upright_unlike_fastais(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "in" / "phone.jpg", 400, 200, exif=exif)
    resize_images(tmp_path / "in", max_size=100, dest=tmp_path / "out")
    with PIL.Image.open(tmp_path / "out" / "phone.jpg") as copy:
        assert copy.size == (50, 100)
        assert not copy.getexif()


def test_in_the_same_folder_damaged_files_stay_and_are_returned_with_a_warning(tmp_path: Path) -> None:
    save(tmp_path / "large.jpg", 400, 200)
    (tmp_path / "damaged.jpg").write_bytes((tmp_path / "large.jpg").read_bytes()[:600])
    before = (tmp_path / "damaged.jpg").read_bytes()
    with pytest.warns(UserWarning, match=r"1 of 2 images have no copy, such as '.*damaged\.jpg'"):
        failed = resize_images(tmp_path, max_size=100, dest=tmp_path)
    assert list(failed) == [str(tmp_path / "damaged.jpg")]
    assert (tmp_path / "damaged.jpg").read_bytes() == before
    assert size(tmp_path / "large.jpg") == (100, 50)
    assert [error.path for error in verify(sorted(tmp_path.iterdir()))] == [str(tmp_path / "damaged.jpg")]


def test_resume_skips_what_is_there(tmp_path: Path) -> None:
    save(tmp_path / "in" / "large.jpg", 400, 200)
    save(tmp_path / "out" / "large.jpg", 10, 10)
    resize_images(tmp_path / "in", max_size=100, dest=tmp_path / "out", resume=True)
    assert sizes(tmp_path / "out") == {"large.jpg": (10, 10)}
    resize_images(tmp_path / "in", max_size=100, dest=tmp_path / "out")
    assert sizes(tmp_path / "out") == {"large.jpg": (100, 50)}


def test_a_size_below_one_pixel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`max_size` must be at least 1 pixel, got 0"):
        resize_images(tmp_path, max_size=0)
