"""Reads samples in worker processes: they share no GIL, so the Python code for each image runs in parallel too.

The workers are forks of this process (`os.fork`), as those of torch's `DataLoader` are on Linux: getters may be
lambdas, and nothing is imported again. Pixels come back through shared memory; the rest of a sample is small and is
pickled. A worker exits when its parent process does, and ignores Ctrl-C, which its parent handles.
"""

import gc
import math
import mmap
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import warnings
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from eyebright._system.malloc import trim_memory
from eyebright._system.signals import exit_with_parent
from eyebright.data.executors import PendingChunk
from eyebright.data.sample_loader import Chunk, LoadedSample, SampleLoader
from eyebright.errors import DataError
from eyebright.image.decode_memory import MemoryBudget, use_budget
from eyebright.image.warp import Warp
from eyebright.transforms.draw import TransformParams
from eyebright.transforms.pipeline import Preprocessed

Array = np.ndarray[Any, np.dtype[Any]]


class PixelFormat(NamedTuple):
    """The shape and the dtype of pixels in shared memory."""

    shape: tuple[int, ...]
    dtype: str


def can_fork() -> bool:
    """Whether this process may start workers: on Linux, unless it is a worker or another daemonic process itself."""
    return sys.platform == "linux" and _worker_state is None and not multiprocessing.current_process().daemon


class ProcessPool:
    """Worker processes that read for one sample loader or for several.

    Args:
        sample_loaders: what the workers read with; they keep a copy, so later changes here do not reach them.
        workers: number of processes, all started at once.
        chunk_size: the largest number of images in a chunk.
        image_bytes: the largest size of one image's pixels in shared memory; the pixels of larger images are pickled.
        slots: number of chunks that the shared memory can hold at once; the pixels of other chunks are pickled.

    Raises:
        OSError: the system has too little memory, or allows no more processes.
        NotImplementedError: the system has no semaphores that processes can share.
    """

    def __init__(
        self, sample_loaders: Sequence[SampleLoader], workers: int, *, chunk_size: int, image_bytes: int, slots: int
    ) -> None:
        self._sample_loaders = tuple(sample_loaders)
        self._workers = workers
        self._memory = _SharedPixels(chunk_size, image_bytes, slots)
        self._free_slots = list(range(slots))
        self._pool: ProcessPoolExecutor | None = self._start()

    def executor(self, loader_index: int) -> "ProcessExecutor":
        """The executor of the sample loader with this index."""
        return ProcessExecutor(self, loader_index)

    def submit(self, loader_index: int, indices: Sequence[int], epoch: int) -> PendingChunk:
        """A chunk that is read as soon as a worker is free.

        Args:
            loader_index: the index of the sample loader.
            indices: positions of the images in that loader's dataset.
            epoch: the epoch, from 0.

        Raises:
            DataError: a worker has died.
        """
        pool = self._pool = self._pool or self._start()
        slot = self._free_slots.pop() if self._free_slots else None
        try:
            return _SharedChunk(self, pool, pool.submit(_read_chunk, loader_index, list(indices), epoch, slot), slot)
        except BaseException as error:
            if slot is not None:
                self.release(slot)
            if isinstance(error, BrokenProcessPool):
                raise self.worker_died(pool) from None
            raise

    def unpack(self, message: "_ChunkMessage", slot: int | None) -> Chunk:
        """The chunk of a worker's message; its pixels are views of the shared memory."""
        samples: list[LoadedSample] = []
        for i, sample in enumerate(message.samples):
            pixels = self._memory.get(slot, i, sample.pixels)
            preprocessed = Preprocessed(pixels, sample.warp, sample.device_params)
            target = None if sample.target is None else torch.from_numpy(sample.target)
            samples.append(LoadedSample(preprocessed, target, sample.item_index))
        return Chunk(samples, message.skipped, message.seconds)

    def release(self, slot: int) -> None:
        """Let another chunk use this slot of the shared memory."""
        self._free_slots.append(slot)

    def worker_died(self, pool: ProcessPoolExecutor) -> DataError:
        """The error for a pool that has lost a worker; the next `submit` starts a new pool."""
        if self._pool is pool:
            self._pool = None
        return DataError(
            "a worker process that reads images has died: the system may have had too little memory, or a getter or "
            "a decoder may have crashed; `num_workers=0` reads without worker processes"
        )

    def _start(self) -> ProcessPoolExecutor:
        fork = multiprocessing.get_context("fork")
        pool = ProcessPoolExecutor(
            self._workers,
            mp_context=fork,
            initializer=_init_worker,
            # A new pool has a new budget, since a worker that dies gives back nothing of the old one.
            initargs=(self._sample_loaders, self._memory, MemoryBudget(fork), os.getpid()),
        )
        children_before = multiprocessing.active_children()
        outcome: Future[object] = Future()
        try:
            with _ready_to_fork():
                # A fork keeps torch's settings of the thread that made it, such as autocast; a new thread has none.
                thread = threading.Thread(target=_start_workers, args=(pool, outcome))
                thread.start()
                thread.join()
            outcome.result()
        except BaseException:  # workers that did start would wait for the missing ones for ever
            for child in multiprocessing.active_children():
                if child not in children_before:
                    child.kill()
                    child.join()
            raise
        return pool


