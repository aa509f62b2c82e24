"""Storage of decoded pixels for `eyebright.image.cache`, in memory or in a folder.

A folder holds one file per image. Several processes can share it without locks, because a file appears complete, by
renaming a temporary file, and never changes afterwards. Opening and mapping a file takes about 10 microseconds, a
hundredth of the time of decoding an image. One large file with an index would save this time, but would need locks and
compaction, and the index could be damaged.
"""

import contextlib
import errno
import mmap
import os
import struct
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage
from typing import Any, final

import numpy as np

from eyebright._system.memory import default_cache_limit
from eyebright.errors import InputError, os_reason
from eyebright.image.decode import Pixels
from eyebright.io.atomic import write_atomically

SUBFOLDER = "eyebright-pixels"
"""The subfolder of the user's folder that is used, so that the user's own files are never counted or deleted."""

_MAGIC = b"eyepix1\n"
_HEADER = struct.Struct("<8sIII")  # magic, height, width, checksum
_OFFSET = 64  # bytes before the pixels
_STALE_AFTER = 3600  # seconds; an older temporary file was left by a process that was killed
_MEASUREMENTS = 16  # the folder is measured again after each 1/16 of the limit is written: others write to it too


class Store(ABC):
    """A mapping from keys to pixels with a maximum size; safe to share between threads.

    Attributes:
        limit: maximum size in bytes.
        used_bytes: current size in bytes, without what other processes have written since it was measured.
        location: the name of the store in messages.
        problem: why the store accepts no more pixels; None while it does.
    """

    limit: int
    used_bytes: int = 0
    location: str
    problem: str | None = None

    @abstractmethod
    def get(self, key: str) -> Pixels | None:
        """The pixels stored under this key, which must not be modified; None if they are missing or damaged."""

    @abstractmethod
    def put(self, key: str, pixels: Pixels) -> None:
        """Stores the pixels if possible; otherwise sets `problem`."""

    def measure(self) -> int:
        """Updates `used_bytes`, and returns it.

        A store that other processes write to is measured again; the size of one in this process is known.
        """
        return self.used_bytes

    def _set_full(self) -> None:
        self.problem = f"it is full (limit {format_megabytes(self.limit)}), so the other images are decoded each time"


