"""CelebA: attributes of 1 and -1, the list of parts, and broken files."""

from pathlib import Path

import pytest

from eyebright.errors import TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_text

TEXT = "3\nMale Smiling Old \na.jpg -1  1 -1\nb.jpg  1  1 -1\nc.jpg -1 -1 -1\n"


def test_an_attribute_that_is_1_is_a_label_and_minus_1_is_no(tmp_path: Path) -> None:
    root = images(tmp_path, *(f"photos/{name}.jpg" for name in "abc"))
    source = read_source(write_text(root / "list_attr_celeba.txt", TEXT), images=root / "photos")
    assert labels(source) == {"a.jpg": ["Smiling"], "b.jpg": ["Male", "Smiling"], "c.jpg": []}
    assert (source.unused, source.part) == (("Old",), None)


def test_the_list_beside_it_gives_the_parts(tmp_path: Path) -> None:
    root = images(tmp_path, *(f"photos/{name}.jpg" for name in "abc"))
    write_text(root / "list_attr_celeba.txt", TEXT)
    write_text(root / "list_eval_partition.txt", "a.jpg 0\nb.jpg 1\nc.jpg 2\n")
    assert list(parts(read_source(root)).values()) == ["train", "valid", "test"]
    write_text(root / "list_eval_partition.txt", "a.jpg 0\nb.jpg 1\n")
    with pytest.raises(TableError, match="list_eval_partition.txt' has no part for 'c.jpg'"):
        read_source(root)
    write_text(root / "list_eval_partition.txt", "a.jpg 0\nb.jpg 7\n")
    with pytest.raises(TableError, match=r"partition.txt' line 2: an image and one of '0', '1', '2' were expected"):
        read_source(root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT.replace("3\n", "4\n"), "announces 4 images and has 3; is it cut off"),
        (TEXT.replace("-1 -1 -1", "-1 -1"), "line 5: the name of an image and 3 times 1 or -1 were expected"),
        (TEXT.replace("-1 -1 -1", "-1 -1 2"), "line 5: the name of an image and 3 times 1 or -1 were expected"),
    ],
)
def test_a_broken_file_is_an_error(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read_source(write_text(images(tmp_path, "a.jpg") / "list_attr_celeba.txt", text))
