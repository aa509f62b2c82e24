"""``.pts`` files as 300-W has them."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.pts_files import read_pts
from eyebright.sources.read import read_source

POINTS = [[20.5, 30.25], [40.0, 30.0], [30.0, 45.0]]


def pts(points: list[list[float]], *, count: int | None = None) -> str:
    lines = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    return f"version: 1\nn_points:  {len(points) if count is None else count}\n{{\n{lines}\n}}\n"


def folder(root: Path, names: list[str], text: str = "") -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (64, 64)).save(path)
        path.with_suffix(".pts").write_text(text or pts(POINTS))
    return root


def test_the_centre_of_the_first_pixel_is_1_1_in_a_file_and_a_half_here(tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text(pts([[1, 1], [64, 64]]))
    assert read_pts(tmp_path / "a.pts").tolist() == [[0.5, 0.5], [63.5, 63.5]]


def test_a_folder_of_images_with_files_of_points_is_a_source_of_points(tmp_path: Path) -> None:
    root = folder(tmp_path, ["b.png", "a.jpg"])
    PIL.Image.new("RGB", (64, 64)).save(root / "c.png")
    source = read_source(root)
    assert source.kind == "points"
    assert [row.path.name for row in source] == ["a.jpg", "b.png"]
    assert np.allclose(source.targets, np.array([POINTS, POINTS]) - 0.5)
    assert source.messages[:4] == (
        f"'{root}' is read as images with .pts files",
        "points of 2 images are in the .pts file beside each",
        "these files give the centre of the first pixel as (1, 1): 0.5 is subtracted from each coordinate",
        "images without a .pts file, which are ignored: 1",
    )


def test_pts_files_in_train_and_valid_folders_keep_the_split(tmp_path: Path) -> None:
    source = read_source(folder(tmp_path, ["train/a.png", "train/b.png", "valid/c.png", "test/d.png"]))
    assert [row.part for row in source] == ["test", "train", "train", "valid"]
    assert source.split == ([1, 2], [3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", r"a.pts' is not a file of points; 'n_points: 68' and a point on each line in \{\} were expected"),
        (pts(POINTS, count=5), "a.pts' announces 5 points and has 3"),
        ("n_points: 1\n{\n1 2 3\n}", "a.pts' has the line '1 2 3'; a point is two numbers, x and y"),
        ("n_points: 1\n{\n1 Left\n}", "a.pts' has the line '1 Left'; a point is two numbers"),
        ("n_points: 0\n{\n}", "a.pts' has no points; remove the file, or write 'nan nan'"),
    ],
)
def test_an_invalid_pts_file_is_an_error_with_its_path(tmp_path: Path, text: str, message: str) -> None:
    folder(tmp_path, ["a.png"], text)
    with pytest.raises(TableError, match=message):
        read_source(tmp_path)


def test_an_extension_in_capital_letters_is_read(tmp_path: Path) -> None:
    folder(tmp_path, ["a.png", "b.png"])
    (tmp_path / "a.pts").rename(tmp_path / "a.PTS")
    (tmp_path / "b.pts").rename(tmp_path / "b.Pts")
    source = read_source(tmp_path)
    assert (source.kind, source.files.tolist()) == ("points", ["a.png", "b.png"])


def test_two_files_of_points_for_one_image_are_an_error_that_names_both(tmp_path: Path) -> None:
    folder(tmp_path, ["a.png", "b.png"])
    (tmp_path / "a.PTS").write_text(pts(POINTS))
    if len(list(tmp_path.iterdir())) == 4:
        pytest.skip("this file system does not tell a.PTS from a.pts")
    with pytest.raises(TableError, match=r"a.png' has two files of points, 'a.PTS' and 'a.pts'; keep one"):
        read_source(tmp_path)


def test_two_images_with_one_file_of_points_are_an_error_that_names_both(tmp_path: Path) -> None:
    folder(tmp_path, ["a.png", "a.jpg", "b.png"])
    with pytest.raises(TableError, match=r"a.pts' may have the points of 'a.jpg' or of 'a.png'; take one of these"):
        read_source(tmp_path)


def test_files_of_points_without_an_image_have_a_message(tmp_path: Path) -> None:
    folder(tmp_path, ["a.png", "train/b.png", "valid/e.png"])
    (tmp_path / "a.png").rename(tmp_path / "c.png")
    (tmp_path / "c.pts").write_text(pts(POINTS))
    (tmp_path / "valid" / "d.PTS").write_text(pts(POINTS))
    without = ".pts files without an image of their name beside them, which are ignored: 2 (such as 'a.pts')"
    assert without in read_source(tmp_path).messages


@pytest.mark.parametrize(
    ("encoding", "header", "expected"),
    [("utf-16", "version: 1", "utf-16"), ("latin1", "author: Jos\xe9", "latin1")],
)
def test_a_file_in_another_encoding_is_an_error_with_the_remedy(
    tmp_path: Path, encoding: str, header: str, expected: str
) -> None:
    (tmp_path / "a.pts").write_text(f"{header}\n{pts(POINTS)}", encoding=encoding)
    with pytest.raises(TableError, match=f"a.pts' is not UTF-8; save it .*: iconv -f {expected} -t utf-8"):
        read_pts(tmp_path / "a.pts")


@pytest.mark.parametrize("begin", ["\ufeff", "\n", " \r\n\n"])
def test_points_alone_are_read_after_a_byte_order_mark_and_blank_lines(tmp_path: Path, begin: str) -> None:
    (tmp_path / "a.pts").write_bytes(f"{begin}1 1\n64.5 64\n".encode())
    assert read_pts(tmp_path / "a.pts").tolist() == [[0.5, 0.5], [64, 63.5]]


def test_pts_files_with_different_numbers_of_points_are_an_error_with_both_paths(tmp_path: Path) -> None:
    folder(tmp_path, ["a.png", "b.png"])
    (tmp_path / "b.pts").write_text(pts(POINTS[:2]))
    with pytest.raises(TableError, match="b.pts' has 2 points and '.*a.pts' has 3; every image needs as many"):
        read_source(tmp_path)


def test_a_file_with_the_points_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text("1 1\r\n64.5 64\r\n\r\n")
    assert read_pts(tmp_path / "a.pts").tolist() == [[0.5, 0.5], [64, 63.5]]
    (tmp_path / "a.pts").write_text("1 1\n2 x\n")
    with pytest.raises(TableError, match="has the line '2 x'; a point is two numbers"):
        read_pts(tmp_path / "a.pts")


def test_a_folder_without_such_files_is_refused_where_they_are_asked_for(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"has a \.pts file beside it, such as '1\.pts' beside '1\.jpg'"):
        read_source(tmp_path, format="pts")
