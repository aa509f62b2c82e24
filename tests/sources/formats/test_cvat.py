"""CVAT for images: tags and shapes, subsets, points, and broken files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_text

META = "<meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>"


def read(root: Path, inner: str, **options: Any) -> Any:
    images(root, "images/a.jpg", "images/b.jpg")
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n{META}\n{inner}\n</annotations>\n'
    return read_source(write_text(root / "annotations.xml", text), **options)


def test_tags_and_shapes_are_labels_and_subsets_are_parts(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        '<image id="0" name="a.jpg" subset="Train"><tag label="cat"></tag><box label="cat" xtl="1"/></image>'
        '<image id="1" name="b.jpg" subset="Validation"/>',
    )
    assert labels(source) == {"images/a.jpg": ["cat"], "images/b.jpg": []}
    assert list(parts(source).values()) == ["train", "valid"]
    assert source.unused == ("dog",)


def point(label: str, text: str) -> str:
    return f'<points label="{label}" points="{text}"/>'


def test_single_points_with_a_label_each_are_points(tmp_path: Path) -> None:
    both = f'<image name="a.jpg">{point("nose", "1.5,2")}{point("tail", "3,4")}</image><image name="b.jpg"/>'
    source = read(tmp_path, both, unit="pixels")
    assert source.names == ("nose", "tail")
    assert np.array_equal(source.targets, [[[1.5, 2], [3, 4]]])
    assert dict(source.left_out) == {"images/b.jpg": "without points"}
    assert labels(read(tmp_path, both, kind="labels")) == {"images/a.jpg": ["nose", "tail"], "images/b.jpg": []}


@pytest.mark.parametrize(
    ("inner", "error", "said"),
    [
        (
            '<track id="0" label="cat"></track>',
            InputError,
            "contains the tracks of a video; export the task as 'CVAT for",
        ),
        ('<image id="7"/>', TableError, "the image with the id '7' has no name"),
        ('<image name="a.jpg"><box/></image>', TableError, "a box of 'a.jpg' has no label"),
        (f'<image name="a.jpg">{point("nose", "1,x")}</image>', TableError, "points of 'a.jpg' are not numbers: '1,x'"),
        (
            '<image name="a.jpg"><tag label="cat">',
            TableError,
            "line 5 is not valid XML: mismatched tag; is the file cut",
        ),
    ],
)
def test_a_broken_file_is_an_error(inner: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        read(tmp_path, inner)
