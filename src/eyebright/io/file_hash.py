"""A hash of an image file, for finding files whose content was replaced since a model was evaluated on them."""

import hashlib
import io
import os
from collections.abc import Iterable

from eyebright.errors import EyebrightError
from eyebright.io.containers import container_of, read_member

_BLOCKS, _BLOCK = 8, 2048  # blocks, bytes


def file_hash(path: str) -> str:
    """A hash of a file's size and of 8 blocks spread over it; empty if it cannot be read.

    Files up to 16 KiB are hashed as a whole. Of a longer one 16 KiB are read, so that the files of a dataset are hashed
    in seconds: a change between the blocks is not noticed if it leaves the size as it is.

    Args:
        path: the path of the file, or ``FILE::MEMBER`` of an image in a container.
    """
    try:
        if (member := container_of(path)) is not None:
            data = read_member(*member)
            return _hash_of_blocks(io.BytesIO(data), len(data))
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - faster than Path, for a million files
            return _hash_of_blocks(file, os.fstat(file.fileno()).st_size)
    except (OSError, ValueError, EyebrightError):  # a name that no file can have is a ValueError
        return ""


def file_hashes(paths: Iterable[str | None]) -> tuple[str, ...]:
    """The hash of each file; empty for images that are not files (None), and where a file cannot be read.

    Args:
        paths: the paths.
    """
    return tuple("" if path is None else file_hash(path) for path in paths)


def _hash_of_blocks(file: io.RawIOBase | io.BytesIO, size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    for start in _starts(size):
        file.seek(start)
        digest.update(file.read(_BLOCK) or b"")
    return digest.hexdigest()[:16]


def _starts(size: int) -> list[int]:
    """The first byte of each block: all blocks of a small file, else evenly spread ones with the first and the last."""
    if size <= _BLOCKS * _BLOCK:
        return list(range(0, size, _BLOCK))
    return [(size - _BLOCK) * i // (_BLOCKS - 1) for i in range(_BLOCKS)]
