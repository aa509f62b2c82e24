"""Where time goes, by name: what a person asks when an epoch is slow."""

import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Timer:
    """Seconds by name, added up; threads may share it.

    Args:
        clock: gives seconds: ``time.perf_counter`` for those on the wall, ``time.thread_time`` for those that a thread
            worked.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, name: str) -> Generator[None, None, None]:
        """What happens inside the ``with`` counts for this name."""
        started = self._clock()
        try:
            yield
        finally:
            self.add(name, self._clock() - started)

    def add(self, name: str, seconds: float) -> None:
        """Seconds that were measured elsewhere."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def move(self, seconds: float, source: str, target: str) -> None:
        """Counts seconds for ``target`` that are also measured, before or after this, under ``source``."""
        with self._lock:
            self.seconds[source] = self.seconds.get(source, 0.0) - seconds
            self.seconds[target] = self.seconds.get(target, 0.0) + seconds

    def each(self, name: str, things: Iterable[T]) -> Generator[T, None, None]:
        """The things; what each takes to come counts for this name."""
        iterator = iter(things)
        nothing = object()
        while True:
            with self(name):
                thing = next(iterator, nothing)
            if thing is nothing:
                return
            yield thing  # type: ignore[misc]  # it is not ``nothing``
