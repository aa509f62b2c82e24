"""Thumbnails of images."""

import base64
import io

import numpy as np
import PIL.Image
import pytest

from eyebright.web.thumbnails import thumbnail


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
