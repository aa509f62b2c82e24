"""`collector_paused`: pauses Python's garbage collector while many long-lived objects are created.

It looks for cycles again and again while a label file is read or split, which makes none: a quarter of the time.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Generator[None]:
    """Within it cycles of garbage are not collected, in any thread; a collector that was off stays off."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
