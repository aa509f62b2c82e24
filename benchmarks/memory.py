"""The memory that a process and all that it started hold together, looked at from outside while they work.

Counted is PSS: what a process has for itself, and of what it shares with others its share. So pages that worker
processes share with the one that they were forked from, and batches that travel through shared memory, count once.
Only Linux tells.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.2  # seconds
GROWN = 1.002  # times as much resident memory as was seen before: worth a closer look


@dataclass(frozen=True)
class Peak:
    """The most that was held at one time.

    Args:
        megabytes: of all processes together; NaN where the system does not tell.
        processes: that there were then.
    """

    megabytes: float
    processes: int


class Watch:
    """Looks at a process and its children until ``stop``, from a thread.

    Args:
        process: its number.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._peak = Peak(float("nan"), 0)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> Peak:
        """The most that was seen."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        """The kernel goes through all pages of a process to tell its PSS, so it is asked only where that may be new.

        Resident memory it knows at once. While there are as many processes as before, PSS grows only where this does.
        """
        most: dict[int, float] = {}
        while not self._done.wait(EVERY):
            processes = family(self._process)
            held = sum(map(resident, processes))
            if held > GROWN * most.get(len(processes), 0.0):
                most[len(processes)] = held
                self._compare([megabytes for one in processes if (megabytes := proportional(one)) is not None])

    def _compare(self, held: list[float]) -> None:
        if held and not sum(held) <= self._peak.megabytes:  # also when there is none to compare with
            self._peak = Peak(sum(held), len(held))


def family(process: int) -> list[int]:
    """The process, its children and theirs."""
    found = [process]
    for one in found:  # grows while it is gone through
        for thread in Path(f"/proc/{one}/task").glob("*"):
            found += map(int, _text(thread / "children").split())
    return found


def resident(process: int) -> float:
    """A process's memory in MB, with all that it shares; 0 when it has ended."""
    pages = _text(Path(f"/proc/{process}/statm")).split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else 0.0


def proportional(process: int) -> float | None:
    """A process's PSS in MB; None when it has ended, or the system does not tell."""
    lines = [line.split() for line in _text(Path(f"/proc/{process}/smaps_rollup")).splitlines()]
    return next((int(words[1]) * 1024 / 1e6 for words in lines if words[0] == "Pss:"), None)


def own(process: int) -> float:
    """MB that a process and others of its family have written: not what unrelated programs may share, as libraries."""
    lines = [line.split() for line in _text(Path(f"/proc/{process}/smaps_rollup")).splitlines()]
    return sum(int(words[1]) * 1024 / 1e6 for words in lines if words[0] in ("Pss_Anon:", "Pss_Shmem:"))


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # it has ended meanwhile
        return ""
