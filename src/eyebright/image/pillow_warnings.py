"""Suppresses Pillow's warnings while Eyebright reads an image.

They name no file, and Python shows equal ones once, so that nobody can tell which images they are about. The
important ones are reported as an `ImageError` or a note with the path: missing or damaged data, too many pixels,
damaged EXIF data.
"""

import contextlib
import os
import re
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

_MODULES = r"(PIL|pillow_heif)\."
_ENTRY = ("ignore", None, Warning, re.compile(_MODULES), 0)  # that filterwarnings adds to `warnings.filters`


class _SharedFilter:
    """A warning filter that is installed while any thread reads an image: Python has one list of them for the process.

    It counts the threads that need it.

    `warnings.catch_warnings` cannot be used, since it replaces the list: when two threads use it at the same time, the
    one that ends last restores the list with the filter of the other.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Starts with no thread and a new lock."""
        self._lock = threading.Lock()
        self._count = 0

    def acquire(self) -> None:
        """Installs the filter, if no other thread has, until `release`."""
        with self._lock:
            self._count += 1
            if not warnings.filters or warnings.filters[0] != _ENTRY:
                warnings.filterwarnings("ignore", module=_MODULES)  # moves the filter to the front

    def release(self) -> None:
        """Removes the filter, if no other thread needs it."""
        with self._lock:
            self._count -= 1
            if not self._count:
                with contextlib.suppress(ValueError):  # somebody else has replaced the list in the meantime
                    warnings.filters.remove(_ENTRY)  # type: ignore[attr-defined]


_FILTER = _SharedFilter()
if hasattr(os, "register_at_fork"):  # a lock that another thread holds would never be released in a fork
    os.register_at_fork(after_in_child=_FILTER.reset)


@contextmanager
def without_pillow_warnings() -> Generator[None]:
    """A context manager that ignores the warnings of Pillow's modules, and no others; in any number of threads."""
    _FILTER.acquire()
    try:
        yield
    finally:
        _FILTER.release()
