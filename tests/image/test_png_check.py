"""PNGs that lack rows are found; Pillow reads the missing rows as black."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import ImageError
from eyebright.image.image import Image
from eyebright.image.png_check import lacks_rows

MODES = {"1": (1, 0), "L": (8, 0), "P": (8, 3), "LA": (8, 4), "RGB": (8, 2), "RGBA": (8, 6), "I;16": (16, 0)}


def with_rows(png: bytes, height: int) -> bytes:
    """The PNG, whose header says another number of rows; its checksum is right."""
    header = png[12:20] + struct.pack(">I", height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def black(mode: str, width: int, height: int, **options: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.new(mode, (width, height)).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", MODES)
def test_a_png_that_lacks_a_row_is_an_error_and_a_black_one_is_read(mode: str) -> None:
    for width, height in ((1, 1), (13, 7), (64, 33)):
        whole = black(mode, width, height)
        assert not lacks_rows(io.BytesIO(whole))
        assert Image.create(whole).pixels().shape == (height, width, 3)
        with pytest.raises(ImageError, match=r"the file is truncated \(it has fewer rows than its header says\)"):
            Image.create(with_rows(whole, height + 1)).pixels()


def test_a_large_image_in_many_chunks_is_complete_without_a_row_it_is_not() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (900, 1100, 3), dtype=np.uint8)
    pixels[-1] = 0
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    assert not lacks_rows(io.BytesIO(file.getvalue()))
    assert np.array_equal(Image.create(file.getvalue()).pixels(), pixels)
    with pytest.raises(ImageError, match="fewer rows"):
        Image.create(with_rows(file.getvalue(), 901)).pixels()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 5), (8, 8), (17, 30)])
def test_an_interlaced_png_has_the_rows_of_its_passes(width: int, height: int) -> None:
    count = sum(
        -(-(height - top) // down) * (1 + 3 * -(-(width - left) // right))
        for left, top, right, down in (
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
        )
        if left < width and top < height
    )  # fmt: skip
    for missing in (0, 1):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(count - missing))), (b"IEND", b""))
        chunks = [
            struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
            for name, part in parts
        ]
        png = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
        assert lacks_rows(io.BytesIO(png)) == bool(missing)
