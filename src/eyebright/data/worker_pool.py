"""The workers of one or several loaders: the calling thread, threads or processes, whichever suits the images.

Loaders of the same data share a pool, because worker processes are forks of this process: started once, before training
takes memory, they use little memory, and each of them can read for all of the loaders.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eyebright._system.cpus import cpu_count
from eyebright.data.executors import Executor, SerialExecutor, ThreadExecutor
from eyebright.data.process_executor import ProcessPool, can_fork
from eyebright.data.sample_loader import SampleLoader
from eyebright.errors import DataError

CHUNK_SIZE = 8
"""A batch is read in chunks of this many images, each by one worker."""

PREFETCHED_BATCHES = 2
"""Batches that are read ahead of the one in use."""

MIN_IMAGES_FOR_PROCESSES = 256
"""With fewer images, starting processes costs more time than they save."""


@dataclass(frozen=True)
class WorkerConfig:
    """The settings of one loader for its workers.

    Args:
        sample_loader: reads and preprocesses each image.
        bs: images in a batch.
        workers: number of threads or processes; 0: the calling thread.
        processes: True for processes where possible, else threads; None: where that is possible and faster.
    """

    sample_loader: SampleLoader
    bs: int
    workers: int
    processes: bool | None

    def is_equivalent(self, other: "WorkerConfig") -> bool:
        """Whether the same workers can read for both."""
        same_workers = (self.workers, self.processes) == (other.workers, other.processes)
        return same_workers and self.sample_loader.is_equivalent(other.sample_loader)

    @property
    def uses_processes(self) -> bool:
        """Whether the workers are processes.

        That is not possible without workers, without fork (Linux only), with a cache (threads of one process share it)
        or with images of different sizes: threads read then, even if processes were asked for. Without a request,
        processes are used for at least `MIN_IMAGES_FOR_PROCESSES` image files and no more workers than CPUs. (Further
        workers only wait for a disk or a network. Images without a path may come from an open archive, and forks would
        share its position in the file.)
        """
        pipeline = self.sample_loader.pipeline
        possible = self.workers > 0 and can_fork() and pipeline.cache is None and pipeline.host_size is not None
        if self.processes is not None or not possible:
            return possible and bool(self.processes)
        enough_images = len(self.sample_loader.dataset) >= MIN_IMAGES_FOR_PROCESSES
        return 1 < self.workers <= cpu_count() and enough_images and self._reads_files

    @property
    def _reads_files(self) -> bool:
        try:
            return self.sample_loader.dataset.sample(0).image.path is not None
        except Exception:  # the worker that reads this sample will raise it
            return True


class WorkerPool:
    """The workers of the loaders that share this pool; they start with the first batch that one of these asks for."""

    def __init__(self) -> None:
        self._configs: list[WorkerConfig] = []
        self._executors: dict[int, Executor] = {}

    def add(self, config: WorkerConfig) -> int:
        """Adds a loader to the pool; returns the index by which it asks for its executor."""
        self._configs.append(config)
        return len(self._configs) - 1

    def executor(self, loader_index: int, config: WorkerConfig) -> Executor:
        """The executor of a loader; workers are started where none fit the configuration.

        Args:
            loader_index: the index from `add`.
            config: what the loader needs now; it may have changed since the last call.

        Raises:
            DataError: processes were asked for and cannot be started.
        """
        if loader_index not in self._executors or not self._configs[loader_index].is_equivalent(config):
            self._configs[loader_index] = config
            self._executors.pop(loader_index, None)
            if not (config.uses_processes and self._start_processes(loader_index)):
                loader, workers = config.sample_loader, config.workers
                self._executors[loader_index] = ThreadExecutor(loader, workers) if workers else SerialExecutor(loader)
        return self._executors[loader_index]

    def _start_processes(self, loader_index: int) -> bool:
        """Start processes for a loader and for all others that use processes and have none; False: not possible."""
        others = (i for i in range(len(self._configs)) if i != loader_index and self._waits_for_processes(i))
        loader_indices = [loader_index, *others]
        configs = [self._configs[i] for i in loader_indices]
        try:
            pool = _process_pool(configs)
        except (OSError, NotImplementedError) as error:
            if configs[0].processes:
                raise DataError(f"worker processes cannot be started: {error}; leave processes=True out") from None
            return False
        self._executors |= {index: pool.executor(i) for i, index in enumerate(loader_indices)}
        return True

    def _waits_for_processes(self, loader_index: int) -> bool:
        return loader_index not in self._executors and self._configs[loader_index].uses_processes


def _process_pool(configs: Sequence[WorkerConfig]) -> ProcessPool:
    """Processes for several loaders, as many as the first of these asks for."""
    chunks_per_batch = math.ceil(max(config.bs for config in configs) / CHUNK_SIZE)
    return ProcessPool(
        [config.sample_loader for config in configs],
        configs[0].workers,
        chunk_size=CHUNK_SIZE,
        image_bytes=max(config.sample_loader.image_bytes for config in configs),
        slots=(PREFETCHED_BATCHES + 1) * chunks_per_batch,  # also for the batch in use
    )
