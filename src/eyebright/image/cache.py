"""`PixelCache`: a cache of decoded images, so that only the first epoch has to decode them.

An entry is exactly what the decoder returns. Its key is a hash of the file's content, the factor by which
the decoder reduced the image, and the versions of the decoders. Training therefore sees the same pixels with and
without a cache, and a changed file or another decoder version never uses an old entry. If the cache fails in any way,
images are decoded as without a cache.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Union, final

import cv2
import PIL
from PIL import features

from eyebright.errors import InputError
from eyebright.image.cache_store import FolderStore, MemoryStore, Store, format_megabytes
from eyebright.image.decode import PathOrBytes, Pixels, read_bytes

CacheOption = Union[str, Path, "PixelCache", None]
"""``"memory"``, a folder, an existing cache, or None for no cache."""

_CONVERSION_VERSION = 1  # of the conversions in `eyebright.image.decode`: increase it when the pixels change
_PILLOW_LIBRARIES = ("libjpeg_turbo", "jpg", "jpg_2000", "zlib", "libtiff", "webp", "avif")


@final
class PixelCache:
    """A cache of decoded images, keyed by the content of their files; safe to share between threads.

    A file is hashed when it is first read, and again when its size or its times have changed.

    Args:
        store: the storage for the pixels.

    Attributes:
        lookups: number of calls of `pixels`.
        hits: number of lookups that found pixels in the store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lookups = 0
        self.hits = 0
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}
        self._lock = threading.Lock()
        self._decoder_versions = _decoder_versions()

    @staticmethod
    def in_memory(limit: int | None = None) -> "PixelCache":
        """A cache in the memory of this process.

        Args:
            limit: maximum size in bytes; None for a quarter of the available memory.
        """
        return PixelCache(MemoryStore(limit))

    @staticmethod
    def in_folder(folder: str | Path, limit: int | None = None) -> "PixelCache":
        """A cache in a folder; it persists, and several processes can share it.

        Args:
            folder: created if it does not exist.
            limit: maximum size in bytes, existing entries included; None for half of the free space on the disk plus
                half of the existing entries.

        Raises:
            InputError: the folder cannot be created.
        """
        return PixelCache(FolderStore(folder, limit))

    @staticmethod
    def from_option(option: CacheOption) -> "PixelCache | None":
        """The cache for a ``cache`` argument.

        Raises:
            InputError: the option has another type or is an empty string, or the folder cannot be created.
        """
        match option:
            case None | PixelCache():
                return option
            case "memory":
                return PixelCache.in_memory()
            case str() | Path() if str(option):
                return PixelCache.in_folder(option)
            case _:
                raise InputError(f"cache must be 'memory', a folder, a PixelCache or None, got {option!r}")

    def __repr__(self) -> str:
        return f"PixelCache: {self.summary}"

    @property
    def summary(self) -> str:
        """One line with the number of hits, the size, and the reason if no more entries are written.

        Nothing is read from the disk: the size is `Store.used_bytes`, and `Store.measure` measures it again.
        """
        size = format_megabytes(self.store.used_bytes)
        text = f"{self.hits:,} of {self.lookups:,} lookups were hits in {self.store.location}, which holds {size}"
        return f"{text}; {self.store.problem}" if self.store.problem else text

    def pixels(self, source: PathOrBytes, reduce: int, decode: Callable[[bytes], Pixels]) -> Pixels:
        """The decoded pixels of an image, an array of shape (height, width, 3) that must not be modified.

        Args:
            source: a path, or the content of an image file.
            reduce: 1, 2, 4 or 8: the factor by which ``decode`` divides height and width; a part of the key.
            decode: a function from the content of a file to its pixels; called for a cache miss.

        Raises:
            ImageError: the file cannot be read, or ``decode`` raises it.
        """
        known = self._known_digest(source)
        pixels = None if known is None else self.store.get(f"{known}-{reduce}")
        if pixels is None:
            # The bytes that are hashed are also decoded: a file that changes between two reads cannot get a wrong key.
            data, digest = self._read(source)
            pixels = None if digest == known else self.store.get(f"{digest}-{reduce}")
            if pixels is None:
                pixels = decode(data)
                self.store.put(f"{digest}-{reduce}", pixels)
                self._count(hits=0)
                return pixels
        self._count(hits=1)
        return pixels

    def _known_digest(self, source: PathOrBytes) -> str | None:
        """The digest of a file that was hashed before and has the same size and times; None otherwise."""
        if isinstance(source, bytes):
            return None
        signature, digest = self._digests.get(source, (None, None))
        return digest if signature is not None and signature == file_signature(source) else None

    def _read(self, source: PathOrBytes) -> tuple[bytes, str]:
        """The content of a file and its digest."""
        # The signature is taken before reading, because the file may change during it.
        signature = None if isinstance(source, bytes) else file_signature(source)
        data = source if isinstance(source, bytes) else read_bytes(source)
        digest = hashlib.sha256(self._decoder_versions + data).hexdigest()[:32]
        if signature is not None and isinstance(source, str):
            self._digests[source] = (signature, digest)
        return data, digest

    def _count(self, *, hits: int) -> None:
        with self._lock:
            self.lookups += 1
            self.hits += hits


def file_signature(path: str) -> tuple[int, ...] | None:
    """Size and times of a file, which change when it is written; None if it does not exist."""
    try:
        status = os.stat(path)  # noqa: PTH116 - faster than Path
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _decoder_versions() -> bytes:
    """The versions of everything that decides which pixels a file is decoded to."""
    libraries = [f"{name} {features.version(name)}" for name in _PILLOW_LIBRARIES]
    return "; ".join(
        [f"rules {_CONVERSION_VERSION}", f"pillow {PIL.__version__}", f"opencv {cv2.__version__}", *libraries]
    ).encode()