def _start_workers(pool: ProcessPoolExecutor, outcome: "Future[object]") -> None:
    """Submit an empty task: a pool forks all of its workers at its first task."""
    try:
        outcome.set_result(pool.submit(_do_nothing))
    except BaseException as error:
        outcome.set_exception(error)


@dataclass(frozen=True)
class ProcessExecutor:
    """Reads for one sample loader of a process pool.

    Args:
        pool: the worker processes.
        loader_index: the index of the sample loader in the pool.
    """

    pool: ProcessPool
    loader_index: int

    def submit(self, indices: Sequence[int], epoch: int) -> PendingChunk:
        """A chunk that is read as soon as a worker is free.

        Raises:
            DataError: a worker has died.
        """
        return self.pool.submit(self.loader_index, indices, epoch)


class _SharedChunk:
    """A chunk that a worker reads; it occupies a slot of the shared memory until it is closed."""

    def __init__(
        self, owner: ProcessPool, pool: ProcessPoolExecutor, future: "Future[_ChunkMessage]", slot: int | None
    ) -> None:
        self._owner = owner
        self._pool = pool
        self._future = future
        self._slot = slot

    def result(self) -> Chunk:
        try:
            return self._owner.unpack(self._future.result(), self._slot)
        except BrokenProcessPool:
            raise self._owner.worker_died(self._pool) from None

    def close(self) -> None:
        slot, self._slot = self._slot, None
        self._future.cancel()
        if slot is not None:  # a worker that has begun the chunk writes to its slot until it is done
            release = self._owner.release
            self._future.add_done_callback(lambda _: release(slot))


class _SharedPixels:
    """Memory for the pixels of several chunks, shared with the workers.

    The system allocates a page of it only when it is first written to.
    """

    def __init__(self, chunk_size: int, image_bytes: int, slots: int) -> None:
        self._chunk_size = chunk_size
        self._image_bytes = image_bytes
        self._bytes = np.frombuffer(mmap.mmap(-1, max(slots * chunk_size * image_bytes, 1)), np.uint8)

    def put(self, slot: int | None, i: int, pixels: Array) -> Array | PixelFormat:
        """Copies the pixels to shared memory and returns their format; the pixels themselves if they do not fit."""
        if slot is None or pixels.nbytes > self._image_bytes:
            return pixels
        stored = PixelFormat(pixels.shape, pixels.dtype.str)
        self._view(slot, i, stored)[...] = pixels
        return stored

    def get(self, slot: int | None, i: int, stored: Array | PixelFormat) -> Array:
        """The pixels for which `put` returned ``stored``."""
        if isinstance(stored, np.ndarray):
            return stored
        assert slot is not None  # put gives a format only for pixels in a slot
        return self._view(slot, i, stored)

    def _view(self, slot: int, i: int, stored: PixelFormat) -> Array:
        start = (slot * self._chunk_size + i) * self._image_bytes
        size = math.prod(stored.shape) * np.dtype(stored.dtype).itemsize
        return self._bytes[start : start + size].view(stored.dtype).reshape(stored.shape)


