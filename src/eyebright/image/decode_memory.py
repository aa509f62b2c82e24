"""Bounds the memory of large images that are decoded at the same time, in all threads and worker processes together.

A worker for each CPU reads images. That is no danger with photographs, but sixteen images of 100 megapixels would take
15 GB at once. So a large image waits until it fits into half of the available memory together with those that are being
decoded; a single image is always decoded. Images below `_MAX_UNCOUNTED_PIXELS` are not counted, so they cost nothing.

The threads of a process share one `MemoryBudget`. The workers of a `eyebright.data.process_executor.ProcessPool` share
another one, which `use_budget` sets in each.
"""

import os
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing.context import BaseContext
from typing import Any

from eyebright._system.memory import available_memory
from eyebright.types import Size

_MAX_UNCOUNTED_PIXELS = 4_000_000  # pixels; smaller images are not counted
_BYTES_PER_PIXEL = 9  # of a progressive JPEG, the most of all formats, see eyebright.image.decode.MAX_PIXELS
_MEMORY_FRACTION = 0.5  # of the available memory, for the images that are decoded at once
_IN_USE, _LIMIT = 0, 1


class MemoryBudget:
    """The bytes that images take while they are decoded, and their limit; for threads, or for processes.

    Args:
        context: a ``fork`` context whose processes share the budget (they must be forked after it is made); None: the
            threads of this process share it.

    Raises:
        OSError: the system has no more semaphores that processes can share.
    """

    def __init__(self, context: BaseContext | None = None) -> None:
        self._changed: Any = threading.Condition() if context is None else context.Condition()
        self._bytes: Any = [0, 0] if context is None else context.RawArray("q", 2)

    @contextmanager
    def reserved(self, n_bytes: int) -> Generator[None]:
        """A context manager that waits until ``n_bytes`` are free, and reserves them until it exits."""
        with self._changed:
            self._changed.wait_for(lambda: self._fits(n_bytes))
            self._bytes[_IN_USE] += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._bytes[_IN_USE] -= n_bytes
                self._changed.notify_all()

    def _fits(self, n_bytes: int) -> bool:
        if not self._bytes[_IN_USE]:
            self._bytes[_LIMIT] = int(available_memory() * _MEMORY_FRACTION)
            return True
        return self._bytes[_IN_USE] + n_bytes <= self._bytes[_LIMIT]


class _Current:
    """The budget of this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Starts with a budget for the threads of this process, none of which has reserved anything."""
        self.budget = MemoryBudget()
        self.thread = threading.local()


_CURRENT = _Current()
if hasattr(os, "register_at_fork"):  # a lock that another thread holds would never be released in a fork
    os.register_at_fork(after_in_child=_CURRENT.reset)


def use_budget(budget: MemoryBudget) -> None:
    """Lets this process decode within a budget that it shares with others."""
    _CURRENT.budget = budget


def decode_memory(size: Size | tuple[int, int]) -> AbstractContextManager[None]:
    """A context manager that reserves the memory for decoding an image; entering it waits while others take the memory.

    Nested in another one of the same thread it does nothing (it is reentrant), so a function that decodes and resizes
    can hold it around both.

    Args:
        size: (height, width) of the image in its file.
    """
    pixels = size[0] * size[1]
    return nullcontext() if pixels < _MAX_UNCOUNTED_PIXELS else _reserved_once(pixels * _BYTES_PER_PIXEL)


@contextmanager
def _reserved_once(n_bytes: int) -> Generator[None]:
    thread = _CURRENT.thread
    if getattr(thread, "has_reserved", False):
        yield
        return
    with _CURRENT.budget.reserved(n_bytes):
        thread.has_reserved = True
        try:
            yield
        finally:
            thread.has_reserved = False
