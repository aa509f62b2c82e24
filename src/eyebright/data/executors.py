"""`Executor`: runs a sample loader in the calling thread, in threads or in processes.

Processes are in `eyebright.data.process_executor`. An executor is never closed explicitly: its threads or processes end
when the last loader that uses it is garbage collected, and at the latest when Python exits.

All executors give the same samples and raise the same errors, except that an error that cannot be pickled comes back
from a worker process as a `RuntimeError` with the same message.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2

from eyebright.data.sample_loader import Chunk, SampleLoader


class PendingChunk(Protocol):
    """The future of a submitted chunk of samples, which may not have been loaded yet."""

    def result(self) -> Chunk:
        """The chunk; blocks until it has been loaded.

        Raises:
            Exception: whatever loading it raised.
        """
        ...

    def close(self) -> None:
        """Ends the use of the chunk: cancels it if it has not been loaded, and frees its memory.

        Its pixels must not be used afterwards.
        """
        ...


class Executor(Protocol):
    """Loads chunks of samples for one loader, like `concurrent.futures.Executor`."""

    def submit(self, indices: Sequence[int], epoch: int) -> PendingChunk:
        """The pending chunk of these images; when it is loaded depends on the executor.

        Args:
            indices: positions of the images in the loader's dataset.
            epoch: the epoch, from 0; with the seed and the index it decides each image's augmentation.
        """
        ...


class SerialExecutor:
    """Loads a chunk in the calling thread, when its result is asked for.

    Args:
        sample_loader: loads the samples of a chunk.
    """

    def __init__(self, sample_loader: SampleLoader) -> None:
        self._sample_loader = sample_loader

    def submit(self, indices: Sequence[int], epoch: int) -> PendingChunk:
        """A chunk that is loaded when its result is asked for."""
        return _DeferredChunk(self._sample_loader, indices, epoch)


class ThreadExecutor:
    """Loads chunks in threads: no pixels are copied between processes, and no process has to start.

    Decoding and warping release the GIL; the Python code between them does not. OpenCV's own threads would compete with
    these threads, so they are switched off, for the whole process: OpenCV has one setting for all threads.

    Args:
        sample_loader: loads the samples of a chunk.
        workers: number of threads.
    """

    def __init__(self, sample_loader: SampleLoader, workers: int) -> None:
        self._sample_loader = sample_loader
        self._pool = ThreadPoolExecutor(workers, "eyebright-loader", initializer=cv2.setNumThreads, initargs=(1,))

    def submit(self, indices: Sequence[int], epoch: int) -> PendingChunk:
        """A chunk that is loaded as soon as a thread is free."""
        return _FutureChunk(self._pool.submit(self._sample_loader.chunk, indices, epoch))


@dataclass(frozen=True)
class _DeferredChunk:
    """A chunk that is loaded when ``result`` is called."""

    sample_loader: SampleLoader
    indices: Sequence[int]
    epoch: int

    def result(self) -> Chunk:
        return self.sample_loader.chunk(self.indices, self.epoch)

    def close(self) -> None:
        pass


class _FutureChunk:
    """A chunk that a thread loads."""

    def __init__(self, future: "Future[Chunk]") -> None:
        self._future = future

    def result(self) -> Chunk:
        return self._future.result()

    def close(self) -> None:
        self._future.cancel()
