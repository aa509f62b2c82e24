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
