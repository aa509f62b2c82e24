"""Points of images that were resized after they were labelled, in each format that states sizes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import InputError
from eyebright.sources.read import read_source
from eyebright.sources.stated_sizes import _is_resized
from eyebright.types import Size
from support.label_files import images, write_json, write_text

NOW = (40, 20)  # width and height of the images
XY = [10.0, 5.0]  # a quarter of each


def coco(root: Path, width: int, height: int, x: float, y: float) -> Path:
    entry = {"id": 1, "file_name": "a.png", "width": width, "height": height}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [x, y, 2]}
    category = {"id": 1, "name": "face", "keypoints": ["nose"]}
    return write_json(root / "x.json", {"images": [entry], "categories": [category], "annotations": [annotation]})


def labelme(root: Path, width: int, height: int, x: float, y: float) -> Path:
    shape = {"label": "nose", "shape_type": "point", "points": [[x, y]]}
    content = {"imagePath": "a.png", "imageWidth": width, "imageHeight": height, "flags": {}, "shapes": [shape]}
    write_json(root / "a.json", content)
    return root


def cvat(root: Path, width: int, height: int, x: float, y: float) -> Path:
    inner = f'<points label="nose" points="{x},{y}"/>'
    image = f'<image id="0" name="a.png" width="{width}" height="{height}">{inner}</image>'
    write_text(root / "x.xml", f"<annotations>{image}</annotations>")
    return root / "x.xml"


def label_studio(root: Path, width: int, height: int, x: float, y: float) -> Path:
    value = {"x": 100 * x / width, "y": 100 * y / height, "width": 1, "keypointlabels": ["nose"]}
    region = {"type": "keypointlabels", "from_name": "k", "value": value}
    region |= {"original_width": width, "original_height": height}
    return write_json(root / "x.json", [{"data": {"image": "a.png"}, "annotations": [{"result": [region]}]}])


Writer = Callable[[Path, int, int, float, float], Path]
FORMATS = [coco, labelme, cvat, label_studio]


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(80, 40), (400, 200), (20, 10), (41, 21), (27, 13)])
def test_points_are_scaled_with_the_image(write: Writer, width: int, height: int, tmp_path: Path) -> None:
    images(tmp_path, "a.png", size=NOW)
    source = read_source(write(tmp_path, width, height, width / 4, height / 4))
    is_close = width == NOW[0] + 1  # a rounded size
    assert np.allclose(source.targets, [[XY]], atol=0.5 if is_close else 1e-9)
    said = "images that were resized after they were labelled, whose points are scaled with them: 1 "
    assert any(message.startswith(said) for message in source.messages) is not is_close


@pytest.mark.parametrize("write", FORMATS)
def test_points_of_an_image_of_another_shape_are_an_error_unless_their_unit_is_given(
    write: Writer, tmp_path: Path
) -> None:
    images(tmp_path, "a.png", size=NOW)
    path = write(tmp_path, 80, 80, 8, 4)
    with pytest.raises(
        InputError, match="states 80 x 80 pixels for 'a.png', which has 40 x 20 pixels; so for 1 of 1 image it"
    ):
        read_source(path)
    assert np.allclose(read_source(path, unit="pixels").targets, [[[8, 4]]])


@pytest.mark.parametrize("write", FORMATS[:3])  # Label Studio saves per cent of the size
def test_a_size_that_points_are_outside_of_is_wrong_and_they_stay(write: Writer, tmp_path: Path) -> None:
    images(tmp_path, "a.png", size=NOW)
    source = read_source(write(tmp_path, 20, 10, 35.0, 15.0))
    assert np.allclose(source.targets, [[[35.0, 15.0]]])
    said = "images whose stated size is wrong, since points are outside of it and inside the image; "
    assert any(message.startswith(said) for message in source.messages)


def test_a_point_a_little_outside_is_scaled_and_one_wrong_size_is_that_of_all_its_images(tmp_path: Path) -> None:
    images(tmp_path, "a.png", size=NOW)
    assert np.allclose(read_source(coco(tmp_path, 20, 10, 20.9, 5.0)).targets, [[[41.8, 10.0]]])
    content = json.loads(coco(tmp_path, 20, 10, 35.0, 5.0).read_text(encoding="utf-8"))
    images(tmp_path, "b.png", size=NOW)
    content["images"].append({"id": 2, "file_name": "b.png", "width": 20, "height": 10})
    content["annotations"].append({"id": 2, "image_id": 2, "category_id": 1, "keypoints": [10.0, 5.0, 2]})
    both = read_source(write_json(tmp_path / "x.json", content))
    assert np.allclose(both.targets, [[[35.0, 5.0]], [[10.0, 5.0]]])
    assert any("their points are taken as they are: 2 (" in message for message in both.messages)


@pytest.mark.parametrize(
    ("before", "now"),
    [((512, 341), (6000, 4000)), ((640, 427), (3000, 2000)), ((133, 100), (4000, 3000)), ((6000, 4000), (512, 341))],
)
def test_rounded_sides_of_thumbnails_are_those_of_a_resize(before: tuple[int, int], now: tuple[int, int]) -> None:
    assert _is_resized(Size(before[1], before[0]), Size(now[1], now[0]))


@pytest.mark.parametrize(("width", "height"), [(40, 30), (38, 20), (42, 20), (43, 20)])
def test_a_crop_is_not_taken_for_a_resize(width: int, height: int, tmp_path: Path) -> None:
    images(tmp_path, "a.png", size=NOW)
    with pytest.raises(InputError, match="it is not known where their points are"):
        read_source(coco(tmp_path, width, height, 8, 4))


def test_a_turned_size_of_an_image_with_an_exif_orientation_is_an_error_if_the_points_fit_both(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees: 40 x 20 pixels as they are shown
    PIL.Image.new("RGB", (20, 40)).save(tmp_path / "a.png", exif=exif)
    with pytest.raises(InputError, match="without its EXIF orientation"):
        read_source(coco(tmp_path, 20, 40, 8, 4))
    assert np.allclose(read_source(coco(tmp_path, 40, 20, 30, 4)).targets, [[[30, 4]]])
    assert np.allclose(read_source(coco(tmp_path, 20, 40, 30, 4)).targets, [[[30, 4]]])  # outside of the stated size


def test_a_size_without_the_orientation_of_the_exif_data_is_named(tmp_path: Path) -> None:
    images(tmp_path, "a.png", size=NOW)
    with pytest.raises(InputError, match="as if it were labelled without its EXIF orientation"):
        read_source(coco(tmp_path, 20, 40, 8, 4))


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (-1, -1), (None, None), ("unknown", ""), (True, True)])
def test_a_placeholder_for_a_size_states_none(size: Any, tmp_path: Path) -> None:
    images(tmp_path, "a.png", size=NOW)
    assert read_source(coco(tmp_path, size[0], size[1], 8, 4)).targets[0].tolist() == [[8, 4]]


def test_unreadable_images_keep_their_points(tmp_path: Path) -> None:
    write_text(tmp_path / "a.png", "no image")
    assert read_source(coco(tmp_path, 80, 40, 8, 4)).targets[0].tolist() == [[8, 4]]
