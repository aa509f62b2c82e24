"""The peak memory of a process and its children, sampled from outside while they run.

Measured is PSS (proportional set size): a page shared by n processes counts 1/n for each. So pages that forked worker
processes share with their parent, and batches in shared memory, count once. Needs Linux.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.2  # seconds between samples
GROWTH = 1.002  # growth of resident memory above which PSS is read again


@dataclass(frozen=True)
class Peak:
    """The highest memory that was sampled.

    Args:
        megabytes: PSS of all processes together; NaN if the system does not report it.
        processes: number of processes at that time.
    """

    megabytes: float
    processes: int


class MemoryMonitor:
    """Samples the memory of a process and its children in a thread until ``stop``.

    Args:
        process: its process id.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._peak = Peak(float("nan"), 0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> Peak:
        """The peak so far; ends the sampling."""
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _sample(self) -> None:
        """Updates the peak until stopped.

        Reading PSS makes the kernel walk all pages of a process, so it is read only when resident memory, which is
        cheap to read, has grown: with the same number of processes PSS grows only if resident memory does.
        """
        highest: dict[int, float] = {}
        while not self._stopped.wait(INTERVAL):
            processes = process_tree(self._process)
            total = sum(map(resident, processes))
            if total > GROWTH * highest.get(len(processes), 0.0):
                highest[len(processes)] = total
                self._update([megabytes for pid in processes if (megabytes := proportional(pid)) is not None])

    def _update(self, megabytes: list[float]) -> None:
        if megabytes and not sum(megabytes) <= self._peak.megabytes:  # "not <=" is also true if the peak is NaN
            self._peak = Peak(sum(megabytes), len(megabytes))


def process_tree(process: int) -> list[int]:
    """The ids of a process and all its descendants."""
    tree = [process]
    for pid in tree:  # grows during the iteration
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            tree += map(int, _text(thread / "children").split())
    return tree


def resident(process: int) -> float:
    """The resident memory of a process in MB, shared pages included; 0 if it has ended."""
    pages = _text(Path(f"/proc/{process}/statm")).split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else 0.0


def proportional(process: int) -> float | None:
    """The PSS of a process in MB; None if it has ended or the system does not report it."""
    lines = [line.split() for line in _text(Path(f"/proc/{process}/smaps_rollup")).splitlines()]
    return next((int(words[1]) * 1024 / 1e6 for words in lines if words[0] == "Pss:"), None)


def written(process: int) -> float:
    """The anonymous and shared memory of a process in MB (PSS), without files such as libraries."""
    lines = [line.split() for line in _text(Path(f"/proc/{process}/smaps_rollup")).splitlines()]
    return sum(int(words[1]) * 1024 / 1e6 for words in lines if words[0] in ("Pss_Anon:", "Pss_Shmem:"))


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the process has ended
        return ""