class _SampleMessage(NamedTuple):
    """A `LoadedSample` on its way to the parent process; ``pixels`` is their format if they are in shared memory."""

    pixels: Array | PixelFormat
    warp: Warp
    device_params: TransformParams | None
    target: np.ndarray[Any, Any] | None  # torch would send a tensor as an open file
    item_index: int


class _ChunkMessage(NamedTuple):
    """A `Chunk` on its way to the parent process."""

    samples: list[_SampleMessage]
    skipped: dict[str, str]
    seconds: dict[str, float]


@contextmanager
def _ready_to_fork() -> Generator[None]:
    """A context manager in which this process can be forked safely, and its forks stay small."""
    trim_memory()  # forks would keep a copy of unused memory for as long as they live
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a fork has none of its parent's threads, and OpenCV would wait for them
    with warnings.catch_warnings():
        # From Python 3.12 on, forking a process with threads gives a warning, because a lock that another thread holds
        # stays locked in the fork. The workers use none of torch's or OpenCV's threads, and nothing else that other
        # threads here use.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            yield
        finally:
            cv2.setNumThreads(threads)


# ---------------------------------------------------------------------- in the worker processes


class _WorkerState(NamedTuple):
    sample_loaders: Sequence[SampleLoader]
    memory: _SharedPixels


_worker_state: _WorkerState | None = None


def _init_worker(
    sample_loaders: Sequence[SampleLoader], memory: _SharedPixels, budget: MemoryBudget, parent: int
) -> None:
    global _worker_state  # noqa: PLW0603 - a worker process reads for one pool only
    _worker_state = _WorkerState(sample_loaders, memory)
    use_budget(budget)
    gc.freeze()  # the garbage collector would write to objects from before the fork, and so copy their memory
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=exit_with_parent, args=(parent,), daemon=True).start()


def _do_nothing() -> None:
    """An empty task."""


def _read_chunk(loader_index: int, indices: list[int], epoch: int, slot: int | None) -> _ChunkMessage:
    assert _worker_state is not None
    sample_loader, memory = _worker_state.sample_loaders[loader_index], _worker_state.memory
    _seed_global_generators([sample_loader.seed, epoch, indices[0]])
    try:
        chunk = sample_loader.chunk(indices, epoch)
    except Exception as error:
        picklable = _picklable(error)
        if picklable is error:
            raise
        raise picklable from error
    samples = [
        _SampleMessage(
            memory.put(slot, i, sample.preprocessed.pixels),
            sample.preprocessed.warp,
            sample.preprocessed.device_params,
            None if sample.target is None else sample.target.numpy(),
            sample.item_index,
        )
        for i, sample in enumerate(chunk.samples)
    ]
    return _ChunkMessage(samples, chunk.skipped, chunk.seconds)


def _seed_global_generators(entropy: list[int]) -> None:
    """Seed Python's, NumPy's and torch's generators, which a user's getters may use: forks would all draw the same."""
    python_seed, numpy_seed, torch_seed = map(int, np.random.SeedSequence(entropy).generate_state(3))
    random.seed(python_seed)
    np.random.seed(numpy_seed)  # noqa: NPY002
    torch.manual_seed(torch_seed)


def _picklable(error: Exception) -> Exception:
    """The error itself, or a `RuntimeError` with its type and message where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
