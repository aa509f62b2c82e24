"""Finds damage in JPEG data that libjpeg passes over with a warning that no library hands on.

What libjpeg cannot decode becomes grey pixels. So the structure of the file is checked first: every marker in the
compressed data must be one that may stand there, the data must end with the marker of the end, and there must be enough
of them for the pixels. Changed bytes that happen to be valid codes are not found: they need a decoder to be seen.
"""

import re
import struct

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not an escaped byte, a restart or a fill byte
_END, _SCAN = 0xD9, 0xDA
_SEGMENTS = {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # what may follow compressed data
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the header with the size; arithmetic coding from 0xC9
_NO_END = "it has no end marker"
_MAX_SCANS = 100  # cameras and programs write at most about 15; each takes as long as a decode of the whole image


def jpeg_damage(data: bytes) -> str:
    """What is wrong with the content of a JPEG file; empty if nothing is found."""
    scan, blocks = _first_scan(data)
    if scan is None:
        return "it has no compressed data"
    if len(data) * 8 < blocks:
        return f"{len(data):,} bytes cannot hold {blocks * 64:,} pixels"
    scans = 1
    while (match := _MARKER.search(data, scan)) is not None:
        marker, scan = data[match.start() + 1], match.end()
        if marker == _END:
            return ""
        scans += marker == _SCAN
        if scans > _MAX_SCANS:
            return f"more than {_MAX_SCANS} scans, which would take minutes to decode"
        if marker not in _SEGMENTS or scan + 2 > len(data):
            return f"a marker that cannot be there (0x{marker:02x}) in its compressed data, at byte {match.start():,}"
        scan += struct.unpack_from(">H", data, scan)[0]
    return _NO_END


def lacks_only_its_end(damage: str) -> bool:
    """True if all pixels may be there: a decoder that reports missing data must tell."""
    return damage == _NO_END


def _first_scan(data: bytes) -> tuple[int | None, int]:
    """Where the first compressed data begin, None if there are none; and how many bits they have at least.

    With Huffman codes that is one for each block of 8 x 8 pixels; with arithmetic coding there is no such bound.
    """
    place, blocks = 2, 0
    while (place := data.find(b"\xff", place)) >= 0 and place + 9 <= len(data):
        marker = data[place + 1]
        if marker in (0x00, 0xFF):
            place += 1
            continue
        length, _, height, width = struct.unpack_from(">HBHH", data, place + 2)
        if marker in _FRAMES:
            blocks = height * width // 64 if marker < 0xC9 else 0
        place += 2 + length
        if marker == _SCAN:
            return place, blocks
    return None, blocks
