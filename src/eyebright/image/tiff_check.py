"""Whether a TIFF has data for all rows that its header states: Pillow leaves missing rows black, without an error.

Pillow reads the strips or tiles that are listed, however few. Of compressed ones libtiff reports what is missing, but
not in those that are JPEGs with fewer rows than their strip.
"""

import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

_SIZE, _ROWS_PER_STRIP, _STRIPS, _TILE_SIZE, _TILES = (256, 257), 278, 273, (322, 323), 324
_BYTE_COUNTS, _COMPRESSION, _PLANES, _SAMPLES = 279, 259, 284, 277
_JPEG, _SEPARATE = 7, 2
_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..\x08(..)", re.DOTALL)  # the header with the size


def lacks_rows(tags: Mapping[int, Any], read: Callable[[int, int], bytes]) -> bool:
    """Whether the strips or tiles of a TIFF are fewer than its header says, or have fewer rows.

    Args:
        tags: the tags of the first image of the file, by their numbers.
        read: reads so many bytes at an offset of the file.
    """
    width, height = (int(tags[tag]) for tag in _SIZE)  # as they are stored, before any orientation
    planes = int(tags.get(_SAMPLES, 1)) if tags.get(_PLANES) == _SEPARATE else 1
    if _TILES in tags:
        tile_width, tile_height = (int(tags[tag]) for tag in _TILE_SIZE)
        return len(tags[_TILES]) < -(-width // tile_width) * -(-height // tile_height) * planes
    rows = min(int(tags.get(_ROWS_PER_STRIP, height)) or height, height)
    offsets = tags.get(_STRIPS, ())
    if len(offsets) < -(-height // rows) * planes:
        return True
    if tags.get(_COMPRESSION) != _JPEG or planes > 1:
        return False
    strips = zip(offsets, tags.get(_BYTE_COUNTS, ()), strict=False)
    return any(
        0 < _jpeg_rows(read(offset, count)) < min(rows, height - i * rows) for i, (offset, count) in enumerate(strips)
    )


def _jpeg_rows(data: bytes) -> int:
    """The number of rows that a JPEG states; 0 if it is not found."""
    found = _FRAME.search(data)
    return 0 if found is None else struct.unpack(">H", found[1])[0]
