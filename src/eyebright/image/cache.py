"""A cache of decoded images, so that epochs from the second on need not decode them again.

What is kept is exactly what the decoder gives, under a key made of the file's bytes, the scale, and the decoder's
version: a training sees the same pixels with the cache as without it, and an image that has changed, or another
decoder, is another key. Whatever goes wrong with the cache, images are decoded as if it were not there.
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
from eyebright.image.cache_store import FolderStore, MemoryStore, Pixels, Store, format_megabytes
from eyebright.image.decode import Source, read_bytes

CacheOption = Union[str, Path, "PixelCache", None]
"""``"memory"``, a folder, a cache that is there already, or None for no cache."""

_RULES = 1  # of what `eyebright.image.decode` makes of the decoders' answers: count up when pixels change
_LIBRARIES = ("libjpeg_turbo", "jpg", "jpg_2000", "zlib", "libtiff", "webp", "avif")


@final
class PixelCache:
    """Decoded images by what is in their files; threads may share it.

    A file is hashed when it is first seen and again when its size or its times have changed.

    Args:
        store: where the pixels are kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lookups = 0
        self.hits = 0
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}
        self._lock = threading.Lock()
        self._decoder = _decoder()

    @staticmethod
    def in_memory(limit: int | None = None) -> "PixelCache":
        """A cache in this process's memory.

        Args:
            limit: bytes; None: a quarter of the memory that is free now.
        """
        return PixelCache(MemoryStore(limit))

    @staticmethod
    def in_folder(folder: str | Path, limit: int | None = None) -> "PixelCache":
        """A cache in a folder, which outlives the process and which several may share.

        Args:
            folder: is made where it is missing.
            limit: bytes, with those that are there already; None: half of what is free on the disk.

        Raises:
            InputError: there can be no such folder.
        """
        return PixelCache(FolderStore(folder, limit))

    @staticmethod
    def from_option(option: CacheOption) -> "PixelCache | None":
        """The cache that was asked for.

        Raises:
            InputError: it is nothing that could be one, or there can be no such folder.
        """
        match option:
            case None | PixelCache():
                return option
            case "memory":
                return PixelCache.in_memory()
            case str() | Path() if str(option):
                return PixelCache.in_folder(option)
            case _:
                raise InputError(f"cache is 'memory', a folder, a PixelCache or None, not {option!r}")

    def __repr__(self) -> str:
        return f"PixelCache: {self.summary}"

    @property
    def summary(self) -> str:
        """How often it was of use, what it holds, and why it takes no more where it does not."""
        use = f"{self.hits:,} of {self.lookups:,} readings came from {self.store.location}"
        held = f"which holds {format_megabytes(self.store.count_bytes())}"
        return ", ".join([use, held]) + (f"; {self.store.problem}" if self.store.problem else "")

    def pixels(self, source: Source, reduce: int, decode: Callable[[bytes], Pixels]) -> Pixels:
        """The decoded pixels of an image; not to be written to.

        Args:
            source: a path, or the bytes of a whole file.
            reduce: the scale, as ``decode`` will decode it.
            decode: from the bytes of the file to its pixels; is called where nothing has been kept.

        Raises:
            ImageError: the file cannot be read; and what ``decode`` raises.
        """
        digest = self._known(source)
        kept = None if digest is None else self.store.get(f"{digest}-{reduce}")
        if kept is None:
            # What is hashed and what is decoded are the same bytes, whatever happens to the file meanwhile.
            data, now = self._read(source)
            kept = None if now == digest else self.store.get(f"{now}-{reduce}")
            if kept is None:
                kept = decode(data)
                self.store.put(f"{now}-{reduce}", kept)
                self._count(0)
                return kept
        self._count(1)
        return kept

    def _known(self, source: Source) -> str | None:
        """The digest of a file that has been seen and looks the same."""
        if isinstance(source, bytes):
            return None
        signature, digest = self._digests.get(source, (None, None))
        return digest if signature is not None and signature == _signature(source) else None

    def _read(self, source: Source) -> tuple[bytes, str]:
        signature = None if isinstance(source, bytes) else _signature(source)  # before reading: it may change then
        data = source if isinstance(source, bytes) else read_bytes(source)
        digest = hashlib.sha256(self._decoder + data).hexdigest()[:32]
        if signature is not None and isinstance(source, str):
            self._digests[source] = (signature, digest)
        return data, digest

    def _count(self, found: int) -> None:
        with self._lock:
            self.lookups += 1
            self.hits += found


def _signature(path: str) -> tuple[int, ...] | None:
    """What changes when a file is written; None where there is none."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - as fast as can be
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _decoder() -> bytes:
    """Whatever may decode the same bytes to other pixels."""
    libraries = [f"{name} {features.version(name)}" for name in _LIBRARIES]
    return "; ".join([f"rules {_RULES}", f"pillow {PIL.__version__}", f"opencv {cv2.__version__}", *libraries]).encode()
