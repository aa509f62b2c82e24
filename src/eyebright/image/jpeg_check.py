"""Finds damage in JPEG data for which libjpeg only has a warning, which Pillow and OpenCV do not report.

What libjpeg cannot decode becomes grey pixels. So the structure of the file is checked first: every marker in the
compressed data must be one that is allowed there, the data must end with the end marker, and there must be enough bytes
for the number of pixels. Changed bytes that happen to be valid codes are not found.
"""

import re
import struct

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not an escaped byte, a restart or a fill byte
_END, _SCAN = 0xD9, 0xDA
_SEGMENTS = {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # what may follow compressed data
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the header with the size; arithmetic coding from 0xC9
_NO_END_MARKER = "it has no end marker"
_MAX_SCANS = 100  # cameras and programs write at most about 15; each takes as long as a decode of the whole image


def jpeg_damage(data: bytes) -> str:
    """The damage of a JPEG file's content, as text; empty if none is found."""
    position, blocks = _first_scan(data)
    if position is None:
        return "it has no compressed data"
    if len(data) * 8 < blocks:
        return f"{len(data):,} bytes cannot hold {blocks * 64:,} pixels"
    scans = 1
    while (match := _MARKER.search(data, position)) is not None:
        marker, position = data[match.start() + 1], match.end()
        if marker == _END:
            return ""
        scans += marker == _SCAN
        if scans > _MAX_SCANS:
            return f"more than {_MAX_SCANS} scans, which would take minutes to decode"
        if marker not in _SEGMENTS or position + 2 > len(data):
            return f"a marker that cannot be there (0x{marker:02x}) in its compressed data, at byte {match.start():,}"
        position += struct.unpack_from(">H", data, position)[0]
    return _NO_END_MARKER


def lacks_only_end_marker(damage: str) -> bool:
    """True if all pixels may be there, which only a decoder that reports missing data can tell."""
    return damage == _NO_END_MARKER


def _first_scan(data: bytes) -> tuple[int | None, int]:
    """(position of the first compressed data, None if there are none; the least number of bits that they have).

    With Huffman codes that is one for each block of 8 x 8 pixels; with arithmetic coding there is no such bound.
    """
    position, blocks = 2, 0
    while (position := data.find(b"\xff", position)) >= 0 and position + 9 <= len(data):
        marker = data[position + 1]
        if marker in (0x00, 0xFF):
            position += 1
            continue
        length, _, height, width = struct.unpack_from(">HBHH", data, position + 2)
        if marker in _FRAMES:
            blocks = height * width // 64 if marker < 0xC9 else 0
        position += 2 + length
        if marker == _SCAN:
            return position, blocks
    return None, blocks
