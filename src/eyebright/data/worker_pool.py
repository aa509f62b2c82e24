"""Decides what reads the images of one or several loaders - the calling thread, threads or processes - and starts it.

Loaders of the same data share a pool, because processes are copies of this one: started once, before training takes
memory, they stay small, and each can read for all of the loaders.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eyebright._system.cpus import cpu_count
from eyebright.data.executors import Executor, SerialExecutor, ThreadExecutor
from eyebright.data.process_executor import ProcessExecutor, can_fork
from eyebright.data.sample_loader import SampleLoader
from eyebright.errors import DataError

CHUNK = 8
"""Images that one worker reads at once."""

AHEAD = 2
"""Batches that are read ahead of the one in use."""

ENOUGH_IMAGES = 256
"""Images for which processes are worth their start."""


@dataclass(frozen=True)
class Reading:
    """What a loader wants to have read, and by how many.

    Args:
        samples: makes a sample of each image.
        bs: images in a batch.
        workers: threads or processes; 0: the calling thread.
        processes: whether the workers are processes; None: where that is possible and worth their start.
    """

    samples: SampleLoader
    bs: int
    workers: int
    processes: bool | None

    def same_as(self, other: "Reading") -> bool:
        """Whether the other one can be read by the same workers."""
        how = (self.workers, self.processes) == (other.workers, other.processes)
        return how and self.samples.same_as(other.samples)

    @property
    def wants_processes(self) -> bool:
        """Whether processes were asked for, or read these images faster than threads would, and as safely.

        A cache counts its uses and holds images for the threads of one process. More workers than processors are there
        to wait for a disk or a network. A getter that gives images without a path may hold an archive open, whose
        position in the file processes would move for each other.
        """
        pipeline = self.samples.pipeline
        possible = self.workers > 0 and can_fork() and pipeline.cache is None and pipeline.host_size is not None
        if self.processes is not None or not possible:
            return possible and bool(self.processes)
        enough = len(self.samples.dataset) >= ENOUGH_IMAGES
        return 1 < self.workers <= cpu_count() and enough and self._has_files

    @property
    def _has_files(self) -> bool:
        try:
            return self.samples.dataset.sample(0).image.path is not None
        except Exception:  # the worker that reads it will raise it
            return True


class WorkerPool:
    """The workers of the loaders that share this pool; they start with the first batch that one of these asks for."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self._executors: dict[int, Executor] = {}

    def add(self, reading: Reading) -> int:
        """Takes another loader in; returns the number by which it asks for its executor."""
        self._readings.append(reading)
        return len(self._readings) - 1

    def executor(self, member: int, reading: Reading) -> Executor:
        """What reads for a loader, started where it is not running yet.

        Args:
            member: the loader's number.
            reading: what it wants to have read now; where that has changed, other workers are started.

        Raises:
            DataError: processes were asked for and cannot be started.
        """
        if member not in self._executors or not self._readings[member].same_as(reading):
            self._readings[member] = reading
            self._executors.pop(member, None)
            if not (reading.wants_processes and self._start_processes(member)):
                samples, workers = reading.samples, reading.workers
                self._executors[member] = ThreadExecutor(samples, workers) if workers else SerialExecutor(samples)
        return self._executors[member]

    def _start_processes(self, member: int) -> bool:
        """Starts processes for a loader and for the others that want some and have none; False: it is not possible."""
        members = [member, *(i for i in range(len(self._readings)) if i != member and self._is_waiting(i))]
        readings = [self._readings[i] for i in members]
        asking = readings[0]
        try:
            processes = _process_executor(readings, asking.workers)
        except (OSError, NotImplementedError) as error:
            if asking.processes:
                raise DataError(
                    f"processes that read images cannot be started: {error}; leave processes=True out"
                ) from None
            return False
        self._executors |= {member: processes.of(index) for index, member in enumerate(members)}
        return True

    def _is_waiting(self, member: int) -> bool:
        return member not in self._executors and self._readings[member].wants_processes


def _process_executor(readings: Sequence[Reading], workers: int) -> ProcessExecutor:
    image = 3 * max(math.prod(reading.samples.pipeline.host_size or ()) for reading in readings)
    jobs = (AHEAD + 1) * math.ceil(max(reading.bs for reading in readings) / CHUNK)
    return ProcessExecutor([reading.samples for reading in readings], workers, chunk=CHUNK, image=image, jobs=jobs)
