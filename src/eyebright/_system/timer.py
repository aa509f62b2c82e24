"""A timer that sums seconds by name, to find out what the time of an epoch is used for."""

import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Timer:
    """Seconds by name; threads may share one.

    >>> timer = Timer()
    >>> with timer("decode"):
    ...     pass
    >>> list(timer.seconds)
    ['decode']

    Args:
        clock: returns seconds: ``time.perf_counter`` for wall time, ``time.thread_time`` for CPU time of a thread.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, name: str) -> Generator[None, None, None]:
        """A context manager that adds its seconds to a name, also when it raises."""
        started = self._clock()
        try:
            yield
        finally:
            self.add(name, self._clock() - started)

    def add(self, name: str, seconds: float) -> None:
        """Adds seconds that were measured elsewhere to a name."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def move(self, seconds: float, source: str, target: str) -> None:
        """Adds seconds to ``target`` and takes them from ``source``, whose ``with`` block they are a part of."""
        with self._lock:
            self.seconds[source] = self.seconds.get(source, 0.0) - seconds
            self.seconds[target] = self.seconds.get(target, 0.0) + seconds

    def each(self, name: str, items: Iterable[T]) -> Generator[T, None, None]:
        """The items; the time of waiting for each of them is added to a name."""
        iterator = iter(items)
        end = object()
        while True:
            with self(name):
                item = next(iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]  # it is not ``end``
