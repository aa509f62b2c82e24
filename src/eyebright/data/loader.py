"""Batches: which images are in which, read ahead by others (`eyebright.data.executors`), finished on the device.

What an image looks like in an epoch, and with which others it comes, depends on the seed and the epoch alone, so any
batch can be made again.
"""

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright._system.cpus import cpus_per_process
from eyebright._system.timer import Timer
from eyebright.data.datasets import Dataset
from eyebright.data.executors import PendingChunk
from eyebright.data.sample_loader import LoadedSample, SampleLoader
from eyebright.data.worker_pool import AHEAD, CHUNK, Reading, WorkerPool
from eyebright.errors import DataError
from eyebright.image.warp import Warp
from eyebright.sources.indices import Indices
from eyebright.transforms.draw import is_deterministic
from eyebright.transforms.pipeline import Pipeline

MAX_WORKERS = 16
"""Workers that are started where no number is given."""


class Batch(NamedTuple):
    """One batch.

    Args:
        x: images, float32, on the device.
        y: encoded targets, on the device; None where there are none.
        indices: of the items in the data set's source.
        warps: for each image the warp from the user's pixels to x.
    """

    x: Float[Tensor, "b c h w"]
    y: Shaped[Tensor, "b ..."] | None
    indices: list[int]
    warps: list[Warp]


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several nearly equal shards.

    Args:
        index: which, from 0.
        count: how many there are.
    """

    index: int
    count: int

    def of(self, order: Sequence[int]) -> Sequence[int]:
        """This shard of the indices; one shard after another is all of them."""
        least, more = divmod(len(order), self.count)
        start = self.index * least + min(self.index, more)
        return order[start : start + least + (self.index < more)]


WHOLE = Shard(0, 1)


class Loader:
    """Batches of one side of a split.

    Args:
        dataset: where samples come from.
        pipeline: what happens to each image.
        bs: images in a batch.
        training: draw augmentations; otherwise every image has its one validation preprocessing.
        shuffle: another order in each epoch.
        drop_last: leave out the last batch when it is not full.
        workers: how many read; None: one for each processor, at most 16; 0: the calling thread.
        processes: they are processes, not threads; None: where that is possible and worth their start.
        seed: of the order and of the augmentations.
        device: where batches go.
        skipped: None: an unreadable image is an error. A dict: it is left out and stands here, path to reason.
        pool: starts the workers; loaders of the same data share one. None: a pool of its own.
    """

    def __init__(
        self,
        dataset: Dataset,
        pipeline: Pipeline,
        *,
        bs: int,
        training: bool,
        shuffle: bool = False,
        drop_last: bool = False,
        workers: int | None = None,
        processes: bool | None = None,
        seed: int = 0,
        device: torch.device | None = None,
        skipped: dict[str, str] | None = None,
        pool: WorkerPool | None = None,
    ) -> None:
        self.dataset = dataset
        self.pipeline = pipeline
        self.bs = bs
        self.training = training
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.workers = min(cpus_per_process(), MAX_WORKERS) if workers is None else workers
        self.processes = processes
        self.seed = seed
        self.device = device or torch.device("cpu")
        self.skipped = skipped
        self.timer = Timer(time.thread_time)  # seconds of the workers' own work
        self._epoch = 0
        self._pool = pool or WorkerPool()
        self._member = self._pool.add(self._reading())

    def __repr__(self) -> str:
        how = "augmented" if self.training else "as they are"
        return f"Loader: {len(self)} batches of {self.bs} images, {how}, on {self.device}"

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.bs)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """(x, y) of every batch; each time a new epoch."""
        self._epoch += 1
        for batch in self.batches(self._epoch - 1):
            yield batch.x, batch.y

    def one_batch(self) -> tuple[Tensor, Tensor | None]:
        """(x, y) of a first batch.

        Raises:
            DataError: there are fewer images than a batch needs.
        """
        batch = next(iter(self), None)
        if batch is None:
            raise DataError(f"there is no batch: {len(self.dataset)} images and a batch size of {self.bs}")
        return batch

    def batches(
        self, epoch: int = 0, shard: Shard = WHOLE, *, only: Iterable[list[int]] | None = None
    ) -> Generator[Batch, None, None]:
        """The batches of one epoch: the same ones for the same epoch.

        Args:
            epoch: its index.
            shard: what one of several readers gets, so that all of them together get each image once: in training a
                shard of every batch, else a stretch of the whole order. Reader after reader gives the order of one.
            only: the images of each batch, by their index on this side, looked at as in this epoch; None: all of
                them in its order.

        Raises:
            ImageError: an image cannot be read, and none may be left out.
            DataError: of a shard of a training batch every image was left out.
        """
        executor = self._pool.executor(self._member, self._reading())
        pending: deque[list[PendingChunk]] = deque()
        try:
            for group in self.groups(epoch, shard) if only is None else only:
                pending.append([])
                for start in range(0, len(group), CHUNK):
                    pending[-1].append(executor.submit(group[start : start + CHUNK], epoch))
                if len(pending) > AHEAD:
                    yield from self._collect(pending.popleft(), shard)
            while pending:
                yield from self._collect(pending.popleft(), shard)
        finally:
            for jobs in pending:
                for job in jobs:
                    job.close()

    def groups(self, epoch: int = 0, shard: Shard = WHOLE) -> Iterator[list[int]]:
        """The images of each batch, by their index on this side; each made when it is asked for."""
        order: Sequence[int] = range(len(self.dataset))
        if self.shuffle:
            order = Indices(np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset)))
        order = order[: len(self) * self.bs]
        if not self.training:
            order = shard.of(order)
        groups = (order[i : i + self.bs] for i in range(0, len(order), self.bs))
        return (list(shard.of(group) if self.training else group) for group in groups)

    @property
    def is_deterministic(self) -> bool:
        """Whether an image looks the same in each epoch."""
        return not self.training or is_deterministic(self.pipeline.transforms)

    def is_batch(self, images: int, asked: int, shard: Shard = WHOLE) -> bool:
        """Whether so many images are a batch, when unreadable ones have been left out.

        Args:
            images: that are left.
            asked: how many were to be in it.
            shard: of the batch.

        Raises:
            DataError: of a shard of a training batch every image was left out.
        """
        if self.training and shard != WHOLE and not images:
            raise DataError(  # the other readers have theirs, and must not be left to wait for this one
                f"of shard {shard.index + 1} of {shard.count} of a batch no image can be read; "
                "take the unreadable ones out, or give a larger batch size"
            )
        # What images that were left out leave alone in a batch would stop a training: batch norms take no single one.
        alone = self.training and shard == WHOLE and images == 1 < asked
        return images > 0 and not alone

    def sample(self, i: int, epoch: int = 0) -> LoadedSample:
        """What becomes of the i-th image in an epoch."""
        return self._sample_loader().sample(i, epoch)

    def batch_of(self, seen: Sequence[LoadedSample]) -> tuple[Tensor, Tensor | None]:
        """Samples that were made one by one, as (x, y)."""
        batch = self._finish(seen)
        return batch.x, batch.y

    def _reading(self) -> Reading:
        return Reading(self._sample_loader(), self.bs, self.workers, self.processes)

    def _sample_loader(self) -> SampleLoader:
        return SampleLoader(self.dataset, self.pipeline, self.training, self.seed, self.skipped is not None)

    def _collect(self, jobs: Sequence[PendingChunk], shard: Shard) -> Iterator[Batch]:
        try:
            chunks = [job.result() for job in jobs]
            seen = [one for chunk in chunks for one in chunk.samples]
            asked = len(seen) + sum(len(chunk.skipped) for chunk in chunks)
            for chunk in chunks:
                if self.skipped is not None:
                    self.skipped.update(chunk.skipped)
                for name, seconds in chunk.seconds.items():
                    self.timer.add(name, seconds)
            batch = self._finish(seen) if self.is_batch(len(seen), asked, shard) else None
        finally:
            for job in jobs:
                job.close()
        if batch is not None:
            yield batch

    def _finish(self, seen: Sequence[LoadedSample]) -> Batch:
        x = self.pipeline.finish([one.preprocessed for one in seen], self.device)
        x = x.contiguous(memory_format=torch.channels_last)  # a warp on a GPU may give another order
        targets = [one.target for one in seen if one.target is not None]
        y = torch.stack(targets).to(self.device, non_blocking=True) if targets else None
        return Batch(x, y, [one.item_index for one in seen], [one.preprocessed.warp for one in seen])
