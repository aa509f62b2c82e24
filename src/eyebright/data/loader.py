"""Batches of a dataset: loaded ahead by workers (`eyebright.data.executors`), collated, and transformed on the device.

The order of an epoch and the augmentation of each image depend only on the seed and the epoch, so any batch can be
recomputed.
"""

import hashlib
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyebright._defaults import MAX_WORKERS
from eyebright._system.cpus import cpus_per_process
from eyebright._system.timer import Timer
from eyebright.data.batch import WHOLE, Batch, Shard
from eyebright.data.batch_cache import BatchCache, FileStates
from eyebright.data.datasets import Dataset
from eyebright.data.executors import PendingChunk
from eyebright.data.sample_loader import LoadedSample, OpenedSample, SampleLoader
from eyebright.data.worker_pool import CHUNK_SIZE, PREFETCHED_BATCHES, WorkerConfig, WorkerPool
from eyebright.errors import DataError, InputError, checked_keywords, not_copied
from eyebright.sources.indices import Indices
from eyebright.transforms.draw import is_deterministic
from eyebright.transforms.pipeline import Pipeline

SampleWeights = Sequence[float] | NDArray[np.floating[Any]]
"""For each image a number, 0 or more; an image is drawn with a probability in proportion to it."""

NOT_COPIED = "it has workers and caches: make it again from its data block with `dataloaders`, in each process"
"""Why loaders cannot be pickled or copied, and what to do instead."""


class _PendingBatch(NamedTuple):
    """A batch that has been requested.

    Args:
        indices: positions of its images in the dataset.
        chunks: what workers load; empty if the batch is cached.
        files: the state of its files before they were read, for the cache; None if the batch is cached already, or is
            not to be.
        is_cached: whether the cache has the batch.
    """

    indices: list[int]
    chunks: list[PendingChunk]
    files: FileStates | None
    is_cached: bool


