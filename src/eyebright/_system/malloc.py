"""Keeps freed memory in the process during training, if the C library is glibc.

By default glibc returns every large block to the kernel and gets the next one page by page, which costs a quarter of
the time of a training step on a CPU (`docs/why.md` has the measurement). Other C libraries are not changed, nor is
glibc if the user has configured it by environment variables.
"""

import ctypes
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

# Parameters of mallopt, from <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4

_RETAIN = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}

# Once a parameter is set, glibc no longer adapts its thresholds; these are the values that it adapts to by itself.
_DEFAULT = {_MMAP_MAX: 65_536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20, _TOP_PAD: 128 << 10}


@contextmanager
def retain_freed_memory(device: torch.device) -> Generator[None, None, None]:
    """A context manager that keeps freed memory in the process, and returns it to the system at its end.

    Args:
        device: the device that trains; only memory of the CPU comes from the C library.
    """
    library = _glibc() if device.type == "cpu" else None
    if library is None:
        yield
        return
    _mallopt(library, _RETAIN)
    try:
        yield
    finally:
        _mallopt(library, _DEFAULT)
        library.malloc_trim(0)


def trim_memory() -> None:
    """Returns memory that this process has freed to the system."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _mallopt(library: Any, values: dict[int, int]) -> None:
    for parameter, value in values.items():
        library.mallopt(parameter, value)


def _glibc() -> Any:
    """The C library if it is glibc and not configured by environment variables; None otherwise."""
    if "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ):
        return None
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no such handle
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
