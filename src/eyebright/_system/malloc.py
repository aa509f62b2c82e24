"""What is free: kept while the next step needs it again, and given back before others would hold on to it.

By default glibc gives every large block back to the kernel and takes the next one from it page by page, which costs a
quarter of the time of a training step on a CPU (`docs/why.md` has the measurement). Other C libraries are left alone,
and so is glibc where its user has set it up by the environment.
"""

import ctypes
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

# <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4

_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}

# Once anything is set, glibc no longer adapts its thresholds; these are where it goes by itself in a program like ours.
_USUAL = {_MMAP_MAX: 65_536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20, _TOP_PAD: 128 << 10}


@contextmanager
def retain_freed_memory(device: torch.device) -> Generator[None, None, None]:
    """Inside the ``with``, memory that is freed stays with the process; after it, what is free goes back.

    Args:
        device: where training happens; only a CPU's memory comes from the C library.
    """
    library = _glibc() if device.type == "cpu" else None
    if library is None:
        yield
        return
    _set(library, _KEEPING)
    try:
        yield
    finally:
        _set(library, _USUAL)
        library.malloc_trim(0)


def give_back_free_memory() -> None:
    """What this process has and does not use goes back to the system."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _set(library: Any, values: dict[int, int]) -> None:
    for name, value in values.items():
        library.mallopt(name, value)


def _glibc() -> Any:
    """The C library, where it is glibc and nobody has set up its memory; else None."""
    if "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ):
        return None
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no such handle
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
