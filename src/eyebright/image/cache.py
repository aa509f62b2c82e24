"""`ImageCache`: a cache of decoded images and of their features, so that neither is computed again.

An entry of pixels is exactly what the decoder returns. Its key is a hash of the file's content, the factor by which
the decoder reduced the image, and the versions of the decoders. Training therefore sees the same pixels with and
without a cache, and a changed file or another decoder version never uses an old entry. The features of an image have a
key that their caller makes from the same hash (`ImageCache.digest`). If the cache fails in any way, images are decoded
and features computed as without a cache.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Union, final

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from eyebright.errors import InputError
from eyebright.image.cache_store import FolderStore, MemoryStore, Store, format_megabytes
from eyebright.image.decode import PathOrBytes, read_bytes
from eyebright.image.rgb import Pixels
from eyebright.io.containers import container_of

CacheOption = Union[str, Path, "ImageCache", None]
"""``"memory"``, a folder, an existing cache, or None for no cache."""

_CONVERSION_VERSION = 2  # of the conversions in `eyebright.image.decode`: increase it when the pixels change
_PILLOW_LIBRARIES = ("libjpeg_turbo", "jpg", "jpg_2000", "zlib", "libtiff", "webp", "avif")


@final
class ImageCache:
    """A cache of decoded images and features, keyed by the content of image files; safe to share between threads.

    A file is hashed when it is first read, and again when its size or its times have changed.

    Args:
        store: the storage for pixels and features.

    Attributes:
        lookups: number of calls of `pixels`.
        hits: number of lookups that found pixels in the store.
        feature_lookups: number of calls of `features`.
        feature_hits: number of these lookups that found features in the store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lookups = 0
        self.hits = 0
        self.feature_lookups = 0
        self.feature_hits = 0
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}
        self._lock = threading.Lock()
        self._decoder_versions = _decoder_versions()

    @staticmethod
    def in_memory(limit: int | None = None) -> "ImageCache":
        """A cache in the memory of this process.

        Args:
            limit: maximum size in bytes; None for a quarter of the available memory.
        """
        return ImageCache(MemoryStore(limit))

    @staticmethod
    def in_folder(folder: str | Path, limit: int | None = None) -> "ImageCache":
        """A cache in a folder; it persists, and several processes can share it.

        Args:
            folder: created if it does not exist.
            limit: maximum size in bytes, existing entries included; None for half of the free space on the disk plus
                half of the existing entries.

        Raises:
            InputError: the folder cannot be created.
        """
        return ImageCache(FolderStore(folder, limit))

    @staticmethod
    def from_option(option: CacheOption) -> "ImageCache | None":
        """The cache for a ``cache`` argument.

        Raises:
            InputError: the option has another type or is an empty string, or the folder cannot be created.
        """
        match option:
            case None | ImageCache():
                return option
            case "memory":
                return ImageCache.in_memory()
            case str() | Path() if str(option):
                return ImageCache.in_folder(option)
            case _:
                raise InputError(f"cache must be 'memory', a folder, a ImageCache or None, got {option!r}")

    def __repr__(self) -> str:
        return f"ImageCache: {self.summary}"

    @property
    def summary(self) -> str:
        """One line with the hits, the size, damaged entries, and the reason if no more entries are written.

        Nothing is read from the disk: the size is `Store.used_bytes`, and `Store.measure` measures it again.
        """
        store, hits = self.store, list[str]()
        if self.lookups or not self.feature_lookups:
            hits.append(f"{self.hits:,} of {self.lookups:,} lookups of images")
        if self.feature_lookups:
            hits.append(f"{self.feature_hits:,} of {self.feature_lookups:,} lookups of features")
        text = f"{' and '.join(hits)} were hits in {store.location}, which has {format_megabytes(store.used_bytes)}"
        damaged = f"{store.n_damaged:,} damaged entries were replaced" if store.n_damaged else None
        return "; ".join(filter(None, [text, damaged, store.problem]))

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

    def digest(self, source: PathOrBytes | Pixels) -> str:
        """A hash of all that decides the pixels of an image: its content, and the versions of the decoders of a file.

        Args:
            source: a path, the content of an image file, or the pixels of an image in memory.

        Raises:
            ImageError: the file cannot be read.
        """
        if isinstance(source, np.ndarray):
            content = np.ascontiguousarray(source)
            return hashlib.sha256(f"pixels {content.shape} ".encode() + content.data).hexdigest()[:32]
        return self._known_digest(source) or self._read(source)[1]

    def features(self, key: str) -> NDArray[np.float32] | None:
        """The features of an image, float32 of shape (d,), which must not be modified; None if there are none.

        Args:
            key: a hash of all that decides the features.
        """
        found = self.store.get(key)
        with self._lock:
            self.feature_lookups += 1
            self.feature_hits += found is not None
        return None if found is None else np.array(found)  # a copy: a process can have 65,530 mapped files

    def put_features(self, key: str, features: NDArray[np.float32]) -> None:
        """Stores the features of an image if possible.

        Args:
            key: as for `features`.
            features: float32, of shape (d,).
        """
        self.store.put(key, features)

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
    """Size and times of a file, or of its container, which change when it is written; None if it does not exist."""
    container, _ = container_of(path) or (path, "")
    try:
        status = os.stat(container)  # noqa: PTH116 - faster than Path
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _decoder_versions() -> bytes:
    """The versions of everything that decides which pixels a file is decoded to."""
    libraries = [f"{name} {features.version(name)}" for name in _PILLOW_LIBRARIES]
    return "; ".join(
        [f"rules {_CONVERSION_VERSION}", f"pillow {PIL.__version__}", f"opencv {cv2.__version__}", *libraries]
    ).encode()
