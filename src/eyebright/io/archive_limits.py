"""Limits of what an archive unpacks to, since a few kilobytes can hold petabytes of zeros.

The sizes in the headers of an archive are counted before anything is written, and what really comes out of its
compressed data while it is read, because a header can claim anything.
"""

import bz2
import gzip
import io
import lzma
import os
import shutil
import struct
import tarfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eyebright.errors import DownloadError

MAX_FILES = 2_000_000
"""Files, folders and links in an archive, if the caller names no other limit; ImageNet has 1.3 million."""

MIN_BYTES, TIMES = 1_000_000_000, 20
"""An archive may unpack to this many bytes, or to this many times its own size if that is more."""

_HEADERS = 16_000_000, 4096  # bytes of headers and padding: in all, and for each file
_MAX_READ_BYTES = 1_000_000  # bytes; tarfile reads a header at once, whatever its declared length
_END, _END_64, _LOCATOR_64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_COMMENT = 65_535  # bytes at the end of a zip file, at most
_CHUNK_BYTES = 16_000_000


class Budget:
    """Counts what comes out of an archive, and raises an error at more than its limits or the free disk.

    Args:
        archive: the archive.
        folder: where it is unpacked.
        max_bytes: limit of the sum of all files; None for `TIMES` the size of the archive, and at least `MIN_BYTES`.
        max_files: limit of the number of files, folders and links.
    """

    def __init__(self, archive: Path, folder: Path, *, max_bytes: int | None, max_files: int) -> None:
        self._archive, self._folder = archive, folder
        self._packed = archive.stat().st_size
        self._max_bytes = max(MIN_BYTES, TIMES * self._packed) if max_bytes is None else max_bytes
        self._free = shutil.disk_usage(folder).free
        self.max_files = max_files
        self._bytes = self._files = self._read = 0

    def claim(self, size: int, files: int = 1) -> None:
        """Counts files that a header announces.

        Args:
            size: the sum of their sizes, in bytes.
            files: their number.

        Raises:
            DownloadError: the limits are exceeded, or the disk has less room.
        """
        self._bytes += max(size, 0)
        self._files += files
        if self._files > self.max_files:
            raise self._error(f"holds more than {self.max_files:,} files", "max_files")
        if self._bytes > self._max_bytes:
            more = f"unpacks to {_size(self._bytes)} or more, and the limit is {_size(self._max_bytes)}"
            raise self._error(more, "max_bytes")
        if self._bytes > self._free:
            raise DownloadError(
                f"'{self._archive}' unpacks to {_size(self._bytes)} or more, and only {_size(self._free)} are free in"
                f" '{self._folder}'; make room, or choose another folder"
            )

    def count(self, size: int) -> None:
        """Counts bytes that were read from the compressed data, those of headers included.

        Raises:
            DownloadError: they are more than the limit of all files and their headers.
        """
        self._read += size
        if self._read > self._max_bytes + _HEADERS[0] + _HEADERS[1] * self._files:
            raise self._error(f"unpacks to more than the limit of {_size(self._max_bytes)}", "max_bytes")

    def _error(self, found: str, limit: str) -> DownloadError:
        return DownloadError(f"'{self._archive}' ({_size(self._packed)}) {found}; if you trust it, raise `{limit}`")


def is_tar(archive: Path) -> bool:
    """True for a file that begins like a tar archive or like one of the compressed files that can hold one.

    Raises:
        OSError: the file cannot be read.
    """
    with archive.open("rb") as file:
        first = file.read(tarfile.BLOCKSIZE)
    return first[257:262] == b"ustar" or first.startswith(tuple(_DECOMPRESSORS))


@contextmanager
def bounded_tar(archive: Path, budget: Budget) -> Generator[tarfile.TarFile]:
    """The opened tar archive, whose compressed data are counted while they are read.

    Raises:
        DownloadError: more comes out than ``budget`` allows.
        OSError: the archive cannot be read.
        tarfile.TarError: it is not a tar archive, or damaged; also at the end of the ``with``.
    """
    with archive.open("rb") as file:
        first = file.read(6)
    open_packed = next((opened for magic, opened in _DECOMPRESSORS.items() if first.startswith(magic)), open)
    with open_packed(archive, "rb") as unpacked:
        reader = _CountingReader(unpacked, budget)
        with tarfile.open(fileobj=reader, mode="r:") as tar:  # type: ignore[arg-type]
            yield tar
        if reader.last.strip(b"\0") or 0 < len(reader.last) < tarfile.BLOCKSIZE:  # tarfile takes it for the end
            raise tarfile.ReadError("a header in it is damaged")
        while reader.read(_MAX_READ_BYTES):  # the checksum of compressed data comes last
            pass


_DECOMPRESSORS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"]\0\0": lzma.open,
}
"""The function that opens tar archives that begin with these bytes."""


class _CountingReader(io.RawIOBase):
    """A decompressed file whose bytes are counted; a seek reads the bytes between.

    Attributes:
        last: the bytes that were read last.
    """

    def __init__(self, file: Any, budget: Budget) -> None:
        self._file, self._budget = file, budget
        self.last = b""

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _MAX_READ_BYTES:
            raise tarfile.ReadError(f"a header declares {size:,} bytes")
        self.last = self._file.read(size)
        self._budget.count(len(self.last))
        return self.last

    def seek(self, place: int, whence: int = os.SEEK_SET, /) -> int:
        here = self._file.tell()
        self._budget.count(place - here if place >= here else place)
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()


def check_zip_entries(archive: Path, budget: Budget) -> None:
    """Raises `DownloadError` if a zip file has too many entries, before Python makes an object of each.

    Args:
        archive: the zip file.
        budget: its limits.
    """
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail_start = max(size - _COMMENT - 100, 0)
        file.seek(tail_start)
        tail = file.read()
        end = tail.rfind(_END)
        if end < 0 or len(tail) < end + 22:
            return
        directory = struct.unpack_from("<L", tail, end + 12)[0]
        if end >= 76 and tail[end - 20 : end - 16] == _LOCATOR_64 and tail[end - 76 : end - 72] == _END_64:
            directory = struct.unpack_from("<Q", tail, end - 36)[0]
        left = min(directory, tail_start + end)
        file.seek(tail_start + end - left)
        entries = 0
        while left > 0 and (data := file.read(min(left, _CHUNK_BYTES))):
            left -= len(data)
            entries += data.count(_ENTRY)
    if entries > budget.max_files:
        budget.claim(0, entries)


def _size(size: int) -> str:
    """A number of bytes in the unit that people read.

    >>> _size(2_500_000_000)
    '2.5 GB'
    """
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:,} bytes"
