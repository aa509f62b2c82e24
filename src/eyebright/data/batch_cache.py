"""Keeps the finished batches of evaluation images, so that later epochs neither decode nor resize them again."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import torch

from eyebright.image.cache_store import available_memory

if TYPE_CHECKING:
    from eyebright.data.loader import Batch

_SHARE_OF_MEMORY = 4  # a quarter of the memory that is available when the first batch is kept


@final
class BatchCache:
    """Batches by the indices of their images, in memory, up to a limit; batches beyond it are made again each time.

    Args:
        limit: in bytes; None: a quarter of the available memory.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._batches: dict[tuple[int, ...], Batch | None] = {}
        self._lock = threading.Lock()
        self.used_bytes = 0

    def __contains__(self, indices: Sequence[int]) -> bool:
        return tuple(indices) in self._batches

    def get(self, indices: Sequence[int], device: torch.device) -> "Batch | None":
        """The batch that was kept, on the device; None if too few of its images can be read.

        Args:
            indices: of its images in the dataset.
            device: on which its tensors are needed.

        Raises:
            KeyError: it was not kept.
        """
        batch = self._batches[tuple(indices)]
        if batch is None:
            return None
        y = None if batch.y is None else batch.y.to(device, non_blocking=True)
        return batch._replace(x=batch.x.to(device, non_blocking=True), y=y)

    def put(self, indices: Sequence[int], batch: "Batch | None") -> None:
        """Keeps a batch if there is space.

        Args:
            indices: of its images in the dataset, also of those that cannot be read.
            batch: None: too few of its images can be read.
        """
        key, need = tuple(indices), 0 if batch is None else batch.x.nbytes
        with self._lock:
            if self._limit is None:
                self._limit = available_memory() // _SHARE_OF_MEMORY
            if key in self._batches or self.used_bytes + need > self._limit:
                return
            self.used_bytes += need
            if batch is not None:
                batch = batch._replace(x=batch.x.cpu(), y=None if batch.y is None else batch.y.cpu())
            self._batches[key] = batch
