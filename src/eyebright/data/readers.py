"""Who reads pictures: the thread that asks, other threads, or processes (`eyebright.data.processes`).

Whoever it is, the pictures are the same, and so are the errors; of those that cannot be pickled, processes tell the
words.
"""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import cv2

from eyebright.data.reading import Chunk, Reading


class Job(Protocol):
    """Pictures that are being read."""

    def result(self) -> Chunk:
        """Waits for them; an error of the reader is raised here."""
        ...

    def close(self) -> None:
        """Nobody looks at these pictures any more, whether they have been read or not."""
        ...


class Readers(Protocol):
    """Whoever reads."""

    def submit(self, pictures: Sequence[int], epoch: int) -> Job:
        """Has pictures read, by their number on their side, as they look in this epoch."""
        ...


class Caller:
    """Reads in the thread that asks, before anything else is done."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def submit(self, pictures: Sequence[int], epoch: int) -> Job:
        """Reads them."""
        done: Future[Chunk] = Future()
        done.set_result(self._reading.chunk(pictures, epoch))
        return _InMemory(done)


class Threads:
    """Reads on threads: nothing is copied, and nothing has to start.

    Decoding and warping release the interpreter's lock; what is between them waits for it.
    """

    def __init__(self, reading: Reading, count: int) -> None:
        self._reading = reading
        self._pool = ThreadPoolExecutor(count, "eyebright-loader", initializer=_one_thread_each)

    def submit(self, pictures: Sequence[int], epoch: int) -> Job:
        """Has them read when a thread is free."""
        return _InMemory(self._pool.submit(self._reading.chunk, pictures, epoch))


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_processors() -> int:
    """This process's share of them, where torchrun has started several processes on this machine."""
    return max(1, processors() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


class _InMemory:
    """A job whose pictures lie in this process's memory."""

    def __init__(self, future: "Future[Chunk]") -> None:
        self._future = future

    def result(self) -> Chunk:
        return self._future.result()

    def close(self) -> None:
        self._future.cancel()


def _one_thread_each() -> None:
    """Pictures are spread over our threads already; OpenCV's own pool on top of them only gets in the way."""
    cv2.setNumThreads(1)
