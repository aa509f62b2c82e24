"""The header of a safetensors file, read without torch and without the tensors behind it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

_LENGTH_BYTES = 8  # at the start of the file: the length of the header, little-endian
_MAX_HEADER_BYTES = 100_000_000  # the limit of safetensors


class Header(NamedTuple):
    """The header of a safetensors file.

    Args:
        metadata: texts by name.
        tensors: the ``dtype``, ``shape`` and ``data_offsets`` of each tensor.
        begin: the first byte of the tensors in the file; their offsets are counted from it.
    """

    metadata: dict[str, str]
    tensors: dict[str, Any]
    begin: int


def read_header(path: str | Path) -> Header:
    """The header; the size of the file is compared with it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or not a safetensors file.
    """
    with Path(path).open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        size = file.seek(0, 2) - _LENGTH_BYTES
        if not 0 < length <= min(size, _MAX_HEADER_BYTES):
            raise ValueError(f"its header has {length} bytes, and the file {max(size, 0)}")
        file.seek(_LENGTH_BYTES)
        try:
            header = json.loads(file.read(length))
        except RecursionError:
            raise ValueError("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not an object")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    expected = max(map(_end, tensors.values()), default=0)
    if size - length != expected:
        raise ValueError(f"it has {size - length} bytes of tensors, but its header has {expected}")
    return Header(metadata_of(header), tensors, _LENGTH_BYTES + length)


def metadata_of(header: dict[str, Any]) -> dict[str, str]:
    """The metadata in the JSON of a header.

    Raises:
        ValueError: they are not texts.
    """
    metadata = header.get("__metadata__") or {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata are not an object of strings")
    return metadata


def _end(entry: Any) -> int:
    """The last byte of a tensor, both of whose offsets are numbers."""
    try:
        first, last = entry["data_offsets"]
        int(first)
        return int(last)
    except (TypeError, LookupError, OverflowError) as error:
        raise ValueError("a tensor in its header has no offsets") from error
