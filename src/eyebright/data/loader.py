"""Batches: which images are in which, read ahead by others (`eyebright.data.executors`), finished on the device.

What an image looks like in an epoch, and with which others it comes, depends on the seed and the epoch alone, so any
batch can be made again.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright._system.cpus import cpu_count, cpus_per_process
from eyebright._system.timer import Timer
from eyebright.data.datasets import Dataset
from eyebright.data.executors import Executor, PendingChunk, SerialExecutor, ThreadExecutor
from eyebright.data.process_executor import ProcessExecutor, can_fork
from eyebright.data.sample_loader import LoadedSample, SampleLoader
from eyebright.errors import DataError
from eyebright.image.warp import Warp
from eyebright.sources.indices import Indices
from eyebright.transforms.draw import is_deterministic
from eyebright.transforms.pipeline import Pipeline

CHUNK = 8  # images that one reader takes at once
AHEAD = 2  # batches that are read ahead of the one in use
MOST = 16  # readers that are started unasked
MANY = 256  # images of which processes are worth their start


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
        processes: they are processes, not threads; None: where there can be some and it is worth their start. It can
            be set until the first batch is asked for.
        seed: of the order and of the augmentations.
        device: where batches go.
        skipped: None: an unreadable image is an error. A dict: it is left out and stands here, path to reason.
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
    ) -> None:
        self.dataset = dataset
        self.pipeline = pipeline
        self.bs = bs
        self.training = training
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.workers = min(cpus_per_process(), MOST) if workers is None else workers
        self.processes = processes
        self.seed = seed
        self.device = device or torch.device("cpu")
        self.skipped = skipped
        self.beside: Callable[[], Loader | None] = _nobody  # of the same data, and read by the same processes
        self.timer = Timer(time.thread_time)  # what the readers did, in seconds of their own work
        self._executor: tuple[SampleLoader, Executor] | None = None
        self._epoch = 0

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
        readers = self._current_executor()
        pending: deque[list[PendingChunk]] = deque()
        try:
            for group in self.groups(epoch, shard) if only is None else only:
                pending.append([])
                for start in range(0, len(group), CHUNK):
                    pending[-1].append(readers.submit(group[start : start + CHUNK], epoch))
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

    def _sample_loader(self) -> SampleLoader:
        return SampleLoader(self.dataset, self.pipeline, self.training, self.seed, self.skipped is not None)

    def _current_executor(self) -> Executor:
        reading = self._sample_loader()
        if self._executor is None or not self._executor[0].same_as(reading):
            self._executor = None
            if self.workers > 0 and self._wants_processes():
                self._start_process_executor()
            if self._executor is None:
                self._executor = (
                    reading,
                    ThreadExecutor(reading, self.workers) if self.workers else SerialExecutor(reading),
                )
        return self._executor[1]

    def _start_process_executor(self) -> None:
        """For both sides at once: a copy of a process keeps what that had in memory, which training makes more."""
        other = self.beside()
        sides = [self] if other is None or other._executor or not other._wants_processes() else [self, other]
        image = 3 * max(math.prod(side.pipeline.host_size or ()) for side in sides)
        jobs = (AHEAD + 1) * math.ceil(max(side.bs for side in sides) / CHUNK)
        readings = [side._sample_loader() for side in sides]
        try:
            processes = ProcessExecutor(readings, self.workers, chunk=CHUNK, image=image, jobs=jobs)
        except (OSError, NotImplementedError) as error:
            if self.processes:
                raise DataError(
                    f"processes that read images cannot be started: {error}; leave processes=True out"
                ) from None
            return
        for index, side in enumerate(sides):
            side._executor = readings[index], processes.of(index)

    def _wants_processes(self) -> bool:
        """Whether they were asked for, or read these images faster than threads would, and as safely.

        A cache counts what is asked for and holds it, both for the threads of one process. More readers than processors
        are there to wait for a disk or a network. What gives images without a path may hold an archive open, whose
        place processes would move for each other.
        """
        possible = can_fork() and self.pipeline.cache is None and self.pipeline.host_size is not None
        if self.processes is not None or not possible:
            return possible and bool(self.processes)
        return 1 < self.workers <= cpu_count() and len(self.dataset) >= MANY and self._has_files()

    def _has_files(self) -> bool:
        try:
            return self.dataset.sample(0).image.path is not None
        except Exception:  # whoever reads it will say so
            return True

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


def _nobody() -> None:
    """No loader."""
