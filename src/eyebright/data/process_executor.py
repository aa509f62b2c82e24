"""SampleLoader in processes: they share no interpreter lock, so that an image's Python runs on every processor too.

The processes are copies of this one (`os.fork`), as those of torch's loader are on Linux: getters may be lambdas, and
nothing has to be imported again. Pixels come back through memory that all of them share; the rest is small and is
pickled. A process ends with the one that it was copied from, and leaves Ctrl-C to it.
"""

import gc
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

from eyebright._system.malloc import give_back_free_memory
from eyebright._system.signals import exit_with_parent
from eyebright.data.executors import PendingChunk
from eyebright.data.sample_loader import Chunk, LoadedSample, SampleLoader
from eyebright.errors import DataError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Draw
from eyebright.transforms.pipeline import Preprocessed

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def can_fork() -> bool:
    """Whether this process may have copies: on Linux, unless it is one itself, or may have no children."""
    return sys.platform == "linux" and _work is None and not multiprocessing.current_process().daemon


class ProcessExecutor:
    """Copies of this process, which read for one side of a split or for several.

    Args:
        readings: what they read; of what changes here later they do not know.
        count: of the processes, which start at once.
        chunk: images of a job, at most.
        image: bytes of its pixels; what is larger is pickled.
        jobs: that have room in the shared memory at the same time; the pixels of others are pickled.

    Raises:
        OSError: the system has no memory for them, allows no more processes, or none at all.
    """

    def __init__(self, readings: Sequence[SampleLoader], count: int, *, chunk: int, image: int, jobs: int) -> None:
        self._readings = tuple(readings)
        self._count = count
        self._memory = _Shared(chunk, image, jobs)
        self._free = list(range(jobs))
        self._pool: ProcessPoolExecutor | None = self._started()

    def of(self, side: int) -> "Forked":
        """Whoever reads for the reading with this number."""
        return Forked(self, side)

    def submit(self, side: int, images: Sequence[int], epoch: int) -> PendingChunk:
        """Has images of a side read when a process is free.

        Raises:
            DataError: a process is gone.
        """
        pool = self._pool = self._pool or self._started()
        place = self._free.pop() if self._free else None
        try:
            return _Lent(self, pool, pool.submit(_read, side, list(images), epoch, place), place)
        except BaseException as error:
            if place is not None:
                self.free(place)
            if isinstance(error, BrokenProcessPool):
                raise self.lost(pool) from None
            raise

    def received(self, told: "_Told", place: int | None) -> Chunk:
        """What a process has told, with the pixels that it left in the shared memory."""
        seen: list[LoadedSample] = []
        for number, one in enumerate(told.samples):
            preprocessed = Preprocessed(self._memory.get(place, number, one.pixels), one.warp, one.device_draw)
            seen.append(
                LoadedSample(preprocessed, None if one.target is None else torch.from_numpy(one.target), one.item_index)
            )
        return Chunk(seen, told.skipped, told.seconds)

    def free(self, place: int) -> None:
        """Another job may have the room."""
        self._free.append(place)

    def lost(self, pool: ProcessPoolExecutor) -> DataError:
        """The error for a process of the pool that is gone. The next job starts others."""
        if self._pool is pool:
            self._pool = None
        return DataError(
            "a process that reads images has ended before its work was done: the system may have had too little "
            "memory, or a function or a decoder has crashed; num_workers=0 (--workers 0) reads without processes"
        )

    def _started(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(
            self._count,
            mp_context=multiprocessing.get_context("fork"),
            initializer=_begin,
            initargs=(self._readings, self._memory, os.getpid()),
        )
        before = multiprocessing.active_children()
        outcome: Future[object] = Future()
        try:
            with _copying():
                # A copy keeps what torch says for the thread that made it, such as autocast: a new one says nothing.
                thread = threading.Thread(target=_try, args=(pool, outcome))
                thread.start()
                thread.join()
            outcome.result()
        except BaseException:  # those that are there would wait for ever for the others
            for child in multiprocessing.active_children():
                if child not in before:
                    child.kill()
                    child.join()
            raise
        return pool


def _try(pool: ProcessPoolExecutor, outcome: "Future[object]") -> None:
    """Starts the processes, which the first job does."""
    try:
        outcome.set_result(pool.submit(_nothing))
    except BaseException as error:
        outcome.set_exception(error)


@dataclass(frozen=True)
class Forked:
    """Reads one side in processes that others may share.

    Args:
        processes: who reads.
        side: the number of what they read.
    """

    processes: ProcessExecutor
    side: int

    def submit(self, images: Sequence[int], epoch: int) -> PendingChunk:
        """Has them read when a process is free."""
        return self.processes.submit(self.side, images, epoch)


class _Lent:
    """A job whose images lie in shared memory until it is closed."""

    def __init__(
        self, readers: ProcessExecutor, pool: ProcessPoolExecutor, future: "Future[_Told]", place: int | None
    ) -> None:
        self._executor = readers
        self._pool = pool
        self._future = future
        self._place = place

    def result(self) -> Chunk:
        try:
            return self._executor.received(self._future.result(), self._place)
        except BrokenProcessPool:
            raise self._executor.lost(self._pool) from None

    def close(self) -> None:
        place, self._place = self._place, None
        self._future.cancel()
        if place is not None:  # a process that is at work already writes to it until it is done
            free = self._executor.free
            self._future.add_done_callback(lambda _: free(place))


class _Shared:
    """Room for the pixels of several jobs, in memory that copies of this process share with it.

    The system gives a page of it when it is first written to.
    """

    def __init__(self, chunk: int, image: int, jobs: int) -> None:
        self._chunk = chunk
        self._image = image
        self._bytes = np.frombuffer(mmap.mmap(-1, max(jobs * chunk * image, 1)), np.uint8)

    def put(self, place: int | None, number: int, pixels: Pixels) -> "Pixels | tuple[int, ...]":
        """The shape of the pixels, which are there now; the pixels themselves where there is no room."""
        if place is None or pixels.nbytes > self._image:
            return pixels
        self._room(place, number, pixels.shape)[...] = pixels
        return pixels.shape

    def get(self, place: int | None, number: int, told: "Pixels | tuple[int, ...]") -> Pixels:
        """The pixels of which ``put`` has told."""
        if isinstance(told, np.ndarray):
            return told
        assert place is not None  # only there is it known by its shape
        return self._room(place, number, told)

    def _room(self, place: int, number: int, shape: tuple[int, ...]) -> Pixels:
        start = (place * self._chunk + number) * self._image
        return self._bytes[start : start + int(np.prod(shape))].reshape(shape)


class _ToldOfOne(NamedTuple):
    pixels: "Pixels | tuple[int, ...]"
    warp: Warp
    device_draw: Draw | None
    target: np.ndarray[Any, Any] | None  # torch would send a tensor as an open file
    item_index: int


class _Told(NamedTuple):
    samples: list[_ToldOfOne]
    skipped: dict[str, str]
    seconds: dict[str, float]


@contextmanager
def _copying() -> Generator[None]:
    """While copies of this process are made. What it has in memory and does not use they would keep for good."""
    give_back_free_memory()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a copy has none of its parent's threads, and OpenCV would wait for its own
    with warnings.catch_warnings():
        # From Python 3.12 on a copy of a process with threads is warned of: what they hold, a copy would wait for. The
        # copies use no thread of torch's or OpenCV's, nor anything else that other threads here use.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            yield
        finally:
            cv2.setNumThreads(threads)


# ---------------------------------------------------------------------- in the copies

_work: tuple[Sequence[SampleLoader], _Shared] | None = None


def _begin(readings: Sequence[SampleLoader], memory: _Shared, parent: int) -> None:
    global _work  # noqa: PLW0603 - a process has one work
    _work = readings, memory
    gc.freeze()  # what was there before the copy is not looked through, which would copy its memory
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=exit_with_parent, args=(parent,), daemon=True).start()


def _nothing() -> None:
    """The first job."""


def _read(side: int, images: list[int], epoch: int, place: int | None) -> _Told:
    assert _work is not None
    readings, memory = _work
    reading = readings[side]
    _seed_all([reading.seed, epoch, images[0]])
    try:
        chunk = reading.chunk(images, epoch)
    except Exception as error:
        travelling = _that_travels(error)
        if travelling is error:
            raise
        raise travelling from error
    seen = [
        _ToldOfOne(
            memory.put(place, number, one.preprocessed.pixels),
            one.preprocessed.warp,
            one.preprocessed.device_draw,
            None if one.target is None else one.target.numpy(),
            one.item_index,
        )
        for number, one in enumerate(chunk.samples)
    ]
    return _Told(seen, chunk.skipped, chunk.seconds)


def _seed_all(numbers: list[int]) -> None:
    """For functions of the user's that draw from the generators of everybody: copies would all draw the same."""
    one, other, third = map(int, np.random.SeedSequence(numbers).generate_state(3))
    random.seed(one)
    np.random.seed(other)  # noqa: NPY002
    torch.manual_seed(third)


def _that_travels(error: Exception) -> Exception:
    """The error, or what it says where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
