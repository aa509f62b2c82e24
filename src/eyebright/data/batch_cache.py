"""Keeps the finished batches of evaluation images, so that later epochs neither decode nor resize them again."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, final

import torch

from eyebright.image.cache import file_signature
from eyebright.image.cache_store import available_memory

if TYPE_CHECKING:
    from eyebright.data.loader import Batch

_SHARE_OF_MEMORY = 4  # a quarter of the memory that is available when the first batch is kept


class FileStates(NamedTuple):
    """The files of a batch, None for images in memory, and their sizes and times before they were read."""

    paths: list[str | None]
    signatures: list[tuple[int, ...] | None]

    @staticmethod
    def of(paths: Sequence[str | None]) -> "FileStates":
        """The files as they are now; the signature of a file that does not exist is None."""
        return FileStates(list(paths), [None if path is None else file_signature(path) for path in paths])


class _Kept(NamedTuple):
    """A batch, None if too few of its images could be read, and its files."""

    batch: "Batch | None"
    files: FileStates


@final
class BatchCache:
    """Batches by the indices of their images, in memory, up to a limit; batches beyond it are made again each time.

    A batch is also made again when the size or the times of one of its files have changed.

    Args:
        limit: in bytes; None: a quarter of the available memory.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._kept: dict[tuple[int, ...], _Kept] = {}
        self._lock = threading.Lock()
        self.used_bytes = 0

    def has(self, indices: Sequence[int]) -> bool:
        """Whether the batch was kept, and none of its files has changed since; if one has, it is forgotten.

        Args:
            indices: of its images in the dataset.
        """
        with self._lock:
            kept = self._kept.get(tuple(indices))
            if kept is None:
                return False
            if kept.files == FileStates.of(kept.files.paths):
                return True
            del self._kept[tuple(indices)]
            self.used_bytes -= _bytes(kept.batch)
            return False

    def get(self, indices: Sequence[int], device: torch.device) -> "Batch | None":
        """The batch that was kept, on the device; None if too few of its images can be read.

        Args:
            indices: of its images in the dataset.
            device: on which its tensors are needed.

        Raises:
            KeyError: it was not kept.
        """
        batch = self._kept[tuple(indices)].batch
        if batch is None:
            return None
        y = None if batch.y is None else batch.y.to(device, non_blocking=True)
        return batch._replace(x=batch.x.to(device, non_blocking=True), y=y)

    def put(self, indices: Sequence[int], batch: "Batch | None", files: FileStates) -> None:
        """Keeps a batch if there is space.

        Args:
            indices: of its images in the dataset, also of those that cannot be read.
            batch: None: too few of its images can be read.
            files: its files before they were read.
        """
        key, need = tuple(indices), _bytes(batch)
        with self._lock:
            if self._limit is None:
                self._limit = available_memory() // _SHARE_OF_MEMORY
            if key in self._kept or self.used_bytes + need > self._limit:
                return
            self.used_bytes += need
            if batch is not None:
                batch = batch._replace(x=batch.x.cpu(), y=None if batch.y is None else batch.y.cpu())
            self._kept[key] = _Kept(batch, files)


def _bytes(batch: "Batch | None") -> int:
    return 0 if batch is None else batch.x.nbytes
