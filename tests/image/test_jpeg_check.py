"""Damage in JPEG files that libjpeg passes over is found, and whole files of every kind are left alone."""

import io
import re

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import ImageError
from eyebright.image.image import Image
from eyebright.image.jpeg_check import jpeg_damage


def jpeg(size: tuple[int, int] = (200, 120), mode: str = "RGB", **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise).resize(size).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"quality": 100}, {"quality": 1}]
)
def test_whole_files_are_not_damaged(mode: str, options: dict[str, object]) -> None:
    data = jpeg(mode=mode, **options)
    assert jpeg_damage(data) == ""
    assert jpeg_damage(data + b"a trailer \xff\x01") == ""
    assert Image.create(data).pixels().shape == (120, 200, 3)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (3000, 2000)])
def test_an_image_of_one_colour_is_not_damaged_however_small_its_file_is(size: tuple[int, int]) -> None:
    for options in ({"optimize": True}, {"progressive": True, "quality": 1}):
        file = io.BytesIO()
        PIL.Image.new("L", size).save(file, "JPEG", **options)
        assert jpeg_damage(file.getvalue()) == ""


def test_a_small_file_that_claims_a_huge_image_is_refused() -> None:
    data = bytearray(jpeg(quality=5))
    frame = re.search(rb"\xff\xc0\x00\x11\x08", data)
    assert frame is not None
    data[frame.end() : frame.end() + 4] = (14_000).to_bytes(2, "big") * 2
    with pytest.raises(
        ImageError, match=r"'<bytes>': the file is damaged \([\d,]+ bytes cannot hold 196,000,000 pixels\)"
    ):
        Image.create(bytes(data)).pixels()


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("reduce", [1, 2])
def test_a_damaged_scan_is_refused(options: dict[str, object], reduce: int) -> None:
    data = bytearray(jpeg(**options))
    middle = len(data) * 3 // 4
    data[middle : middle + 2] = b"\xff\x05"
    with pytest.raises(ImageError, match=r"a marker that cannot be there \(0x05\) in its compressed data, at byte"):
        Image.create(bytes(data)).pixels(reduce)


def test_a_file_that_ends_early_is_truncated() -> None:
    data = jpeg()
    with pytest.raises(ImageError, match="the file is truncated"):
        Image.create(data[: len(data) // 2]).pixels()


def test_a_file_that_lacks_its_end_marker_is_truncated() -> None:
    with pytest.raises(ImageError, match="the file is truncated"):
        Image.create(jpeg()[:-2]).pixels()


def test_a_jpeg_of_more_scans_than_any_program_writes_is_refused_since_each_takes_as_long_as_the_image() -> None:
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    scans = data.count(b"\xff\xda")
    for more, refused in ((100 - scans, False), (101 - scans, True)):
        repeated = data[:last] + data[last:-2] * (more + 1) + b"\xff\xd9"
        assert ("more than 100 scans" in jpeg_damage(repeated)) is refused
    with pytest.raises(ImageError, match="more than 100 scans, which would take minutes to decode"):
        Image.create(repeated).pixels()
