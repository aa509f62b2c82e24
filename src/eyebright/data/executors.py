"""Who reads images: the thread that asks, other threads, or processes (`eyebright.data.process_executor`).

Whoever it is, the images are the same, and so are the errors; of those that cannot be pickled, processes tell the
words.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2

from eyebright.data.sample_loader import Chunk, SampleLoader


class PendingChunk(Protocol):
    """Images that are being read."""

    def result(self) -> Chunk:
        """Waits for them; an error of the reader is raised here."""
        ...

    def close(self) -> None:
        """Nobody looks at these images any more, whether they have been read or not."""
        ...


class Executor(Protocol):
    """Whoever reads."""

    def submit(self, images: Sequence[int], epoch: int) -> PendingChunk:
        """Has images read, by their number on their side, as they look in this epoch."""
        ...


class SerialExecutor:
    """Reads in the thread that asks, when it wants the images."""

    def __init__(self, reading: SampleLoader) -> None:
        self._reading = reading

    def submit(self, images: Sequence[int], epoch: int) -> PendingChunk:
        """Has them read when they are wanted."""
        return _Later(self._reading, images, epoch)


class ThreadExecutor:
    """Reads on threads: nothing is copied, and nothing has to start.

    Decoding and warping release the interpreter's lock; what is between them waits for it. OpenCV's own threads, which
    would only get in the way of these, are told to rest, in the whole program: it has one number for all.
    """

    def __init__(self, reading: SampleLoader, count: int) -> None:
        self._reading = reading
        self._pool = ThreadPoolExecutor(count, "eyebright-loader", initializer=cv2.setNumThreads, initargs=(1,))

    def submit(self, images: Sequence[int], epoch: int) -> PendingChunk:
        """Has them read when a thread is free."""
        return _InMemory(self._pool.submit(self._reading.chunk, images, epoch))


@dataclass(frozen=True)
class _Later:
    """A job that nobody has begun."""

    reading: SampleLoader
    images: Sequence[int]
    epoch: int

    def result(self) -> Chunk:
        return self.reading.chunk(self.images, self.epoch)

    def close(self) -> None:
        pass


class _InMemory:
    """A job whose images lie in this process's memory."""

    def __init__(self, future: "Future[Chunk]") -> None:
        self._future = future

    def result(self) -> Chunk:
        return self._future.result()

    def close(self) -> None:
        self._future.cancel()
