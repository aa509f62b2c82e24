"""What the processors did for a while: what the side that is measured for idleness answers."""

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from memory import family


class Part(TypedDict):
    """Seconds of a part of an epoch.

    ``worked`` are those of the process and of those that read for it, ``reading`` those of readers among them,
    ``others`` those of other programs (NaN where the system does not tell); ``thread`` says what the training thread
    was at, by the clock on the wall, "between" being what it has no name for.
    """

    wall: float
    processors: int
    worked: float
    reading: float
    others: float
    thread: dict[str, float]


class IdleAnswer(TypedDict):
    """What the side measured."""

    steps: Part
    validation: Part
    said: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Moment:
    """Everything that is counted, at one time.

    Args:
        wall: seconds on the clock.
        worked: seconds that the process worked, and those that it has started and that are still there.
        machine: seconds that all processors of the machine worked for anybody.
        thread: what the training thread was at, by name.
        reading: seconds that readers worked.
    """

    wall: float
    worked: float
    machine: float
    thread: Mapping[str, float]
    reading: float

    @staticmethod
    def now(thread: Mapping[str, float], reading: float) -> "Moment":
        """The counters as they are."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        children = sum(map(_worked, family(os.getpid())[1:]))
        return Moment(time.perf_counter(), used.ru_utime + used.ru_stime + children, _machine(), dict(thread), reading)

    def until(self, later: "Moment", processors: int) -> Part:
        """What happened from this moment to the later one."""
        wall, worked = later.wall - self.wall, later.worked - self.worked
        thread = {name: seconds - self.thread.get(name, 0.0) for name, seconds in later.thread.items()}
        thread = {name: seconds for name, seconds in thread.items() if seconds > 0}
        return Part(
            wall=wall,
            processors=processors,
            worked=worked,
            reading=later.reading - self.reading,
            others=later.machine - self.machine - worked,
            thread={**thread, "between": wall - sum(thread.values())},
        )


def _worked(process: int) -> float:
    told = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def _machine() -> float:
    told = Path("/proc/stat")
    if not told.exists():
        return float("nan")
    user, nice, system, _, _, interrupts, soft, *_ = map(int, told.read_text().splitlines()[0].split()[1:])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
