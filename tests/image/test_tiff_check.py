"""A TIFF whose strips or tiles end before its last row is an error: Pillow leaves the missing rows black."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import ImageError
from eyebright.image.image import Image

_HEIGHT, _ROWS_PER_STRIP = 257, 278


def tiff(mode: str, black: int = 0, **options: object) -> bytes:
    """A TIFF of 40 x 30 pixels, the last rows of which are black."""
    pixels = np.full((40, 30, 3), 200, np.uint8)
    pixels[40 - black :] = 0
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(file, "tiff", **options)
    return file.getvalue()


def stating(data: bytes, height: int, *, rows_per_strip: int | None = None) -> bytes:
    """The same file with another height in its header."""
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, _ = struct.unpack_from("<HHII", data, entry)
        new = {_HEIGHT: height, _ROWS_PER_STRIP: rows_per_strip}.get(tag)
        if new is not None:
            struct.pack_into("<HHII", changed, entry, tag, kind, values, new)
    return bytes(changed)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("compression", "rows_per_strip"), [(None, None), ("jpeg", 80), ("tiff_lzw", None), ("tiff_adobe_deflate", 80)]
)
def test_a_tiff_with_fewer_rows_than_its_header_says_is_an_error(
    mode: str, compression: str | None, rows_per_strip: int | None
) -> None:
    whole = tiff(mode, compression=compression)
    assert Image.create(whole).pixels().shape == (40, 30, 3)
    with pytest.raises(ImageError, match="the file is (truncated|damaged)"):
        Image.create(stating(whole, 80, rows_per_strip=rows_per_strip)).pixels()


@pytest.mark.parametrize("compression", [None, "jpeg", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_whose_last_rows_are_black_is_read(compression: str | None, orientation: int) -> None:
    pixels = Image.create(tiff("RGB", black=8, compression=compression, tiffinfo={274: orientation})).pixels()
    assert sorted(pixels.shape) == [3, 30, 40]
    assert (pixels == 0).any()
    assert (pixels > 190).any()
