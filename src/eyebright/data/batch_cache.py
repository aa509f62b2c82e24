"""A cache of the collated batches of evaluation images, so that later epochs neither decode nor resize them again."""

import threading
from collections.abc import Sequence
from typing import NamedTuple, final

import torch

from eyebright._system.memory import default_cache_limit
from eyebright.data.batch import Batch
from eyebright.image.cache import file_signature


class FileStates(NamedTuple):
    """The files of a batch, None for images in memory, and their sizes and times before they were read."""

    paths: list[str | None]
    signatures: list[tuple[int, ...] | None]

    @staticmethod
    def of(paths: Sequence[str | None]) -> "FileStates":
        """The files as they are now; the signature of a file that does not exist is None."""
        return FileStates(list(paths), [None if path is None else file_signature(path) for path in paths])


class _Entry(NamedTuple):
    """A batch, None if too few of its images could be read, and its files."""

    batch: Batch | None
    files: FileStates


@final
class BatchCache:
    """Batches by the indices of their images, in memory, up to a limit; batches beyond it are rebuilt each time.

    A batch is also rebuilt when the size or the times of one of its files have changed.

    Args:
        limit: the most bytes of the tensors in it, images and targets; None: a quarter of the available memory.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._entries: dict[tuple[int, ...], _Entry] = {}
        self._lock = threading.Lock()
        self.used_bytes = 0

    def discard_if_changed(self, indices: Sequence[int]) -> bool:
        """Removes the batch if one of its files has changed since it was cached; returns whether it is in the cache.

        Args:
            indices: indices of the batch's images in the dataset.
        """
        with self._lock:
            entry = self._entries.get(tuple(indices))
            if entry is None:
                return False
            if entry.files == FileStates.of(entry.files.paths):
                return True
            del self._entries[tuple(indices)]
            self.used_bytes -= _size_in_bytes(entry.batch)
            return False

    def get(self, indices: Sequence[int], device: torch.device) -> Batch | None:
        """The cached batch, on the device; None if too few of its images can be read.

        Args:
            indices: indices of the batch's images in the dataset.
            device: the device to put the tensors on.

        Raises:
            KeyError: the batch is not cached.
        """
        batch = self._entries[tuple(indices)].batch
        if batch is None:
            return None
        y = None if batch.y is None else batch.y.to(device, non_blocking=True)
        return batch._replace(x=batch.x.to(device, non_blocking=True), y=y)

    def put(self, indices: Sequence[int], batch: Batch | None, files: FileStates) -> None:
        """Adds a batch if there is space.

        Args:
            indices: indices of the batch's images in the dataset, also of those that cannot be read.
            batch: the batch; None: too few of its images can be read.
            files: the state of its files before they were read.
        """
        key, size = tuple(indices), _size_in_bytes(batch)
        with self._lock:
            if self._limit is None:
                self._limit = default_cache_limit()
            if key in self._entries or self.used_bytes + size > self._limit:
                return
            self.used_bytes += size
            if batch is not None:
                batch = batch._replace(x=batch.x.cpu(), y=None if batch.y is None else batch.y.cpu())
            self._entries[key] = _Entry(batch, files)


def _size_in_bytes(batch: Batch | None) -> int:
    """The bytes of a batch's images and targets; 0 for None."""
    if batch is None:
        return 0
    return batch.x.nbytes + (0 if batch.y is None else batch.y.nbytes)
