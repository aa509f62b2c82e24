"""Processor time of parts of an epoch, measured from the counters of the operating system."""

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from memory import process_tree


class Part(TypedDict):
    """Times of a part of an epoch, in seconds.

    ``wall`` is elapsed time. ``busy`` is the processor time of the process and its worker processes, ``reading`` that
    of the threads or processes that read images, ``others`` that of other programs (NaN if the system does not report
    it). ``thread`` splits the elapsed time of the training thread; "between" is the rest without a name.
    """

    wall: float
    processors: int
    busy: float
    reading: float
    others: float
    thread: dict[str, float]


class IdleResult(TypedDict):
    """The times of the training steps and of the validation of one epoch."""

    steps: Part
    validation: Part
    configuration: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Counters:
    """All counters at one time, in seconds.

    Args:
        wall: clock time.
        busy: processor time of the process and its running child processes.
        machine: processor time of all programs on the machine.
        thread: elapsed time of the training thread by activity.
        reading: processor time of the readers.
    """

    wall: float
    busy: float
    machine: float
    thread: Mapping[str, float]
    reading: float

    @staticmethod
    def now(thread: Mapping[str, float], reading: float) -> "Counters":
        """The current counters."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        children = sum(map(_processor_time, process_tree(os.getpid())[1:]))
        busy = usage.ru_utime + usage.ru_stime + children
        return Counters(time.perf_counter(), busy, _machine_time(), dict(thread), reading)

    def until(self, later: "Counters", processors: int) -> Part:
        """The differences between these counters and later ones."""
        wall, busy = later.wall - self.wall, later.busy - self.busy
        thread = {name: seconds - self.thread.get(name, 0.0) for name, seconds in later.thread.items()}
        thread = {name: seconds for name, seconds in thread.items() if seconds > 0}
        return Part(
            wall=wall,
            processors=processors,
            busy=busy,
            reading=later.reading - self.reading,
            others=later.machine - self.machine - busy,
            thread={**thread, "between": wall - sum(thread.values())},
        )


def _processor_time(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _machine_time() -> float:
    file = Path("/proc/stat")
    if not file.exists():
        return float("nan")
    user, nice, system, _, _, interrupts, soft, *_ = map(int, file.read_text().splitlines()[0].split()[1:])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
