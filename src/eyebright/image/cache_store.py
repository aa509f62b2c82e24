"""Where decoded pixels are kept: a store gives back what was put into it, or nothing, never something else.

In a folder each image is one file. Several runs may share the folder without talking to each other: a file appears
whole, by a rename, and is never changed afterwards. Opening and mapping one costs some 10 microseconds, a hundredth of
a decode; one large file with an index would save these, and would need locks, an index that can be damaged on its own,
and rewriting to give space back.
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
from jaxtyping import UInt8

from eyebright.errors import InputError
from eyebright.io.atomic import write_atomically

Pixels = UInt8[np.ndarray, "h w 3"]

SUBFOLDER = "eyebright-pixels"
"""The folder inside the user's, so that nothing of theirs is ever counted or touched."""

_MAGIC = b"eyepix1\n"
_HEAD = struct.Struct("<8sIII")  # magic, height, width, checksum
_OFFSET = 64  # where the pixels begin
_ABANDONED = 3600  # seconds after which a half-written file belongs to a run that was killed
_COUNTED_AGAIN = 16  # times until the limit is reached: other runs write too
_UNKNOWN_MEMORY = 4 * 2**30  # bytes, where the system does not tell


class Store(ABC):
    """Pixels by key, up to a limit; threads may share it.

    Attributes:
        limit: bytes that it may hold.
        held: bytes that it holds, as far as it knows.
        where: what a person calls it.
        problem: why it takes no more; None while it does.
    """

    limit: int
    used_bytes: int = 0
    location: str
    problem: str | None = None

    @abstractmethod
    def get(self, key: str) -> Pixels | None:
        """What was put there under this key, not to be written to; None where nothing is, or it is damaged."""

    @abstractmethod
    def put(self, key: str, pixels: Pixels) -> None:
        """Keeps the pixels if it can; `problem` says why it cannot."""

    def count_bytes(self) -> int:
        """Bytes that it holds, counted anew where others may have written too."""
        return self.used_bytes

    def _fills_up(self) -> None:
        self.problem = f"it is full (limit {format_megabytes(self.limit)}), so the other images are decoded each time"


@final
class MemoryStore(Store):
    """Pixels in this process's memory; other processes have their own.

    Args:
        limit: bytes that it may hold; None: a quarter of the memory that is free now.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = available_memory() // 4 if limit is None else limit
        self.location = "memory"
        self._kept: dict[str, Pixels] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Pixels | None:
        """What was put there under this key."""
        return self._kept.get(key)

    def put(self, key: str, pixels: Pixels) -> None:
        """Keeps the pixels, if there is space."""
        with self._lock:
            if key in self._kept:
                return
            if self.used_bytes + pixels.nbytes > self.limit:
                self._fills_up()
                return
            self._kept[key] = pixels
            self.used_bytes += pixels.nbytes


@final
class FolderStore(Store):
    """Pixels in files that are mapped into memory; any number of threads and processes may share the folder.

    Each file carries a checksum of all that is in it, which is compared when this process first reads the file and
    whenever the file has changed since. What is not whole counts as missing, and is written anew.

    Args:
        folder: is made where it is missing; a ``~`` at its start is the user's home.
        limit: bytes that it may hold, those from before included; None: half of what is free on the disk and of what
            it holds already.

    Raises:
        InputError: there can be no such folder.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        self.location = f"'{folder}'"
        try:
            self._root = Path(folder).expanduser() / SUBFOLDER
            self._root.mkdir(parents=True, exist_ok=True)
            self.used_bytes = self._count()
            self.limit = (disk_usage(self._root).free + self.used_bytes) // 2 if limit is None else limit
        except (OSError, RuntimeError) as error:  # the latter where the system does not know the home of a ~
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot keep images in the folder '{folder}': {reason}; name another") from None
        self._counted = self.used_bytes
        self._whole: dict[str, tuple[int, ...]] = {}  # which files have been compared with their checksums
        self._lock = threading.Lock()

    def get(self, key: str) -> Pixels | None:
        """What was put there under this key, by any run; None where it is missing or damaged."""
        try:
            with self._path(key).open("rb", buffering=0) as file:
                facts = os.fstat(file.fileno())
                if facts.st_size <= _OFFSET:
                    return None
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # it is not there, or became shorter just now
            return None
        known = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        pixels = _unpacked(mapped, key, check=self._whole.get(key) != known)
        if pixels is not None:
            self._whole[key] = known
        return pixels

    def put(self, key: str, pixels: Pixels) -> None:
        """Writes the pixels, if there is space; a disk that is full or cannot be written turns writing off."""
        with self._lock:
            if not self._takes(pixels.nbytes + _OFFSET):
                return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not flushed: after a crash of the machine the checksum tells which files are whole.
            write_atomically(path, lambda temporary: _write(temporary, key, pixels), flush=False)
        except OSError as error:
            self.problem = f"nothing more can be written there ({error.strerror or error})"
            return

    def count_bytes(self) -> int:
        """Bytes of all files."""
        with self._lock:
            self.used_bytes = self._counted = self._count()
        return self.used_bytes

    def _takes(self, size: int) -> bool:
        if self.problem is not None:
            return False
        if self.used_bytes - self._counted > self.limit // _COUNTED_AGAIN or self.used_bytes + size > self.limit:
            self.used_bytes = self._counted = self._count()
        if self.used_bytes + size > self.limit:
            self._fills_up()
            return False
        self.used_bytes += size
        return True

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / key

    def _count(self) -> int:
        """Bytes of all files; those that a run left half-written are deleted."""
        total = 0
        with contextlib.suppress(OSError):  # somebody deletes the folder, or it cannot be looked into
            for entry in _files(self._root):
                total += _size(entry)
        return total


