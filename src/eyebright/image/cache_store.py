"""Storage of decoded pixels and of features for `eyebright.image.cache`, in memory or in a folder.

A folder contains one file per entry. Several processes can share it without locks, because a file appears complete, by
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
from eyebright.io.atomic import write_atomically

Entry = np.ndarray[Any, np.dtype[Any]]
"""Pixels, uint8 of shape (height, width, 3), or the features of an image, float32 of shape (d,)."""

SUBFOLDER = "eyebright-pixels"
"""The subfolder of the user's folder that is used, so that the user's own files are never counted or deleted."""

_PIXELS, _FEATURES = b"eyepix1\n", b"eyefea1\n"  # the first bytes of a file
_HEADER = struct.Struct("<8sIII")  # kind, height, width, checksum; features have the height 1
_OFFSET = 64  # bytes before the values
_PIXELS_SHARE = 15, 16  # of the limit; the rest is kept for features, which take about a fiftieth as much
_STALE_AFTER = 3600  # seconds; an older temporary file was left by a process that was killed
_MEASUREMENTS = 16  # the folder is measured again after each 1/16 of the limit is written: others write to it too


class Store(ABC):
    """A mapping from keys to pixels or features with a maximum size; safe to share between threads.

    Attributes:
        limit: maximum size in bytes; of a sixteenth of it only features may take what is left.
        used_bytes: current size in bytes, without what other processes have written since it was measured.
        location: the name of the store in messages.
        problem: why the store accepts no more entries; None while it does.
        n_damaged: number of entries that were found to be damaged, so that they count as missing.
    """

    limit: int
    used_bytes: int = 0
    location: str
    problem: str | None = None
    n_damaged: int = 0

    @abstractmethod
    def get(self, key: str) -> Entry | None:
        """The entry stored under this key, which must not be modified; None if it is missing or damaged."""

    @abstractmethod
    def put(self, key: str, entry: Entry) -> None:
        """Stores the entry if possible; otherwise sets `problem`."""

    def measure(self) -> int:
        """Updates `used_bytes`, and returns it.

        A store that other processes write to is measured again; the size of one in this process is known.
        """
        return self.used_bytes

    def _fits(self, entry: Entry, size: int) -> bool:
        """Whether there is space for ``size`` bytes of an entry of this kind."""
        share, denominator = _PIXELS_SHARE if entry.dtype == np.uint8 else (1, 1)
        return self.used_bytes + size <= self.limit * share // denominator

    def _set_full(self, entry: Entry) -> None:
        repeated = "images are decoded" if entry.dtype == np.uint8 else "features are computed"
        self.problem = f"it is full (limit {format_megabytes(self.limit)}), so the other {repeated} each time"


@final
class MemoryStore(Store):
    """A store in the memory of this process.

    Args:
        limit: maximum size in bytes; None for a quarter of the available memory.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = default_cache_limit() if limit is None else limit
        self.location = "memory"
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Entry | None:
        """The entry stored under this key, or None."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Stores the entry if there is space."""
        with self._lock:
            if key in self._entries:
                return
            if not self._fits(entry, entry.nbytes):
                self._set_full(entry)
                return
            self._entries[key] = entry
            self.used_bytes += entry.nbytes


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
        self._failed = False
        self._full = set[str]()  # kinds of entries that do not fit any more
        self._lock = threading.Lock()

    def get(self, key: str) -> Entry | None:
        """The entry stored under this key by any process; None if it is missing or damaged."""
        try:
            with self._path(key).open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if status.st_size > _OFFSET else None
        except (OSError, ValueError):  # missing, or truncated at this moment
            return None
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        is_verified = self._verified.get(key) == signature
        entry = None if mapped is None else _parse(mapped, key, verify=not is_verified)
        if entry is None:
            with self._lock:
                self.n_damaged += 1
        else:
            self._verified[key] = signature
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Writes the entry if there is space; after an error of the disk nothing more is written."""
        with self._lock:
            if not self._reserve(entry, entry.nbytes + _OFFSET):
                return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without fsync: after a crash of the machine the checksum shows which files are complete.
            write_atomically(path, lambda temporary: _write(temporary, key, entry), flush=False)
        except OSError as error:
            self.problem, self._failed = f"no more images can be written to it ({os_reason(error)})", True

    def measure(self) -> int:
        """Measures the folder; sets `used_bytes`, and returns it."""
        with self._lock:
            self.used_bytes = self._measured_bytes = self._clean_and_measure()
        return self.used_bytes

    def _reserve(self, entry: Entry, size: int) -> bool:
        """Adds ``size`` to `used_bytes` if there is space for it; returns whether there is."""
        if self._failed or entry.dtype.char in self._full:
            return False
        written = self.used_bytes - self._measured_bytes
        if written > self.limit // _MEASUREMENTS or not self._fits(entry, size):
            self.used_bytes = self._measured_bytes = self._clean_and_measure()
        if not self._fits(entry, size):
            self._full.add(entry.dtype.char)
            self._set_full(entry)
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


def _write(path: Path, key: str, entry: Entry) -> None:
    kind, shape = (_PIXELS, entry.shape[:2]) if entry.dtype == np.uint8 else (_FEATURES, (1, *entry.shape))
    flat = np.ascontiguousarray(entry).reshape(-1).view(np.uint8)
    header = _HEADER.pack(kind, *shape, _checksum(key, shape, flat))
    with path.open("wb", buffering=0) as file:
        file.write(header.ljust(_OFFSET, b"\0"))
        if file.write(flat.data) != flat.nbytes:  # a full disk can cause a short write without an error
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _parse(mapped: mmap.mmap, key: str, *, verify: bool) -> Entry | None:
    """The entry in a file; None if it is damaged or belongs to another key."""
    kind, height, width, checksum = _HEADER.unpack_from(mapped)
    size = {_PIXELS: 3, _FEATURES: 4}.get(kind, 0)  # bytes of a pixel or of a value
    if not size or len(mapped) != _OFFSET + height * width * size:
        return None
    flat: np.ndarray[Any, np.dtype[np.uint8]] = np.frombuffer(mapped, np.uint8, offset=_OFFSET)
    if verify and _checksum(key, (height, width), flat) != checksum:
        return None
    return flat.reshape(height, width, 3) if kind == _PIXELS else flat.view(np.float32)


def _checksum(key: str, shape: tuple[int, ...], flat: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """The checksum of key, shape and content; the key detects a file under a wrong name."""
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
