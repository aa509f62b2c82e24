"""Names and addresses of images in label files, and the files that they lead to."""

from pathlib import Path

import pytest

from eyebright.errors import TableError
from eyebright.sources.image_names import ImageNames
from support.label_files import images


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.jpg", "a.jpg"),
        ("./sub/b.jpg", "sub/b.jpg"),
        ("sub\\b.jpg", "sub/b.jpg"),
        ("b.jpg", "sub/b.jpg"),
        ("b", "sub/b.jpg"),
        ("gs://bucket/sub/b.jpg", "sub/b.jpg"),
        ("gs://bucket/other/place/a.jpg", "a.jpg"),
        ("https://host/x/sub/b.jpg?sig=1#f", "sub/b.jpg"),
        ("/home/somebody/photos/sub/b.jpg", "sub/b.jpg"),
        ("C:\\photos\\sub\\b.jpg", "sub/b.jpg"),
        ("../images/a.jpg", "a.jpg"),
        ("with%20space.jpg", "with space.jpg"),
        ("100%25.jpg", "100%25.jpg"),
        ("gone.jpg", "gone.jpg"),
        ("s3://bucket/x/gone.jpg", "x/gone.jpg"),
    ],
)
def test_a_name_leads_to_the_file_that_is_its_end(name: str, file: str, tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "sub/b.jpg", "with space.jpg", "100%25.jpg")
    assert ImageNames(root, root / "x.json").find(name) == file


def test_a_name_leads_to_a_file_with_outer_spaces_or_with_accents_in_another_form(tmp_path: Path) -> None:
    root = images(tmp_path, " b.jpg", "cafe\u0301.jpg", "na\u00efve.jpg")
    names = ImageNames(root, root / "x.json")
    assert names.find("b.jpg") == " b.jpg"
    assert names.find("caf\u00e9.jpg") == "cafe\u0301.jpg"
    assert names.find("nai\u0308ve.jpg") == "na\u00efve.jpg"
    assert names.messages()[0].startswith("file names found by their last part, or in another folder: 3 ('b.jpg' i")
    images(tmp_path, "sub/caf\u00e9.jpg")
    with pytest.raises(TableError, match="'caf\u00e9.jpg' may be 'cafe\u0301.jpg' or 'sub/caf\u00e9.jpg'"):
        ImageNames(root, root / "x.json").find("caf\u00e9.jpg")


def test_a_name_is_first_relative_to_the_label_file(tmp_path: Path) -> None:
    root = images(tmp_path, "train/a.jpg", "valid/a.jpg", "pictures/c.jpg", "a.jpg")
    assert ImageNames(root, root / "train" / "x.json").find("a.jpg") == "train/a.jpg"
    assert ImageNames(root, root / "valid" / "x.json").find("b/a.jpg") == "valid/a.jpg"
    assert ImageNames(root, root / "labels" / "x.json").find("../pictures/c.jpg") == "pictures/c.jpg"


def test_a_name_that_two_images_have_is_an_error_with_its_line(tmp_path: Path) -> None:
    root = images(tmp_path, "one/a.jpg", "two/a.jpg")
    with pytest.raises(TableError, match=r"x.json' line 3: 'a.jpg' may be 'one/a.jpg' or 'two/a.jpg'"):
        ImageNames(root, root / "x.json").find("a.jpg", line=3)
    with pytest.raises(TableError, match="an image has no name"):
        ImageNames(root, root / "x.json").find(" ")


def test_how_the_images_were_found_is_said(tmp_path: Path) -> None:
    root = images(tmp_path / "data", "sub/a.jpg")
    images(tmp_path, "secret.jpg")
    names = ImageNames(root, root / "x.json")
    assert [names.find(name) for name in ("a.jpg", "../secret.jpg", "none.jpg", "sub/a.jpg")] == [
        "sub/a.jpg",
        "../secret.jpg",
        "none.jpg",
        "sub/a.jpg",
    ]
    assert names.messages() == [
        "file names found by their last part, or in another folder: 1 ('a.jpg' is 'sub/a.jpg')",
        f"images outside of the folder '{root}', which are read as well: 1 ('../secret.jpg')",
        f"file names without an image in '{root}': 1 (such as 'none.jpg'); `images` names the folder of the images",
    ]