def available_memory() -> int:
    """Bytes of memory that this process could take now, as far as the system tells.

    Where torchrun has started several on this machine, each may take its part: all of them ask at the same time.
    """
    found = [value for value in (_of_the_system(), _of_the_group()) if value is not None]
    return max(min(found, default=_UNKNOWN_MEMORY), 0) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def format_megabytes(count: int) -> str:
    """``"540 MB"``, ``"1,200 MB"``."""
    return f"{count / 1e6:,.0f} MB"


def _write(path: Path, key: str, pixels: Pixels) -> None:
    flat = np.ascontiguousarray(pixels).reshape(-1)
    head = _HEAD.pack(_MAGIC, *pixels.shape[:2], _checksum(key, pixels.shape[:2], flat))
    with path.open("wb", buffering=0) as file:
        file.write(head.ljust(_OFFSET, b"\0"))
        if file.write(flat.data) != flat.nbytes:  # what a full disk can do instead of an error
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _unpacked(mapped: mmap.mmap, key: str, *, check: bool) -> Pixels | None:
    """The pixels that lie in a file, where it is whole and of this key."""
    magic, height, width, checksum = _HEAD.unpack_from(mapped)
    if magic != _MAGIC or len(mapped) != _OFFSET + height * width * 3:
        return None
    flat: np.ndarray[Any, np.dtype[np.uint8]] = np.frombuffer(mapped, np.uint8, offset=_OFFSET)
    if check and _checksum(key, (height, width), flat) != checksum:
        return None
    return flat.reshape(height, width, 3)


def _checksum(key: str, shape: tuple[int, ...], flat: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """Of everything, the key too: a file under the wrong name is as bad as a damaged one."""
    return zlib.crc32(flat.data, zlib.crc32(f"{key} {shape}".encode()))


def _files(root: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(root) as shards:
        for shard in shards:
            if shard.is_dir(follow_symlinks=False):
                with os.scandir(shard.path) as entries:
                    yield from entries


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        facts = entry.stat()
        if entry.name.startswith(".") and time.time() - facts.st_mtime > _ABANDONED:
            Path(entry.path).unlink()
            return 0
    except OSError:  # another run was faster, or it is not ours to delete
        return 0
    return facts.st_size


def _of_the_system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError, AttributeError):
        return None


def _of_the_group() -> int | None:
    """What a container leaves: control groups, version 2."""
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # there is none, or its limit is "max"
        return None
