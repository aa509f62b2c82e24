"""The number of CPUs that this process may use."""

import os


def cpu_count() -> int:
    """The number of CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpus_per_process() -> int:
    """`cpu_count` divided by the number of processes that torchrun has started on this machine."""
    return max(1, cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
