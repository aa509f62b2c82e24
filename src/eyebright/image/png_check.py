"""Whether a PNG has data for all rows that its header states: Pillow leaves missing rows black, without an error."""

import struct
import zlib
from collections.abc import Iterator
from typing import Protocol

_CHUNK = 1 << 20  # bytes that are decompressed at once
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""(first column, first row, columns apart, rows apart) of each pass of an interlaced PNG (PNG specification, 8.2)."""


class File(Protocol):
    """A file or bytes, opened for reading."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes to a place."""
        ...


def lacks_rows(file: File) -> bool:
    """Whether the image data of a PNG is shorter than its header says; its checksums have been checked already.

    Args:
        file: the opened PNG; it is read from its beginning.
    """
    file.seek(8)
    chunks = _chunks(file)
    name, header = next(chunks)
    if name != b"IHDR" or len(header) != 13:
        return False
    left = _data_bytes(header)
    inflate = zlib.decompressobj()
    for _, content in chunks:
        compressed = content
        while compressed and left > 0 and not inflate.eof:
            left -= len(inflate.decompress(compressed, _CHUNK))
            compressed = inflate.unconsumed_tail
    while left > 0 and not inflate.eof and (rest := inflate.decompress(b"", _CHUNK)):
        left -= len(rest)
    return left > 0


def _chunks(file: File) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of each chunk up to the last one of image data."""
    seen = False
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in (b"IHDR", b"IDAT"):
            yield name, file.read(length)
            file.seek(4, 1)  # the checksum
        elif seen or name == b"IEND":
            return
        else:
            file.seek(length + 4, 1)
        seen = seen or name == b"IDAT"


def _data_bytes(header: bytes) -> int:
    """The number of bytes of all rows, each with its filter byte, before compression."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS.get(colour, 1)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, columns_apart, rows_apart in passes:
        columns, rows = -(-(width - left) // columns_apart), -(-(height - top) // rows_apart)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