class Loader:
    """An iterable of the batches of one dataset.

    Args:
        dataset: gives the samples.
        pipeline: transforms each image.
        bs: batch size.
        training: draw augmentations; otherwise each image gets the deterministic validation preprocessing.
        shuffle: a new order in each epoch.
        drop_last: drop the last batch when it is not full.
        sample_weights: in each epoch, draw ``len(dataset)`` images with replacement, each with a probability in
            proportion to its weight; repeats of an image get different augmentations. None: each image once an epoch.
        workers: number of workers; None: one for each CPU, at most 16; 0: the calling thread reads.
        processes: whether the workers are processes, not threads; None: where that is possible and faster.
        seed: random seed of the order and of the augmentations.
        device: the device that batches are put on; None: the CPU.
        skipped: collects unreadable images, path to reason, which are then skipped; None: they are an error.
        pool: starts the workers; loaders of the same data share one. None: a pool of its own.
        cache_batches: cache the collated batches in memory, up to a quarter of what is available, and load them again
            only if their files change; for images that are evaluated repeatedly.
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
        sample_weights: SampleWeights | None = None,
        workers: int | None = None,
        processes: bool | None = None,
        seed: int = 0,
        device: torch.device | None = None,
        skipped: dict[str, str] | None = None,
        pool: WorkerPool | None = None,
        cache_batches: bool = False,
    ) -> None:
        self.dataset = dataset
        self.pipeline = pipeline
        self.bs = bs
        self.training = training
        self.shuffle = shuffle
        self.drop_last = drop_last
        self._probabilities = None if sample_weights is None else _to_probabilities(sample_weights, len(dataset))
        self.workers = min(cpus_per_process(), MAX_WORKERS) if workers is None else workers
        self.processes = processes
        self.seed = seed
        self.device = device or torch.device("cpu")
        self.skipped = skipped
        self.timer = Timer(time.thread_time)  # seconds of the workers' own work
        self._epoch = 0
        self._pool = pool or WorkerPool()
        self._index_in_pool = self._pool.add(self._worker_config())
        self._cache_batches = cache_batches and not training
        self._cache = BatchCache()
        self._cache_inputs: tuple[Dataset, Pipeline] | None = None  # the inputs of the cached batches

    def __reduce__(self) -> NoReturn:
        raise not_copied(self, NOT_COPIED)

    def __repr__(self) -> str:
        augmented = "augmented" if self.training else "not augmented"
        return f"Loader: {len(self)} batches of {self.bs} images, {augmented}, on {self.device}"

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.bs)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """(x, y) of each batch; each iteration is the next epoch."""
        self._epoch += 1
        for batch in self.batches(self._epoch - 1):
            if self._cache_batches:  # copies: a change in place must not reach the cached batch
                yield batch.x.clone(), None if batch.y is None else batch.y.clone()
            else:
                yield batch.x, batch.y

    def one_batch(self) -> tuple[Tensor, Tensor | None]:
        """(x, y) of the first batch of the next epoch.

        Each call counts as an epoch, so the next one has another order and other augmentations.

        Raises:
            DataError: there is no batch: too few images, or none that can be read.
            ImageError: an image cannot be read, and unreadable images are not skipped.
        """
        batch = next(iter(self), None)
        if batch is None:
            raise DataError(f"there is no batch: {len(self.dataset)} images and a batch size of {self.bs}")
        return batch

    @checked_keywords
    def show_batch(
        self,
        b: tuple[Tensor, Tensor | None] | None = None,
        max_n: int = 9,
        *,
        nrows: int | None = None,
        ncols: int | None = None,
        figsize: tuple[float, float] | None = None,
        unique: bool = False,
    ) -> None:
        """Draw the first batch of the next epoch as the network sees it; arguments as in `DataLoaders.show_batch`."""
        from eyebright.data.show import show_targets  # which takes batches of this module

        count = min(max_n, nrows * ncols) if nrows and ncols else max_n
        if b is None and unique:
            batch = self.collate([self.sample(0, epoch) for epoch in range(count)])
            b = batch.x, batch.y
        x, y = b or self.one_batch()
        y = None if y is None else y[:count]
        show_targets(x[:count], y, self.dataset.target, grid=(nrows, ncols), figsize=figsize)

    def variant(self, dataset: Dataset, pipeline: Pipeline, *, bs: int, training: bool = False) -> "Loader":
        """A loader with the same workers, seed, device and list of skipped images, in order.

        Args:
            dataset: gives the samples.
            pipeline: transforms each image.
            bs: batch size.
            training: draw augmentations.
        """
        return Loader(
            dataset,
            pipeline,
            bs=bs,
            training=training,
            workers=self.workers,
            processes=self.processes,
            seed=self.seed,
            device=self.device,
            skipped=self.skipped,
        )

    def batches(
        self, epoch: int = 0, shard: Shard = WHOLE, *, batch_indices: Iterable[list[int]] | None = None
    ) -> Generator[Batch, None, None]:
        """The batches of one epoch: the same ones each time for the same epoch.

        Args:
            epoch: the epoch, from 0.
            shard: the share of one of several processes: in training a piece of each batch, in validation a piece of
                the whole order. The shards in order equal the batches of a single process.
            batch_indices: for each batch the positions of its images in the dataset, augmented as in this epoch; None:
                those of `index_batches`.

        Raises:
            ImageError: an image cannot be read, and unreadable images are not skipped.
            DataError: every image in the shard of a training batch was skipped; a worker process has died.
        """
        cache, executor = self._evaluation_cache(), None
        pending: deque[_PendingBatch] = deque()
        try:
            for indices in self.index_batches(epoch, shard) if batch_indices is None else batch_indices:
                is_cached = cache is not None and cache.discard_if_changed(indices)
                files = None if cache is None or is_cached else self._files(indices)
                pending.append(_PendingBatch(indices, [], files, is_cached))
                if not is_cached:
                    executor = executor or self._pool.executor(self._index_in_pool, self._worker_config())
                    for start in range(0, len(indices), CHUNK_SIZE):
                        pending[-1].chunks.append(executor.submit(indices[start : start + CHUNK_SIZE], epoch))
                if len(pending) > PREFETCHED_BATCHES:
                    yield from self._finished(pending.popleft(), shard, cache)
            while pending:
                yield from self._finished(pending.popleft(), shard, cache)
        finally:
            for batch in pending:
                for chunk in batch.chunks:
                    chunk.close()

    def index_batches(self, epoch: int = 0, shard: Shard = WHOLE) -> Iterator[list[int]]:
        """For each batch of an epoch the positions of its images in the dataset.

        With sample weights, a repeat of an image in the same epoch has its position plus a multiple of
        ``len(dataset)``.
        """
        count = len(self.dataset)
        order: Sequence[int] = range(count)
        if self._probabilities is not None:
            drawn = np.random.default_rng([self.seed, epoch]).choice(count, count, p=self._probabilities)
            order = Indices(_number_repeats(drawn, count))
        elif self.shuffle:
            order = Indices(np.random.default_rng([self.seed, epoch]).permutation(count))
        order = order[: len(self) * self.bs]
        if not self.training:
            order = shard.of(order)
        batches = (order[i : i + self.bs] for i in range(0, len(order), self.bs))
        return (list(shard.of(batch) if self.training else batch) for batch in batches)

    @property
    def sample_weights_fingerprint(self) -> str | None:
        """A hash of the sample weights; None without weights."""
        if self._probabilities is None:
            return None
        return hashlib.sha256(self._probabilities.tobytes()).hexdigest()[:16]

    @property
    def probabilities(self) -> NDArray[np.float64] | None:
        """The probability of each image of the dataset to be drawn; None without sample weights."""
        return self._probabilities

    @property
    def is_deterministic(self) -> bool:
        """Whether no transform draws at random, so that each image is the same in every epoch."""
        return not self.training or is_deterministic(self.pipeline.transforms)

    def check_not_empty(self, n_left: int, shard: Shard = WHOLE) -> None:
        """Raises `DataError` if several processes train together and skipping has left this one without an image.

        Args:
            n_left: number of images of the batch that could be read.
            shard: the shard of the batch that was loaded.

        Raises:
            DataError: nothing is left of the shard of a training batch.
        """
        if self.training and shard != WHOLE and not n_left:
            raise DataError(  # without a batch here, the other processes would wait for this one for ever
                f"no image can be read in shard {shard.index + 1} of {shard.count} of a batch; "
                "take the unreadable ones out, or give a larger batch size"
            )

    def is_usable(self, n_left: int, n_requested: int, shard: Shard = WHOLE) -> bool:
        """Whether a batch can be used: not if skipping left at most one image, on which batch norm cannot train.

        Args:
            n_left: number of images of the batch that could be read.
            n_requested: number of images before unreadable ones were skipped.
            shard: the shard of the batch that was loaded.
        """
        is_single_after_skipping = n_left == 1 and n_requested > 1
        return n_left > 0 and not (self.training and shard == WHOLE and is_single_after_skipping)

    def sample(self, i: int, epoch: int = 0) -> LoadedSample:
        """The i-th image of the dataset with its target, augmented as in this epoch.

        Raises:
            ImageError: the image cannot be read.
        """
        return self._sample_loader().sample(i, epoch)

    def opened(self, i: int) -> OpenedSample:
        """The i-th image of the dataset with its target, not decoded.

        Raises:
            ImageError: the image cannot be opened.
        """
        return self._sample_loader().opened(i)

    def collate(self, samples: Sequence[LoadedSample]) -> Batch:
        """Samples as one batch, on the device.

        Raises:
            DataError: the images differ in size.
        """
        x = self.pipeline.to_batch([sample.preprocessed for sample in samples], self.device)
        x = x.contiguous(memory_format=torch.channels_last)  # a warp on a GPU may give another order
        targets = [sample.target for sample in samples if sample.target is not None]
        y = torch.stack(targets).to(self.device, non_blocking=True) if targets else None
        item_indices = [sample.item_index for sample in samples]
        return Batch(x, y, item_indices, [sample.preprocessed.warp for sample in samples])

    def _worker_config(self) -> WorkerConfig:
        return WorkerConfig(self._sample_loader(), self.bs, self.workers, self.processes)

    def _sample_loader(self) -> SampleLoader:
        return SampleLoader(self.dataset, self.pipeline, self.training, self.seed, self.skipped is not None)

    def _evaluation_cache(self) -> BatchCache | None:
        """The cache of this loader's batches, a new one if dataset or transforms were replaced; None: it has none."""
        if not self._cache_batches:
            return None
        inputs = (self.dataset, self.pipeline)
        if self._cache_inputs is None or any(a is not b for a, b in zip(self._cache_inputs, inputs, strict=True)):
            self._cache_inputs, self._cache = inputs, BatchCache()
        return self._cache

    def _files(self, indices: Sequence[int]) -> FileStates:
        """The current state of the image files at these positions of the dataset."""
        item_indices = self.dataset.indices  # repeats have larger positions, see `index_batches`
        return FileStates.of(self.dataset.paths([item_indices[i % len(item_indices)] for i in indices]))

    def _finished(self, pending: _PendingBatch, shard: Shard, cache: BatchCache | None) -> Iterator[Batch]:
        """Yields the batch, from the cache or from its workers; nothing where too few of its images can be read."""
        if cache is not None and pending.is_cached:
            batch = cache.get(pending.indices, self.device)
        else:
            batch = self._collate_pending(pending.chunks, shard)
            if cache is not None and pending.files is not None:
                cache.put(pending.indices, batch, pending.files)
        if batch is not None:
            yield batch

    def _collate_pending(self, pending: Sequence[PendingChunk], shard: Shard) -> Batch | None:
        """The batch of the chunks; None where too few of its images can be read."""
        try:
            chunks = [chunk.result() for chunk in pending]
            samples = [sample for chunk in chunks for sample in chunk.samples]
            n_requested = len(samples) + sum(len(chunk.skipped) for chunk in chunks)
            for chunk in chunks:
                if self.skipped is not None:
                    self.skipped.update(chunk.skipped)
                for name, seconds in chunk.seconds.items():
                    self.timer.add(name, seconds)
            self.check_not_empty(len(samples), shard)
            return self.collate(samples) if self.is_usable(len(samples), n_requested, shard) else None
        finally:
            for chunk in pending:
                chunk.close()


def _to_probabilities(weights: SampleWeights, n_images: int) -> NDArray[np.float64]:
    """The probability of each image to be drawn; the sum is 1.

    Raises:
        InputError: the weights are not one finite number, 0 or more, for each image, or all are 0.
    """
    values = np.asarray(weights, np.float64)
    if values.shape != (n_images,):
        raise InputError(f"`sample_weights` has the shape {values.shape}, for {n_images} images")
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise InputError("`sample_weights` must be finite numbers, 0 or more and not all 0")
    values = values / values.max()  # the sum of numbers near the largest float would be infinite
    return values / values.sum()


def _number_repeats(drawn: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The drawn indices, with ``count`` added to the first repeat of an index, ``2 * count`` to its second, and so on.

    >>> _number_repeats(np.array([2, 0, 2, 2]), 4).tolist()
    [2, 0, 6, 10]
    """
    order = np.argsort(drawn, kind="stable")
    ascending = drawn[order]
    repeats = np.arange(len(ascending)) - np.searchsorted(ascending, ascending)
    numbered = np.empty_like(ascending)
    numbered[order] = ascending + count * repeats
    return numbered