@final
class MemoryStore(Store):
    """A store in the memory of this process.

    Args:
        limit: maximum size in bytes; None for a quarter of the available memory.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = default_cache_limit() if limit is None else limit
        self.location = "memory"
        self._pixels: dict[str, Pixels] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Pixels | None:
        """The pixels stored under this key, or None."""
        return self._pixels.get(key)

    def put(self, key: str, pixels: Pixels) -> None:
        """Stores the pixels if there is space."""
        with self._lock:
            if key in self._pixels:
                return
            if self.used_bytes + pixels.nbytes > self.limit:
                self._set_full()
                return
            self._pixels[key] = pixels
            self.used_bytes += pixels.nbytes


@final
class FolderStore(Store):
    """A store of memory-mapped files in a folder, which any number of threads and processes can share.

    Each file contains a checksum of its content. It is verified when this process first reads the file, and again after
    the file has changed. A damaged file counts as missing and is written again.

    Args:
        folder: created if it does not exist; ``~`` is expanded.
        limit: maximum size in bytes, existing files included; None for half of the free space on the disk plus half
            of the existing files.

    Raises:
        InputError: the folder cannot be created.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        self.location = f"'{folder}'"
        try:
            self._root = Path(folder).expanduser() / SUBFOLDER
            self._root.mkdir(parents=True, exist_ok=True)
            self.used_bytes = self._clean_and_measure()
            self.limit = (disk_usage(self._root).free + self.used_bytes) // 2 if limit is None else limit
        except (OSError, RuntimeError) as error:  # RuntimeError: the home of a ~ is unknown
            raise InputError(
                f"cannot cache images in the folder '{folder}': {os_reason(error)}; name another"
            ) from None
        self._measured_bytes = self.used_bytes
        self._verified: dict[str, tuple[int, ...]] = {}  # by key: (inode, time, size) of files whose checksum is right
        self._lock = threading.Lock()

    def get(self, key: str) -> Pixels | None:
        """The pixels stored under this key by any process; None if they are missing or damaged."""
        try:
            with self._path(key).open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if status.st_size <= _OFFSET:
                    return None
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # missing, or truncated at this moment
            return None
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        pixels = _parse(mapped, key, verify=self._verified.get(key) != signature)
        if pixels is not None:
            self._verified[key] = signature
        return pixels

    def put(self, key: str, pixels: Pixels) -> None:
        """Writes the pixels if there is space; after an error of the disk nothing more is written."""
        with self._lock:
            if not self._reserve(pixels.nbytes + _OFFSET):
                return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without fsync: after a crash of the machine the checksum shows which files are complete.
            write_atomically(path, lambda temporary: _write(temporary, key, pixels), flush=False)
        except OSError as error:
            self.problem = f"no more images can be written to it ({os_reason(error)})"
            return

    def measure(self) -> int:
        """Measures the folder; sets `used_bytes`, and returns it."""
        with self._lock:
            self.used_bytes = self._measured_bytes = self._clean_and_measure()
        return self.used_bytes

    def _reserve(self, size: int) -> bool:
        """Adds ``size`` to `used_bytes` if there is space for it; returns whether there is."""
        if self.problem is not None:
            return False
        if self.used_bytes - self._measured_bytes > self.limit // _MEASUREMENTS or self.used_bytes + size > self.limit:
            self.used_bytes = self._measured_bytes = self._clean_and_measure()
        if self.used_bytes + size > self.limit:
            self._set_full()
            return False
        self.used_bytes += size
        return True

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / key

    def _clean_and_measure(self) -> int:
        """Deletes stale temporary files; returns the size of all others in bytes."""
        total = 0
        with contextlib.suppress(OSError):  # the folder was deleted or cannot be read
            for entry in _files(self._root):
                total += _size_unless_stale(entry)
        return total


def format_megabytes(count: int) -> str:
    """A number of bytes as text: ``"540 MB"``, ``"1,200 MB"``."""
    return f"{count / 1e6:,.0f} MB"


def _write(path: Path, key: str, pixels: Pixels) -> None:
    flat = np.ascontiguousarray(pixels).reshape(-1)
    header = _HEADER.pack(_MAGIC, *pixels.shape[:2], _checksum(key, pixels.shape[:2], flat))
    with path.open("wb", buffering=0) as file:
        file.write(header.ljust(_OFFSET, b"\0"))
        if file.write(flat.data) != flat.nbytes:  # a full disk can cause a short write without an error
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _parse(mapped: mmap.mmap, key: str, *, verify: bool) -> Pixels | None:
    """The pixels in a file; None if it is damaged or belongs to another key."""
    magic, height, width, checksum = _HEADER.unpack_from(mapped)
    if magic != _MAGIC or len(mapped) != _OFFSET + height * width * 3:
        return None
    flat: np.ndarray[Any, np.dtype[np.uint8]] = np.frombuffer(mapped, np.uint8, offset=_OFFSET)
    if verify and _checksum(key, (height, width), flat) != checksum:
        return None
    return flat.reshape(height, width, 3)


def _checksum(key: str, shape: tuple[int, ...], flat: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """The checksum of key, shape and pixels; the key detects a file under a wrong name."""
    return zlib.crc32(flat.data, zlib.crc32(f"{key} {shape}".encode()))


def _files(root: Path) -> Iterator["os.DirEntry[str]"]:
    """The files in the subfolders of a store."""
    with os.scandir(root) as folders:
        for folder in folders:
            if folder.is_dir(follow_symlinks=False):
                with os.scandir(folder.path) as entries:
                    yield from entries


def _size_unless_stale(entry: "os.DirEntry[str]") -> int:
    """Deletes a stale temporary file, and returns 0; for other files returns the size in bytes."""
    try:
        status = entry.stat()
        if entry.name.startswith(".") and time.time() - status.st_mtime > _STALE_AFTER:
            Path(entry.path).unlink()
            return 0
    except OSError:  # another process has deleted it, or there is no permission
        return 0
    return status.st_size
