"""Names without extension in a label file: found if only one image has the name, and said."""

from pathlib import Path

import PIL.Image
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.headers import readable
from eyebright.sources.read import read_source


def table(folder: Path, *names: str) -> Path:
    (folder / "t.csv").write_text("image,label\n" + "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(names)))
    return folder / "t.csv"


def images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (8, 8)).save(folder / name, "png")


def test_a_name_without_extension_is_the_one_image_with_that_name_and_said(tmp_path: Path) -> None:
    images(tmp_path, "train_0.jpg", "sub/IMG.1.PNG", "2.png", "bare")
    source = readable(read_source(table(tmp_path, "train_0", "sub/IMG.1", "2.png", "bare")), skip_bad=False)
    assert [row.path.relative_to(tmp_path).as_posix() for row in source] == [
        "train_0.jpg", "sub/IMG.1.PNG", "2.png", "bare",
    ]  # fmt: skip
    assert (
        "names without the extension of an image, whose files were found with one: 2 ('train_0' is 'train_0.jpg')"
        in source.messages
    )


def test_a_name_that_two_images_have_is_an_error_with_both_and_its_line(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "a.png", "b.png")
    with pytest.raises(TableError, match="line 3: 'a' may be 'a.jpg' or 'a.png' in '.*'; write the extension too"):
        read_source(table(tmp_path, "b", "a"))


@pytest.mark.parametrize("name", ["nowhere", "no/where"])
def test_a_name_that_no_image_has_is_reported_when_the_images_are_read(name: str, tmp_path: Path) -> None:
    images(tmp_path, "b.png")
    source = read_source(table(tmp_path, "b.png", name))
    assert not any("extension" in message for message in source.messages)
    with pytest.raises(InputError, match=f"{name} .*there is no such file"):
        readable(source, skip_bad=False)


def test_images_outside_of_the_folder_are_read_and_said_once_with_an_example(tmp_path: Path) -> None:
    images(tmp_path, "data/in.png", "data/..in.png", "data/other.png", "data/deep/in.png")
    images(tmp_path, "out.png", "out2.png", "database/near.png")
    absolute = [(tmp_path / name).as_posix() for name in ("data/deep/in.png", "out.png")]
    names = ["in.png", "deep/../other.png", "..in.png", *absolute, "../out2.png", "deep/../../database/near.png"]
    source = read_source(table(tmp_path / "data", *names))
    said = [message for message in source.messages if "outside" in message]
    assert said == [
        f"images outside of the folder '{tmp_path / 'data'}', which are read as well: 3 of 7 "
        f"('{absolute[1]}' in line 6)"
    ]
    assert len(readable(source, skip_bad=False)) == 7


def test_nothing_is_said_of_images_inside(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "sub/b.png")
    source = read_source(table(tmp_path, "a.png", "sub/b.png", "./sub/../a.png"))
    assert not [message for message in source.messages if "outside" in message]


def test_a_folder_says_which_images_links_lead_to_outside(tmp_path: Path) -> None:
    images(tmp_path, "root/a/1.png", "root/b/2.png", "other/3.png")
    (tmp_path / "root" / "b" / "3.png").symlink_to(tmp_path / "other" / "3.png")
    said = [message for message in read_source(tmp_path / "root").messages if "outside" in message]
    assert said == [
        "images outside of the folder that symbolic links lead to, which are read as well: "
        f"1 ('{tmp_path / 'root' / 'b' / '3.png'}')"
    ]
