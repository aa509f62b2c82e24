"""Thumbnails and short names of images."""

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.web.thumbnails import short_names, thumbnail


def test_a_thumbnail_is_a_small_jpeg_with_the_same_aspect_ratio(tmp_path):
    pixels = np.zeros((900, 1800, 3), dtype=np.uint8)
    pixels[:, 900:] = 255
    PIL.Image.fromarray(pixels).save(tmp_path / "big.png")
    small = thumbnail(str(tmp_path / "big.png"))
    head, content = small.data_url.split(",")
    assert head == "data:image/jpeg;base64"
    image = PIL.Image.open(io.BytesIO(base64.b64decode(content)))
    assert (image.format, image.size) == ("JPEG", (small.width, small.height)) == ("JPEG", (360, 180))
    assert small.scale == pytest.approx(0.2)
    assert image.getpixel((10, 90))[0] < 10 < 245 < image.getpixel((350, 90))[0]


def test_the_thumbnail_of_a_missing_image_contains_the_error(tmp_path):
    missing = thumbnail(str(tmp_path / "gone.jpg"))
    assert missing.data_url == ""
    assert missing.error


def test_short_names_are_relative_to_the_common_folder():
    paths = [str(Path("data", "train", *name)) for name in (("cat", "1.jpg"), ("dog", "1.jpg"), ("dog", "2.jpg"))]
    assert short_names(paths, [1, 0]) == [str(Path("dog", "1.jpg")), str(Path("cat", "1.jpg"))]


def test_short_names_of_images_in_one_folder_are_their_file_names():
    assert short_names([str(Path("a", "b", "1.jpg")), str(Path("a", "b", "2.jpg"))], [1]) == ["2.jpg"]
    assert short_names(["1.jpg", "2.jpg"], [0]) == ["1.jpg"]


def test_names_without_a_common_folder_are_full_paths(tmp_path):
    elsewhere = str(tmp_path / "1.jpg")
    assert short_names([elsewhere, str(Path("a", "2.jpg"))], [0]) == [elsewhere]
