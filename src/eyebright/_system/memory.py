"""The memory that this process can allocate, as the system and a container report it."""

import os
from pathlib import Path

_DEFAULT_MEMORY = 4 * 2**30  # bytes, assumed if the system does not report the available memory


def available_memory() -> int:
    """The memory in bytes that this process can allocate.

    If torchrun has started several processes on this machine, the available memory is divided between them.
    """
    limits = [value for value in (_system_memory(), _cgroup_memory()) if value is not None]
    return max(min(limits, default=_DEFAULT_MEMORY), 0) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def default_cache_limit() -> int:
    """The bytes that a cache in memory may have: a quarter of the memory that is available now."""
    return available_memory() // 4


def _system_memory() -> int | None:
    """The bytes that Linux reports as available; elsewhere half of the physical memory; None if unknown."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError, AttributeError):
        return None


def _cgroup_memory() -> int | None:
    """The memory left to a container (control groups, version 2); None without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no control group, or its limit is "max"
        return None
