"""`Thumbnails`, and the images of the page: upright, no larger than a screen, whatever the format of the file."""

import contextlib
import hashlib
import io
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from jaxtyping import UInt8

from eyebright.errors import ImageError
from eyebright.image.image import Image
from eyebright.io.atomic import make_folder, write_atomically
from eyebright.review.refusal import Refusal

MAX_SIDE = 1600
"""Pixels of the longer side of an image in the page."""

THUMBNAIL_SIDE = 256
"""Pixels of the longer side of a thumbnail."""

_QUALITY, _LARGE_QUALITY = 80, 90
_CACHE_LIMIT = 1_000_000_000  # bytes of thumbnails on the disk
_QUEUE_LIMIT = 1000  # thumbnails that wait for their computation


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an upright image, from its header.

    Raises:
        Refusal: it has vanished or is damaged.
    """
    try:
        return Image.create(path).size
    except ImageError as error:
        raise Refusal(410, f"the image cannot be shown: {error.reason}") from None


def jpeg(path: Path, side: int) -> bytes:
    """An upright image as JPEG, its longer side at most ``side`` pixels.

    Raises:
        Refusal: it has vanished or is damaged.
    """
    try:
        small = Image.create(path).to_thumb(side)
    except ImageError as error:
        raise Refusal(410, f"the image cannot be shown: {error.reason}") from None
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=_QUALITY if side == THUMBNAIL_SIDE else _LARGE_QUALITY)
    return file.getvalue()


def png(pixels: UInt8[np.ndarray, "h w 4"]) -> bytes:
    """Pixels with opacity as PNG."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels, "RGBA").save(file, format="PNG", compress_level=1)
    return file.getvalue()


class Thumbnails:
    """Thumbnails, cached on disk; those of a page are created in the background, before the browser requests them.

    Args:
        folder: the cache folder, which is created when it is needed. Thumbnails that cannot be cached are created each
            time.
        limit: the maximum size on disk in bytes; beyond it the oldest half is removed.
    """

    def __init__(self, folder: Path, *, limit: int = _CACHE_LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="thumbnails", initializer=_lowest_priority)
        self._waiting: dict[Path, Future[Any]] = {}
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def get(self, path: Path) -> bytes:
        """The thumbnail of an image, a JPEG file.

        Raises:
            Refusal: the image has vanished or is damaged.
        """
        place = self._place(path)
        if place is not None:
            with contextlib.suppress(OSError):
                return place.read_bytes()
        data = jpeg(path, THUMBNAIL_SIDE)
        if place is not None:
            self._keep(place, data)
        return data

    def prepare(self, paths: Iterable[Path]) -> None:
        """Creates thumbnails in the background."""
        for path in paths:
            with self._lock:
                if path in self._waiting or len(self._waiting) >= _QUEUE_LIMIT:
                    continue
                with contextlib.suppress(RuntimeError):  # the server ends
                    self._waiting[path] = self._pool.submit(self._make, path)

    def close(self) -> None:
        """Ends the work in the background."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, path: Path) -> None:
        with contextlib.suppress(Refusal, MemoryError):
            place = self._place(path)
            if place is not None and not place.exists():
                self._keep(place, jpeg(path, THUMBNAIL_SIDE))
        with self._lock:
            self._waiting.pop(path, None)

    def _place(self, path: Path) -> Path | None:
        """The file of the thumbnail of an image as it is now; None for an image in a container."""
        try:
            facts = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):
            return None
        text = f"{os.path.abspath(path)}\0{facts.st_mtime_ns}\0{facts.st_size}"  # noqa: PTH100
        name = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()
        return self._folder / name[:2] / f"{name[2:]}.jpg"

    def _keep(self, place: Path, data: bytes) -> None:
        try:
            make_folder(place.parent)
            write_atomically(place, lambda file: file.write_bytes(data), flush=False)
        except OSError:  # the disk is full, or the folder cannot be written
            return
        with self._lock:
            self._bytes = _size_of(self._folder) if self._bytes is None else self._bytes + len(data)
            if self._bytes > self._limit:
                _remove_oldest(self._folder, self._limit // 2)
                self._bytes = None


def _lowest_priority() -> None:
    """Gives the thread the lowest priority, if the system supports it for threads."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def _files(folder: Path) -> list[tuple[float, int, str]]:
    """(time, bytes, path) of each thumbnail."""
    found: list[tuple[float, int, str]] = []
    for place in folder.glob("*/*.jpg"):
        with contextlib.suppress(OSError):
            facts = place.stat()
            found.append((facts.st_mtime, facts.st_size, str(place)))
    return found


def _size_of(folder: Path) -> int:
    return sum(size for _, size, _ in _files(folder))


def _remove_oldest(folder: Path, limit: int) -> None:
    """Removes the oldest thumbnails until the others take no more than ``limit`` bytes."""
    files = sorted(_files(folder))
    total = sum(size for _, size, _ in files)
    for _, size, place in files:
        if total <= limit:
            return
        with contextlib.suppress(OSError):
            os.unlink(place)  # noqa: PTH108
            total -= size
