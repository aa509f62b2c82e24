"""OpenCV with one thread for a while: threads that read images would compete with OpenCV's own."""

import contextlib
import threading
from collections.abc import Generator

import cv2

_lock = threading.Lock()
_users = 0
_before = 0


@contextlib.contextmanager
def one_opencv_thread() -> Generator[None]:
    """A context in which OpenCV uses one thread; the last that ends restores the former number.

    The number is one for the whole process, so several threads may be in this context at a time.
    """
    global _users, _before  # noqa: PLW0603 - OpenCV's setting is global, too
    with _lock:
        if _users == 0:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_before)
